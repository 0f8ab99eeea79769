"""The control: the same attack scripts as a helper's root, where no confinement is in their way.

What gets through here shows that the attack is a real one. It is done on explicit request only, in
a container with more rights than a helper has, and harms nothing: see attacks.configure.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from containerdeploy import syscalls
from containerdeploy.engine import ContainerSpec, Mount
from containerdeploy.frozen import replace
from containerdeploy.selftest import attacks, controls, inside, scripted
from containerdeploy.selftest.finding import Finding
from containerdeploy.selftest.ground import Ground

PORT = 4711
ALLOW_ALL = json.dumps({"defaultAction": "SCMP_ACT_ALLOW"})
# So that each attack meets nothing but what it is up against; as far as this machine has them.
MORE = (
    "SYS_PTRACE DAC_READ_SEARCH NET_ADMIN NET_RAW SYS_CHROOT SYSLOG SYS_NICE SYS_RAWIO SYS_MODULE "
    "SYS_RESOURCE IPC_LOCK"
).split()


def attempt(ground: Ground) -> Iterator[Finding]:
    """Run the scripts without the inner ring; yield what got through."""
    directory = ground.directory / "control"
    directory.mkdir()
    for name, text in attacks.files().items():
        (directory / name).write_text(text, encoding="utf-8")
    order = {
        "with-host": sorted(controls.WITH_HOST),
        "in-own-network": sorted(controls.IN_OWN_NETWORK),
        "scripts": [one.name for one in scripted.SCRIPTED if not one.no_control],
        "port": PORT,
    }
    argv = ("python3", f"/definitions/{attacks.CONTROL}", json.dumps(order))
    said = inside.run(
        ground.engine, ground.image, ground.store, argv, lambda plain: _weaker(plain, directory)
    )
    for finding in attacks.findings(said):
        is_lacking = finding.name in controls.MAY_LACK and any(
            words in finding.evidence for words in controls.LACKING
        )
        if finding.verdict == "contained" and is_lacking:
            yield replace(finding, verdict="not tried", evidence=f"this kernel: {finding.evidence}")
        else:
            yield finding


def _weaker(plain: ContainerSpec, directory: Path) -> ContainerSpec:
    """The helper's container with more rights, the host's kernel files and nothing refused."""
    profile = directory / "allow-all.json"
    profile.write_text(ALLOW_ALL, encoding="utf-8")
    mounts = [
        Mount(kind="bind", source=str(directory), target="/definitions", read_only=True),
        Mount(kind="bind", source="/proc", target="/host/proc"),
        Mount(kind="bind", source="/sys", target="/host/sys"),
        Mount(kind="bind", source="/dev", target="/host/dev"),
        Mount(kind="tmpfs", target="/tree", size_bytes=1 << 20),
    ]
    return replace(
        plain,
        mounts=[*plain.mounts, *mounts],
        capabilities=sorted({*plain.capabilities, *_had(MORE)}),
        seccomp=ALLOW_ALL,
        seccomp_path=str(profile),
        network=True,
        loop_devices=True,
    )


def _had(names: Iterable[str]) -> Iterator[str]:
    """Leave out what this machine can't give: an engine would refuse to start."""
    rows = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    bounding = int(next(row.split()[1] for row in rows if row.startswith("CapBnd")), 16)
    return (name for name in names if bounding >> syscalls.CAPABILITIES[name] & 1)
