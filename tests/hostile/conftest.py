"""Engines to attack, each with a store and a home of the test's own."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sites
from deploy_world import World
from sites import MARKS, Kind, Site

ONLY_ON = "only_on"
KINDS = [pytest.param(kind, marks=getattr(pytest.mark, mark)) for kind, mark in MARKS.items()]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave tests out on the kinds of engine that say nothing beyond what the others say."""
    left_out = [item for item in items if not _belongs(item)]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def _belongs(item: pytest.Item) -> bool:
    marker = item.get_closest_marker(ONLY_ON)
    return marker is None or item.callspec.params["site"] in marker.args  # type: ignore[attr-defined]


@pytest.fixture(scope="module", params=KINDS)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """Every engine in turn, the local one also as an ordinary user."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to look at what was attacked")
    kind: Kind = request.param
    person = request.getfixturevalue("person") if kind == "user" else None
    opened = sites.opened(kind, sites.address(kind), person)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def new_world(site: Site, sample_root: Path) -> Callable[[str], World]:
    """Make definitions on the site, of the sample system."""
    return lambda name: World(site, site.directory / name, site.share(sample_root))
