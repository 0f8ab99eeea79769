"""Isolation modes from the command line: what is asked for is what is had, and it is told."""

import json
from collections.abc import Callable

import pytest
from deploy_world import Ended, World
from sites import Site

WARNING = "isolation compat: extensions run as real root"


@pytest.fixture
def made(site: Site, new_world: Callable[..., World]) -> World:
    """One system with an extension that shows who it is."""
    world = new_world(site)
    world.extension("who.configure", "#!/bin/sh\ncat /proc/self/uid_map\n")
    world.system("one", {"one": {"type": "tar", "location": "one.tar"}}, "who")
    return world


def refused(ended: Ended) -> bool:
    """Whether it was refused as the engine's affair before any step began."""
    return ended.code == 3 and ended.events("StepStarted") == []


def test_the_mode_is_told_everywhere(site: Site, made: World) -> None:
    natural = "rootless" if site.kind == "user" else "strict"
    ended = made.deploy(f"--isolation={natural}")
    assert ended.code == 0, ended
    assert f"isolation {natural}" in ended.out
    assert WARNING not in ended.out
    assert f"isolation {natural}" in made.command("show").out
    (hello,) = ended.events("Hello")
    assert hello["isolation"] == natural


def test_compat_is_had_by_name_only_and_warned_of_each_time(site: Site, made: World) -> None:
    ended = made.deploy("--isolation=compat")
    if site.kind == "user":
        assert refused(ended), ended
        assert "compat isolation can't be had here: the engine runs as an ordinary" in ended.out
        return
    assert ended.code == 0, ended
    assert ended.log().split() == ["0", "0", "4294967295"]
    for told in (ended.out, made.command("show").out):
        assert "isolation compat" in told
        assert "weaker: extensions run as real root" in told
        assert WARNING in told


def test_a_mode_that_is_not_to_be_had_is_refused_before_anything_is_unpacked(
    site: Site, made: World
) -> None:
    wanted = "strict" if site.kind == "user" else "rootless"
    ended = made.deploy(f"--isolation={wanted}")
    assert refused(ended), ended
    assert f"{wanted} isolation can't be had here: the engine runs as" in ended.out
    assert "try: " in ended.out


def test_doctor_tries_every_mode(site: Site, made: World) -> None:
    rows = [line for line in made.command("doctor").out.splitlines() if "isolation  " in line]
    told = {mode: row for row in rows for mode in ("strict", "rootless", "compat") if mode in row}
    assert len(told) == len(rows) == 3
    here = ["rootless"] if site.kind == "user" else ["strict", "compat"]
    assert [mode for mode, row in told.items() if " not here " not in row] == here


def test_the_plan_shows_what_is_asked_for(world: World) -> None:
    world.system("one", {"one": {"type": "tar", "location": "one.tar"}})
    plain, named = (_planned(world, *words) for words in (["--json"], ["--isolation=compat"]))
    assert json.loads(plain)["isolation"] == "auto"
    assert "\nisolation: compat\n" in named
    assert WARNING in named


def _planned(world: World, *words: str) -> str:
    argv = [word for word in world.argv("plan", *words) if not word.startswith("--events")]
    return world.site.run(argv, world.directory).stdout


@pytest.mark.local
def test_real_root_never_shares_the_hosts_network(
    open_site: Callable[[str], Site], new_world: Callable[..., World]
) -> None:
    """Whatever listens there on an abstract socket would trust it."""
    world = new_world(open_site("local"))
    world.extension("out.configure", "#!/bin/sh\n", sidecar={"network": "full"})
    world.system("one", {"one": {"type": "tar", "location": "one.tar"}}, "out")
    ended = world.deploy("--isolation=compat")
    assert ended.code == 3, ended
    assert "out: the network is not to be had in compat isolation here" in ended.err
