"""The attacks that an extension can't make succeed where its confinement is not in their way."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import weaker_helper
from host_state import host_state
from sites import Site

ATTACKS = Path(__file__).with_name("attacks")
FORGED = '"hint":"forged"'
# Not tried as the container's root: it would be the host's that runs out.
DANGEROUS = ("use_up_the_hosts_inotify",)
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
    stop_pid_1 sysfs take_a_descriptor the_store trace_a_child trace_pid_1 unmount userfaultfd
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


@pytest.fixture(scope="module")
def control(site: Site) -> dict[str, dict[str, Any]]:
    """The same script as a helper's root without the extension's confinement."""
    before = host_state()
    definitions = shutil.copytree(ATTACKS, site.directory / "control")
    site.give(definitions)
    program = ["python3", "/definitions/attacks.configure", f"--without={','.join(DANGEROUS)}"]
    become = site.person.become if site.person else ()
    argv = [*become, site.python, weaker_helper.__file__, site.engine, str(definitions), *program]
    ended = site.run(argv, site.directory)
    assert ended.returncode == 0, ended.stderr
    assert host_state() == before
    lines = ended.stdout.splitlines()
    assert any(FORGED in line for line in lines)
    found = [json.loads(line) for line in lines if line.startswith('{"attack"')]
    return {one["attack"]: one for one in found}


def test_the_attacks_are_real(site: Site, control: Mapping[str, Mapping[str, Any]]) -> None:
    """Each of these gets through where the extension's confinement is not in its way."""
    expected = set(REAL) - (set(NOT_A_USERS) if site.kind == "user" else set())
    assert {
        name: one for name in expected if (one := control[name])["through"] in (None, False)
    } == {}
