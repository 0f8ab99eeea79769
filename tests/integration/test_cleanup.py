"""cleanup: takes what dead runs left, and nothing of a live one."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from deploy_world import World, digest
from orphans import orphan
from sites import Site

from containerdeploy.deploy import host_id
from containerdeploy.engine import runtime_cgroups

API = ("docker", "podman")
WAIT = "#!/bin/sh\nwhile [ ! -e files/go ]; do sleep 0.05; done\n"


@pytest.fixture
def world(site: Site, new_world: Callable[..., World]) -> Iterator[World]:
    world = new_world(site)
    world.extension("wait.configure", WAIT)
    world.file("files/keep", "")
    world.system("s", {"s": {"type": "tar", "location": "s.tar"}}, "wait")
    yield world
    world.end_all()


def test_a_live_run_keeps_everything(world: World, site: Site) -> None:
    going = world.start()
    going.await_step("configure")
    before = site.residue()
    assert before.workspaces
    assert before.staging
    assert before.cgroups or not makes_groups(site), "the look for groups is blind"
    for one in (site, other_home(site)):
        cleaned = one.run(one.argv("cleanup"), world.directory)
        assert cleaned.returncode == 0, cleaned.stderr
        assert "nothing was left behind" in cleaned.stdout
    seen = site.residue()
    assert seen.workspaces == before.workspaces
    assert seen.staging == before.staging
    assert seen.containers == before.containers
    world.file("files/go", "")
    ended = going.end()
    assert ended.code == 0, str(ended)
    (delivered,) = [one for one in ended.happenings if one["happening"] == "Delivered"]
    assert digest(world.out / "s.tar") == delivered["sha256"]


def makes_groups(site: Site) -> bool:
    """Say whether it is we who make control groups there; elsewhere it is the engine."""
    return site.kind == "local" and bool(runtime_cgroups.find(enable=False).directories)


def other_home(site: Site) -> Site:
    """The same engine and store seen by a controller that keeps its records elsewhere."""
    return replace(site, home_name="other-home") if site.is_api else site


def test_what_a_dead_run_left_is_taken_away(world: World, site: Site) -> None:
    world.file("files/go", "")
    first = world.deploy()
    assert first.code == 0, str(first)
    run = first.happenings[0]["run"]
    record = site.home / "runs" / run
    before = site.residue()
    staging = world.out / f".containerdeploy-{run}-0"
    leave(staging)
    store = site.store()
    assert store is not None
    leave(store / "tmp" / "dead")
    site.give(staging)
    site.give(store / "tmp" / "dead")
    unfinished = site.home / ".digests.json-x.new"
    unfinished.touch()
    os.utime(unfinished, (0, 0))
    site.give(unfinished)
    if site.is_api:
        orphan(site, f"{host_id()}:{record}")
    cleaned = world.command("cleanup")
    assert cleaned.code == 0, str(cleaned)
    assert f"removed {staging}" in cleaned.out
    assert f"removed {unfinished}" in cleaned.out
    assert "removed 1 unfinished workspace from the store" in cleaned.out
    assert site.left_since(before) == {}
    assert "nothing was left behind" in world.command("cleanup").out


def leave(path: Path) -> None:
    (path / "some" / "thing").mkdir(parents=True)
    (path / "lock").touch()
    (path / "some").chmod(0o500)


@pytest.mark.parametrize(
    "site", [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in API], indirect=True
)
def test_a_run_of_another_host_is_left_to_that(world: World, site: Site) -> None:
    name = orphan(site, "another-host:/var/lib/containerdeploy/runs/x")
    assert name in site.containers()
    assert world.command("cleanup").code == 0
    assert name in site.containers()
    with site.client() as client:
        client.remove_container(name)


def test_doctor_finds_the_site_fit(world: World, site: Site) -> None:
    found = world.command("doctor")
    assert found.code == 0, str(found)
    expected = "strict" if os.geteuid() == 0 and site.person is None else "rootless"
    assert expected in found.out
