"""What an ordinary user's disk can't hold of a source is in the result all the same."""

import io
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sites
from deploy_world import Ended, World, digest, members
from sites import Person, Site

EPOCH = 1_000_000_000
# A step that does to devices what steps do, and forges what it may not have.
CHANGES = """#!/bin/sh -eu
cd "$1"
mv dev/tty0 dev/console; rm dev/zero;  chmod 640 dev/sda
mkdir -p etc/new; mv dev/full etc/new/full; rm dev/random; echo file > dev/random
ln dev/null dev/another; ln dev/null "etc/new/$(printf "%0150d" 0)"; ln dev/sda dev/sdb
echo changed >> srv/own
"""
FORGES = """#!/bin/sh -eu
cd "$1"
for node in "b 8 1" "c 10 200" "c 0 0" "nonsense" "c 1" "p"; do
    name="forged-$(echo "$node" | tr " " -)"; touch "$name"
    setfattr -n user.containerdeploy.node -v "$node" "$name" 2>/dev/null || true
done
"""
CHARACTER, BLOCK, FIFO = tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE


def debian_like(path: Path) -> Path:
    """Write an archive with device nodes, FIFOs, and owners that few maps hold."""
    rows = [
        *(("./dev/" + name, CHARACTER, 0o666, 0, (1, minor)) for minor, name in
          ((3, "null"), (5, "zero"), (7, "full"), (8, "random"))),
        ("./dev/tty0", CHARACTER, 0o620, 5, (4, 0)),
        ("./dev/sda", BLOCK, 0o660, 6, (8, 0)),
        ("./dev/initctl", FIFO, 0o600, 0, None),
        ("./srv/fifo", FIFO, 0o600, 1000, None),
        ("./srv/foreign", tarfile.REGTYPE, 0o4755, 3_000_000, None),
        ("./srv/own", tarfile.REGTYPE, 0o644, 1000, None),
        ("./srv/kept", tarfile.DIRTYPE, 0o2775, 33, None),
    ]  # fmt: skip
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name in (".", "./dev", "./srv", "./etc"):
            archive.addfile(_member(name, tarfile.DIRTYPE, 0o755, 0))
        for name, kind, mode, owner, device in rows:
            one = _member(name, kind, mode, owner)
            one.devmajor, one.devminor = device or (0, 0)
            one.size = 5 if kind == tarfile.REGTYPE else 0
            archive.addfile(one, io.BytesIO(b"text\n") if one.size else None)
        for name, kind, target in (
            ("./srv/link", tarfile.SYMTYPE, "foreign"),
            ("./srv/hard", tarfile.LNKTYPE, "./srv/foreign"),
            ("./srv/device", tarfile.LNKTYPE, "./dev/random"),
        ):
            one = _member(name, kind, 0o777, 1000)
            one.linkname = target
            archive.addfile(one)
    return path


def _member(name: str, kind: bytes, mode: int, owner: int) -> tarfile.TarInfo:
    one = tarfile.TarInfo(name)
    one.type, one.mode, one.uid, one.gid, one.mtime = kind, mode, owner, owner, EPOCH
    return one


def listing(path: Path) -> list[str]:
    """All that tar can tell of an archive, for a difference that can be read."""
    argv = ["tar", "--list", "-vvv", "--numeric-owner", "--full-time", "--file", path]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return debian_like(tmp_path_factory.mktemp("marks") / "debian-like.tar")


def deployed(
    site: Site, make: Callable[..., World], source: Path, *steps: str
) -> tuple[World, Ended]:
    """Deploy the source as a tar on a site, with steps of ours."""
    world = make(site, source)
    for number, script in enumerate(steps):
        world.extension(f"step{number}.configure", script)
    names = [f"step{number}" for number in range(len(steps))]
    world.system("one", {"one": {"type": "tar", "location": "one.tar"}}, *names)
    ended = world.deploy()
    assert ended.code == 0, ended.out
    return world, ended


@pytest.fixture(params=["one id", "a range of ids"])
def user(request: pytest.FixtureRequest, user_site: Site, person: Person) -> Iterator[Site]:
    """The local engine as somebody who has an account, or none and so no subordinate ids."""
    if request.param != "one id":
        yield user_site
        return
    nobody = replace(person, name="without-account", uid=64_123, gid=64_123)
    site = sites.opened("user", "local", nobody)
    yield site
    site.close()


@pytest.mark.local
@pytest.mark.parametrize("steps", [(), (CHANGES,)], ids=["as-it-is", "changed"])
def test_an_ordinary_users_tar_is_roots_byte_for_byte(
    open_site: Callable[[str], Site],
    new_world: Callable[..., World],
    source: Path,
    user: Site,
    steps: tuple[str, ...],
) -> None:
    results = {}
    for site in (open_site("local"), user):
        world, ended = deployed(site, new_world, source, *steps)
        assert "can't be had" not in ended.out
        results[site.kind] = world.out / "one.tar"
    found = members(results["user"])
    nodes = {
        name: (one.type, one.devmajor, one.devminor) for name, one in found.items() if one.isdev()
    }
    assert nodes["dev/null"] == (CHARACTER, 1, 3)
    assert nodes["dev/sda"] == (BLOCK, 8, 0)
    assert found["srv/own"].uid == found["srv/fifo"].gid == found["srv/link"].uid == 1000
    assert found["srv/foreign"].uid == 65_534  # as strict mode shows it, too
    if steps:
        assert nodes["etc/new/full"] == (CHARACTER, 1, 7)
        assert found["dev/random"].isreg()
        assert not {"dev/zero", "dev/tty0"} & set(found)
    assert listing(results["user"]) == listing(results["local"])
    assert digest(results["user"]) == digest(results["local"])


@pytest.mark.local
def test_no_step_makes_a_device_that_the_source_does_not_have(
    user_site: Site, new_world: Callable[..., World], source: Path
) -> None:
    world, _ = deployed(user_site, new_world, source, FORGES)
    made = {name: one for name, one in members(world.out / "one.tar").items() if "forged" in name}
    assert len(made) == 6
    assert [name for name, one in made.items() if one.ischr() or one.isblk()] == []


@pytest.mark.local
def test_a_subsystem_is_in_its_parents_tar_as_roots_is(
    open_site: Callable[[str], Site], new_world: Callable[..., World], source: Path
) -> None:
    results = []
    for kind in ("local", "user"):
        world = new_world(open_site(kind), source)
        below = world.entry("below", {"below": {"type": "sysroot", "location": "/inside"}})
        world.system("one", {"one": {"type": "tar", "location": "one.tar"}}, subsystems=[below])
        ended = world.deploy()
        assert ended.code == 0, ended.out
        results.append(world.out / "one.tar")
    assert digest(results[0]) == digest(results[1])


@pytest.mark.local
def test_a_directory_is_told_to_lack_what_can_not_be_made(
    user_site: Site, new_world: Callable[..., World], source: Path
) -> None:
    world = new_world(user_site, source)
    world.system("one", {"one": {"type": "sysroot", "location": "one"}})
    ended = world.deploy()
    assert ended.code == 0, ended.out
    said = ended.log()
    assert said.count("a device node, which can't be made here") == 7
    assert not (world.out / "one/dev/null").exists()
