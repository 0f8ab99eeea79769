"""Sites to deploy on: each engine with a store that all tests of a run share."""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sites
from deploy_world import World
from sites import MARKS, Kind, Site

KINDS = [pytest.param(kind, marks=getattr(pytest.mark, mark)) for kind, mark in MARKS.items()]


@pytest.fixture(scope="session")
def open_site(request: pytest.FixtureRequest) -> Iterator[Callable[[Kind], Site]]:
    """Open each kind of site once; all are closed at the end."""
    opened: dict[Kind, Site] = {}

    def open_it(kind: Kind) -> Site:
        if kind not in opened:
            owner = request.getfixturevalue("person") if kind == "user" else None
            opened[kind] = sites.opened(kind, sites.address(kind), owner)
        return opened[kind]

    yield open_it
    for site in opened.values():
        site.close()


@pytest.fixture(scope="module", params=KINDS)
def site(request: pytest.FixtureRequest, open_site: Callable[[Kind], Site]) -> Site:
    """Every kind of site in turn."""
    return open_site(request.param)


@pytest.fixture(scope="session")
def any_site(open_site: Callable[[Kind], Site]) -> Site:
    """One site, for what does not depend on the engine: the first that can be had."""
    kinds: tuple[Kind, ...] = ("docker", "podman")
    api = [kind for kind in kinds if f"CONTAINERDEPLOY_TEST_{kind.upper()}" in os.environ]
    return open_site(api[0] if api else "local")


@pytest.fixture(scope="session")
def user_site(open_site: Callable[[Kind], Site]) -> Site:
    """The local engine as an ordinary user, for what root is never refused."""
    return open_site("user")


@pytest.fixture(scope="session")
def new_world(sample_root: Path) -> Callable[..., World]:
    """Make worlds on any site, of the sample unless another source is given."""

    def make(site: Site, source: Path = sample_root) -> World:
        return World(site, site.directory / f"world-{uuid.uuid4().hex[:8]}", site.share(source))

    return make


@pytest.fixture
def world(any_site: Site, new_world: Callable[..., World]) -> World:
    return new_world(any_site)
