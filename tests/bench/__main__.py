"""Measures containerdeploy against its targets: prints a table, writes a JSON file.

    python -m tests.engines python -m tests.bench [--pairs N] [--json FILE] [WHAT]...

Targets are ratios within one run, so that they hold on any machine that has nothing else to do.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests import announcement
from tests.bench import cold, controller, engines, overhead, rows, timing, warm
from tests.bench.rows import Row
from tests.bench.world import World, world

RESULTS = Path("build/bench.json")
Part = Callable[[World, int], Iterable[Row]]


def main() -> int:
    """Measure what was asked for; 0 even where a target is missed, 1 where a row has no figure."""
    asked = _arguments()
    announcement.await_engines()
    found: list[Row] = []
    with world() as place:
        for name in asked.what or PARTS:
            for row in _measured(name, place, asked.pairs):
                found.append(row)
                print(f"{row.name}: {row.verdict or 'measured'}", file=sys.stderr, flush=True)
    print(rows.table(found))
    rows.write(found, asked.json)
    print(f"samples in {asked.json}")
    return int(any(row.value is None for row in found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--pairs", type=int, default=7, help="pairs per ratio (default: 7)")
    parser.add_argument("--json", type=Path, default=RESULTS, help=f"default: {RESULTS}")
    parser.add_argument("what", nargs="*", choices=[*PARTS, []], help=", ".join(PARTS))
    return parser.parse_args()


def _measured(name: str, place: World, pairs: int) -> Iterator[Row]:
    """Yield a part's rows; what is missing, or fails, is a row that says so."""
    try:
        yield from PARTS[name](place, pairs)
    except (engines.Missing, timing.Failed) as err:
        yield Row(name=name, note=str(err))


def _cold_docker(place: World, pairs: int) -> Iterator[Row]:
    yield from cold.measure(place, engines.docker(), pairs)


def _cold_local(place: World, pairs: int) -> Iterator[Row]:
    yield from cold.measure(place, engines.Local(), pairs)


def _warm_docker(place: World, pairs: int) -> Iterator[Row]:
    yield warm.on_docker(place, engines.docker(), pairs)


def _warm_local(place: World, pairs: int) -> Iterator[Row]:
    yield warm.on_local(place, engines.Local(), pairs)


def _overhead_docker(place: World, pairs: int) -> Iterator[Row]:
    yield overhead.measure(place, engines.docker(), pairs)


def _overhead_local(place: World, pairs: int) -> Iterator[Row]:
    yield overhead.measure(place, engines.Local(), pairs)


def _memory(place: World, pairs: int) -> Iterator[Row]:
    yield controller.memory(place, engines.docker(), controller.SYSTEMS)


def _start(place: World, pairs: int) -> Iterator[Row]:
    yield controller.version(place, pairs)
    yield controller.plan(place, pairs)


PARTS: dict[str, Part] = {
    "cold-docker": _cold_docker,
    "cold-local": _cold_local,
    "warm-docker": _warm_docker,
    "warm-local": _warm_local,
    "overhead-docker": _overhead_docker,
    "overhead-local": _overhead_local,
    "memory": _memory,
    "start": _start,
}

if __name__ == "__main__":
    sys.exit(main())
