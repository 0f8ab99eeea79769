"""The self-test, as users run it: every attack is made on every engine, and none gets through."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from sites import Site

from containerdeploy.selftest import FAMILIES, attacks, host_state

MOST_TOLD = 300
# Attacks that succeed for the container's root on any engine and kernel that tests run on.
REAL = """
    bind_mount bpf call_the_host_another_name change_a_mount chroot_escape compare_with_pid_1
    core_pattern_of_a_fresh_proc descriptors_of_pid_1 detached_mount devtmpfs
    environment_of_pid_1 fanotify file_by_handle gain_by_a_setuid_program join_its_own_namespace
    join_the_agents_namespaces keyring keyring_of_the_session make_a_device
    make_a_device_in_the_tree mark_of_overlayfs memory_of_pid_1 mount_over_the_tools
    mount_the_hosts_disk network_interface new_file_system own_mount_namespace
    own_network_namespace own_pid_namespace own_user_namespace own_user_namespace_by_clone3
    packet_socket perf pivot raw_socket read_into_pid_1 remount_the_definitions root_of_pid_1
    sysfs take_a_descriptor the_store trace_a_child trace_pid_1 unmount userfaultfd
""".split()
# What an ordinary user's helper can't do either, and what the kernel asks for: its root is root of
# a user namespace only. An extension there is up against the kernel, not against its confinement.
NOT_A_USERS = {
    "bpf": "CAP_BPF on the host, where unprivileged_bpf_disabled is set",
    "core_pattern_of_a_fresh_proc": "the host's root: the file is its own",
    "devtmpfs": "CAP_SYS_ADMIN on the host: no user namespace may mount it",
    "fanotify": "CAP_SYS_ADMIN on the host for this class of notice",
    "file_by_handle": "CAP_DAC_READ_SEARCH on the host",
    "make_a_device": "CAP_MKNOD on the host",
    "make_a_device_in_the_tree": "CAP_MKNOD on the host",
    "mark_of_overlayfs": "CAP_SYS_ADMIN on the host for trusted attributes",
    "mount_the_hosts_disk": "CAP_MKNOD on the host for its node, CAP_SYS_ADMIN to mount it",
    "perf": "CAP_PERFMON on the host, where perf_event_paranoid forbids to watch the kernel",
    "sysfs": "a sysfs of one's own in sight: a new one may show no more than that",
    "userfaultfd": "CAP_SYS_PTRACE on the host, where unprivileged_userfaultfd is not set",
}


@dataclass(frozen=True, kw_only=True)
class Siege:
    """What the self-test said, and what this machine was like before and after."""

    code: int
    said: Mapping[str, Any]
    changed: list[str]
    left: Mapping[str, list[str]]

    def named(self, verdict: str) -> dict[str, str]:
        found = [one for one in self.said["findings"] if one["verdict"] == verdict]
        return {one["name"]: one["evidence"][:MOST_TOLD] for one in found}


def besieged(site: Site, *options: str) -> Siege:
    before, residue = host_state.look(), site.residue()
    environment = {"TMPDIR": str(site.directory)}
    ran = site.run(site.argv("selftest isolation", "--json", *options), site.directory, environment)
    assert ran.stdout.startswith("{"), ran.stderr
    return Siege(
        code=ran.returncode,
        said=json.loads(ran.stdout),
        changed=host_state.differences(before, host_state.look()),
        left=site.left_since(residue),
    )


@pytest.fixture(scope="module")
def siege(site: Site) -> Siege:
    return besieged(site)


@pytest.fixture(scope="module")
def compat(site: Site) -> Siege:
    """The same attacks as real root; Podman's helper is Docker's in this."""
    if site.kind not in ("local", "docker"):
        pytest.skip(
            "compat isolation is for engines that run as root; Docker's stands for Podman's"
        )
    return besieged(site, "--isolation=compat")


@pytest.fixture(scope="module")
def control(site: Site) -> Siege:
    return besieged(site, "--control")


def test_no_attack_gets_through(siege: Siege) -> None:
    assert siege.named("got through") == {}
    assert siege.code == 0


def test_every_attack_is_tried(siege: Siege) -> None:
    told = [one["name"] for one in siege.said["findings"]]
    scripts = sum(text.count("\n@attack\n") for text in attacks.files().values())
    assert len(told) == len(set(told)) > scripts >= 76
    assert siege.named("not tried") == {}
    assert {one["family"] for one in siege.said["findings"]} == set(FAMILIES)


def test_the_machine_is_what_it_was(siege: Siege, control: Siege) -> None:
    assert siege.changed == control.changed == []
    assert siege.left == control.left == {}


def test_the_place_of_the_attacks_is_told(site: Site, siege: Siege) -> None:
    assert siege.said["isolation"] == ("rootless" if site.kind == "user" else "strict")
    assert siege.said["kernel"]
    assert not siege.said["control"]


def test_the_attacks_are_real(site: Site, control: Siege) -> None:
    """Each of these gets through where the extension's confinement is not in its way."""
    expected = set(REAL) - (set(NOT_A_USERS) if site.kind == "user" else set())
    assert expected - set(control.named("got through")) == set()
    assert control.said["control"]
    assert control.code == 0


def test_no_attack_gets_through_to_real_root_without_its_capabilities(compat: Siege) -> None:
    assert compat.named("got through") == {}
    assert compat.named("not tried") == {}
    assert (compat.code, compat.changed, compat.left) == (0, [], {})
    assert compat.said["isolation"] == "compat"
    told = " ".join(compat.said["weaker"])
    assert "real root" in told
    assert "loopback" not in told
