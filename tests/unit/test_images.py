"""The sample root file system and the image archive: what is in them, that they are repeatable."""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

IMAGES = Path(__file__).resolve().parents[2] / "images"


@pytest.fixture
def members(sample_root: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(sample_root) as archive:
        return {member.name: member for member in archive}


def test_the_sample_is_the_same_bytes_every_time(sample_root: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.tar.gz"
    subprocess.run([sys.executable, IMAGES / "sample" / "make.py", again], check=True)
    assert again.read_bytes() == sample_root.read_bytes()


def test_the_sample_has_one_of_every_oddity(members: dict[str, tarfile.TarInfo]) -> None:
    assert members["./bin/bbsuid"].mode == 0o4711
    assert members["./bin/sh"].islnk()
    assert members["./bin/sh"].linkname == "./bin/busybox"
    assert members["./bin/su"].issym()
    assert members["./etc/shadow"].gid == 42
    assert members["./run/initctl"].isfifo()
    xattrs = members["./usr/share/doc/README"].pax_headers
    assert xattrs["SCHILY.xattr.user.origin"] == "containerdeploy sample"


def test_every_member_of_the_sample_has_its_parent_before_it(
    members: dict[str, tarfile.TarInfo],
) -> None:
    seen = {"."}
    for name in members:
        parent = name.rpartition("/")[0]
        assert not parent or parent in seen, name
        seen.add(name)


def test_cleaning_a_new_root_leaves_the_settings_of_its_package_manager(tmp_path: Path) -> None:
    for directory in ("tmp", "etc", "var/log"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "tmp" / "apt.conf").write_text("holds apt to this tree")
    (tmp_path / "var" / "log" / "dpkg.log").write_text("when and where")
    assert _forget(str(tmp_path), cwd=tmp_path) == 0
    assert (tmp_path / "tmp" / "apt.conf").exists()
    assert not (tmp_path / "var" / "log" / "dpkg.log").exists()


@pytest.mark.parametrize("tree", ["", "/nowhere/at/all"])
def test_cleaning_a_root_that_is_not_there_touches_nothing_else(tmp_path: Path, tree: str) -> None:
    for directory in ("etc", "var/log"):
        (tmp_path / directory).mkdir(parents=True)
    precious = [tmp_path / "etc" / "hostname", tmp_path / "var" / "log" / "dpkg.log"]
    for file in precious:
        file.write_text("this machine's own")
    assert _forget(tree, cwd=tmp_path) != 0
    assert [file.read_text() for file in precious] == ["this machine's own"] * 2


def _forget(tree: str, *, cwd: Path) -> int:
    program = "import rootfs; print(rootfs.FORGET)"
    argv = [sys.executable, "-c", program]
    script = subprocess.run(argv, cwd=IMAGES, capture_output=True, text=True, check=True).stdout
    ran = subprocess.run(["sh", "-c", script, "sh", tree], cwd=cwd, check=False)
    return ran.returncode


def test_an_archive_has_an_id_that_depends_on_its_content_alone(tmp_path: Path) -> None:
    layer = tmp_path / "root.tar"
    layer.write_bytes(b"not really a tar")
    first, second = (_archive(layer, tmp_path / name) for name in ("a.tar", "b.tar"))
    assert first == second
    layer.write_bytes(b"another one")
    assert _archive(layer, tmp_path / "c.tar") != first


def test_an_archive_names_its_configuration_by_digest(tmp_path: Path) -> None:
    layer = tmp_path / "root.tar"
    layer.write_bytes(b"not really a tar")
    _archive(layer, tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as archive:
        [entry] = json.loads(_content(archive, "manifest.json"))
        config = _content(archive, entry["Config"])
    assert entry["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
    digest = hashlib.sha256(b"not really a tar").hexdigest()
    assert json.loads(config)["rootfs"]["diff_ids"] == [f"sha256:{digest}"]


def _archive(layer: Path, target: Path) -> str:
    program = (
        "import sys, pathlib, archive;"
        "settings = archive.Settings(environment=('A=b',), command=('sh',), labels={});"
        "archive.write('name:latest', *map(pathlib.Path, sys.argv[1:2]), settings,"
        " pathlib.Path(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", program, layer, target], check=True, cwd=IMAGES)
    with tarfile.open(target) as archive:
        return str(json.loads(_content(archive, "manifest.json"))[0]["Config"])


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def _lines(image: str, file: str) -> list[str]:
    return (IMAGES / image / file).read_text().splitlines()


def test_the_legacy_image_has_every_package_of_the_helper_image() -> None:
    assert set(_lines("helper", "packages")) < set(_lines("legacy", "packages"))


def test_all_images_start_the_agent_in_the_same_surroundings() -> None:
    settings = [
        [line for line in _lines(image, "Dockerfile") if line.startswith(("ENV ", "CMD "))]
        for image in ("helper", "legacy")
    ]
    assert settings[0] == settings[1] != []


def test_every_wheel_of_the_legacy_image_is_pinned_by_version_and_digest() -> None:
    pins = [line for line in _lines("legacy", "wheels") if not line.startswith("#")]
    assert len(pins) == 3
    for pin in pins:
        assert re.fullmatch(r"\w+==[0-9.]+ --hash=sha256:[0-9a-f]{64}", pin)


def test_the_content_of_a_wheel_is_packed_as_the_same_bytes_every_time(tmp_path: Path) -> None:
    wheel = tmp_path / "thing-1.0-py2-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("thing/__init__.py", "print 1\n")
        archive.mkdir("thing/empty")
    program = (
        "import pathlib, sys, wheels\n"
        "for member, content in wheels.members(pathlib.Path(sys.argv[1]), 7):\n"
        "    print(member.name, oct(member.mode), member.mtime, member.uid, content)"
    )
    argv = [sys.executable, "-c", program, str(wheel)]
    told = subprocess.run(argv, cwd=IMAGES, capture_output=True, text=True, check=True).stdout
    place = "usr/local/lib/python2.7/dist-packages/thing/__init__.py"
    assert told == f"{place} 0o644 7 0 b'print 1\\n'\n"
