"""The family of hostile extensions: one run of them beside a peaceful one, seen from outside."""

import hashlib
import secrets
from collections.abc import Iterator

from containerdeploy import wire
from containerdeploy.frozen import frozen
from containerdeploy.selftest import attacks, census, host_state
from containerdeploy.selftest.finding import Finding, Verdict
from containerdeploy.selftest.ground import Definitions, Ground, Told

FORGED = "forged"
AGENT = "the agent"
LEFT = "what comes after it"
OUTSIDE = "seen from outside"
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
if [ "${WORD-}" ]; then sleep 1; fi
echo "peaceful ${WORD-}" > "$1/etc/motd"
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
MOST_PROCESSES = 8
MOST_PIDS = 256


@frozen
class Scripted:
    """An attack that is an extension of its own; `ends` is how its step may end."""

    name: str
    group: str
    script: str
    ends: tuple[wire.Outcome, ...]
    says: str = ""


SCRIPTED = (
    Scripted(name="killer", group=AGENT, script=KILLER, ends=("killed",)),
    Scripted(name="nagger", group=AGENT, script=NAGGER, ends=("ok",), says="not noticed"),
    Scripted(name="loud", group=AGENT, script=LOUD, ends=("ok",), says="owned"),
    Scripted(name="lingerer", group=LEFT, script=LINGERER, ends=("ok",)),
    Scripted(name="bomb", group=LEFT, script=BOMB, ends=("ok", "failed", "killed")),
)


def attempt(ground: Ground) -> Iterator[Finding]:
    """Make all attacks in one run, with peaceful ones before, beside and after it."""
    host = host_state.look()
    word = secrets.token_hex(12)
    quiet = _peaceful(ground, "before", word)
    siege = ground.definitions("siege")
    _lay(siege, word)
    told = siege.deploy()
    yield from attacks.findings(told.texts.get("attacks", ""))
    yield from (_scripted(one, told) for one in SCRIPTED)
    yield _no_processes_left(told)
    yield _not_believed(told)
    changed = host_state.differences(host, host_state.look())
    yield _outside("the host is what it was", ", ".join(changed))
    yield _outside("another system's result is what it was", _spoilt(siege, quiet))
    heard = [name for name, text in told.texts.items() if word in text and name != "peaceful"]
    yield _outside("another system's parameters are not seen", ", ".join(heard))
    again = _peaceful(ground, "after", word)
    yield _outside("the base that all share is what it was", "" if again == quiet else "it is not")
    yield _outside("nothing strange is in the store", census.strangers(ground))


def _lay(siege: Definitions, word: str) -> None:
    for name, text in attacks.files().items():
        siege.extension(name, text)
    siege.extension("looker.configure", LOOKER)
    for one in SCRIPTED:
        siege.extension(f"{one.name}.configure", one.script)
        siege.system(one.name, {"name": one.name, "pids": MOST_PIDS}, "looker")
    siege.system("attacks", "attacks", "looker")
    siege.system("peaceful", "looker", WORD=word)


def _peaceful(ground: Ground, name: str, word: str) -> str:
    """Deploy a peaceful system alone; return its digest."""
    definitions = ground.definitions(name)
    definitions.extension("looker.configure", LOOKER)
    definitions.system("peaceful", "looker", WORD=word)
    return _digest(definitions.deploy())


def _digest(told: Told) -> str:
    deployments = [one for system in told.result.systems for one in system.deployments]
    found = [one.artifacts for one in deployments if one.name == "peaceful"]
    return found[0][0].sha256 if found and found[0] else "no result"


def _scripted(one: Scripted, told: Told) -> Finding:
    ends = told.outcomes(one.name, one.name)
    said = told.texts.get(one.name, "")
    is_held = len(ends) == 1 and ends[0] in one.ends and one.says in said
    return _finding(one.group, one.name, "" if is_held else f"it ended {ends}: {said[-200:]!r}")


def _no_processes_left(told: Told) -> Finding:
    """What the steps before left would be seen by those after them."""
    lines = [line for text in told.texts.values() for line in text.splitlines()]
    counts = [int(line.split()[1]) for line in lines if line.startswith("processes: ")]
    trouble = "" if counts and max(counts) < MOST_PROCESSES else f"processes: {counts}"
    return _finding(LEFT, "no process is left when the next step begins", trouble)


def _not_believed(told: Told) -> Finding:
    """Forged events must have come as output, and not as events."""
    ends = [event for _, event in told.events if isinstance(event, wire.Finished)]
    believed = [event for event in ends if event.hint == FORGED]
    was_said = any(f'"hint":"{FORGED}"' in text for text in told.texts.values())
    trouble = "" if was_said and not believed else f"said: {was_said}, believed: {believed}"
    return _finding(AGENT, "forged events are taken for output", trouble)


def _spoilt(siege: Definitions, quiet: str) -> str:
    """Compare the peaceful system of the siege with one that was alone on the engine."""
    path = siege.out / "peaceful.tar"
    if not path.is_file():
        return "there is none"
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return "" if digest == quiet else f"sha256 {digest}, alone it was {quiet}"


def _outside(name: str, trouble: str) -> Finding:
    return _finding(OUTSIDE, name, trouble)


def _finding(group: str, name: str, trouble: str) -> Finding:
    verdict: Verdict = "got through" if trouble else "contained"
    return Finding(family="extensions", group=group, name=name, verdict=verdict, evidence=trouble)
