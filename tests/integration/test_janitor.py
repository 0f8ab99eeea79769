"""The janitor: a helper that was made and never started goes with its controller, others stay."""

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

import pytest
from sites import Site

from containerdeploy.helper.staging import JANITOR
from containerdeploy.images import HELPER

on_engines = pytest.mark.parametrize(
    "site",
    [pytest.param(one, marks=getattr(pytest.mark, one)) for one in ("docker", "podman")],
    indirect=True,
)


@pytest.fixture
def name(site: Site) -> Iterator[str]:
    """A container that is made, and not started."""
    name = f"containerdeploy-{uuid.uuid4().hex[:9]}-0"
    with site.client() as client:
        host = client.create_host_config(network_mode="none")
        client.create_container(HELPER, ["sleep", "600"], name=name, host_config=host)
        yield name
        if name in names(site):
            client.remove_container(name, force=True)


def names(site: Site) -> list[str]:
    with site.client() as client:
        found = client.containers(all=True, filters={"name": "containerdeploy-"})
    return [one["Names"][0].removeprefix("/") for one in found]


def janitor(*messages: str) -> "subprocess.Popen[bytes]":
    """Start one whose controller said this and was killed."""
    argv = [sys.executable, "-I", "-S", str(JANITOR)]
    started = subprocess.Popen(argv, stdin=subprocess.PIPE)
    assert started.stdin is not None
    started.stdin.write("".join(f"{one}\0" for one in messages).encode())
    started.stdin.close()
    return started


@on_engines
def test_a_helper_that_never_started_is_removed(site: Site, name: str) -> None:
    who = f"{site.engine.removeprefix('unix://')}\n{name}"
    assert janitor(f"*{who}").wait(30) == 0
    assert name not in names(site)


@on_engines
def test_one_that_runs_is_left_to_its_lease(site: Site, name: str) -> None:
    with site.client() as client:
        client.start(name)
    started = janitor(f"*{site.engine.removeprefix('unix://')}\n{name}")
    time.sleep(1)
    assert started.poll() is None
    assert name in names(site)
    with site.client() as client:
        client.remove_container(name, force=True)
    assert started.wait(30) == 0


@on_engines
def test_one_that_was_taken_away_is_not_asked_for(site: Site, name: str) -> None:
    who = f"{site.engine.removeprefix('unix://')}\n{name}"
    assert janitor(f"*{who}", f".{who}").wait(30) == 0
    assert name in names(site)
