"""How a step can end, and that its words, numbers and outcome tell one end from another."""

import os
import time

import pytest
from agent_bench import Bench, Story

from containerdeploy import wire

pytestmark = pytest.mark.kernel
MIB = 1 << 20


def ended(bench: Bench, source: wire.Source, step: wire.Step) -> tuple[wire.StepFinished, Story]:
    """Run one step, which takes the deployment with it if it fails."""
    story = bench.run(bench.job(bench.deployment(source, configure=[step])))
    ending = story.ending(step)
    assert story.finished.outcome == ("ok" if ending.outcome == "ok" else "failed")
    assert ending.outcome == "ok" or story.finished.error.endswith(f": {ending.detail}")
    assert list((bench.store / "tmp").iterdir()) == []
    return ending, story


@pytest.mark.parametrize("code", [1, 2, 77, 125, 126, 127, 128, 255])
def test_an_exit_code_is_told(bench: Bench, small: wire.Source, code: int) -> None:
    ending, story = ended(bench, small, bench.shell(f"echo 'ERROR: because'; exit {code}"))
    assert (ending.outcome, ending.exit_code) == ("failed", code)
    assert str(code) in ending.detail
    assert story.said(ending.step) == "ERROR: because\n"


@pytest.mark.parametrize("name", ["KILL", "SEGV", "TERM"])
def test_a_signal_is_told_by_its_name(bench: Bench, small: wire.Source, name: str) -> None:
    ending, _ = ended(bench, small, bench.shell(f"kill -{name} $$; sleep 9"))
    assert ending.outcome == "killed"
    assert f"SIG{name}" in ending.detail


def test_a_step_that_takes_too_long_is_ended_in_time(bench: Bench, small: wire.Source) -> None:
    limits = wire.Limits(timeout_s=0.5, grace_s=0.3)
    step = bench.shell("trap '' TERM INT; while :; do sleep 5; done", limits=limits)
    ending, _ = ended(bench, small, step)
    assert ending.outcome == "timed out"
    assert "0.5 s" in ending.detail
    assert 0.8 <= ending.wall_s < 2.0


def test_output_does_not_stretch_the_time_limit(bench: Bench, small: wire.Source) -> None:
    ending, _ = ended(bench, small, bench.shell("yes | cat", limits=wire.Limits(timeout_s=0.5)))
    assert ending.outcome == "timed out"
    assert ending.wall_s < 3.0


def test_a_silent_step_is_ended_and_a_talking_one_is_not(bench: Bench, small: wire.Source) -> None:
    limits = wire.Limits(idle_timeout_s=0.6)
    talking = bench.shell("for i in 1 2 3 4; do echo $i; sleep 0.3; done", limits=limits)
    silent = bench.shell("echo once; sleep 30", limits=limits)
    story = bench.run(bench.job(bench.deployment(small, configure=[talking, silent])))
    assert story.ending(talking).outcome == "ok"
    assert story.ending(silent).outcome == "idle"
    assert "0.6 s" in story.ending(silent).detail


def test_a_flood_of_output_is_stopped(bench: Bench, small: wire.Source) -> None:
    step = bench.shell("yes a line", limits=wire.Limits(max_output_bytes=MIB))
    ending, story = ended(bench, small, step)
    assert ending.outcome == "too much output"
    assert str(MIB) in ending.detail
    assert MIB <= len(story.said(step)) < 3 * MIB


def test_output_up_to_the_limit_is_kept_whole(bench: Bench, small: wire.Source) -> None:
    program = "import os\nfor i in range(1000): os.write(1, b'%999d\\n' % i)"
    limits = wire.Limits(max_output_bytes=1000 * 1000)
    step = bench.shell(f'python3 -c "{program}"', limits=limits)
    ending, story = ended(bench, small, step)
    assert ending.outcome == "ok"
    assert [int(line) for line in story.said(step).splitlines()] == list(range(1000))


def test_a_memory_hog_dies_and_the_next_deployment_does_not(
    bench: Bench, small: wire.Source
) -> None:
    hog = bench.shell(
        "python3 -c 'x = bytearray(600 << 20)'", limits=wire.Limits(memory_bytes=128 * MIB)
    )
    next_one = bench.shell("echo fine")
    deployments = [
        bench.deployment(small, name="hog", configure=[hog]),
        bench.deployment(small, name="next", configure=[next_one]),
    ]
    story = bench.run(bench.job(*deployments, keep_going=True))
    assert story.ending(next_one).outcome == "ok"
    ending = story.ending(hog)
    if story.hello.limits == "rlimits":
        assert ending.outcome == "failed"
    else:
        assert ending.outcome == "out of memory"
        assert str(128 * MIB) in ending.detail
        assert 100 * MIB < ending.peak_memory_bytes <= 128 * MIB


def test_files_in_memory_count_as_memory(bench: Bench, small: wire.Source) -> None:
    limits = wire.Limits(memory_bytes=64 * MIB)
    fill = "for d in /tmp /run /dev/shm; do head -c 50000000 /dev/zero > $d/x; done"
    story = bench.run(
        bench.job(bench.deployment(small, configure=[bench.shell(fill, limits=limits)]))
    )
    if story.hello.limits != "rlimits":
        assert story.finished.outcome == "failed"


def test_a_fork_bomb_is_bounded_and_dies_with_its_step(bench: Bench, small: wire.Source) -> None:
    bomb = "bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 1; exit 3"
    step = bench.shell(bomb, limits=wire.Limits(pids=64, timeout_s=20))
    next_one = bench.shell("ls -d /proc/[0-9]* | wc -l")
    job = bench.job(
        bench.deployment(small, name="bomb", configure=[step]),
        bench.deployment(small, name="next", configure=[next_one]),
        keep_going=True,
    )
    story = bench.run(job)
    if story.hello.limits != "rlimits":
        assert story.ending(step).outcome == "too many processes"
        assert "the limit is 64" in story.ending(step).detail
    assert story.ending(step).wall_s < 25
    assert int(story.said(next_one)) < 8


def test_a_limit_of_processes_holds(bench: Bench, small: wire.Source) -> None:
    program = (
        "import os, time\nmade = 0\n"
        "try:\n    while made < 200:\n        made += 1\n"
        "        if os.fork() == 0: time.sleep(20); os._exit(0)\n"
        "except OSError: print('refused after', made)"
    )
    step = bench.shell(f'python3 -c "{program}"', limits=wire.Limits(pids=50))
    _, story = ended(bench, small, step)
    assert 30 < int(story.said(step).split()[-1]) <= 50


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#!/no/such/interpreter\n", "/no/such/interpreter"),
        ("#!/definitions\n", "ermission denied"),
        ("no magic line\n", "Exec format"),
        ("", "Exec format"),
    ],
)
def test_a_script_that_cannot_start_is_told_apart(
    bench: Bench, small: wire.Source, text: str, words: str
) -> None:
    step = bench.configure(text)
    ending, story = ended(bench, small, step)
    assert ending.outcome == "cannot start"
    assert step.argv[0] in ending.detail
    assert words in ending.detail
    assert ending.exit_code is None
    assert story.said(step) == ""


def test_a_missing_file_and_a_missing_run_bit_cannot_start(
    bench: Bench, small: wire.Source
) -> None:
    missing = bench.configure("", argv=["/definitions/nowhere", "/tree"])
    assert ended(bench, small, missing)[0].outcome == "cannot start"
    path = bench.script("plain", "#!/bin/sh\n", mode=0o644)
    unrunnable = bench.configure("", argv=[path, "/tree"])
    ending, _ = ended(bench, small, unrunnable)
    assert ending.outcome == "cannot start"
    assert "ermission denied" in ending.detail


def test_an_interpreter_given_by_argv_runs_a_script_without_run_bit(
    bench: Bench, small: wire.Source
) -> None:
    path = bench.script("plain", "echo ran $0\n", mode=0o644)
    step = bench.configure("", argv=["/bin/sh", path, "/tree"])
    ending, story = ended(bench, small, step)
    assert ending.outcome == "ok"
    assert story.said(step) == f"ran {path}\n"


def test_exit_codes_of_a_shell_that_cannot_find_are_not_a_failed_start(
    bench: Bench, small: wire.Source
) -> None:
    ending, _ = ended(bench, small, bench.shell("no-such-program"))
    assert (ending.outcome, ending.exit_code) == ("failed", 127)


def test_bytes_that_are_no_text_and_long_lines_survive(bench: Bench, small: wire.Source) -> None:
    program = (
        "import os; os.write(1, bytes(range(1, 256)) * 400 + b'\\n\\n' + 'ü€😀'.encode() * 9999)"
    )
    path = bench.script("bytes", f"#!/usr/bin/python3\n{program}\n")
    step = bench.configure("", argv=[path])
    _, story = ended(bench, small, step)
    said = story.said(step).encode("utf-8", "surrogateescape")
    expected = bytes(range(1, 256)) * 400 + b"\n\n" + "ü€😀".encode() * 9999 + b"\n"
    assert said == expected


def test_a_check_runs_before_anything_is_unpacked(bench: Bench, small: wire.Source) -> None:
    check = bench.step("check", '#!/bin/sh\necho "$1"; exit 1\n', "/output/x")
    story = bench.run(bench.job(bench.deployment(small, check=check)))
    assert story.said(check) == "/output/x\n"
    assert story.finished.outcome == "failed"
    assert not any(isinstance(e, wire.StepStarted) and e.kind == "base" for e in story.events)
    assert list((bench.store / "bases").iterdir()) == []


def test_all_checks_are_told_before_anything_is_unpacked(bench: Bench, small: wire.Source) -> None:
    bad = [bench.step("check", "#!/bin/sh\nexit 1\n") for _ in range(3)]
    good = bench.step("check", "#!/bin/sh\n")
    sub = bench.deployment(small, name="sub", check=bad[1])
    first = bench.deployment(small, name="one", check=bad[0], subsystems=(sub,))
    last = [bench.deployment(small, name="two", check=good)]
    last += [bench.deployment(small, name="three", check=bad[2])]
    story = bench.run(bench.job(first, *last, keep_going=True))
    assert [story.ending(step).outcome for step in bad] == ["failed"] * 3
    assert {e.kind for e in story.events if isinstance(e, wire.StepStarted)} == {"check"}
    assert story.finished.outcome == "failed"


def test_an_agent_that_waits_unpacks_when_it_is_told_to(bench: Bench, small: wire.Source) -> None:
    check = bench.step("check", "#!/bin/sh\n")
    agent = bench.start(bench.job(bench.deployment(small, check=check), waits=True))
    agent.wait_for(wire.Checked)
    time.sleep(0.3)
    assert not any(isinstance(e, wire.StepStarted) and e.kind == "base" for e in agent.events)
    agent.say(wire.GO)
    story = agent.end()
    assert story.finished.outcome == "ok"
    assert story.ending("one:base").outcome == "ok"


def test_the_deployment_stops_at_the_first_failure(bench: Bench, small: wire.Source) -> None:
    steps = [bench.shell("exit 4"), bench.shell("echo never")]
    write = bench.write("#!/bin/sh\necho never\n")
    story = bench.run(bench.job(bench.deployment(small, configure=steps, write=write)))
    assert "never" not in story.said(steps[1]) + story.said(write)


def test_a_step_runs_in_no_time(bench: Bench, small: wire.Source) -> None:
    steps = [bench.configure("#!/bin/sh\n") for _ in range(10)]
    started = time.monotonic()
    story = bench.run(bench.job(bench.deployment(small, configure=steps)))
    assert time.monotonic() - started < 10
    assert all(story.ending(step).wall_s < 1.0 for step in steps)


def test_the_events_come_in_order_and_the_last_is_finished(
    bench: Bench, small: wire.Source
) -> None:
    step = bench.shell("echo hello; touch new")
    story = bench.run(bench.job(bench.deployment(small, configure=[step])))
    kinds = [
        type(event).__name__ for event in story.events if getattr(event, "step", "") == step.id
    ]
    assert kinds == ["StepStarted", "Log", "Changed", "StepFinished"]
    assert isinstance(story.events[0], wire.Hello)
    assert isinstance(story.events[-1], wire.Finished)
    assert story.hello.nonce == "a nonce"
    assert os.uname().release == story.hello.kernel
