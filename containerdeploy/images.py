"""The product's own helper images: names, what `legacy` has more than `helper`."""

from collections.abc import Iterable

HELPER = "containerdeploy-helper:latest"
LEGACY = "containerdeploy-legacy:latest"
OWN = {"helper": HELPER, "legacy": LEGACY}
# What legacy has more than helper, by Debian's package: the programs that extensions call.
_PROGRAMS = {
    "binutils": "ar as ld nm objcopy objdump ranlib readelf strings strip",
    "btrfs-progs": "btrfs btrfs-convert btrfsck btrfstune fsck.btrfs mkfs.btrfs",
    "cpio": "cpio",
    "dosfstools": "fatlabel fsck.fat fsck.msdos fsck.vfat mkdosfs mkfs.fat mkfs.msdos mkfs.vfat",
    "extlinux": "extlinux",
    "fdisk": "cfdisk fdisk sfdisk",
    "git": "git",
    "mount": "losetup mount swapoff swapon umount",
    "mtd-utils": "flash_erase mkfs.jffs2 mkfs.ubifs nanddump nandwrite ubiattach ubinize sumtool",
    "parted": "parted partprobe",
    "python-is-python2": "python",
    "python2": "python2 python2.7",
    "u-boot-tools": "dumpimage mkenvimage mkimage",
    "udev": "udevadm",
}
# Modules that legacy has for Python 2 and 3 alike, and Debian's packages of them for Python 3.
PYTHON_MODULES = {
    "jinja2": "python3-jinja2",
    "markupsafe": "python3-markupsafe",
    "yaml": "python3-yaml",
}
ONLY_LEGACY = {name: package for package, line in _PROGRAMS.items() for name in line.split()}


def full_name(name: str) -> str:
    """Return the image that a short name stands for; any other name is left as it is."""
    return OWN.get(name, name)


def own(name: str) -> str | None:
    """Return the short name of one of our own images, also where a registry is named; else None."""
    base = name.rpartition("/")[2].partition(":")[0]
    return next((short for short, full in OWN.items() if full.partition(":")[0] == base), None)


def how_to_get(name: str) -> str:
    """Say what to do on an engine that has no image `name`."""
    image = " IMAGE=legacy" if own(name) == "legacy" else ""
    return f"build it with `make image{image}`, or name another with --image"


def having(programs: Iterable[str]) -> str | None:
    """Return the short name of the own image that has all these, which `helper` has not."""
    return "legacy" if all(_name(program) in ONLY_LEGACY for program in programs) else None


def packages(programs: Iterable[str]) -> list[str]:
    """Return the Debian packages of these programs, as far as they are known."""
    return sorted({ONLY_LEGACY[name] for name in map(_name, programs) if name in ONLY_LEGACY})


def _name(program: str) -> str:
    return program.rpartition("/")[2]
