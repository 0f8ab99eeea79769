"""Helpers whose agent is a liar: the whole command notices, in bounded time, memory and space.

The liars (liars.py) run in real helpers, in the agent's stead, beside two honest systems.
"""

import hashlib
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deploy_world import Ended, World
from sites import Site
from terminals import Terminal

from containerdeploy import harmless

LIARS = Path(__file__).with_name("liars.py").read_text()
COMMAND = Path(__file__).parents[1] / "support" / "lying_command.py"
ESCAPED = "\x1b]0;owned"
# What an honest agent may take is more than a test can wait for.
SETTINGS = {
    "containerdeploy.allowance:AROUND_S": 2.0,
    "containerdeploy.allowance:SLACK_BYTES": 1 << 14,
    "containerdeploy.allowance:OTHER_BYTES": 1 << 18,
    "containerdeploy.helper.session:WAIT_S": 0.5,
    "containerdeploy.helper.reception:SHARE": 1e-4,
}
PATIENCE_S = 120.0
MOST_MEMORY_KB = 200 * 1024
MOST_RECORD_BYTES = 64 << 20
TOO_LONG = "took too long for the step"
# On a slow machine it may be the time that is over first.
TOO_MUCH = "(said too much in|took too long for) the step"
# Each lie with the kind of its write extension's output, and what the failure says.
LIES: Mapping[str, tuple[str, str]] = {
    "floods-text": ("stream", TOO_MUCH),
    "floods-lines": ("stream", TOO_MUCH),
    "floods-changes": ("stream", TOO_MUCH),
    "floods-progress": ("stream", TOO_MUCH),
    "floods-stderr": ("stream", TOO_LONG),
    "never-ends-a-line": ("stream", "without a line's end"),
    "falls-silent": ("stream", TOO_LONG),
    "talks-for-ever": ("stream", TOO_LONG),
    "says-it-is-done-undone": ("stream", "a step never ran"),
    "gives-a-wrong-digest": ("file", "has not the announced digest"),
    "gives-a-wrong-size": ("file", "were announced"),
    "leads-up": ("file", "impossible name"),
    "names-another-system": ("file", "in a slot that its deployment doesn't have"),
    "sends-two": ("file", "second artifact"),
    "leaves-a-link": ("file", "can't be read"),
    "leaves-a-link-for-a-directory": ("directory", "not the directory"),
    "leaves-ten-terabytes-of-nothing": ("file", "larger than the disk"),
    "leaves-a-device": ("directory", "(holds a|no) device node"),
    "digs-deep": ("file", f"dug|{TOO_LONG}|the helper went away"),
    "fills-the-disk": ("stream", "cannot write the result"),
    "streams-from-a-file": ("stream", "no FIFO"),
    "speaks-in-escapes": ("stream", "owned"),
}
# These may end well: what they wrote is their affair, as long as it is what is told.
HONEST = ("honest", "upright")
MAY_END_WELL = {"swaps": "file", "writes-for-ever": "stream"}


@dataclass(frozen=True, kw_only=True)
class Conspiracy:
    """A run with every liar and two honest systems."""

    world: World
    ended: Ended
    took_s: float

    def end_of(self, system: str) -> Mapping[str, Any]:
        (end,) = [
            one
            for one in self.ended.happenings
            if one["happening"] == "SystemFinished" and one["system"] == system
        ]
        return end

    def delivered(self, system: str) -> list[Mapping[str, Any]]:
        return [
            one
            for one in self.ended.happenings
            if one["happening"] == "Delivered" and one["system"] == system
        ]


def command(world: World, *words: str, liars: str = LIARS) -> list[str]:
    """The command line with liars for agents."""
    argv = world.argv("deploy", *words)
    at = argv.index("-m")
    driver = ["-c", COMMAND.read_text(), liars, json.dumps(SETTINGS)]
    return [*argv[:at], *driver, *argv[at + 2 :]]


def prepared(world: World, systems: Mapping[str, str]) -> World:
    """Write definitions in which each system has one step and writes an output of its kind."""
    world.extension("step.configure", "#!/bin/sh\necho honest > $1/etc/motd\n")
    for kind in ("stream", "file", "directory"):
        script = "#!/bin/sh\necho honest > $2\n"
        world.extension(f"{kind}.write", script, sidecar={"output": kind})
    limits = {"timeout": "1s", "max-output": "16K"}
    for name, kind in systems.items():
        step = {"name": "step", **({} if name in HONEST else limits)}
        world.system(name, {name: {"type": kind, "location": f"{name}.out"}}, step)
    return world


@pytest.fixture(scope="module")
def conspiracy(site: Site, new_world: Callable[[str], World]) -> Conspiracy:
    systems = {name: kind for name, (kind, _) in LIES.items()} | MAY_END_WELL
    world = prepared(new_world("liars"), {"honest": "stream", **systems, "upright": "file"})
    started = time.monotonic()
    ran = site.run(command(world, "--keep-going", "--jobs=12"), world.directory)
    took_s = time.monotonic() - started
    return Conspiracy(
        world=world, ended=world.ended(ran.returncode, ran.stdout, ran.stderr), took_s=took_s
    )


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_found_out_and_nothing_of_it_kept(conspiracy: Conspiracy, name: str) -> None:
    end = conspiracy.end_of(name)
    words = LIES[name][1]
    told = f"{end['brief']} {end['details']}"
    assert end["outcome"] == "failed", told
    assert re.search(words, told), told
    assert conspiracy.delivered(name) == []
    assert not os.path.lexists(conspiracy.world.out / f"{name}.out")


@pytest.mark.parametrize("name", HONEST)
def test_honest_systems_do_not_notice(conspiracy: Conspiracy, name: str) -> None:
    end = conspiracy.end_of(name)
    assert end["outcome"] == "deployed", f"{end['brief']} {end['details']}"
    assert (conspiracy.world.out / f"{name}.out").read_text() == "honest\n"


@pytest.mark.parametrize("name", MAY_END_WELL)
def test_what_is_in_place_is_what_is_told(conspiracy: Conspiracy, name: str) -> None:
    """Whatever was swapped, overwritten or still written when it was taken."""
    target = conspiracy.world.out / f"{name}.out"
    told = conspiracy.delivered(name)
    assert os.path.lexists(target) == bool(told)
    for one in told:
        assert not target.is_symlink()
        data = target.read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (one["size_bytes"], one["sha256"])


def test_no_lie_takes_much_of_time_memory_or_disk(conspiracy: Conspiracy) -> None:
    peak = re.search(r"VmHWM:\s*(\d+) kB", conspiracy.ended.err)
    assert peak is not None, conspiracy.ended
    assert int(peak[1]) < MOST_MEMORY_KB
    assert conspiracy.took_s < PATIENCE_S
    (record,) = (conspiracy.world.site.home / "runs").iterdir()
    sizes = [path.stat().st_size for path in record.rglob("*") if path.is_file()]
    assert sum(sizes) < MOST_RECORD_BYTES


def test_nothing_of_the_liars_is_left(conspiracy: Conspiracy) -> None:
    world = conspiracy.world
    assert conspiracy.ended.code == 1
    assert "Traceback" not in conspiracy.ended.err
    assert world.site.containers() == []
    assert list(world.directory.rglob(".containerdeploy-*")) == []
    assert not (world.directory / "escaped").exists()


def test_what_is_told_of_liars_afterwards_is_harmless(conspiracy: Conspiracy) -> None:
    """The record can be read, and on a terminal nothing in it acts."""
    for verb in (("show", "last"), ("runs",)):
        ended = conspiracy.world.command(*verb)
        assert ended.code == 0, ended
    argv = conspiracy.world.site.argv("show", "last", "--changes")
    told = [word for word in argv if not word.startswith("--engine")]
    assert "owned" in harmless_on_a_terminal(conspiracy.world, told)


def harmless_on_a_terminal(world: World, argv: Sequence[str], **environment: str) -> str:
    """Run a command on a terminal; return what it sent there, which may only draw."""
    with Terminal() as terminal:
        streams = {"stdout": terminal.stream, "stderr": terminal.stream}
        env = {**world.site.environment, "TERM": "xterm", **environment}
        subprocess.run(argv, cwd=world.directory, env=env, timeout=PATIENCE_S, **streams)
    drawn = re.sub(r"\x1b\[(\?25[lh]|[0-9;]*[mAK]|2K)|\r", "", terminal.sent)
    assert harmless.lines(drawn) == drawn
    assert ESCAPED not in terminal.sent
    return terminal.sent


@pytest.mark.only_on("local")
@pytest.mark.parametrize("progress", ["plain", "rich", "json", "quiet"])
def test_a_liar_does_not_reach_the_terminal(
    site: Site, new_world: Callable[[str], World], progress: str
) -> None:
    world = prepared(new_world(f"terminal-{progress}"), {"speaks-in-escapes": "stream"})
    sent = harmless_on_a_terminal(world, command(world, f"--progress={progress}"))
    assert "owned" in sent or progress == "quiet"
    assert "[honest] deployed" not in [line.strip() for line in sent.splitlines()]


@pytest.mark.only_on("local")
def test_the_terminal_would_see_what_is_not_neutralised(
    site: Site, new_world: Callable[[str], World]
) -> None:
    """A control: the same text, printed as it is in the log."""
    world = prepared(new_world("control"), {"speaks-in-escapes": "stream"})
    site.run(command(world), world.directory)
    (log,) = sorted((site.home / "runs").glob("*/logs/speaks-in-escapes/*/*.log"))[-1:]
    with Terminal() as terminal:
        subprocess.run(["cat", log], stdout=terminal.stream, check=True)
    assert ESCAPED in terminal.sent
    assert "\u202e" in terminal.sent


@pytest.mark.parametrize(
    ("liars", "start_s", "words"),
    [(LIARS, 300.0, "it answers for another run"), ("", 1.0, "took too long for its start")],
    ids=["answers-for-another-run", "neither-reads-nor-speaks"],
)
def test_who_never_begins_is_not_waited_for(
    site: Site,
    new_world: Callable[[str], World],
    monkeypatch: pytest.MonkeyPatch,
    liars: str,
    start_s: float,
    words: str,
) -> None:
    world = prepared(new_world(f"mute-{start_s}"), {"answers-for-another-run": "stream"})
    monkeypatch.setitem(SETTINGS, "containerdeploy.allowance:START_S", start_s)
    ran = site.run(command(world, liars=liars), world.directory)
    assert ran.returncode == 1, ran
    assert words in ran.stdout
    assert site.containers() == []
    assert list(world.out.iterdir()) == []
