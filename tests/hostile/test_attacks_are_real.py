"""The attacks that an extension can't make succeed where its confinement is not in their way."""

import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from host_state import host_state
from sites import Site

from containerdeploy.engine.base import Mount
from containerdeploy.engine.docker import DockerEngine
from containerdeploy.frozen import replace
from containerdeploy.helper import spec

ATTACKS = Path(__file__).with_name("attacks")
IMAGE = "containerdeploy-helper"
PATIENCE_S = 120.0
FORGED = '"hint":"forged"'
# What the control run may do beyond what a helper may, so that each attack meets nobody else.
WEAKER = ("SYS_PTRACE", "DAC_READ_SEARCH", "NET_ADMIN", "NET_RAW", "SYS_CHROOT")
ALLOW_ALL = json.dumps({"defaultAction": "SCMP_ACT_ALLOW"})
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


@pytest.fixture(scope="module")
def control(container_site: Site) -> dict[str, dict[str, Any]]:
    """The same script as root of a container without the extension's confinement."""
    site = container_site
    before = host_state()
    profile = site.directory / "allow-all.json"
    profile.write_text(ALLOW_ALL)
    output = b"".join(_run_weaker(site, profile))
    assert host_state() == before
    lines = output.decode(errors="replace").splitlines()
    assert any(FORGED in line for line in lines)
    found = [json.loads(line) for line in lines if line.startswith('{"attack"')]
    return {one["attack"]: one for one in found}


def _run_weaker(site: Site, profile: Path) -> Iterator[bytes]:
    engine = DockerEngine(site.engine)
    name = f"control-{uuid.uuid4().hex[:12]}"
    store = site.environment["CONTAINERDEPLOY_STORE"]
    plain = spec.bare(name, IMAGE, store, "test")
    definitions = shutil.copytree(ATTACKS, site.directory / "control")
    mounts = [
        Mount(kind="bind", source=str(definitions), target="/definitions", read_only=True),
        Mount(kind="tmpfs", target="/tree", size_bytes=1 << 20),
    ]
    weaker = replace(
        plain,
        argv=["python3", "/definitions/attacks.configure", f"--without={','.join(DANGEROUS)}"],
        mounts=[*plain.mounts, *mounts],
        capabilities=sorted({*plain.capabilities, *WEAKER}),
        seccomp=profile.read_text(),
        seccomp_path=str(profile),
    )
    container = engine.create(weaker)
    try:
        attached = engine.attach(container)
        try:
            engine.start(container)
            while piece := attached.read(PATIENCE_S):
                yield piece[1]
        finally:
            attached.close()
    finally:
        engine.remove(container)
        engine.close()


def test_the_attacks_are_real(control: Mapping[str, Mapping[str, Any]]) -> None:
    """Each of these gets through where the extension's confinement is not in its way."""
    assert {name: one for name in REAL if (one := control[name])["through"] in (None, False)} == {}
