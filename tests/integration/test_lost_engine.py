"""The engine's socket goes away in the middle of a run."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sites
from cutting_proxy import CuttingProxy
from deploy_world import Ended, World, digest
from sites import Site

LINGER = '#!/bin/sh\n[ "$STAY" = no ] || exec sleep 602\n'


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("docker", "podman")],
)
def api_site(request: pytest.FixtureRequest, open_site: Callable[[sites.Kind], Site]) -> Site:
    return open_site(request.param)


@pytest.fixture
def world(api_site: Site, new_world: Callable[..., World]) -> Iterator[World]:
    world = new_world(api_site)
    world.extension("linger.configure", LINGER)
    world.system("s", {"s": {"type": "tar", "location": "s.tar", "STAY": "no"}}, "linger")
    yield world
    world.end_all()


def never(request: bytes, answer: bytes) -> int | None:
    return None


def test_a_lost_engine_is_a_clear_error_and_leaves_nothing(world: World, api_site: Site) -> None:
    first = world.deploy()
    assert first.code == 0, str(first)
    right = digest(world.out / "s.tar")
    before = api_site.residue()
    front = api_site.directory / "front.sock"
    engine = api_site.engine.removeprefix("unix://")
    with CuttingProxy(front, engine, never) as proxy:
        world.site = api_site.via(proxy.url)
        going = world.start("s.STAY=yes")
        going.await_step("configure")
        going.wait_until(lambda: bool(api_site.containers()), "the helper")
    ended = going.end()
    front.unlink()
    world.site = api_site
    assert ended.code in (1, 3), str(ended)
    assert "Traceback" not in ended.out
    assert "the connection to the engine broke" in ended.out, str(ended)
    left = ended.happenings[-1]["leftovers"]
    assert len(left) == 2
    assert all("cannot reach the container engine" in words for words in left)
    cleaned = world.command("cleanup")
    assert cleaned.code == 0, str(cleaned)
    assert api_site.left_since(before) == {}
    again = world.deploy()
    assert again.code == 0, str(again)
    assert digest(world.out / "s.tar") == right


def test_an_engine_that_never_answers_is_an_engine_error(
    any_site: Site, new_world: Callable[..., World]
) -> None:
    place = any_site.directory / "mute.sock"
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(place))
        mute.listen(8)
        ended = deployed_at(place, any_site, new_world)
    assert ended.code == 3, str(ended)
    assert str(place) in ended.err
    assert "Traceback" not in ended.err


def test_what_belongs_to_no_engine_is_an_engine_error(
    any_site: Site, new_world: Callable[..., World]
) -> None:
    place = any_site.directory / "bogus.sock"
    place.touch()
    ended = deployed_at(place, any_site, new_world)
    assert ended.code == 3, str(ended)
    assert str(place) in ended.err
    assert "Traceback" not in ended.err


def deployed_at(place: Path, site: Site, new_world: Callable[..., World]) -> Ended:
    world = new_world(site.via(f"unix://{place}"))
    world.system("s", {"s": {"type": "tar", "location": "s.tar"}})
    return world.deploy()
