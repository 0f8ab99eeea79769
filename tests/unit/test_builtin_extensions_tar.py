"""The built-in write extension tar, run for real and held against GNU tar."""

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest
from extension_trees import ATTRIBUTES, EPOCH, OLD_NS, acl, described, make_tree, write_extension

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes device nodes, as root only")

GNU_TAR = ("tar", "--sort=name", "--format=pax", "--numeric-owner", "--xattrs")
SUFFIXES = {
    "tar": None,
    "tar.gz": ("gzip", "-dc"),
    "tgz": ("gzip", "-dc"),
    "tar.zst": ("zstd", "-dcq"),
    "tzst": ("zstd", "-dcq"),
    "tar.xz": ("xz", "-dcq"),
    "txz": ("xz", "-dcq"),
    "img": None,
    "tar.gz.part": None,
}


def packed(tree: Path, location: Path) -> bytes:
    """Return the archive that tar.write makes, without a word."""
    done = write_extension("tar.write", tree, location)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return location.read_bytes()


def unpacked(archive: Path, directory: Path) -> Path:
    directory.mkdir()
    options = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xp"]
    subprocess.run(["tar", *options, "-C", directory, "-f", archive], check=True)
    return directory


def test_everything_but_sockets_and_late_times_is_kept(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    packed(tree, tmp_path / "a.tar")
    result = unpacked(tmp_path / "a.tar", tmp_path / "result")
    (tree / "socket").unlink()
    for name in ("new\nline", "attributes"):
        assert (result / name).stat().st_mtime == EPOCH
        os.utime(tree / name, (EPOCH, EPOCH))
    os.utime(tree, ns=(OLD_NS, OLD_NS))
    assert described(result) == described(tree)
    assert os.getxattr(result / "attributes", "trusted.t") == ATTRIBUTES["trusted.t"]


def test_gnu_tar_lists_the_same_members_as_in_its_own_archive(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    packed(tree, tmp_path / "a.tar")
    (tree / "socket").unlink()
    os.utime(tree, ns=(OLD_NS, OLD_NS))
    clamped = (f"--mtime=@{EPOCH}", "--clamp-mtime", "--xattrs-include=*")
    subprocess.run([*GNU_TAR, *clamped, "-C", tree, "-cf", tmp_path / "b.tar", "."], check=True)
    ours, theirs = (
        subprocess.check_output([*GNU_TAR, "-tvvf", archive], cwd=tmp_path).splitlines()
        for archive in ("a.tar", "b.tar")
    )
    # Attributes are on lines of their own, indented, and sorted in ours only.
    assert sorted(ours) == sorted(theirs)
    assert [line for line in ours if line[:1] != b" "] == [
        line for line in theirs if line[:1] != b" "
    ]


def test_acls_are_numbers_and_in_both_forms(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/f").write_text("")
    os.setxattr(tmp_path / "tree/f", "system.posix_acl_access", acl(user=0))
    packed(tmp_path / "tree", tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar", errors="surrogateescape") as archive:
        headers = archive.getmember("./f").pax_headers
    text = "user::rw-\nuser:0:rw-\ngroup::r--\nmask::rw-\nother::r--\n"
    assert headers["SCHILY.acl.access"] == text
    assert "SCHILY.xattr.system.posix_acl_access" in headers


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_tree_gives_one_archive(tmp_path: Path, suffix: str) -> None:
    one = packed(make_tree(tmp_path / "one"), tmp_path / f"one.{suffix}")
    two = packed(make_tree(tmp_path / "two", backwards=True), tmp_path / f"two.{suffix}")
    plain = packed(tmp_path / "two", tmp_path / "plain.tar")
    assert one == two
    expand = SUFFIXES[suffix]
    assert (subprocess.check_output(expand, input=one) if expand else one) == plain


def test_sparseness_does_not_show(tmp_path: Path) -> None:
    archives = []
    for name in ("holes", "full"):
        (tmp_path / name).mkdir()
        with open(tmp_path / name / "f", "wb") as file:
            file.truncate(1 << 20)
            if name == "full":
                file.write(bytes(1 << 20))
        for path in (tmp_path / name / "f", tmp_path / name):
            os.utime(path, (1, 1))
        archives.append(packed(tmp_path / name, tmp_path / f"{name}.tar"))
    assert archives[0] == archives[1]


def test_headers_hold_no_clock_and_no_process(tmp_path: Path) -> None:
    archive = packed(make_tree(tmp_path / "tree"), tmp_path / "a.tar")
    assert b"atime=" not in archive
    assert b"ctime=" not in archive
    assert b"/PaxHeaders/" in archive
    with tarfile.open(tmp_path / "a.tar", errors="surrogateescape") as opened:
        members = opened.getmembers()
    assert all(name == "." or name.startswith("./") for name in (m.name for m in members))
    assert max(member.mtime for member in members) == EPOCH
    assert {member.uname for member in members} == {""}


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.zst"])
def test_a_fifo_serves_as_the_location(tmp_path: Path, suffix: str) -> None:
    tree = make_tree(tmp_path / "tree")
    expected = packed(tree, tmp_path / f"a.{suffix}")
    fifo = tmp_path / f"fifo.{suffix}"
    os.mkfifo(fifo)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    reader.start()
    assert write_extension("tar.write", tree, fifo).returncode == 0
    reader.join()
    assert fifo.is_fifo()
    assert got == [expected]


def test_gzip_works_in_blocks_that_any_reader_joins(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "f").write_bytes(b"".join(b"%d " % (n * n) for n in range(800_000)))
    plain = packed(tree, tmp_path / "a.tar")
    compressed = packed(tree, tmp_path / "a.tar.gz")
    one_core = write_extension("tar.write", tree, tmp_path / "b.tgz", prefix=["taskset", "-c", "0"])
    assert len(plain) > 2 * (4 << 20)
    assert gzip.decompress(compressed) == plain
    assert one_core.returncode == 0
    assert (tmp_path / "b.tgz").read_bytes() == compressed


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.zst", "tar.xz"])
def test_a_full_disk_is_one_clear_line(tmp_path: Path, suffix: str) -> None:
    location = tmp_path / f"full.{suffix}"
    location.symlink_to("/dev/full")
    done = write_extension("tar.write", make_tree(tmp_path / "tree"), location)
    assert done.returncode == 1
    assert done.stdout.startswith(f"ERROR: cannot write {location}: ")
    assert "No space left on device" in done.stdout
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.zst"])
def test_a_failing_tar_fails_the_whole(tmp_path: Path, suffix: str) -> None:
    done = write_extension("tar.write", tmp_path / "missing", tmp_path / f"a.{suffix}")
    assert done.returncode == 1
    assert "tar failed (exit code 2)" in done.stdout
    assert "missing: Cannot open: No such file or directory" in done.stdout


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.zst"])
def test_a_reader_that_goes_away_fails_the_whole(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/f").write_bytes(os.urandom(8 << 20))
    fifo = tmp_path / f"fifo.{suffix}"
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: open(fifo, "rb").close())
    reader.start()
    done = write_extension("tar.write", tmp_path / "tree", fifo)
    reader.join()
    assert done.returncode == 1
    assert done.stdout.startswith("ERROR: cannot write ")


@pytest.mark.parametrize(
    ("suffix", "present", "reason"),
    [
        ("tar", (), "no GNU tar here: add the package tar to the helper image"),
        ("tar", ("false tar",), "no GNU tar here"),
        ("tar.gz", ("tar",), "no GNU gzip here"),
        ("tar.zst", ("tar",), "no zstd here: add the package zstd to the helper image"),
        ("tar.xz", ("tar",), "no xz here: add the package xz-utils to the helper image"),
    ],
)
def test_a_missing_program_is_named(
    tmp_path: Path, suffix: str, present: tuple[str, ...], reason: str
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "python3").symlink_to(sys.executable)
    for name in present:
        program = shutil.which(name)
        (tools / name.removeprefix("false ")).symlink_to(program or "/bin/echo")
    location = tmp_path / f"a.{suffix}"
    done = write_extension("tar.write", tmp_path, location, PATH=str(tools))
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith(f"ERROR: {reason}")
    assert not location.exists() or present == ("false tar",)


def test_parameters_do_not_reach_the_programs(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    expected = packed(tree, tmp_path / "a.tar.zst")
    parameters = {"TAR_OPTIONS": "--exclude=d", "ZSTD_CLEVEL": "19", "XZ_OPT": "-0"}
    done = write_extension("tar.write", tree, tmp_path / "b.tar.zst", **parameters)
    assert done.returncode == 0
    assert (tmp_path / "b.tar.zst").read_bytes() == expected


def test_an_epoch_that_is_no_number_is_refused(tmp_path: Path) -> None:
    done = write_extension("tar.write", tmp_path, tmp_path / "a.tar", SOURCE_DATE_EPOCH="today")
    assert done.stdout == "ERROR: SOURCE_DATE_EPOCH 'today' is not a number of seconds\n"
    assert not (tmp_path / "a.tar").exists()


@pytest.mark.parametrize("name", ["tar.write", "sysroot.write"])
def test_a_missing_location_says_how_it_is_used(name: str) -> None:
    done = write_extension(name)
    assert done.returncode == 1
    assert done.stdout.startswith(f"ERROR: usage: {name} ")
