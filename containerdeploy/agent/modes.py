"""Which isolation modes this place can do, found out by trying, and the one that is used.

Nothing is ever weakened without a word: a mode that can't be had ends the job before anything is
unpacked, and compat is used only where the job names it.
"""

import os
from contextlib import ExitStack

from containerdeploy import wire
from containerdeploy.agent import layers
from containerdeploy.agent.identity import COUNT, Identity, establish, natural_mode
from containerdeploy.agent.store import Store

MODES: tuple[wire.Mode, ...] = ("strict", "rootless", "compat")
OK = "ok"
NEEDED = {
    "strict": "overlayfs on id-mapped layers needs Linux 5.19 and a store on ext4, xfs or btrfs",
    "rootless": "overlayfs in a user namespace needs Linux 5.11 and a store that holds user xattrs",
    "compat": "overlayfs needs a store on an ext4, xfs or btrfs disk",
}
INSTEAD = (
    "or, if you trust the extensions about as much as containers of your own, --isolation compat: "
    "they run as real root then, without its capabilities"
)
AS_ROOT = "use an engine that runs as root"


class Unfit(Exception):
    """This place can't do the mode that is asked for; nothing has been unpacked."""

    def __init__(self, brief: str, hint: str) -> None:
        super().__init__(brief)
        self.brief = brief
        self.hint = hint


def settle(wanted: wire.WantedMode, store: Store) -> Identity:
    """Return who extensions will be, in a mode that was tried just now; raise Unfit."""
    natural = natural_mode()
    mode = natural if wanted == "auto" else wanted
    if refusal := _out_of_place(mode, natural):
        raise Unfit(f"{mode} isolation can't be had here: {refusal}", _way_out(mode, natural))
    try:
        identity = establish(mode)
        _try(identity, store)
    except OSError as err:
        hint = "; ".join([NEEDED[mode], *([INSTEAD] if mode == "strict" else [])])
        raise Unfit(f"{mode} isolation can't be had here: {err.strerror or err}", hint) from err
    return identity


def measure(store: Store) -> dict[wire.Mode, str]:
    """Try every mode; return "ok" or why not for each."""
    found = {}
    for mode in MODES:
        try:
            settle(mode, store)
        except Unfit as err:
            found[mode] = str(err).partition(": ")[2]
        else:
            found[mode] = OK
    return found


def weaker(identity: Identity) -> list[str]:
    """Name all that is weaker than in strict mode."""
    told = []
    if identity.rootless:
        told.append("extensions run as the user who started the run, in a user namespace")
        told.append("device nodes of a source are empty files to extensions, with a mark")
    if identity.count < COUNT:
        words = "foreign owners are kept as marks, and can't be given"
        told.append(f"only {identity.count} user id is mapped: {words}")
    if identity.is_real_root:
        told.append(
            "extensions run as real root: capabilities, read-only mounts and the system call "
            "filter alone keep them from the host"
        )
        told.append("files of the tools that only root may read can be read by extensions")
        told.append(
            "epoll watches, locked memory and pipes of extensions count as the host's root's"
        )
        told.append("definitions are shown with their real owners")
    if not identity.has_loopback:
        told.append("extensions without the network have no loopback interface")
    return told


def _out_of_place(mode: wire.Mode, natural: wire.Mode) -> str:
    if natural == "rootless" and mode != "rootless":
        return "the engine runs as an ordinary user"
    if natural == "strict" and mode == "rootless":
        return "the engine runs as root"
    return ""


def _way_out(mode: wire.Mode, natural: wire.Mode) -> str:
    if natural == "rootless":
        return f"{AS_ROOT}, or be content with --isolation rootless"
    return "leave the option out, or use an engine of an ordinary user, such as --engine local"


def _try(identity: Identity, store: Store) -> None:
    """Mount a small layered tree as a deployment would, write to it, and take it down."""
    with ExitStack() as stack:
        name = f"trial-{os.urandom(6).hex()}"
        workspace = stack.enter_context(store.workspace(name))
        base = f"{workspace}/base"
        os.mkdir(base)
        tree = layers.LayeredTree(identity, workspace, name)
        stack.callback(tree.close)
        tree.set_bases([base])
        tree.add_layer()
        with tree.mounted(writable=True):
            if identity.rootless:  # what can't be made is kept so
                os.setxattr(base, "user.containerdeploy.trial", b"")
