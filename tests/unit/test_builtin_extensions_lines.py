"""The built-in extensions that append lines: fstab, hosts and sshkeys, run for real."""

import os
import stat
from pathlib import Path

import pytest
from extension_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes owners, as root only")


def test_lines_are_sorted_by_value_in_code_point_order(world: World) -> None:
    values = {
        "FSTAB_A": "b",
        "FSTAB_B": "a",
        "FSTAB_C": "B",
        "FSTAB_D": "\U0001f600",
        "FSTAB_": "a",
    }
    world.configure("fstab", FSTAB_E="\uffee", FSTAB="no", **values)
    assert world.read("/etc/fstab") == "B\na\na\nb\n\uffee\n\U0001f600\n"


def test_values_are_taken_verbatim(world: World) -> None:
    value = 'LABEL="a $HOME" /it\'s\\040here `id` %s a=b=c\n# two\udcff'
    world.configure("fstab", FSTAB_A=value)
    assert world.read("/etc/fstab") == value + "\n"


def test_a_last_line_without_newline_gets_one(world: World) -> None:
    (world.tree / "etc/fstab").write_text("old")
    world.configure("fstab", FSTAB_A="new")
    assert world.read("/etc/fstab") == "old\nnew\n"


@needs_root
@pytest.mark.parametrize(("name", "key"), [("fstab", "FSTAB_A"), ("hosts", "HOSTS_A")])
def test_fstab_and_hosts_end_up_with_root_and_0644(world: World, name: str, key: str) -> None:
    file = world.tree / "etc" / name
    file.write_text("# old\n")
    file.chmod(0o600)
    os.chown(file, 5, 6)
    world.configure(name, **{key: "::1 localhost"})
    found = file.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o644, 0, 0)
    assert file.read_text() == "# old\n::1 localhost\n"


def test_hosts_of_both_families_are_appended(world: World) -> None:
    world.configure("hosts", HOSTS_B="fe80::1 b b.example", HOSTS_A="10.0.0.1\ta # mine")
    assert world.read("/etc/hosts") == "10.0.0.1\ta # mine\nfe80::1 b b.example\n"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "is empty"),
        ("  # only a comment", "is empty"),
        ("10.0.0.1", "names no host"),
        ("10.0.0.1 # a", "names no host"),
        ("10.0.0.256 a", "'10.0.0.256' is not an IPv4 or IPv6 address"),
        ("10.0.1 a", "is not an IPv4"),
        ("a 10.0.0.1", "'a' is not"),
        ("fe80::1::2 a", "is not an IPv4 or IPv6"),
        ("10.0.0.1 a\nrubbish", "'rubbish' is not"),
        ("10.0.0.\udcff a", "is not an IPv4 or IPv6"),
    ],
)
def test_what_is_no_line_of_hosts_is_refused(world: World, value: str, reason: str) -> None:
    line = world.refusal("hosts", HOSTS_GOOD="10.0.0.1 good", HOSTS_BAD=value)
    assert "HOSTS_BAD" in line
    assert reason in line


def test_keys_are_appended_in_the_order_given(world: World) -> None:
    world.write("keys/a.pub", "ssh-ed25519 AAAA a")
    world.write("b.pub", "ssh-ed25519 BBBB b\nssh-rsa CCCC c\n")
    ssh = world.tree / "root/.ssh"
    ssh.mkdir(parents=True, mode=0o755)
    (ssh / "authorized_keys").write_text("old")
    world.configure("sshkeys", SSHKEYS="  b.pub\n\tkeys/a.pub ")
    expected = "old\nssh-ed25519 BBBB b\nssh-rsa CCCC c\nssh-ed25519 AAAA a\n"
    assert world.read("/root/.ssh/authorized_keys") == expected
    assert (world.mode("/root/.ssh"), world.mode("/root/.ssh/authorized_keys")) == (0o700, 0o600)


def test_the_ssh_directory_is_made(world: World) -> None:
    world.write("a.pub", "ssh-ed25519 AAAA a\n")
    world.configure("sshkeys", SSHKEYS="a.pub")
    assert world.mode("/root/.ssh") == 0o700
    assert world.read("/root/.ssh/authorized_keys") == "ssh-ed25519 AAAA a\n"


def test_keys_that_can_not_be_used_are_refused(world: World) -> None:
    world.write("good.pub", "ssh-ed25519 AAAA a\n")
    world.write("empty.pub", "\n")
    world.write("id", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n")
    os.mkfifo(world.definitions / "fifo")
    for path, reason in (
        ("missing.pub", "cannot read 'missing.pub': No such file or directory"),
        ("empty.pub", "is empty"),
        ("id", "is a private key: name the public one, id.pub"),
        ("fifo", "is not a regular file"),
        ("good*", "cannot read 'good*'"),
    ):
        assert reason in world.refusal("sshkeys", SSHKEYS=f"good.pub {path}")
