"""What the contract suite's containers do: the same thing as a shell command and as a callable."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from fake_engine import Behaviour, Write

from containerdeploy.engine.base import ContainerSpec


@dataclass(frozen=True)
class Program:
    """A program under its name: `argv` for engines that run something, `behaviour` for the fake."""

    argv: Sequence[str]
    behaviour: Behaviour


def shell(script: str) -> Sequence[str]:
    return ("/bin/sh", "-c", script)


def _exit_7(stdin: BinaryIO, stdout: Write, stderr: Write, spec: ContainerSpec) -> int:
    return 7


def _speak(stdin: BinaryIO, stdout: Write, stderr: Write, spec: ContainerSpec) -> None:
    stdout(b"to stdout\n")
    stderr(b"to stderr\n")


def _echo(stdin: BinaryIO, stdout: Write, stderr: Write, spec: ContainerSpec) -> None:
    while piece := stdin.read1(65536):  # type: ignore[attr-defined]
        stdout(piece)


def _echo_both(stdin: BinaryIO, stdout: Write, stderr: Write, spec: ContainerSpec) -> None:
    while piece := stdin.read1(65536):  # type: ignore[attr-defined]
        stdout(piece)
        stderr(piece)


def _hold(stdin: BinaryIO, stdout: Write, stderr: Write, spec: ContainerSpec) -> None:
    stdout(b"ready\n")
    shutil.copyfileobj(stdin, _Nowhere())


class _Nowhere:
    def write(self, data: bytes) -> int:
        return len(data)


PROGRAMS = {
    "exit-7": Program(shell("exit 7"), _exit_7),
    "speak": Program(shell("echo to stdout; echo to stderr >&2"), _speak),
    "echo": Program(("cat",), _echo),
    "echo-both": Program(("tee", "/dev/stderr"), _echo_both),
    "hold": Program(shell("echo ready; exec cat >/dev/null"), _hold),
}


def as_fake(stdin: BinaryIO, stdout: Write, stderr: Write, spec: ContainerSpec) -> int | None:
    """Behave as the program whose command line the spec asks for."""
    program = next(one for one in PROGRAMS.values() if list(one.argv) == list(spec.argv))
    return program.behaviour(stdin, stdout, stderr, spec)
