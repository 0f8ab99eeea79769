"""Sources: told by their bytes, digested once."""

import gzip
import hashlib
import io
import json
import os
import tarfile
import time

import pytest

from containerdeploy.errors import SourceError
from containerdeploy.source import compression, digest


def tar_bytes(format_=tarfile.PAX_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format_) as tar:
        tar.addfile(tarfile.TarInfo("a"), io.BytesIO())
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (gzip.compress(b""), "gz"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"BZh9", "bz2"),
        (b"\x28\xb5\x2f\xfd", "zst"),
        (b"\x50\x2a\x4d\x18", "zst"),
        (tar_bytes(), "none"),
        (tar_bytes(tarfile.USTAR_FORMAT), "none"),
        (bytes(1024), "none"),
    ],
)
def test_compression_is_told_by_the_bytes_not_the_name(tmp_path, content, told):
    path = tmp_path / "x.tar.lie"
    path.write_bytes(content)
    assert compression(path) == told


def test_a_v7_header_without_magic_is_a_tar(tmp_path):
    header = bytearray(512)
    header[0:1] = b"a"
    header[148:156] = b"        "
    header[148:155] = f"{sum(header):06o}\0".encode()
    path = tmp_path / "x"
    path.write_bytes(header)
    assert compression(path) == "none"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"hello" * 200, bytes(100)])
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "x.tar"
    path.write_bytes(content)
    with pytest.raises(SourceError, match="is no tar archive"):
        compression(path)


@pytest.fixture
def archive(tmp_path):
    """An archive that has not changed for a while."""
    path = tmp_path / "a.tar"
    path.write_bytes(b"content")
    return path


def settle(path):
    """Wait until digests of a file are remembered: its change time can't be set."""
    while time.time_ns() - os.stat(path).st_ctime_ns < 2_100_000_000:
        time.sleep(0.1)


def entries(cache):
    return json.loads(cache.read_text()) if cache.exists() else {}


def test_the_digest_is_the_contents(archive, tmp_path):
    assert digest(archive, tmp_path / "c") == hashlib.sha256(b"content").hexdigest()


def test_a_file_that_just_changed_is_not_remembered(archive, tmp_path):
    digest(archive, tmp_path / "c")
    assert entries(tmp_path / "c") == {}


def test_a_settled_file_is_remembered_until_it_changes(archive, tmp_path):
    cache = tmp_path / "deep/c"
    settle(archive)
    first = digest(archive, cache)
    (key,) = entries(cache)
    cache.write_text(json.dumps({key: "f" * 64}))
    assert digest(archive, cache) == "f" * 64
    archive.write_bytes(b"CONTENT")
    assert digest(archive, cache) not in ("f" * 64, first)


def test_setting_the_time_back_does_not_fool_the_cache(archive, tmp_path):
    settle(archive)
    before = os.stat(archive)
    first = digest(archive, tmp_path / "c")
    archive.write_bytes(b"CONTENT")
    os.utime(archive, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digest(archive, tmp_path / "c") != first


@pytest.mark.parametrize("damage", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_cache_is_no_cache(archive, tmp_path, damage):
    (tmp_path / "c").write_bytes(damage)
    assert digest(archive, tmp_path / "c") == hashlib.sha256(b"content").hexdigest()


def test_a_cache_that_can_not_be_written_is_no_failure(archive, tmp_path):
    (tmp_path / "c").mkdir()
    os.utime(archive, (1, 1))
    digest(archive, tmp_path / "c" / "x" / ".." / "..")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: None])
def test_what_is_no_readable_file_is_a_clear_error(tmp_path, make):
    make(tmp_path / "x")
    with pytest.raises(SourceError):
        digest(tmp_path / "x", tmp_path / "c")
