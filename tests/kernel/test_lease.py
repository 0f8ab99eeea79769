"""The agent goes when its controller does, and takes everything along."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from agent_bench import Agent, Bench, wait_until

from containerdeploy import wire
from containerdeploy.helper import payload

pytestmark = pytest.mark.kernel
STUBBORN = "trap '' TERM HUP INT; (setsid sleep 987 &) ; echo ready; while :; do sleep 5; done"


def assert_gone(bench: Bench, agent: Agent, *, within_s: float = 5.0) -> str:
    """Check that it ends in time, says why, and leaves nothing; return why."""
    started = time.monotonic()
    story = agent.end(within_s)
    assert time.monotonic() - started < within_s
    assert story.finished.outcome == "interrupted"
    assert list((bench.store / "tmp").iterdir()) == []
    assert mounts_of(bench) == []
    assert "Traceback" not in story.stderr
    return story.finished.error


def mounts_of(bench: Bench) -> list[str]:
    rows = Path("/proc/self/mountinfo").read_text().splitlines()
    return [row for row in rows if str(bench.place) in row]


def busy(bench: Bench, source: wire.Source) -> Agent:
    """Start an agent whose extension would not go by itself."""
    step = bench.shell(STUBBORN)
    agent = bench.start(bench.job(bench.deployment(source, configure=[step])))
    agent.wait_for(wire.Log, step=step.id, text="ready")
    return agent


def test_the_end_of_stdin_ends_everything(bench: Bench, small: wire.Source) -> None:
    agent = busy(bench, small)
    agent.let_go()
    assert "lease" in assert_gone(bench, agent)
    processes = subprocess.run(["pgrep", "-f", "sleep 987"], capture_output=True, check=False)
    assert processes.stdout == b""


def test_sigterm_ends_everything(bench: Bench, small: wire.Source) -> None:
    agent = busy(bench, small)
    agent.process.send_signal(signal.SIGTERM)
    assert "told to stop" in assert_gone(bench, agent)


def test_the_end_of_stdin_ends_the_wait_for_a_go(bench: Bench, small: wire.Source) -> None:
    agent = bench.start(bench.job(bench.deployment(small), waits=True))
    agent.wait_for(wire.Checked)
    agent.let_go()
    assert "lease" in assert_gone(bench, agent)


def test_the_end_of_stdin_ends_an_unpack(bench: Bench, debian_root: Path) -> None:
    agent = bench.start(bench.job(bench.deployment(bench.source(debian_root))))
    agent.wait_for(wire.Progress, step="one:base")
    agent.let_go()
    assert_gone(bench, agent)
    assert list((bench.store / "bases").iterdir()) == []


def test_the_end_of_stdin_ends_the_wait_for_another_agents_base(
    bench: Bench, small: wire.Source
) -> None:
    (bench.store / "locks").mkdir()
    lock = bench.store / "locks" / small.sha256
    with subprocess.Popen(["flock", lock, "sleep", "60"]) as holder:
        wait_until(lock.exists)
        agent = bench.start(bench.job(bench.deployment(small)))
        agent.wait_for(wire.StepStarted, step="one:base")
        agent.let_go()
        assert_gone(bench, agent)
        holder.kill()


WATCH = """
import threading
from containerdeploy.agent.lease import Lease
guarded = threading.Event()
lease = Lease(0, silence_s=2)
lease.guard(guarded.set)
lease.start()
lease.wait(10)
print(lease.is_held(), guarded.wait(10), lease.reason)
"""


def test_silence_ends_the_lease_and_heartbeats_prevent_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WATCH], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(8):
            time.sleep(0.4)
            process.stdin.write("\n")
            process.stdin.flush()
        assert process.poll() is None
        started = time.monotonic()
        said = process.stdout.read()
        assert 1 < time.monotonic() - started < 8
    assert said == "False True no sign of the controller for 2 s\n"


def test_a_held_agent_stays_until_it_is_let_go(bench: Bench, small: wire.Source) -> None:
    agent = bench.start(bench.job(bench.deployment(small), hold=True))
    agent.wait_for(wire.Finished)
    time.sleep(0.5)
    assert agent.process.poll() is None
    agent.let_go()
    assert agent.end(5).finished.outcome == "ok"


def test_an_agent_that_is_let_go_at_once_says_so(bench: Bench, small: wire.Source) -> None:
    agent = bench.start(bench.job(bench.deployment(small, configure=[bench.pause()])))
    agent.let_go()
    story = agent.end(5)
    assert story.finished.outcome == "interrupted"


def test_a_controller_that_goes_half_way_through_the_archive_is_survived(bench: Bench) -> None:
    for opening in (b"", b"10", b"100 100\n", b"100 100\nPK", b"x y\n", b"-5 3\n"):
        ran = subprocess.run(bench.argv(), input=opening, capture_output=True, timeout=20)
        assert ran.returncode != 0
        assert ran.stdout == b""


def test_a_job_that_is_none_is_refused_in_words(bench: Bench) -> None:
    good = payload.opening(bench.job(kind="probe"))
    head, rest = good.split(b"\n", 1)
    archive = int(head.split()[0])
    for job in (b"{}\n", b"nonsense\n", b'{"job": {"version": 99}}\n', b"[" * 100_000 + b"\n"):
        opening = b"%d %d\n" % (archive, len(job)) + rest[:archive] + job
        ran = subprocess.run(bench.argv(), input=opening, capture_output=True, timeout=20)
        (line,) = ran.stdout.splitlines(keepends=True)
        finished = wire.decode(line)
        assert isinstance(finished, wire.Finished)
        assert finished.outcome == "failed"
        assert finished.error


def test_a_controller_that_stops_reading_and_goes_is_survived(
    bench: Bench, small: wire.Source
) -> None:
    step = bench.shell("yes 'a line of output that fills the pipe'")
    opening = payload.opening(bench.job(bench.deployment(small, configure=[step])))
    read, write = os.pipe()
    with subprocess.Popen(bench.argv(), stdin=subprocess.PIPE, stdout=write) as process:
        os.close(write)
        assert process.stdin is not None
        process.stdin.write(opening)
        process.stdin.flush()
        time.sleep(1.5)
        assert process.poll() is None
        process.stdin.close()
        process.wait(5)
    os.close(read)
    assert list((bench.store / "tmp").iterdir()) == []


def test_a_sweep_takes_the_dead_and_leaves_the_living(bench: Bench, small: wire.Source) -> None:
    dead = busy(bench, small)
    alive = busy(bench, small)
    dead.kill()
    assert len(list((bench.store / "tmp").iterdir())) == 2
    story = bench.run(bench.job(kind="sweep"))
    assert story.finished.swept == 1
    assert len(list((bench.store / "tmp").iterdir())) == 1
    alive.let_go()
    assert_gone(bench, alive)


def test_a_probe_tells_what_this_place_offers(bench: Bench) -> None:
    story = bench.run(bench.job(kind="probe"))
    assert story.finished.outcome == "ok"
    facts = story.hello.facts
    assert facts["isolation-strict"] == "ok"
    assert int(facts["store-free-bytes"]) > 0
    assert facts["tar"].endswith("/tar")
    assert list((bench.store / "tmp").iterdir()) == []
