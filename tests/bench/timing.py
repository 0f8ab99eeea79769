"""Times programs in interleaved pairs: what the product takes against what it is held to."""

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 600.0
Measure = Callable[[], float]


class Failed(Exception):
    """A program that should have been timed failed; the text ends with what it said."""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Seconds of both sides, pair by pair, in the order in which they were measured."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median of the pairs' own ratios: a slow moment of the machine hits both sides."""
        return statistics.median(a / b for a, b in zip(self.ours, self.theirs, strict=True))


def pairs(count: int, ours: Measure, theirs: Measure) -> Pairs:
    """Measure both sides `count` times; each pair begins with the other side than the last."""
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(count):
        for side in (0, 1) if number % 2 else (1, 0):
            os.sync()
            found[side].append((ours, theirs)[side]())
    return Pairs(ours=tuple(found[0]), theirs=tuple(found[1]))


def seconds(argv: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> float:
    """Run a program to its end; return the seconds that it took, raise Failed if it failed."""
    started = time.perf_counter()
    run(argv, environment)
    return time.perf_counter() - started


def run(argv: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> str:
    """Run a program; return what it wrote to stdout, raise Failed if it failed."""
    full = {**os.environ, **environment} if environment else None
    done = subprocess.run(
        argv, env=full, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode:
        words = (done.stdout + done.stderr).strip()[-2000:]
        raise Failed(f"{Path(argv[0]).name}: exit code {done.returncode}\n{words}")
    return done.stdout


def peak_bytes(argv: Sequence[str | Path], environment: Mapping[str, str]) -> int:
    """Run a program; return the peak memory of its largest process."""
    with subprocess.Popen(
        argv, env={**os.environ, **environment}, stdout=subprocess.DEVNULL
    ) as started:
        _, status, usage = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode:
        raise Failed(f"{Path(argv[0]).name}: exit code {started.returncode}")
    assert isinstance(usage, resource.struct_rusage)
    return usage.ru_maxrss * 1024
