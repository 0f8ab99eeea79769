"""Limits of a step: what counts towards them, how it is ended there, and that others may go on."""

import re
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from agent_bench import Bench, Story

from containerdeploy import wire
from containerdeploy.agent import disk

pytestmark = pytest.mark.kernel
MIB = 1 << 20
TRIES = 10
LITTLE = wire.Limits(disk_bytes=4 * MIB, grace_s=0.3, timeout_s=60)
HOARD = """python3 -c '
import os, time
for _ in range(3900): os.open("/dev/null", os.O_RDONLY)
if all(os.fork() for _ in range(6)):
    held = os.open("/tree/big", os.O_RDWR | os.O_CREAT)
    os.unlink("/tree/big")
    os.write(held, bytes(9000000))
time.sleep(30)'"""
FILLERS = {
    "one file": "head -c 9000000 /dev/zero > big",
    "many files": "head -c 4000 /dev/zero > f; for n in $(seq 3000); do cp f f$n; done",
    "empty files": "seq -f f%g 9000 | xargs touch",
    "the temporary directory": "head -c 9000000 /dev/zero > $TMPDIR/big",
    "bit by bit": "while :; do head -c 100000 /dev/zero >> big; sleep 0.01; done",
    "a file without a name": "exec 9> big; rm big; head -c 9000000 /dev/zero >&9; sleep 9",
    "a directory that moves": "mkdir a; head -c 9000000 /dev/zero > a/b; "
    "while :; do mv a c; mv c a; done",
    "behind thousands of open files": HOARD,
    "deep down": "for n in $(seq 500); do mkdir d; cd d; done; "
    "head -c 9000000 /dev/zero > f; sleep 9",
}
TIDY = """#!/usr/bin/python3
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("cleaned")))
os.posix_fallocate(os.open("/tree/big", os.O_RDWR | os.O_CREAT), 0, 9 << 20)
"""
STOP = "os.kill(os.getpid(), signal.SIGSTOP)\n"
WAIT = "while True: signal.pause()\n"


def ended(bench: Bench, source: wire.Source, steps: Sequence[wire.Step]) -> Story:
    """Run each step in a deployment of its own, whatever becomes of the others."""
    deployments = [
        bench.deployment(source, name=f"d{number}", configure=[step])
        for number, step in enumerate(steps)
    ]
    return bench.run(bench.job(*deployments, keep_going=True))


def test_without_a_word_limits_are_those_that_the_readme_names() -> None:
    table = (Path(__file__).parents[2] / "README.md").read_text().partition("**Limits**")[2]
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \|", table, re.M))
    usual = wire.Limits()
    assert rows["timeout"] == f"{usual.timeout_s / 60:.0f} minutes"
    assert (rows["idle-timeout"], usual.idle_timeout_s) == ("none", None)
    assert rows["pids"] == f"{usual.pids:,}"
    assert (rows["cpu"], usual.cpus) == ("all", None)
    assert rows["disk"].startswith(f"{disk.SHARE:.0%}".replace("%", " %"))
    assert rows["max-output"] == f"{usual.max_output_bytes >> 30} GB"
    assert (usual.memory_bytes, usual.disk_bytes) == (None, None)


def test_whatever_fills_a_disk_is_ended_and_told_with_numbers(
    bench: Bench, small: wire.Source
) -> None:
    steps = {name: bench.shell(text, limits=LITTLE) for name, text in FILLERS.items()}
    story = ended(bench, small, list(steps.values()))
    for name, step in steps.items():
        ending = story.ending(step)
        assert (ending.outcome, name) == ("out of disk", name), story
        assert f"the limit is {4 * MIB}" in ending.detail
    assert list((bench.store / "tmp").iterdir()) == []


def test_what_fills_no_disk_is_no_reason_to_end_a_step(bench: Bench, small: wire.Source) -> None:
    texts = [
        "truncate -s 10T sparse",
        "head -c 3000000 /dev/zero > a; for n in $(seq 90); do ln a a$n; done",
        "head -c 9000000 /dev/zero > /dev/shm/x; head -c 9000000 /dev/zero > /tmp/x",
        "for n in 1 2 3; do head -c 3000000 /dev/zero > $TMPDIR/x; sleep 0.2; rm $TMPDIR/x; done",
    ]
    steps = [bench.shell(text, limits=LITTLE) for text in texts]
    story = ended(bench, small, steps)
    assert [story.ending(step).outcome for step in steps] == ["ok"] * len(texts), story


def test_the_output_of_a_write_extension_counts(bench: Bench, small: wire.Source) -> None:
    write = bench.write('#!/bin/sh\nhead -c 9000000 /dev/zero > "$2"\n', limits=LITTLE)
    (bench.output / "slot").mkdir()
    output = wire.Output(slot="slot", name="artifact", kind="file")
    story = bench.run(bench.job(bench.deployment(small, write=write, output=output)))
    assert story.ending(write).outcome == "out of disk", story


def test_a_step_may_clean_up_when_it_is_told_to_end(bench: Bench, small: wire.Source) -> None:
    limits = wire.Limits(disk_bytes=4 * MIB, grace_s=30)
    steps = [bench.configure(TIDY + rest, limits=limits) for rest in (WAIT, STOP + WAIT)]
    story = ended(bench, small, steps)
    for step in steps:
        assert story.ending(step).outcome == "out of disk"
        assert "cleaned" in story.said(step)
        assert story.ending(step).wall_s < 25


def test_who_will_not_end_is_killed_when_the_grace_is_over(
    bench: Bench, small: wire.Source
) -> None:
    limits = wire.Limits(timeout_s=0.3, grace_s=0.4, pids=200, idle_timeout_s=9)
    texts = [
        "trap '' TERM INT HUP; while :; do sleep 9; done",
        "trap '' TERM; bomb() { bomb | bomb & }; bomb 2>/dev/null & while :; do :; done",
        "trap '' TERM; (trap '' TERM; sleep 99) & kill -STOP $!; while :; do kill -STOP $$; done",
        "trap '' TERM; yes",
    ]
    steps = [bench.shell(text, limits=limits) for text in texts]
    story = ended(bench, small, steps)
    for step in steps:
        assert story.ending(step).outcome == "timed out"
        assert 0.7 <= story.ending(step).wall_s < 3


def test_everything_is_dead_half_a_second_after_the_grace(bench: Bench, small: wire.Source) -> None:
    """A machine with much else to do may be late, but not each time."""
    limits = wire.Limits(timeout_s=0.2, grace_s=0.2, pids=200)
    text = "trap '' TERM; for n in $(seq 100); do (trap '' TERM; exec sleep 99) & done; wait; wait"
    late = []
    for _ in range(TRIES):
        step = bench.shell(text, limits=limits)
        story = ended(bench, small, [step])
        assert story.ending(step).outcome == "timed out"
        late.append(story.ending(step).wall_s - 0.4)
        if late[-1] < 0.5:
            return
    raise AssertionError(late)


def test_checks_and_write_extensions_have_limits_too(bench: Bench, small: wire.Source) -> None:
    late = wire.Limits(timeout_s=0.3, grace_s=0.3)
    check = bench.step("check", "#!/bin/sh\nsleep 30\n", limits=late)
    story = bench.run(bench.job(bench.deployment(small, check=check)))
    assert story.ending(check).outcome == "timed out"
    assert list((bench.store / "bases").iterdir()) == []
    write = bench.write("#!/bin/sh\nsleep 30\n", limits=late)
    story = bench.run(bench.job(bench.deployment(small, write=write)))
    assert story.ending(write).outcome == "timed out"


def test_what_comes_after_too_much_output_is_dropped(bench: Bench, small: wire.Source) -> None:
    limits = wire.Limits(max_output_bytes=MIB, grace_s=0.5)
    step = bench.shell("trap '' TERM; yes", limits=limits)
    story = ended(bench, small, [step])
    assert story.ending(step).outcome == "too much output"
    assert len(story.said(step)) < 2 * MIB


def test_a_step_gets_the_processor_time_that_it_may_have(bench: Bench, small: wire.Source) -> None:
    spin = "python3 -c 'import time; t = time.monotonic()\nwhile time.monotonic() < t + 1: pass'"
    step = bench.shell(spin, limits=wire.Limits(cpus=0.2))
    story = ended(bench, small, [step])
    if any("processors" in line for line in story.hello.weaker):
        pytest.skip("no group for processors here")
    assert story.ending(step).outcome == "ok"
    assert story.ending(step).cpu_s < 0.6


def test_the_agent_is_left_alone_when_a_step_is_told_to_end(
    bench: Bench, small: wire.Source
) -> None:
    steps = [bench.shell("sleep 9", limits=wire.Limits(timeout_s=0.2)), bench.shell("echo fine")]
    began = time.monotonic()
    story = ended(bench, small, steps)
    assert story.said(steps[1]) == "fine\n"
    assert time.monotonic() - began < 10
