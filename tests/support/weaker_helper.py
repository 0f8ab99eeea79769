"""Runs a program as a helper's root, with more than a helper may and without confinement.

Run as a script, as whoever the engine is for.
"""

import json
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

from containerdeploy import places
from containerdeploy.engine.base import ContainerSpec, Mount
from containerdeploy.engine.choose import open_engine
from containerdeploy.frozen import replace
from containerdeploy.helper import spec
from containerdeploy.images import HELPER

PATIENCE_S = 120.0
ALLOW_ALL = json.dumps({"defaultAction": "SCMP_ACT_ALLOW"})
# So that each attack meets nothing but what it is up against.
MORE = ("SYS_PTRACE", "DAC_READ_SEARCH", "NET_ADMIN", "NET_RAW", "SYS_CHROOT")


def main(engine_name: str, directory: str, argv: Sequence[str]) -> None:
    """Run `argv` with `directory` as its definitions; what it says goes to stdout."""
    engine = open_engine(engine_name, places.home()).engine
    container = engine.create(_weaker(Path(directory), argv))
    try:
        attached = engine.attach(container)
        try:
            engine.start(container)
            while piece := attached.read(PATIENCE_S):
                sys.stdout.buffer.write(piece[1])
        finally:
            attached.close()
    finally:
        engine.remove(container)
        engine.close()


def _weaker(directory: Path, argv: Sequence[str]) -> ContainerSpec:
    plain = spec.bare(f"control-{uuid.uuid4().hex[:12]}", HELPER, places.store(), "test")
    profile = directory / "allow-all.json"
    profile.write_text(ALLOW_ALL)
    mounts = [
        Mount(kind="bind", source=str(directory), target="/definitions", read_only=True),
        Mount(kind="tmpfs", target="/tree", size_bytes=1 << 20),
    ]
    return replace(
        plain,
        argv=argv,
        mounts=[*plain.mounts, *mounts],
        capabilities=sorted({*plain.capabilities, *MORE}),
        seccomp=profile.read_text(),
        seccomp_path=str(profile),
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
