"""Cold unpack: a source that the store hasn't seen, against GNU tar into the same volume."""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from tests.bench import rows, timing
from tests.bench.engines import Docker, Local
from tests.bench.rows import Row
from tests.bench.world import World

TARGET = 1.15


def measure(world: World, engine: Docker | Local, pairs: int) -> Iterator[Row]:
    """Yield two rows for gz and for zst: the unpacking itself, and both whole processes."""
    for suffix in ("gz", "zst"):
        one = _Cold(world, engine, world.compressed(suffix))
        whole = timing.pairs(pairs, one.deploy, one.tar)
        inner = timing.Pairs(ours=tuple(one.steps), theirs=tuple(one.tars))
        name = f"cold unpack, {suffix}, {engine.name}"
        yield rows.ratio(name, inner, TARGET, "base step / GNU tar")
        yield rows.ratio(
            f"{name}, whole", whole, None, f"whole deploy to tar / {engine.tar_words}, for scale"
        )


class _Cold:
    """Both sides on one archive; every run begins with a state and a volume of its own."""

    def __init__(self, world: World, engine: Docker | Local, source: Path) -> None:
        self._world = world
        self._engine = engine
        self._source = source
        self._numbers = count()
        self.steps: list[float] = []
        self.tars: list[float] = []

    def deploy(self) -> float:
        world = self._world
        store = f"{self._engine.name}-{next(self._numbers)}"
        environment = world.environment(store, home="cold")
        world.fresh("cold")
        output, events = world.fresh("output"), world.root / "events"
        argv = world.deploy(self._engine.url, self._source, output=output, events=events)
        taken_s = timing.seconds(argv, environment)
        self.steps.append(_base_seconds(events))
        self._engine.remove_volume(environment["CONTAINERDEPLOY_STORE"])
        world.fresh("cold")
        world.fresh("output")
        return taken_s

    def tar(self) -> float:
        """Unpack with the engine's own GNU tar; the whole time is with starting where it runs."""
        volume = f"{self._world.root.name}-tar-{next(self._numbers)}"
        taken_s, tar_s = self._engine.unpack(self._world, self._source, volume)
        self.tars.append(tar_s)
        return taken_s


def _base_seconds(events: Path) -> float:
    """Read the wall time of the base step off the event file."""
    for line in events.read_text(encoding="utf-8").splitlines():
        event = json.loads(line).get("event")
        if not isinstance(event, dict) or event.get("event") != "StepFinished":
            continue
        if event["step"].endswith(":base") and not event["cached"]:
            return float(event["wall_s"])
    raise timing.Failed("the deploy told of no unpacking")
