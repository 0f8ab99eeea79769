"""Tar streams into and out of local volumes, and the removal of hostile trees."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from containerdeploy.engine import runtime_files, runtime_tar

pytestmark = pytest.mark.kernel


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as out:
        for member, content in members:
            member.size = len(content)
            member.uid, member.gid = os.geteuid(), os.getegid()
            out.addfile(member, io.BytesIO(content))
    buffer.seek(0)
    return buffer


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").write_text("precious")
    made = tmp_path / "volume"
    made.mkdir()
    return made


def test_what_is_packed_unpacks_the_same(volume: Path, tmp_path: Path) -> None:
    name = "\udcff" + "é" * 100
    (volume / "d").mkdir(mode=0o750)
    (volume / "d" / name).write_bytes(b"x" * 100_001)
    (volume / "d" / name).chmod(0o4711)
    (volume / "d/link").symlink_to("/outside")
    (volume / "empty").touch()
    other = tmp_path / "other"
    other.mkdir()
    runtime_tar.unpack(str(other), ".", runtime_tar.stream_of(runtime_tar.pack(str(volume), ".")))
    assert (other / "d" / name).read_bytes() == b"x" * 100_001
    assert (other / "d" / name).stat().st_mode & 0o7777 == 0o4711
    assert os.readlink(other / "d/link") == "/outside"
    assert (other / "d").stat().st_mode & 0o777 == 0o750
    assert (other / "empty").stat().st_size == 0


@pytest.mark.parametrize(
    "members",
    [
        [(entry("../outside/new"), b"x")],
        [(entry("a", tarfile.SYMTYPE, "../outside"), b""), (entry("a/new"), b"x")],
        [(entry("a", tarfile.SYMTYPE, "/"), b""), (entry("a/etc/new"), b"x")],
        [(entry("a", tarfile.LNKTYPE, "../outside/precious"), b"")],
        [
            (entry("a", tarfile.SYMTYPE, "../outside"), b""),
            (entry("b", tarfile.LNKTYPE, "a/precious"), b""),
        ],
        [(entry("a", tarfile.SYMTYPE, "../outside"), b""), (entry("a", tarfile.DIRTYPE), b"")],
        [(entry("a", tarfile.CHRTYPE), b"")],
    ],
)
def test_no_member_leaves_the_volume(
    volume: Path, tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    with pytest.raises(OSError):
        runtime_tar.unpack(str(volume), ".", archive(*members))
    assert os.listdir(tmp_path / "outside") == ["precious"]
    assert (tmp_path / "outside/precious").stat().st_nlink == 1


def test_a_file_replaces_a_link_instead_of_writing_through_it(volume: Path, tmp_path: Path) -> None:
    (volume / "a").symlink_to("../outside/precious")
    runtime_tar.unpack(str(volume), ".", archive((entry("a"), b"new")))
    assert (volume / "a").read_text() == "new"
    assert (tmp_path / "outside/precious").read_text() == "precious"


@pytest.mark.parametrize("path", ["link", "link/precious", "../outside"])
def test_nothing_is_packed_through_a_link(volume: Path, path: str) -> None:
    (volume / "link").symlink_to("../outside")
    try:
        packed = b"".join(runtime_tar.pack(str(volume), path))
    except OSError:
        return
    with tarfile.open(fileobj=io.BytesIO(packed)) as found:
        assert [one.type for one in found] == [tarfile.SYMTYPE]


def test_any_tree_is_removed_and_only_that(volume: Path, tmp_path: Path) -> None:
    (volume / "link").symlink_to("../outside")
    (volume / ".removed-1").mkdir()
    (volume / ".removed-1/x").touch()
    (volume / ".removed-2").touch()
    (volume / "locked/inner").mkdir(parents=True)
    (volume / "locked").chmod(0o500)
    here = os.open(volume, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("1", dir_fd=here)
        deeper = os.open("1", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    (volume / "locked").chmod(0o700)
    runtime_files.remove_tree(str(volume))
    assert os.listdir(tmp_path) == ["outside"]
    runtime_files.remove_tree(str(volume))
