"""Overlay mounts: layers in, one tree out, every option quoted and the result checked.

Options hold at most a page, so layers are named relative to a short working directory.
https://docs.kernel.org/filesystems/overlayfs.html
"""

import os
from collections.abc import Callable, Mapping, Sequence

from containerdeploy import syscalls
from containerdeploy.agent.failures import told
from containerdeploy.agent.identity import Identity

FIXED = "redirect_dir=off,metacopy=off,index=off,xino=off"
FIXED_ROOTLESS = "userxattr"
MARKS, MARKS_ROOTLESS = "trusted.overlay.", "user.overlay."
# Layers go with their run. Without this every unmount writes all of their disk's data out.
WITH_UPPER = "volatile"


def marks(identity: Identity) -> str:
    """Return how the names of overlayfs' own attributes begin; all others are data to it."""
    return MARKS_ROOTLESS if identity.rootless else MARKS


def is_mark(name: str, own: str) -> bool:
    """Say whether an attribute of a layer is the overlay's; a step's of such a name lies escaped.

    https://docs.kernel.org/filesystems/overlayfs.html#nesting-overlayfs-mounts
    """
    return name.startswith(own) and not name.startswith(f"{own}overlay.")


def unmarked(attributes: Mapping[str, bytes], own: str) -> dict[str, bytes]:
    """Return a layer's attributes as they are in the tree."""
    escaped = f"{own}overlay."
    return {
        own + name.removeprefix(escaped) if name.startswith(escaped) else name: value
        for name, value in attributes.items()
        if not is_mark(name, own)
    }


def quote(path: str) -> str:
    """Protect what would end a layer's name; the kernel takes a backslash for it."""
    for character in "\\:,":
        path = path.replace(character, "\\" + character)
    return path


def mount(
    identity: Identity,
    target: str,
    directory: str,
    lowers: Sequence[str],
    upper: str | None,
    *,
    plain: bool = False,
) -> None:
    """Mount an overlay at `target`; names of layers are relative to `directory`, topmost first.

    `upper` is a directory that holds `up` and `wk`, or None for a read-only tree of at least two
    layers; `plain` layers are seen with the ids that they have on disk. The mount keeps its
    mounter's credentials, so a child mounts it as the extension's root (else the kernel can't make
    `wk/work` and quietly mounts read-only). Raises OSError.
    """
    options = ["lowerdir=" + ":".join(map(quote, lowers))]
    if upper is not None:
        options += [f"upperdir={quote(upper)}/up", f"workdir={quote(upper)}/wk", WITH_UPPER]
    options.append(FIXED_ROOTLESS if identity.rootless else FIXED)
    text = ",".join(options)
    if len(text) >= os.sysconf("SC_PAGE_SIZE"):
        raise OSError(f"{len(lowers)} layers: their names don't fit an overlay's mount options")
    if plain or not identity.maps_ids:
        _mount(target, directory, text)
    else:
        _in_child(lambda: _mount_as(identity, target, directory, text))
    if upper is not None and os.statvfs(target).f_flag & os.ST_RDONLY:
        syscalls.umount(target, syscalls.MNT_DETACH)
        raise OSError(f"the kernel mounted the overlay at {target} read-only")


def _mount_as(mounter: Identity, target: str, directory: str, options: str) -> None:
    """Mount with the ids of `mounter`'s root."""
    syscalls.set_securebits(syscalls.SECBIT_NO_SETUID_FIXUP)
    syscalls.setfsgid(mounter.base)
    syscalls.setfsuid(mounter.base)
    _mount(target, directory, options)


def _mount(target: str, directory: str, options: str) -> None:
    before = os.open(".", os.O_PATH | os.O_CLOEXEC)
    try:
        os.chdir(directory)
        syscalls.mount("overlay", target, "overlay", syscalls.MS_NODEV, options)
    finally:
        os.fchdir(before)
        os.close(before)


def _in_child(action: Callable[[], None]) -> None:
    """Run `action` in a forked child, whose credentials may change; raise OSError if it fails."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            action()
        except OSError as err:
            os.write(write, str(err).encode(errors="replace")[:4000])
        except BaseException as err:
            os.write(write, told(err).encode(errors="replace")[:4000])
        finally:
            os._exit(0)
    os.close(write)
    try:
        error = os.read(read, 4096)
    finally:
        os.close(read)
        os.waitpid(child, 0)
    if error:
        raise OSError(error.decode(errors="replace"))
