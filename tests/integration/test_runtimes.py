"""A runtime that is asked for by name is what the engine is told, or nothing is done."""

import json
from collections.abc import Callable

import pytest
from deploy_world import World
from sites import Site

from containerdeploy.engine.choose import open_engine
from containerdeploy.errors import EngineError
from containerdeploy.frozen import replace
from containerdeploy.helper import spec
from containerdeploy.images import HELPER


def made(site: Site, new_world: Callable[..., World]) -> World:
    world = new_world(site)
    world.system("one", {"one": {"type": "tar", "location": "one.tar"}})
    return world


@pytest.mark.docker
def test_a_runtime_of_the_engines_runs_the_helper_and_is_told(
    open_site: Callable[[str], Site], new_world: Callable[..., World]
) -> None:
    world = made(open_site("docker"), new_world)
    ended = world.deploy("--runtime=runc")
    assert ended.code == 0, ended
    assert "runtime runc" in world.command("show").out
    assert "runc" in next(
        line for line in world.command("doctor").out.splitlines() if line.startswith("runtimes")
    )


@pytest.mark.docker
def test_the_engine_is_told_the_runtime(open_site: Callable[[str], Site]) -> None:
    """Docker refuses a name that it doesn't know: so it was told it."""
    site = open_site("docker")
    engine = open_engine(site.engine, site.home).engine
    plain = spec.bare(f"{site.mark}-runtime", HELPER, site.store_name, "test")
    try:
        with pytest.raises(EngineError) as caught:
            engine.create(replace(plain, runtime="no-such-runtime"))
    finally:
        engine.close()
    assert "no-such-runtime" in f"{caught.value.brief} {caught.value.details}"


def test_one_that_the_engine_lacks_is_refused_before_anything_is_created(
    site: Site, new_world: Callable[..., World]
) -> None:
    world = made(site, new_world)
    ended = world.deploy("--runtime=no-such-runtime")
    assert ended.code == 3, ended
    assert "--runtime: the engine has no 'no-such-runtime'" in ended.err
    assert ended.happenings == ()
    expected = "has: " if site.is_api else "the local engine has no runtimes"
    assert expected in ended.err


def test_the_plan_shows_the_runtime(world: World) -> None:
    world.system("one", {"one": {"type": "tar", "location": "one.tar"}})
    argv = [word for word in world.argv("plan", "--runtime=kata") if "--events" not in word]
    assert "\nruntime: kata\n" in world.site.run(argv, world.directory).stdout
    told = json.loads(world.site.run([*argv, "--json"], world.directory).stdout)
    assert told["runtime"] == "kata"
