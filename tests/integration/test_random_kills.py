"""Whatever is killed at whatever moment: nothing is left, the store is sound, the next run right.

CONTAINERDEPLOY_KILL_ROUNDS=50 plays so many rounds of each kind on each engine, with seeds from
CONTAINERDEPLOY_KILL_SEED (0) on; without it some kinds have one round on one engine.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deploy_world import World
from kill_rounds import FIRST_SEED, ROUNDS, Stage, staged, tiny_sources
from sites import Kind, Site
from small_disk import small_disk

KINDS = ("controller", "helper", "agent", "extension", "interrupt", "interrupts", "power")
ENGINES: tuple[Kind, ...] = ("local", "docker", "podman")
ONCE = [("local", "controller"), ("local", "power")]
OFTEN = [(engine, kind) for engine in ENGINES for kind in KINDS] + [("local", "launcher")]
PAIRS = [
    pytest.param(engine, kind, marks=getattr(pytest.mark, engine))
    for engine, kind in (OFTEN if ROUNDS else ONCE)
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two sources of a few files."""
    return tiny_sources(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def stage_on(
    open_site: Callable[[Kind], Site], new_world: Callable[..., World], tiny: tuple[Path, Path]
) -> Iterator[Callable[[Kind], Stage]]:
    """Set a stage of its own on each kind of engine, once."""
    stages: dict[Kind, Stage] = {}

    def set_up(kind: Kind) -> Stage:
        if kind not in stages:
            own = open_site(kind).sibling()
            stages[kind] = staged(new_world(own), (own.share(tiny[0]), own.share(tiny[1])))
        return stages[kind]

    yield set_up
    for stage in stages.values():
        stage.world.site.close()


@pytest.mark.parametrize(
    "engine",
    [pytest.param(one, marks=getattr(pytest.mark, one)) for one in ENGINES[: 3 if ROUNDS else 1]],
)
def test_a_disk_that_is_full_at_any_moment_leaves_nothing_half_done(
    open_site: Callable[[Kind], Site],
    new_world: Callable[..., World],
    tiny: tuple[Path, Path],
    engine: Kind,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = open_site(engine).sibling()
    try:
        with small_disk(own.directory) as disk:
            site = own.with_store_on(disk)
            stage = staged(new_world(site), (site.share(tiny[0]), site.share(tiny[1])))
            for seed in range(FIRST_SEED, FIRST_SEED + int(ROUNDS or 1)):
                stage.survive_a_full_disk(seed)
            tell(stage, "disk", capsys)
            own.forget_store()
    finally:
        own.close()


@pytest.mark.parametrize(("engine", "kind"), PAIRS)
def test_whoever_is_killed_at_any_moment_nothing_is_left_and_the_next_run_is_right(
    stage_on: Callable[[Kind], Stage],
    engine: Kind,
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stage = stage_on(engine)
    for seed in range(FIRST_SEED, FIRST_SEED + int(ROUNDS or 1)):
        stage.survive(kind, seed)
    tell(stage, kind, capsys)


def tell(stage: Stage, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Show a campaign's figures, whatever pytest does with what else tests print."""
    if ROUNDS:
        with capsys.disabled():
            print(f"\n{stage.settling(kind)}")
