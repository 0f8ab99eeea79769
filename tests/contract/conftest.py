"""The engines that the contract suite runs against; their markers skip those that aren't there.

CONTAINERDEPLOY_TEST_DOCKER and CONTAINERDEPLOY_TEST_PODMAN hold the engines' URLs.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import contract_image
import pytest
from fake_engine import FakeEngine
from programs import as_fake
from subject import Kind, Subject

from containerdeploy.engine.base import Engine
from containerdeploy.engine.docker import DockerEngine

IMAGE = f"containerdeploy-contract-{os.getpid()}"
_API = [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("docker", "podman")]
_REAL = [*_API, pytest.param("local", marks=pytest.mark.local)]


@pytest.fixture(scope="session")
def open_subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Kind], Subject]]:
    """Open each kind of engine once, load its image, and take both away at the end."""
    opened: dict[Kind, Subject] = {}

    def open_it(kind: Kind) -> Subject:
        if kind not in opened:
            opened[kind] = _open(kind, tmp_path_factory)
        return opened[kind]

    yield open_it
    for subject in opened.values():
        subject.engine.close()
        if subject.url:
            contract_image.drop(subject.url, IMAGE)


@pytest.fixture(params=["fake", *_REAL])
def subject(
    request: pytest.FixtureRequest, open_subject: Callable[[Kind], Subject]
) -> Iterator[Subject]:
    """Every engine there is."""
    yield from _for_one_test(open_subject(request.param))


@pytest.fixture(params=_REAL)
def real(
    request: pytest.FixtureRequest, open_subject: Callable[[Kind], Subject]
) -> Iterator[Subject]:
    """Those that run programs."""
    yield from _for_one_test(open_subject(request.param))


@pytest.fixture(params=_API)
def api(
    request: pytest.FixtureRequest, open_subject: Callable[[Kind], Subject]
) -> Iterator[Subject]:
    """Those behind a Docker-compatible API."""
    yield from _for_one_test(open_subject(request.param))


def _for_one_test(shared: Subject) -> Iterator[Subject]:
    one = Subject(kind=shared.kind, engine=shared.engine, image=shared.image, url=shared.url)
    yield one
    one.sweep()


def _open(kind: Kind, folders: pytest.TempPathFactory) -> Subject:
    match kind:
        case "fake":
            return Subject(
                kind=kind, engine=FakeEngine(as_fake, images=["contract"]), image="contract"
            )
        case "local":
            return Subject(kind=kind, engine=_local(folders.mktemp("local")), image="local")
    url = os.environ[f"CONTAINERDEPLOY_TEST_{kind.upper()}"]
    contract_image.load(url, IMAGE)
    return Subject(kind=kind, engine=DockerEngine(url), image=IMAGE, url=url)


def _local(home: Path) -> Engine:
    local = pytest.importorskip("containerdeploy.engine.local", exc_type=ImportError)
    engine: Engine = local.LocalEngine(home)
    return engine
