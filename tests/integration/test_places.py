"""Where results go: beside what is there, never half, never over a directory."""

import os
import tarfile
from collections.abc import Callable

import pytest
from deploy_world import World
from sites import Site

PODMAN_CUTS_AT = ',"\n'
ODD_NAMES = ("with: a colon, a comma\\", "l\u00edne\nbreak", "\udcff not UTF-8")
TAR = {"type": "tar", "location": "s.tar"}


def test_a_location_without_its_directory_is_told(world: World) -> None:
    world.system("s", {"one": {**TAR, "location": "no/such/place/s.tar"}})
    ended = world.deploy()
    assert ended.code == 2
    assert f"there is no directory {world.out}/no/such/place" in ended.err
    assert not ended.happenings


@pytest.mark.local
def test_a_location_that_is_not_ones_own_is_told(
    user_site: Site, new_world: Callable[..., World]
) -> None:
    world = new_world(user_site)
    world.system("s", {"one": TAR})
    argv = world.argv("deploy")
    os.chown(world.out, 0, 0)
    ran = user_site.run(argv, world.directory)
    assert ran.returncode == 1, ran.stdout
    assert "Permission denied" in ran.stdout
    assert "its directory must exist and be writable" in ran.stdout


def test_an_existing_file_is_replaced_whole(world: World) -> None:
    target = world.out / "s.tar"
    target.write_text("of old")
    with target.open() as reader:
        world.system("s", {"one": TAR})
        ended = world.deploy()
        assert ended.code == 0, str(ended)
        assert reader.read() == "of old"
    assert tarfile.is_tarfile(target)
    assert [path.name for path in world.out.iterdir()] == ["s.tar"]


def test_a_symbolic_link_at_the_location_is_replaced_and_not_followed(world: World) -> None:
    precious = world.directory / "precious"
    precious.write_text("keep me")
    (world.out / "s.tar").symlink_to(precious)
    world.system("s", {"one": TAR})
    ended = world.deploy()
    assert ended.code == 0, str(ended)
    assert precious.read_text() == "keep me"
    assert not (world.out / "s.tar").is_symlink()


@pytest.mark.parametrize("kind", ["tar", "sysroot"])
def test_an_existing_directory_is_refused_before_anything_starts(world: World, kind: str) -> None:
    (world.out / "s.tar").mkdir()
    (world.out / "s.tar" / "precious").touch()
    world.system("s", {"one": {**TAR, "type": kind}})
    ended = world.deploy()
    assert ended.code == 2
    assert str(world.out / "s.tar") in ended.err
    assert (world.out / "s.tar" / "precious").exists()


def test_a_relative_location_begins_where_the_command_was_started(world: World) -> None:
    world.system("s", {"one": TAR})
    argv = [word for word in world.argv("deploy") if not word.startswith("--output-dir")]
    ran = world.site.run(argv, world.directory)
    assert ran.returncode == 0, ran.stdout
    assert (world.directory / "s.tar").exists()


def test_an_output_directory_is_made_when_it_is_missing(world: World) -> None:
    world.system("s", {"one": TAR})
    there = world.directory / "deep" / "er"
    assert world.deploy(f"--output-dir={there}").code == 0
    assert (there / "s.tar").exists()


@pytest.mark.parametrize("name", ODD_NAMES, ids=["punctuation", "line-end", "not-UTF-8"])
def test_an_output_directory_may_be_called_anything_that_the_engine_can_mount(
    site: Site, new_world: Callable[..., World], name: str
) -> None:
    world = new_world(site)
    world.system("s", {"s": TAR})
    there = world.directory / name
    ended = world.deploy(f"--output-dir={there}")
    if site.kind == "podman" and set(PODMAN_CUTS_AT) & set(name):
        assert ended.code == 3, str(ended)
        assert "Podman can't mount paths with a comma" in ended.err
        assert repr(str(there)) in ended.err
        assert "use docker (--engine docker) or --engine local" in ended.err
        assert not ended.happenings
    else:
        assert ended.code == 0, str(ended)
        assert [path.name for path in there.iterdir()] == ["s.tar"]


def test_an_absolute_location_stays_where_it_is(world: World) -> None:
    world.system("s", {"one": {**TAR, "location": str(world.directory / "abs.tar")}})
    assert world.deploy().code == 0
    assert (world.directory / "abs.tar").exists()
