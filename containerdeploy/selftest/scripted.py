"""Attacks that are extensions of their own: on what watches over them, and on what comes after."""

from collections.abc import Mapping
from typing import Any

from containerdeploy import wire
from containerdeploy.frozen import NOTHING, frozen

FORGED = "forged"
AGENT = "the agent"
AFTER = "what comes after it"
TREE = "what its tree is used for"
# A fork bomb goes off in every run of this: a few hundred processes show the same as thousands.
FEW_PROCESSES: Mapping[str, Any] = {"pids": 256}


@frozen
class Scripted:
    """An attack that is a script of its own; `ends` is how its step may end.

    `says` must be in its output, `never` must not; `settings` are an extension's in a system.
    `no_control` is why the control can't show that it is real.
    """

    name: str
    group: str
    ends: tuple[wire.Outcome, ...] = ("ok",)
    says: str = ""
    never: str = ""
    settings: Mapping[str, Any] = NOTHING
    no_control: str = ""


_HARD_TO_USE = "it is for those who use the tree or show the output to hold: seen in the result"
SCRIPTED = (
    Scripted(name="killer", group=AGENT, ends=("killed",)),
    Scripted(name="nagger", group=AGENT, says="not noticed"),
    Scripted(name="loud", group=AGENT, says="owned", no_control=_HARD_TO_USE),
    Scripted(name="longline", group=AGENT, says="xxxx", no_control=_HARD_TO_USE),
    Scripted(name="lingerer", group=AFTER),
    Scripted(name="late", group=AFTER, says="in time", never="far too late"),
    Scripted(name="stuck", group=AFTER, ends=("timed out",), settings={"timeout": "1s"}),
    Scripted(
        name="bomb",
        group=AFTER,
        ends=("ok", "failed", "killed", "too many processes"),
        settings=FEW_PROCESSES,
        no_control="without a limit it would be the machine's processes that run out",
    ),
    Scripted(name="swapper", group=TREE),
    Scripted(name="crowd", group=TREE, says="watched", no_control=_HARD_TO_USE),
    Scripted(name="deep", group=TREE, no_control=_HARD_TO_USE),
    Scripted(name="marker", group=TREE, no_control=_HARD_TO_USE),
    Scripted(
        name="planter",
        group=TREE,
        says="gotcha by itself",
        no_control="no step runs a program from its tree but this one, to show that it works",
    ),
)
