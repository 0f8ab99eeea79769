"""Engines to attack, each with a store and a home of the test's own."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sites
from deploy_world import World
from sites import Kind, Site

KINDS: tuple[Kind, ...] = ("docker", "podman", "local")
PARAMETERS = [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in KINDS]


@pytest.fixture(scope="module", params=PARAMETERS)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """Every engine in turn."""
    yield from _opened(request.param)


@pytest.fixture(scope="module", params=PARAMETERS[:2])
def container_site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """Every engine that has containers of its own."""
    yield from _opened(request.param)


def _opened(kind: Kind) -> Iterator[Site]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to look at what was attacked")
    engine = os.environ.get(f"CONTAINERDEPLOY_TEST_{kind.upper()}", "local")
    opened = sites.opened(kind, engine)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def new_world(site: Site, sample_root: Path) -> Callable[[str], World]:
    """Make definitions on the site, of the sample system."""
    return lambda name: World(site, site.directory / name, site.share(sample_root))
