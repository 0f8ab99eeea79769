"""The built-in write extension sysroot, run for real."""

import os
import subprocess
from pathlib import Path

import pytest
from extension_trees import ACL, described, make_tree, write_extension

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes device nodes, as root only")

OWN_USER_NAMESPACE = ("unshare", "--user", "--map-root-user")
SOCKET = "left out: ./socket: a socket, which exists only while a program listens\n"


@pytest.mark.parametrize("exists", [False, True])
def test_everything_but_sockets_is_copied(tmp_path: Path, exists: bool) -> None:
    tree = make_tree(tmp_path / "tree")
    copy = tmp_path / "copy"
    if exists:
        copy.mkdir(mode=0o700)
    done = write_extension("sysroot.write", tree, copy)
    assert (done.returncode, done.stdout, done.stderr) == (0, SOCKET, "")
    expected = described(tree)
    del expected["socket"]
    assert described(copy) == expected
    assert (copy / "sparse").stat().st_blocks * 512 < 1 << 20


def test_device_nodes_that_can_not_be_made_are_listed(tmp_path: Path) -> None:
    if subprocess.run([*OWN_USER_NAMESPACE, "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    tree = make_tree(tmp_path / "tree")
    for path, name in (("d/secret", "access"), ("d", "default")):
        os.removexattr(tree / path, f"system.posix_acl_{name}")
    os.chown(tree / "attributes", 0, 0)
    os.rename(tree / "zero", tree / "new\nzero")
    done = write_extension("sysroot.write", tree, tmp_path / "copy", prefix=OWN_USER_NAMESPACE)
    reason = "a device node, which can't be made here"
    nodes = f"left out: ./new\\nzero: {reason}\nleft out: ./null: {reason}\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, nodes + SOCKET, "")
    left_out = {"null", "new\nzero", "socket"}
    assert set(described(tmp_path / "copy")) == set(described(tree)) - left_out


def test_what_can_not_be_kept_is_listed(tmp_path: Path) -> None:
    if subprocess.run([*OWN_USER_NAMESPACE, "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "f").write_text("")
    os.setxattr(tree / "f", "system.posix_acl_access", ACL)
    done = write_extension("sysroot.write", tree, tmp_path / "copy", prefix=OWN_USER_NAMESPACE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("not kept: ")
    assert "'system.posix_acl_access' extended attribute for file './f'" in done.stdout


def test_attributes_that_can_not_be_read_are_no_error(tmp_path: Path) -> None:
    if subprocess.run([*OWN_USER_NAMESPACE, "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    tree = make_tree(tmp_path / "tree")
    location = tmp_path / "a.tar"
    done = write_extension("tar.write", tree, location, prefix=OWN_USER_NAMESPACE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert b"SCHILY.xattr.user.b=" in location.read_bytes()
    assert b"trusted.t" not in location.read_bytes()


@pytest.mark.parametrize(
    ("plant", "reason"),
    [("full", "is not empty"), ("file", "is not a directory"), ("orphan", "No such file")],
)
def test_a_location_that_can_not_be_filled_is_refused(
    tmp_path: Path, plant: str, reason: str
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    location = tmp_path / "location"
    match plant:
        case "full":
            (location / "full").mkdir(parents=True)
        case "file":
            location.write_text("")
        case _:
            location = location / "below"
    done = write_extension("sysroot.write", tree, location)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("ERROR: ")
    assert done.stdout.count("\n") == 1
    assert reason in done.stdout


def test_a_failing_tar_fails_the_copy(tmp_path: Path) -> None:
    done = write_extension("sysroot.write", tmp_path / "missing", tmp_path / "copy")
    assert done.returncode == 1
    assert "ERROR: " in done.stdout
