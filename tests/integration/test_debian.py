"""A real Debian (or Ubuntu): programs with set-id bits and capabilities, ten thousand files."""

import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from deploy_world import Ended, World, digest, members
from sites import Site

CAPABILITY = "SCHILY.xattr.security.capability"
DIGESTS: dict[str, str] = {}


@dataclass(frozen=True)
class Debian:
    """A deploy of the whole thing with its host name set."""

    world: World
    first: Ended
    before: Mapping[str, tarfile.TarInfo]
    after: Mapping[str, tarfile.TarInfo]

    @property
    def result(self) -> Path:
        return self.world.out / "debian.tar"


@pytest.fixture(scope="module")
def debian(site: Site, new_world: Callable[..., World], debian_root: Path) -> Iterator[Debian]:
    own = site.sibling()
    world = new_world(own, debian_root)
    deploy = {"debian": {"type": "tar", "location": "debian.tar", "HOSTNAME": "bookworm"}}
    world.system("debian", deploy, "set-hostname")
    first = world.deploy()
    assert first.code == 0, str(first)
    result = members(world.out / "debian.tar")
    yield Debian(world, first, members(world.source), result)
    own.close()


def test_only_what_was_configured_differs_from_the_source(debian: Debian) -> None:
    before, after = debian.before, debian.after
    names = {path for path in set(before) ^ set(after) if not before_is_device(before, path)}
    assert names == {"baserock", "baserock/deployment.meta"}
    changed = {
        path
        for path, one in before.items()
        if path in after and one.isreg() and after[path].isreg()
        if facts(one) != facts(after[path])
    }
    assert changed <= {"etc/hostname"}


def before_is_device(before: Mapping[str, tarfile.TarInfo], path: str) -> bool:
    """An ordinary user can make none."""
    return path in before and before[path].isdev()


def facts(one: tarfile.TarInfo) -> tuple[int, int, int, int]:
    return one.mode, one.uid, one.gid, one.size


def test_set_id_bits_owners_and_capabilities_survive(debian: Debian) -> None:
    before, after = debian.before, debian.after
    special = [path for path, one in before.items() if one.isreg() and one.mode & 0o6000]
    assert special, "the source has no set-id program to look at"
    assert {p: facts(after[p]) for p in special} == {p: facts(before[p]) for p in special}
    capable = {path: one.pax_headers.get(CAPABILITY) for path, one in before.items()}
    assert any(capable.values()), "the source has no file capability to look at"
    assert {path: after[path].pax_headers.get(CAPABILITY) for path in capable} == capable


def test_the_base_is_unpacked_by_the_first_deploy_only(debian: Debian) -> None:
    assert debian.first.unpacks() == 1
    before = digest(debian.result)
    again = debian.world.deploy()
    assert again.code == 0, str(again)
    assert again.unpacks() == 0
    assert digest(debian.result) == before


def test_every_engine_makes_the_same_bytes(debian: Debian, site: Site) -> None:
    found = digest(debian.result)
    assert DIGESTS.setdefault("debian", found) == found, f"{site.kind} differs from the first"


def test_progress_is_told_while_it_is_unpacked(debian: Debian) -> None:
    told = debian.first.events("Progress")
    assert told
    assert told[-1]["done"] == told[-1]["total"] == debian.world.source.stat().st_size
