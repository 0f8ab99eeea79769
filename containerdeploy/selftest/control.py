"""The control: the same attack scripts as a helper's root, where no confinement is in their way.

What gets through here shows that the attack is a real one. It is done on explicit request only, in
a container with more rights than a helper has, and harms nothing: see attacks.configure.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from containerdeploy.engine import ContainerSpec, Mount
from containerdeploy.frozen import replace
from containerdeploy.selftest import attacks, inside
from containerdeploy.selftest.finding import Finding
from containerdeploy.selftest.ground import Ground

ALLOW_ALL = json.dumps({"defaultAction": "SCMP_ACT_ALLOW"})
# So that each attack meets nothing but what it is up against.
MORE = ("SYS_PTRACE", "DAC_READ_SEARCH", "NET_ADMIN", "NET_RAW", "SYS_CHROOT")
# Not tried as the container's root: it would be the host's that runs out.
DANGEROUS = ("use_up_the_hosts_inotify",)


def attempt(ground: Ground) -> Iterator[Finding]:
    """Run the scripts without the inner ring; yield what got through."""
    directory = ground.directory / "control"
    directory.mkdir()
    for name, text in attacks.files().items():
        (directory / name).write_text(text, encoding="utf-8")
    argv = ("python3", f"/definitions/{attacks.MAIN}", f"--without={','.join(DANGEROUS)}")
    said = inside.run(
        ground.engine, ground.image, ground.store, argv, lambda plain: _weaker(plain, directory)
    )
    shutil.rmtree(directory)
    yield from attacks.findings(said)


def _weaker(plain: ContainerSpec, directory: Path) -> ContainerSpec:
    profile = directory / "allow-all.json"
    profile.write_text(ALLOW_ALL, encoding="utf-8")
    mounts = [
        Mount(kind="bind", source=str(directory), target="/definitions", read_only=True),
        Mount(kind="tmpfs", target="/tree", size_bytes=1 << 20),
    ]
    return replace(
        plain,
        mounts=[*plain.mounts, *mounts],
        capabilities=sorted({*plain.capabilities, *MORE}),
        seccomp=ALLOW_ALL,
        seccomp_path=str(profile),
    )
