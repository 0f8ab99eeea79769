"""What attacks on the host would change, as a value to compare before and after."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

SETTINGS = ("core_pattern", "modprobe", "hostname", "domainname", "panic", "sysrq", "tainted")
DIRECTORIES = ("/", "/usr/bin", "/usr/sbin", "/etc/cron.d", "/proc/sys/fs/binfmt_misc")
FILES = ("/etc/hosts", "/etc/resolv.conf", "/etc/crontab", "/etc/ld.so.preload")


def look() -> Mapping[str, object]:
    """Return what can be seen of this host; what this user can't read is left out."""
    settings = [Path("/proc/sys/kernel", name) for name in SETTINGS]
    settings += [Path("/sys/kernel/uevent_helper"), *Path("/sys/fs/cgroup").glob("*/release_agent")]
    found: dict[str, object] = {}
    for path in (*settings, *map(Path, FILES)):
        with suppress(OSError):
            found[str(path)] = path.read_bytes()
    for directory in DIRECTORIES:
        with suppress(OSError):
            found[directory] = sorted(path.name for path in Path(directory).iterdir())
    found["root's account"] = Path("/etc/passwd").read_text().splitlines()[:1]
    return found


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Name what is no longer as it was."""
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
