"""Old write extensions with loop mounts, unmodified: what they write, and that nothing stays."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import residue
from deploy_world import Ended, Going, World
from sites import Kind, Site
from small_disk import small_disk

SCRIPTS = Path(__file__).parents[1] / "data/loop"
ROOTFUL: tuple[Kind, ...] = ("docker", "podman", "local")
KINDS = [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ROOTFUL]
GRANTS = ("--grant=ext4disk=loop", "--grant=partitioned=loop")
LOOPS = Path("/dev/loop-control")
LINGER = """#!/bin/sh
set -eu
truncate -s 64M "$2"
mkfs.ext4 -q "$2"
mkdir "$TMPDIR/point"
mount -o loop "$2" "$TMPDIR/point"
second=$(losetup --find --show "$2")
if [ "$LINGER" = yes ]; then echo lingering; exec sleep 603; fi
cp -a "$1/etc" "$TMPDIR/point"
"""


@pytest.fixture(scope="module", params=KINDS)
def site(request: pytest.FixtureRequest, open_site: Callable[[Kind], Site]) -> Site:
    if os.geteuid() != 0 or not LOOPS.exists():
        pytest.skip("needs root and loop devices")
    return open_site(request.param)


def made(new_world: Callable[..., World], site: Site) -> World:
    """Make a world with the old extensions, allowed by their path."""
    world = new_world(site)
    names = []
    for script in (*SCRIPTS.iterdir(), None):
        name, text = (script.name, script.read_text()) if script else ("linger.write", LINGER)
        tools = None if script else {"tools": ["losetup", "mount"]}  # no image has to have them
        world.extension(name, text, sidecar=tools)
        names.append(world.definitions / "extensions" / name)
    rules = "".join(f"    - path: {name}\n" for name in names)
    site.policy.write_text(f"grants:\n  loop:\n{rules}")
    return world


@pytest.fixture
def world(site: Site, new_world: Callable[..., World]) -> Iterator[World]:
    world = made(new_world, site)
    yield world
    world.end_all()
    site.policy.unlink()


def deploy(world: World, kind: str, *words: str, **parameters: str) -> Ended:
    given = {"type": kind, "location": "disk.img", **parameters}
    world.system("node", {"disk": given}, "set-hostname", defaults={"HOSTNAME": "old"})
    return world.deploy(*words)


def inside(image: Path, *commands: str) -> str:
    """Ask an ext4 image; debugfs needs no mount."""
    argv = ["debugfs", "-R", " ".join(commands), image]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def is_sound(image: Path) -> bool:
    return (
        subprocess.run(["e2fsck", "-fn", image], capture_output=True, check=False).returncode == 0
    )


def test_a_disk_of_ext4_is_written(world: World) -> None:
    before = world.site.residue()
    ended = deploy(world, "ext4disk", *GRANTS[:1], DISK_SIZE="96M")
    assert ended.code == 0, str(ended)
    image = world.out / "disk.img"
    assert image.stat().st_size == 96 << 20
    assert is_sound(image)
    assert inside(image, "cat", "/systems/factory/orig/etc/hostname") == "old\n"
    assert "User:  1000   Group:  1000" in inside(image, "stat", "/etc")
    assert "User:     0   Group:     0" in inside(image, "stat", "/systems")
    assert world.site.left_since(before, loops=True) == {}


def test_partitions_are_written_through_devices_of_their_own(world: World, tmp_path: Path) -> None:
    before = world.site.residue()
    ended = deploy(world, "partitioned", *GRANTS[1:], MKFS="mkfs.ext4 -q")
    assert ended.code == 0, str(ended)
    assert "mounted: ['/dev/loop0', '/dev/loop1']" in ended.log()
    with (world.out / "disk.img").open("rb") as image:
        for name, offset, size in (("boot", 1, 16), ("root", 17, 200)):
            image.seek(offset << 20)
            (tmp_path / name).write_bytes(image.read(size << 20))
    assert is_sound(tmp_path / "boot")
    assert is_sound(tmp_path / "root")
    assert inside(tmp_path / "boot", "cat", "/extlinux.conf") == "default linux\n"
    assert inside(tmp_path / "root", "cat", "/etc/hostname") == "old\n"
    assert world.site.left_since(before, loops=True) == {}


def test_a_disk_of_btrfs_is_written(world: World) -> None:
    if not (world.site.is_api or shutil.which("mkfs.btrfs")):
        pytest.skip("mkfs.btrfs is not among this host's tools")
    before = world.site.residue()
    image = ("--image", "legacy") if world.site.is_api else ()
    ended = deploy(world, "partitioned", *GRANTS[1:], *image, MKFS="mkfs.btrfs -q")
    assert ended.code == 0, str(ended)
    assert "mounted: ['/dev/loop0', '/dev/loop1']" in ended.log()
    with (world.out / "disk.img").open("rb") as disk:
        disk.seek((17 << 20) + 0x10040)
        assert disk.read(8) == b"_BHRfS_M"
    assert world.site.left_since(before, loops=True) == {}


def test_what_is_left_mounted_is_written_out_and_gone(world: World) -> None:
    before = world.site.residue()
    ended = deploy(world, "linger", "--grant=linger=loop", LINGER="no")
    assert ended.code == 0, str(ended)
    assert "it left /dev/loop0 attached" in ended.log("agent")
    assert inside(world.out / "disk.img", "cat", "/etc/hostname") == "old\n"
    assert world.site.left_since(before, loops=True) == {}


@pytest.mark.parametrize("victim", ["controller", "helper", "extension"])
def test_nothing_stays_of_a_killed_run(world: World, victim: str) -> None:
    before = world.site.residue()
    given = {"type": "linger", "location": "disk.img", "LINGER": "yes"}
    world.system("node", {"disk": given})
    going = world.start("--grant=linger=loop")
    going.await_step("write")
    going.wait_until(lambda: bool(residue.pids(world.site.mark, "sleep 603")), "the sleep")
    assert len(residue.loops(world.site.mark) - before.loops) >= 2
    kill(going, victim)
    assert going.end().code != 0
    assert world.site.left_since(before, loops=True) == {}
    assert list(world.out.iterdir()) == []


def kill(going: Going, victim: str) -> None:
    if victim == "controller":
        going.process.kill()
    elif victim == "helper":
        going.world.site.kill_helpers()
    else:
        for pid in residue.pids(going.world.site.mark, "sleep 603"):
            os.kill(pid, signal.SIGKILL)


def test_the_run_and_its_record_show_the_grant(world: World) -> None:
    ended = deploy(world, "ext4disk", *GRANTS[:1], DISK_SIZE="64M")
    assert "ext4disk.write: granted: up to 4 loop devices" in ended.out
    record = json.loads(world.command("show", ended.happenings[0]["run"], "--json").out)
    (deployment,) = record["header"]["plan"]["systems"][0]["deployments"]
    assert [step["loop_devices"] for step in deployment["steps"]] == [0, 4]


def test_without_a_policy_nothing_is_started(world: World) -> None:
    world.site.policy.write_text("grants: {}\n")
    ended = deploy(world, "ext4disk", *GRANTS[:1], DISK_SIZE="64M")
    assert ended.code == 2
    assert f"the policy {world.site.policy} does not allow" in ended.err
    assert ended.happenings == ()


def test_without_the_grant_the_same_extension_fails(world: World) -> None:
    before = world.site.residue()
    ended = deploy(world, "ext4disk", DISK_SIZE="64M")
    assert ended.code == 1
    assert ended.steps("write")[-1]["outcome"] == "failed"
    assert world.site.left_since(before, loops=True) == {}


@pytest.mark.local
def test_an_ordinary_users_engine_refuses_before_anything_starts(
    user_site: Site, new_world: Callable[..., World]
) -> None:
    world = made(new_world, user_site)
    user_site.give(user_site.policy)
    ended = deploy(world, "ext4disk", *GRANTS[:1], DISK_SIZE="64M")
    assert ended.code == 3
    assert "disk: loop devices need an engine that runs as root" in ended.err
    assert ended.events("Hello") == []


@pytest.mark.local
def test_only_who_has_loop_devices_is_asked_for_them(
    open_site: Callable[[Kind], Site], tmp_path: Path
) -> None:
    """Somebody else's may come at any time, and bear no mark."""
    if os.geteuid() != 0 or not LOOPS.exists():
        pytest.skip("needs root and loop devices")
    site = open_site("local")
    before = site.residue()
    with small_disk(tmp_path):
        assert site.left_since(before) == {}
        seen = site.residue().beyond(before)["loops"]
    assert any(f"{tmp_path}/disk.img" in one for one in seen)
