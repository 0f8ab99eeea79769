"""What an attack on the host would change, as a value to compare."""

import os
from collections.abc import Mapping
from pathlib import Path

SETTINGS = ("core_pattern", "modprobe", "hostname", "panic", "sysrq", "tainted")


def host_state() -> Mapping[str, object]:
    """What an attack on the host would change."""
    paths = [Path("/proc/sys/kernel", name) for name in SETTINGS]
    paths += [Path("/sys/kernel/uevent_helper"), *Path("/sys/fs/cgroup").glob("*/release_agent")]
    return {
        **{str(path): path.read_text() for path in paths if path.exists()},
        "root": Path("/etc/passwd").read_text().splitlines()[0],
        "usr": sorted(os.listdir("/usr/bin")),
        "hosts": Path("/etc/hosts").read_bytes(),
    }
