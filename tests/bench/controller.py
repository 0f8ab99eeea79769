"""What the controller itself takes: memory with many deployments, time to its first answer."""

import statistics

from tests.bench import timing
from tests.bench.engines import Docker, Local
from tests.bench.rows import Row
from tests.bench.world import PRODUCT, World

SYSTEMS = 50
PLANNED = 20
MEMORY_TARGET_MB = 120.0
VERSION_TARGET_S = 0.15
PLAN_TARGET_S = 0.5


def memory(world: World, engine: Docker | Local, jobs: int) -> Row:
    """Deploy many tiny systems, `jobs` at a time; the largest process is the controller."""
    definitions, output = world.many(SYSTEMS), world.fresh("output")
    environment = world.environment(f"{engine.name}-many")
    how = ["--engine", engine.url, "--jobs", str(jobs), "--progress", "plain"]
    what = [
        "--definitions",
        definitions,
        "--output-dir",
        output,
        definitions / "clusters/many.yaml",
    ]
    peak = timing.peak_bytes([PRODUCT, "deploy", *how, *what], environment)
    engine.remove_volume(environment["CONTAINERDEPLOY_STORE"])
    return Row(
        name=f"controller's memory, {engine.name}",
        unit="MB",
        value=peak / 1e6,
        target=MEMORY_TARGET_MB,
        note=f"peak, {SYSTEMS} systems, {jobs} at a time",
    )


def version(world: World, times: int) -> Row:
    taken = [timing.seconds([PRODUCT, "--version"]) for _ in range(times)]
    return _row("--version", taken, VERSION_TARGET_S)


def plan(world: World, times: int) -> Row:
    definitions = world.many(PLANNED)
    argv = [PRODUCT, "plan", "--definitions", definitions, definitions / "clusters/many.yaml"]
    taken = [timing.seconds(argv, world.environment("plan")) for _ in range(times)]
    return _row(f"plan of {PLANNED} systems", taken, PLAN_TARGET_S)


def _row(name: str, taken: list[float], target: float) -> Row:
    return Row(
        name=name,
        unit="s",
        value=statistics.median(taken),
        target=target,
        ours=tuple(taken),
        note=f"median of {len(taken)}",
    )
