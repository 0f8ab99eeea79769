"""What all built-in configuration extensions keep to, and set-hostname; run for real."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from extension_world import EXTENSIONS, World, snapshot

from containerdeploy.sidecar import read_sidecar


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes owners, as root only")


NAMES = sorted(path.stem for path in EXTENSIONS.glob("*.configure"))
NOTHING_SET = [name for name in NAMES if name != "simple-network"]


@pytest.mark.parametrize("path", sorted(EXTENSIONS.glob("*.*")), ids=lambda path: path.name)
def test_an_extension_is_executable_and_has_a_manual(path: Path) -> None:
    if path.suffix not in (".configure", ".check", ".write"):
        assert not os.access(path, os.X_OK)
        return
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    if path.suffix != ".check":
        sidecar, problems = read_sidecar(path.with_name(f"{path.name}.yaml"), path.name)
        assert problems == ()
        assert sidecar.summary
        assert sidecar.help
        assert str(sidecar.network) == "none"


@pytest.mark.parametrize("name", NOTHING_SET)
def test_an_extension_without_its_parameters_changes_nothing(world: World, name: str) -> None:
    before = snapshot(world.tree)
    world.configure(name)
    assert snapshot(world.tree) == before


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("set-hostname", "HOSTNAME"),
        ("sshkeys", "SSHKEYS"),
        ("add-config-files", "SRC_CONFIG_DIR"),
        ("install-files", "INSTALL_FILES"),
    ],
)
def test_an_empty_parameter_is_as_good_as_none(world: World, name: str, parameter: str) -> None:
    before = snapshot(world.tree)
    world.configure(name, **{parameter: ""})
    assert snapshot(world.tree) == before


@pytest.mark.parametrize("name", NAMES)
def test_an_extension_without_a_tree_says_how_it_is_used(name: str) -> None:
    done = subprocess.run([EXTENSIONS / f"{name}.configure"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == f"ERROR: usage: {name}.configure TREE\n"


def test_the_host_name_is_written_with_a_newline(world: World) -> None:
    world.configure("set-hostname", HOSTNAME="node-1.example.com")
    assert world.read("/etc/hostname") == "node-1.example.com\n"
    assert world.mode("/etc/hostname") == 0o644


def test_a_missing_etc_is_made(world: World) -> None:
    (world.tree / "etc").rmdir()
    world.configure("set-hostname", HOSTNAME="node")
    assert world.read("/etc/hostname") == "node\n"
    assert world.mode("/etc") == 0o755


@needs_root
def test_an_old_file_keeps_mode_owner_and_attributes(world: World) -> None:
    old = world.tree / "etc/hostname"
    old.write_text("old\n")
    old.chmod(0o640)
    os.chown(old, 7, 8)
    os.setxattr(old, "user.note", b"kept")
    world.configure("set-hostname", HOSTNAME="new")
    found = old.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o640, 7, 8)
    assert os.getxattr(old, "user.note") == b"kept"
    assert os.listdir(world.tree / "etc") == ["hostname"]


@pytest.mark.parametrize(
    "name", ["a b", "a\nb", "-a", "a-", "a..b", ".a", "a/b", "$(id)", "ä", "a" * 64, "a.b" * 30]
)
def test_what_is_no_host_name_is_refused(world: World, name: str) -> None:
    assert "is no host name" in world.refusal("set-hostname", HOSTNAME=name)


@pytest.mark.parametrize("target", ["{outside}/f", "../../../../../../../{outside}/f"])
def test_a_link_out_of_the_tree_is_followed_within_it(world: World, target: str) -> None:
    link = target.format(outside=world.outside)
    (world.tree / "etc/hostname").symlink_to(link)
    world.configure("set-hostname", HOSTNAME="node")
    assert list(world.outside.iterdir()) == []
    assert world.read(f"{world.outside}/f") == "node\n"
    assert (world.tree / "etc/hostname").is_symlink()


def test_an_absolute_link_starts_at_the_tree(world: World) -> None:
    (world.tree / "etc").rmdir()
    (world.tree / "usr/etc").mkdir(parents=True)
    (world.tree / "etc").symlink_to("/usr/etc")
    world.configure("set-hostname", HOSTNAME="node")
    assert world.read("/usr/etc/hostname") == "node\n"


def test_dots_stop_at_the_tree(world: World) -> None:
    (world.tree / "etc").rmdir()
    (world.tree / "etc").symlink_to("..")
    world.configure("set-hostname", HOSTNAME="node")
    assert world.read("/hostname") == "node\n"
    assert not (world.tree.parent / "hostname").exists()


@pytest.mark.parametrize("plant", ["loop", "directory", "fifo"])
def test_what_is_no_file_is_refused(world: World, plant: str) -> None:
    hosts = world.tree / "etc/hosts"
    match plant:
        case "loop":
            hosts.symlink_to("hosts")
        case "directory":
            hosts.mkdir()
        case _:
            os.mkfifo(hosts)
    assert "/etc/hosts: " in world.refusal("hosts", HOSTS_A="10.0.0.1 a")


def test_a_file_in_the_place_of_a_directory_is_refused(world: World) -> None:
    (world.tree / "etc").rmdir()
    (world.tree / "etc").write_text("")
    assert "/etc/fstab: Not a directory" in world.refusal("fstab", FSTAB_A="a b c")


def test_a_file_too_large_to_be_configuration_is_refused(world: World) -> None:
    with open(world.tree / "etc/fstab", "wb") as file:
        file.truncate(1 << 40)
    done = world.run("fstab", FSTAB_A="a b c")
    assert done.returncode == 1
    assert done.stdout == "ERROR: /etc/fstab: has 1099511627776 bytes, too many for such a file\n"


def test_a_linked_ssh_directory_does_not_lead_keys_outside(world: World) -> None:
    world.write("a.pub", "ssh-ed25519 AAAA a\n")
    (world.tree / "root").mkdir()
    (world.tree / "root/.ssh").symlink_to(world.outside)
    world.run("sshkeys", SSHKEYS="a.pub")
    assert list(world.outside.iterdir()) == []
    assert stat.S_IMODE(world.outside.stat().st_mode) == 0o755


def test_a_hard_link_is_broken_not_written_through(world: World) -> None:
    precious = world.outside / "precious"
    precious.write_text("precious\n")
    os.link(precious, world.tree / "etc/fstab")
    world.configure("fstab", FSTAB_A="a b c")
    assert precious.read_text() == "precious\n"
    assert world.read("/etc/fstab") == "precious\na b c\n"


def test_every_extension_says_what_it_writes() -> None:
    for path in EXTENSIONS.glob("*.yaml"):
        sidecar, _ = read_sidecar(path, path.name)
        assert sidecar.writes is not None, path.name
