"""The ids of layers: each is made from its parent's, so that equal ids mean equal trees."""

from collections.abc import Sequence

from containerdeploy.cache import digests

FORMAT = 1  # a change of what a layer is makes all ids new


def beginning(bases: Sequence[str], *, epoch: int, mode: str, ids: int) -> str:
    """Return the id of a tree of bases (digests of archives, the topmost first) and no layer.

    `epoch` (seconds) is what modification times are clamped to, `mode` how extensions are held,
    `ids` how many user ids an owner can be.
    """
    return digests.of("beginning", FORMAT, list(bases), epoch, mode, ids)


def after(parent: str, recipe: str, times: str) -> str:
    """Return the id of what a step with this recipe makes on top of `parent`.

    `times` is what it sees of modification times (see views.times).
    """
    return digests.of("after", parent, recipe, times)


def made(parent: str, content: str) -> str:
    """Return the id of a layer that is known by what is in it: its step's inputs are not known."""
    return digests.of("made", parent, content)
