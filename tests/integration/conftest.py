"""Sites to deploy on: each engine with a store that all tests of a run share."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sites
from deploy_world import World
from sites import MARKS, Kind, Person, Site

KINDS = [pytest.param(kind, marks=getattr(pytest.mark, mark)) for kind, mark in MARKS.items()]


@pytest.fixture(scope="session")
def person() -> Iterator[Person]:
    """An ordinary account with subordinate ids, where root runs the tests."""
    if os.geteuid() != 0 or not shutil.which("useradd"):
        pytest.skip("only root can make an ordinary account; `local` has been tested as one")
    name = f"cd{uuid.uuid4().hex[:8]}"
    subprocess.run(["useradd", "--no-create-home", "--shell=/bin/sh", name], check=True)
    try:
        numbers = [
            int(subprocess.run(["id", flag, name], capture_output=True, check=True).stdout)
            for flag in ("-u", "-g")
        ]
        one = Person(name=name, uid=numbers[0], gid=numbers[1])
        yield one
    finally:
        subprocess.run(["userdel", name], check=True)


@pytest.fixture(scope="session")
def open_site(request: pytest.FixtureRequest) -> Iterator[Callable[[Kind], Site]]:
    """Open each kind of site once; all are closed at the end."""
    opened: dict[Kind, Site] = {}

    def open_it(kind: Kind) -> Site:
        if kind not in opened:
            opened[kind] = (
                _as_user(request) if kind == "user" else sites.opened(kind, address(kind))
            )
        return opened[kind]

    yield open_it
    for site in opened.values():
        site.close()


def _as_user(request: pytest.FixtureRequest) -> Site:
    owner: Person = request.getfixturevalue("person")
    python = owner.python()
    if python is None:
        pytest.skip("an ordinary account can't read this checkout or run its Python")
    return sites.opened("user", "local", owner, python)


def address(kind: Kind) -> str:
    """What --engine takes for a kind."""
    return os.environ.get(f"CONTAINERDEPLOY_TEST_{kind.upper()}", "local")


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
