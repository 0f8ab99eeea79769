"""What the programs that an extension calls demand: an image, the network, a privilege."""

import re
from collections.abc import Iterator, Sequence

from containerdeploy import images
from containerdeploy.migration.model import Call, Oddity

# Programs that are of no use without a network; the others of it only with another host's name.
_NETWORK = frozenset(
    "ssh scp sftp curl wget ssh-copy-id ssh-keyscan nova glance openstack keystone cinder aws "
    "ec2-upload virt-install virsh".split()
)
_REMOTE = re.compile(r"@|\w:|%s:|\bssh\b|\b(?:clone|fetch|pull|push|ls-remote)\b")
_SOMETIMES = frozenset(["rsync", "git"])
# Programs that no image of the product has, with what to do instead where that is known.
_NOWHERE = frozenset(
    "virt-install virsh nova glance keystone cinder openstack aws qemu-img kvm-img qemu-nbd "
    "VBoxManage mksquashfs genisoimage mkisofs xorriso ansible ansible-playbook docker "
    "systemd-nspawn kpartx dmsetup curl wget jq vmdebootstrap debootstrap grub-install".split()
)
_FORBIDDEN = {
    "modprobe": "loads a kernel module",
    "insmod": "loads a kernel module",
    "mknod": "makes a device node",
    "dmsetup": "sets up a mapped device",
    "kpartx": "sets up mapped devices",
    "qemu-nbd": "sets up a network block device",
    "systemctl": "speaks to a running init",
    "service": "speaks to a running init",
    "iptables": "changes the network",
    "ifconfig": "changes the network",
    "sysctl": "changes the kernel's settings",
    "swapon": "changes the running system",
    "reboot": "changes the running system",
    "sudo": "asks for more rights",
    "unshare": "makes namespaces",
    "systemd-nspawn": "makes namespaces",
    "docker": "speaks to a container engine",
}
_HARMLESS = {"systemctl": "--root", "mknod": " p"}
_BY_GRANT = frozenset(["losetup", "mount", "umount"])
_LOOP = re.compile(r"\bloop\b|losetup")


def tools(calls: Sequence[Call]) -> dict[str, int]:
    """Return the programs that not every image has, each with the line that calls it first.

    What a grant of loop devices brings along is left out where loop devices are used.
    """
    found: dict[str, int] = {}
    granted = _BY_GRANT if loop(calls) else frozenset[str]()
    for call in calls:
        name = _name(call)
        if name not in granted and (name in images.ONLY_LEGACY or name in _NOWHERE):
            found.setdefault(name, call.line)
    return found


def nowhere(calls: Sequence[Call]) -> Iterator[Oddity]:
    """Yield the programs that no image of the product has."""
    for name, line in tools(calls).items():
        if name in _NOWHERE:
            text = f"calls {name}, which no image of containerdeploy has"
            yield Oddity(line=line, text=text, advice="name an image that has it with 'image:'")


def network(calls: Sequence[Call]) -> Call | None:
    """Return the first call that talks to another host, or None."""
    for call in calls:
        name = _name(call)
        if name in _NETWORK or (name in _SOMETIMES and _REMOTE.search(call.words)):
            return call
    return None


def loop(calls: Sequence[Call]) -> Call | None:
    """Return the first call that uses a loop device, or None."""
    wanted = (call for call in calls if _name(call) in ("mount", "losetup"))
    return next((call for call in wanted if _LOOP.search(call.words)), None)


def refused(calls: Sequence[Call]) -> Iterator[Oddity]:
    """Yield what no extension may do."""
    has_loop = loop(calls) is not None
    seen = set()
    for call in calls:
        name = _name(call)
        does = "mounts" if name == "mount" and not has_loop else _FORBIDDEN.get(name)
        is_fine = name in _HARMLESS and _HARMLESS[name] in call.words
        if does and not is_fine and name not in seen:
            seen.add(name)
            text = f"{does} ({name}), which no extension may"
            yield Oddity(line=call.line, text=text, advice="change the tree's files instead")


def _name(call: Call) -> str:
    return call.program.rpartition("/")[2]
