"""Where a write extension writes to, and how what it wrote leaves the helper.

A FIFO, bound as a single file: read by the controller (`piped`) or, on another host, by the agent.
Or a directory of the deployment's own, seen by the extension with its own ids; on a file system
that can't be id-mapped (NFS, FUSE, vfat …) one in the store instead: the file is copied from there.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from containerdeploy import wire
from containerdeploy.agent import artifact, layers
from containerdeploy.agent import identity as identities
from containerdeploy.agent import room as rooms
from containerdeploy.agent.failures import StepFailed
from containerdeploy.agent.layers import LayeredTree
from containerdeploy.agent.process import Sink
from containerdeploy.agent.step import RunningStep, Workshop

SLOT_CLONE = f"{layers.PLACE}/slot"
PRIVATE = "output"
Run = Callable[[rooms.Bind, Mapping[int, Sink]], None]


def write(
    shop: Workshop,
    step: RunningStep,
    tree: LayeredTree,
    output: wire.Output,
    run: Run,
    deliver: Callable[[artifact.Taken], None],
) -> None:
    """Call `run` with the place to write to, and `deliver` with what is there afterwards.

    Raises StepFailed when there is nothing, or something else than was wanted.
    """
    slot = f"{wire.OUTPUT}/{output.slot}"
    os.makedirs(slot, exist_ok=True)  # off this host it is no bind mount yet
    if output.piped:
        artifact.make_fifo(f"{slot}/{output.name}")
        deliver(artifact.Taken(kind="stream", size_bytes=0, sha256=""))
        run(_as_file(f"{slot}/{output.name}", output), {})
    elif output.kind == "stream":
        deliver(_receive(tree, slot, output, run))
    else:
        with _place(shop, tree, slot) as (place, plain):
            run(rooms.Bind(source=place, target=wire.OUTPUT, read_only=False, kept=plain), {})
            _take(shop, step, output, (plain, slot), deliver)


def _as_file(fifo: str, output: wire.Output, kept: str = "") -> rooms.Bind:
    target = f"{wire.OUTPUT}/{output.name}"
    return rooms.Bind(source=fifo, target=target, read_only=False, kept=kept)


def _receive(tree: LayeredTree, slot: str, output: wire.Output, run: Run) -> artifact.Taken:
    """Read the FIFO here, into the slot, while the extension writes."""
    tree.private_directory(PRIVATE)
    fifo = f"{tree.plain_path(PRIVATE)}/fifo"
    stream = artifact.StreamFile(fifo, f"{slot}/{output.name}")
    try:
        run(_as_file(fifo, output, slot), {stream.reader: stream})
        return stream.taken()
    finally:
        stream.close()


@contextmanager
def _place(shop: Workshop, tree: LayeredTree, slot: str) -> Iterator[tuple[str, str]]:
    """Yield a directory for the extension, and the same as the agent sees it."""
    os.makedirs(SLOT_CLONE, exist_ok=True)
    try:
        identities.clone_for(shop.identity, slot, SLOT_CLONE)
    except OSError:
        yield tree.private_directory(PRIVATE), tree.plain_path(PRIVATE)
        return
    try:
        yield SLOT_CLONE, slot
    finally:
        identities.discard(SLOT_CLONE)


def _take(
    shop: Workshop,
    step: RunningStep,
    output: wire.Output,
    places: tuple[str, str],
    deliver: Callable[[artifact.Taken], None],
) -> None:
    plain, slot = places
    taken = artifact.take(plain, output.name, shop.lease, wanted=output.kind)
    for other in artifact.others(plain, output.name):
        step.note(f"{other!r}, which it left beside its location, is not kept")
    if taken is None:
        if output.kind != "any":
            raise StepFailed("failed", "it left nothing at its location")
        step.note("it left nothing at its location")
        return
    if plain != slot:
        artifact.copy_file(plain, slot, output.name, taken)
    if taken.kind == "file":
        artifact.give_to_owner(slot, output.name)
    deliver(taken)
