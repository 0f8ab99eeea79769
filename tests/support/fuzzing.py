"""Fuzzing for as long as is asked: a property of bytes is held on what hypothesis draws.

CONTAINERDEPLOY_FUZZ_SECONDS is how long each takes (2 if not said), CONTAINERDEPLOY_FUZZ_SEED where
chance begins (0). What fails is made small and kept in tests/data/fuzz/NAME, where `kept` finds it
for an ordinary test to replay. What structured inputs are made of ends as bytes too: so that there
is one way to keep them.
"""

import hashlib
import os
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

SEEDS = Path(__file__).resolve().parents[1] / "data" / "fuzz"
SECONDS = float(os.environ.get("CONTAINERDEPLOY_FUZZ_SECONDS", "2"))
FIRST = int(os.environ.get("CONTAINERDEPLOY_FUZZ_SEED", "0"))
ROUND = 100
# Bounds for one input and for all of them: a thousand times what is usual, on a busy machine too.
PATIENCE_S = 10.0
MAX_GROWTH_BYTES = 256 << 20
Hold = Callable[[bytes], object]


def fuzz(
    name: str,
    inputs: st.SearchStrategy[bytes],
    hold: Hold,
    *,
    patience_s: float = PATIENCE_S,
    at_least: int = ROUND,
) -> int:
    """Hold the property until the time is over; return on how many inputs it was held.

    An input that takes long, and inputs that together take much memory, fail as well.
    """
    count, last = 0, b""

    def held(data: bytes) -> None:
        nonlocal count, last
        count, last = count + 1, data
        within_bounds(hold, data, patience_s)

    before = peak_bytes()
    deadline = time.monotonic() + SECONDS
    number = FIRST
    while time.monotonic() < deadline:
        try:
            _round(number, inputs, held, at_least)
        except BaseException:
            print(f"kept as {_keep(name, last)}")
            raise
        number += 1
    print(f"{name}: {count} inputs in {SECONDS:g} s, seeds {FIRST} to {number - 1}")
    assert count > 0
    assert peak_bytes() - before < MAX_GROWTH_BYTES
    return count


def within_bounds(hold: Hold, data: bytes, patience_s: float = PATIENCE_S) -> None:
    """Hold the property on one input, which may not take long."""
    started = time.monotonic()
    hold(data)
    assert time.monotonic() - started < patience_s


def kept(name: str) -> list[object]:
    """Return nothing, and what ever failed, as parameters of a test."""
    found = sorted((SEEDS / name).glob("*"))
    return [
        pytest.param(b"", id="nothing"),
        *(pytest.param(path.read_bytes(), id=path.name) for path in found),
    ]


def mutated(samples: Sequence[bytes], pieces: Sequence[bytes] = ()) -> st.SearchStrategy[bytes]:
    """Samples with a few places cut, doubled, overwritten, or with something put in."""
    added = st.binary(max_size=20)
    if pieces:
        added = st.sampled_from(sorted(pieces)) | added
    place = st.floats(0, 1)
    edit = st.tuples(st.sampled_from(["cut", "double", "put", "over"]), place, place, added)
    edits = st.lists(edit, min_size=1, max_size=5)
    return st.builds(_edited, st.sampled_from(sorted(samples)), edits)


def peak_bytes() -> int:
    """Return the most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _round(number: int, inputs: st.SearchStrategy[bytes], held: Hold, count: int) -> None:
    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(inputs)
    def run(data: bytes) -> None:
        held(data)

    run()


def _edited(data: bytes, edits: Sequence[tuple[str, float, float, bytes]]) -> bytes:
    for what, start, length, added in edits:
        first = int(start * len(data))
        last = first + int(length * length * length * (len(data) - first))
        match what:
            case "cut":
                data = data[:first] + data[last:]
            case "double":
                data = data[:last] + data[first:]
            case "put":
                data = data[:first] + added + data[first:]
            case _:
                data = data[:first] + added + data[first + len(added) :]
    return data


def _keep(name: str, data: bytes) -> Path:
    path = SEEDS / name / hashlib.sha256(data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
