"""Extensions that attack: nothing gets through, and nobody else notices."""

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deploy_world import Ended, World, text
from host_state import host_state
from sites import Site
from terminals import Terminal

ATTACKS = Path(__file__).with_name("attacks")
PATIENCE_S = 120.0
FORGED = '"hint":"forged"'


@dataclass(frozen=True, kw_only=True)
class Siege:
    """A run with hostile systems and a peaceful one; what the host was like before."""

    site: Site
    world: World
    ended: Ended
    before: Mapping[str, object]

    def told(self) -> dict[str, dict[str, Any]]:
        lines = self.ended.log().splitlines()
        found = [json.loads(line) for line in lines if line.startswith('{"attack"')]
        return {one["attack"]: one for one in found}

    def outcomes(self, name: str) -> list[str]:
        """How the steps called `name` ended."""
        started = self.ended.events("StepStarted")
        ids = {event["step"] for event in started if event["name"] == name}
        return [e["outcome"] for e in self.ended.events("StepFinished") if e["step"] in ids]


KILLER = """#!/bin/sh
echo before; kill -9 -1; kill -STOP -1; kill -KILL 1; kill -9 0
"""
LINGERER = """#!/bin/sh
trap '' TERM HUP INT
for n in 1 2 3; do (setsid sh -c 'trap "" TERM HUP; sleep 4711' & ) ; done
echo '{"event":"Finished","outcome":"ok","hint":"forged"}'; sleep 4711 &
exit 0
"""
NAGGER = """#!/bin/sh
for number in 1 2 3 6 10 12 13 14 15 17 18 20; do kill -$number 1; sleep 0.1; done 2>/dev/null
echo not noticed
"""
LOOKER = """#!/bin/sh
ps=$(ls -d /proc/[0-9]* | wc -l); echo "processes: $ps"; ls -A /tmp /run /var/tmp /dev/shm
echo "peaceful $SECRET" > "$1/etc/motd"
"""
BOMB = """#!/bin/sh
bomb() { bomb | bomb & }
bomb 2>/dev/null; sleep 1
"""
LOUD = """#!/usr/bin/python3
import os
for number in range(1, 10):
    try:
        for _ in range(3): os.write(number, b"\\x1b[2J\\x1b]0;owned\\x07\\x00\\xff" * 5000)
        os.write(number, b'\\n{"event":"Finished","outcome":"ok"}\\n')
    except OSError: pass
"""
# What succeeds where the extension is root of the user's own namespace, and why it gains nothing.
HARMLESS_FOR_A_USER = {
    "stop_pid_1": "pid 1 is the same user, and has no handler: the kernel drops what is sent",
}


def _build(world: World) -> None:
    """One system for each way to attack, and a peaceful one that shares engine and store."""
    for path in ATTACKS.iterdir():
        world.file(f"extensions/{path.name}", path.read_text())
    scripts = {"killer": KILLER, "lingerer": LINGERER, "bomb": BOMB, "loud": LOUD, "nagger": NAGGER}
    for name, script in {**scripts, "looker": LOOKER}.items():
        world.extension(f"{name}.configure", script)
    for name in ("attacks", *scripts):
        world.system(f"system-{name}", {name: _tar(name)}, name, "looker")
    world.system("peaceful", {"peaceful": {**_tar("peaceful"), "SECRET": "geheim"}}, "looker")


def _tar(name: str) -> dict[str, str]:
    return {"type": "tar", "location": f"{name}.tar"}


@pytest.fixture(scope="module")
def siege(site: Site, new_world: Callable[[str], World]) -> Siege:
    world = new_world("siege")
    _build(world)
    before = host_state()
    ended = world.deploy("--keep-going", "--jobs=2")
    return Siege(site=site, world=world, ended=ended, before=before)


def test_every_attack_was_tried_and_none_got_through(siege: Siege) -> None:
    told = siege.told()
    known = sum(path.read_text().count("\n@attack\n") for path in ATTACKS.glob("on_*.py"))
    assert len(told) == known >= 60, siege.ended
    through = {name: one for name, one in told.items() if one["through"] not in (None, False)}
    harmless = HARMLESS_FOR_A_USER if siege.site.kind == "user" else {}
    assert {name: one for name, one in through.items() if name not in harmless} == {}


def test_the_host_is_what_it_was(siege: Siege) -> None:
    assert host_state() == siege.before


def test_nothing_of_the_run_is_left(siege: Siege) -> None:
    store = siege.site.store()
    assert store is not None
    assert sorted(path.name for path in store.iterdir()) == ["bases", "locks", "tmp"]
    assert list((store / "tmp").iterdir()) == []
    assert list(siege.world.directory.rglob(".containerdeploy-*")) == []
    assert list(siege.world.definitions.rglob("planted")) == []
    found = subprocess.run(["pgrep", "-f", "sleep 4711"], capture_output=True, check=False)
    assert found.stdout == b""


def test_the_base_that_all_share_is_untouched(siege: Siege) -> None:
    store = siege.site.store()
    assert store is not None
    (base,) = (store / "bases").iterdir()
    names = [path.name for path in (base / "tree").rglob("*")]
    assert not {"device-node", "marked", "planted"} & set(names)


def test_forged_events_are_taken_for_output(siege: Siege) -> None:
    finished = siege.ended.events("Finished")
    assert len(finished) == 7
    assert not any(event["hint"] == "forged" for event in finished)
    logged = "\n".join(siege.ended.log(name) for name in ("stdout", "stderr", "log"))
    assert FORGED in logged


def test_killing_everything_kills_only_itself(siege: Siege) -> None:
    assert siege.outcomes("killer") == ["killed"]


def test_no_signal_reaches_what_watches_over_a_step(siege: Siege) -> None:
    assert siege.outcomes("nagger") == ["ok"]
    assert "not noticed" in siege.ended.log()


def test_daemons_and_bombs_are_dead_when_the_next_step_begins(siege: Siege) -> None:
    assert siege.outcomes("lingerer") == ["ok"]
    assert siege.outcomes("bomb")[0] in ("ok", "failed", "killed")
    counts = [line for line in siege.ended.log().splitlines() if line.startswith("processes:")]
    assert counts
    assert all(int(line.split()[1]) < 8 for line in counts)


@pytest.mark.parametrize("progress", ["plain", "rich"])
def test_escapes_meant_for_the_terminal_do_not_reach_it(
    site: Site, new_world: Callable[[str], World], progress: str
) -> None:
    world = new_world(f"terminal-{progress}")
    world.extension("loud.configure", LOUD)
    world.system("loud", {"loud": _tar("loud")}, "loud")
    argv = world.argv("deploy", f"--progress={progress}")
    with Terminal() as terminal:
        environment = {**site.environment, "TERM": "xterm"}
        streams = {"stdout": terminal.stream, "stderr": terminal.stream}
        subprocess.run(argv, cwd=world.directory, env=environment, timeout=PATIENCE_S, **streams)
    assert "owned" in terminal.sent or progress == "rich"
    assert "deployed" in terminal.sent
    assert "\x1b[2J" not in terminal.sent
    assert "\x1b]0;" not in terminal.sent


def test_the_peaceful_system_does_not_notice(siege: Siege) -> None:
    result = siege.world.out / "peaceful.tar"
    assert text(result, "etc/motd") == "peaceful geheim\n"
    assert siege.outcomes("looker").count("failed") == 0
    assert "geheim" not in json.dumps(siege.told())


def test_only_what_was_killed_has_failed(siege: Siege) -> None:
    assert siege.ended.code == 1
    delivered = {path.stem for path in siege.world.out.iterdir()}
    assert {"attacks", "lingerer", "loud", "nagger", "peaceful"} <= delivered
    assert "killer" not in delivered
