"""What an extension costs beyond itself: its confinement, its layer, and the telling of it."""

import json
import statistics

from tests.bench import timing
from tests.bench.engines import Docker, Local
from tests.bench.rows import Row
from tests.bench.world import PRODUCT, World

TARGET_MS = 25.0
COUNT = 40


def measure(world: World, engine: Docker | Local, pairs: int) -> Row:
    """Take the median of steps that do nothing, less that of their script run bare."""
    definitions = world.idle(COUNT)
    environment = world.environment(f"overhead-{engine.name}")
    steps_s: list[float] = []
    for _ in range(pairs):
        events = world.root / "overhead.jsonl"
        how = ["--engine", engine.url, "--progress", "quiet", "--events", events]
        what = ["--definitions", definitions, "--output-dir", world.fresh("overhead")]
        argv = [PRODUCT, "deploy", *how, *what, definitions / "clusters" / "idle.yaml"]
        timing.run(argv, environment)
        lines = (json.loads(line) for line in events.read_text(encoding="utf-8").splitlines())
        heard = [line["event"] for line in lines if line["happening"] == "Heard"]
        steps_s += _configured(heard)
    engine.remove_volume(environment["CONTAINERDEPLOY_STORE"])
    bare = [definitions / "extensions" / "idle.configure", definitions]
    bare_s = [timing.seconds(bare) for _ in range(COUNT)]
    return Row(
        name=f"an extension's own overhead, {engine.name}",
        unit="ms",
        value=(statistics.median(steps_s) - statistics.median(bare_s)) * 1000,
        target=TARGET_MS,
        ours=tuple(steps_s),
        theirs=tuple(bare_s),
        note="a script that does nothing, as an extension / run bare",
    )


def _configured(heard: list[dict[str, object]]) -> list[float]:
    """Return how long each configuration step took, from its announcement to its end."""
    steps = {
        event["step"]
        for event in heard
        if event["event"] == "StepStarted" and event["kind"] == "configure"
    }
    ends = [event for event in heard if event["event"] == "StepFinished" and event["step"] in steps]
    return [float(str(event["wall_s"])) for event in ends]
