"""In which order things happen: every check of the run first, then one deployment after another."""

from collections.abc import Callable

import pytest
from deploy_world import Ended, World, members
from sites import Site

REFUSE = '#!/bin/sh\necho "ERROR: not to $1"\nexit 1\n'
PUT = '#!/bin/sh\ncp "$1/etc/hostname" "$2"\n'


def order(ended: Ended) -> list[tuple[str, str, str]]:
    """Every step in the order of starting: its kind, its system, its deployment."""
    heard = [one for one in ended.happenings if one["happening"] == "Heard"]
    return [
        (one["event"]["kind"], one["system"], one["event"]["deployment"])
        for one in heard
        if one["event"]["event"] == "StepStarted"
    ]


def put(location: str) -> dict[str, str]:
    return {"type": "put", "location": location}


@pytest.fixture
def world(any_site: Site, new_world: Callable[..., World]) -> World:
    made = new_world(any_site)
    made.extension("put.write", PUT)
    made.extension("put.check", "#!/bin/sh\n")
    made.extension("never.write", PUT)
    made.extension("never.check", REFUSE)
    return made


@pytest.mark.parametrize("jobs", [1, 3])
def test_all_checks_of_all_systems_come_first(world: World, jobs: int) -> None:
    for number in range(3):
        sub = world.entry(f"sub{number}", {f"in{number}": put("/etc/put")})
        deploy = {f"d{number}": put(f"{number}.img"), f"e{number}": put(f"{number}.too")}
        world.system(f"s{number}", deploy, "set-hostname", subsystems=[sub])
    ended = world.deploy(f"--jobs={jobs}")
    assert ended.code == 0, str(ended)
    kinds = [kind for kind, _, _ in order(ended)]
    checks = kinds.count("check")
    assert checks == 3 * 4
    assert kinds[:checks] == ["check"] * checks
    assert len(ended.events("Hello")) == 3, "each system has one helper"


def test_a_subsystem_of_several_deployments_is_made_for_each(world: World) -> None:
    inner = world.entry("inner", {"inner": put("/etc/put"), "same": put("/etc/same")})
    deploy = {name: {"type": "tar", "location": f"{name}.tar"} for name in ("one", "two")}
    world.system("s", deploy, subsystems=[inner])
    ended = world.deploy()
    assert ended.code == 0, str(ended)
    for name in deploy:
        assert f"[s][{name}/inner] put.write: done" in ended.out
        assert {"etc/put", "etc/same"} <= set(members(world.out / f"{name}.tar"))


def test_a_failure_deep_inside_is_told_with_its_name_wherever_it_is_told(world: World) -> None:
    world.extension("burst.configure", '#!/bin/sh\necho "ERROR: no $1"\nexit 7\n')
    inner = world.entry("inner", {"inner": put("/etc/put")}, "burst")
    outer = world.entry("outer", {"outer": put("/etc/put")})
    outer["subsystems"] = [inner]
    world.system("s", {"one": {"type": "tar", "location": "1.tar"}}, subsystems=[outer])
    ended = world.deploy()
    assert ended.code == 1
    for words in (
        "[s][inner] burst.configure: ERROR: no /tree",
        "[s] failed: inner: burst.configure failed: exit code 7",
        "[s][one] FAILED: its subsystem inner failed: burst.configure failed: exit code 7",
        "[s][outer] FAILED: its subsystem inner failed: burst.configure failed: exit code 7",
        "[s][inner] FAILED: burst.configure failed: exit code 7",
    ):
        assert words in ended.out, str(ended)


def test_a_check_that_refuses_stops_every_system_before_it_is_unpacked(
    site: Site, new_world: Callable[..., World]
) -> None:
    own = site.sibling()
    world = new_world(own)
    world.extension("never.write", PUT)
    world.extension("never.check", REFUSE)
    world.system("good", {"good": {"type": "tar", "location": "good.tar"}})
    inner = world.entry("inner", {"inner": {"type": "never", "location": "/boot/x"}})
    outer = world.entry("outer", {"outer": {"type": "sysroot", "location": "/srv/o"}})
    outer["subsystems"] = [inner]
    world.system("bad", {"bad": {"type": "tar", "location": "bad.tar"}}, subsystems=[outer])
    ended = world.deploy()
    bases, results = own.bases(), list(world.out.iterdir())
    own.close()
    assert ended.code == 1
    assert {kind for kind, _, _ in order(ended)} == {"check"}
    assert (bases, results) == ([], [])
    assert "[bad][inner] FAILED: never.check failed: exit code 1" in ended.out
    assert "ERROR: not to /parent/boot/x" in ended.out
    assert "[good] not started: nothing was unpacked: the checks of another system" in ended.out
    assert "0 deployed, 1 failed, 1 not started" in ended.out


def test_every_refusal_is_told_at_once(world: World) -> None:
    world.system("a", {"a1": {**put("a1"), "type": "never"}, "a2": {**put("a2"), "type": "never"}})
    world.system("b", {"b1": {**put("b1"), "type": "never"}, "b2": put("b2")})
    ended = world.deploy("--jobs=2")
    assert ended.code == 1
    for label in ("[a][a1]", "[a][a2]", "[b][b1]"):
        assert f"{label} FAILED: never.check failed" in ended.out, str(ended)


def test_a_deployment_is_unpacked_described_filled_configured_and_written(world: World) -> None:
    inner = world.entry("inner", {"inner": put("/etc/put")}, "hosts")
    outer = world.entry("outer", {"outer": put("/etc/put")}, "set-hostname")
    outer["subsystems"] = [inner]
    world.system("s", {"one": put("1.img")}, "set-hostname", "hosts", subsystems=[outer])
    ended = world.deploy()
    assert ended.code == 0, str(ended)
    steps = [(kind, deployment) for kind, _, deployment in order(ended)]
    assert steps == [
        ("check", "one"),
        ("check", "outer"),
        ("check", "inner"),
        ("base", "one"),
        ("metadata", "one"),
        ("base", "outer"),
        ("metadata", "outer"),
        ("base", "inner"),
        ("metadata", "inner"),
        ("configure", "inner"),
        ("write", "inner"),
        ("configure", "outer"),
        ("write", "outer"),
        ("configure", "one"),
        ("configure", "one"),
        ("write", "one"),
    ]


def test_a_source_that_is_not_what_it_should_be_stops_every_system(
    any_site: Site, new_world: Callable[..., World]
) -> None:
    own = any_site.sibling()
    world = new_world(own)
    world.system("good", {"good": {"type": "tar", "location": "good.tar"}})
    wrong = {"tar": str(world.source), "sha256": "0" * 64}
    world.system("bad", {"bad": {"type": "tar", "location": "bad.tar"}}, source=wrong)
    ended = world.deploy()
    bases = own.bases()
    own.close()
    assert ended.code == 1
    assert "is not the source that" in ended.out
    assert bases == []
