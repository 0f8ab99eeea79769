"""Attacks that are extensions of their own: on what watches over them, and on what comes after."""

from containerdeploy import wire
from containerdeploy.frozen import frozen

FORGED = "forged"
AGENT = "the agent"
LEFT = "what comes after it"
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


@frozen
class Scripted:
    """An attack that is an extension of its own; `ends` is how its step may end.

    `says` must be in its output; `no_control` is why the control can't show it.
    """

    name: str
    group: str
    script: str
    ends: tuple[wire.Outcome, ...]
    says: str = ""
    no_control: str = ""


SCRIPTED = (
    Scripted(name="killer", group=AGENT, script=KILLER, ends=("killed",)),
    Scripted(name="nagger", group=AGENT, script=NAGGER, ends=("ok",), says="not noticed"),
    Scripted(
        name="loud",
        group=AGENT,
        script=LOUD,
        ends=("ok",),
        says="owned",
        no_control="it is for who shows it to hold: see the tests with terminals",
    ),
    Scripted(name="lingerer", group=LEFT, script=LINGERER, ends=("ok",)),
    Scripted(
        name="bomb",
        group=LEFT,
        script=BOMB,
        ends=("ok", "failed", "killed", "too many processes"),
        no_control="without a limit it would be the machine's processes that run out",
    ),
)
