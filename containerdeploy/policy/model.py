"""Rules that know their place, the files that hold them, and how several files are one policy.

The operator's file always holds. Others can only tighten: a thing is allowed if every file allows
it. Privileges alone need a word that allows them, in the operator's file where there is one.
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from containerdeploy.document import Place
from containerdeploy.errors import PlanError
from containerdeploy.frozen import NOTHING, frozen

Grant = Literal["loop"]
GRANTS: tuple[Grant, ...] = ("loop",)
LimitName = Literal["timeout", "idle-timeout", "memory", "pids", "max-output", "cpu", "disk"]
LIMITS: tuple[LimitName, ...] = (
    *("timeout", "idle-timeout", "memory", "pids", "max-output", "cpu", "disk"),
)
CeilingName = Literal["max-size", "max-expansion", "max-members"]
LOOP_DEVICES = 4


@frozen
class Rule:
    """A word of an `allow` or `deny` list."""

    text: str
    at: Place


@frozen
class Rules:
    """One section's lists; `allow` None allows whatever isn't denied. `at` is where it is said."""

    allow: tuple[Rule, ...] | None = None
    deny: tuple[Rule, ...] = ()
    at: Place = Place(path="")

    def against(
        self, is_allowed: Callable[[str], bool], is_denied: Callable[[str], bool] | None = None
    ) -> str | None:
        """Return what refuses a thing, which is asked whether a word is about it; deny wins."""
        for rule in self.deny:
            if (is_denied or is_allowed)(rule.text):
                return f"{rule.at} denies {rule.text!r}"
        if self.allow is None or any(is_allowed(rule.text) for rule in self.allow):
            return None
        return f"{self.at} doesn't allow it"


@frozen
class Devices:
    """Which extension may have loop devices, by its bytes or its path, and how many at a time."""

    sha256: str | None = None
    path: Path | None = None
    devices: int = LOOP_DEVICES
    at: Place = Place(path="")

    def fits(self, sha256: str, path: Path) -> bool:
        if self.path is not None:
            return os.path.realpath(self.path) == os.path.realpath(path)
        return self.sha256 == sha256


@frozen
class LimitRule:
    """What a limit is where nobody asks for another, and the most that may be asked for."""

    default: float | None = None
    most: float | None = None
    default_at: Place = Place(path="")
    most_at: Place = Place(path="")


@frozen
class Ceiling:
    """The most of something that a source may become, and the rule that says so, if one does."""

    most: int | None = None
    at: Place | None = None


@frozen
class PolicyFile:
    """What one file says; a section that isn't there says nothing."""

    path: Path
    engines: Rules = Rules()
    images: Rules = Rules()
    sources: Rules = Rules()
    networks: Rules = Rules()
    isolation: Rules = Rules()
    extensions: Rules = Rules()
    loop: tuple[Devices, ...] | None = None
    not_loop: tuple[Devices, ...] = ()
    loop_at: Place | None = None
    limits: Mapping[LimitName, LimitRule] = NOTHING
    ceilings: Mapping[CeilingName, Ceiling] = NOTHING
    require_writes: Place | None = None

    def loop_devices(self, sha256: str, path: Path) -> int:
        """Return how many loop devices this file gives an extension, 0 for none."""
        if self.denies_loop(sha256, path):
            return 0
        fits = (rule.devices for rule in self.loop or () if rule.fits(sha256, path))
        return max(fits, default=0)

    def denies_loop(self, sha256: str, path: Path) -> bool:
        return any(rule.fits(sha256, path) for rule in self.not_loop)

    def loop_refusal(self, sha256: str, path: Path) -> str:
        """Say which rule keeps loop devices from an extension, or that none allows them."""
        for rule in self.not_loop:
            if rule.fits(sha256, path):
                return f"{rule.at} denies them"
        return f"{self.loop_at or self.path} allows none"


@frozen
class Policy:
    """The files that hold, and the one in which silence about a privilege denies it.

    `ground` is the operator's file, or the user's own where the operator has none; it need not
    exist.
    """

    ground: Path
    files: tuple[PolicyFile, ...] = ()

    def loop_devices(self, sha256: str, path: Path) -> tuple[int, str]:
        """Return how many loop devices an extension may have, and what refuses them if it is 0."""
        speaking = [
            file
            for file in self.files
            if file.path == self.ground or file.loop is not None or file.denies_loop(sha256, path)
        ]
        if not any(file.path == self.ground for file in speaking):
            return 0, f"{self.ground} allows none"
        strictest = min(speaking, key=lambda file: file.loop_devices(sha256, path))
        count = strictest.loop_devices(sha256, path)
        return count, "" if count else strictest.loop_refusal(sha256, path)

    @property
    def of_places(self) -> "Policy":
        """What is said of engines, images and isolation, and nothing else."""
        files = (
            PolicyFile(
                path=file.path, engines=file.engines, images=file.images, isolation=file.isolation
            )
            for file in self.files
        )
        return Policy(ground=self.ground, files=tuple(files))

    @property
    def speaks_of_sources(self) -> bool:
        return any(file.sources.allow is not None or file.sources.deny for file in self.files)

    @property
    def speaks_of_extensions(self) -> bool:
        return any(file.extensions.allow is not None or file.extensions.deny for file in self.files)

    def ceiling(self, name: CeilingName, usual: int | None) -> Ceiling:
        """Return what a source may be at most; only the ground can allow more than is usual."""
        found = [Ceiling(most=usual)]
        for file in self.files:
            if said := file.ceilings.get(name):
                found = [said] if file.path == self.ground else [*found, said]
        return min(found, key=lambda one: math.inf if one.most is None else one.most)

    def default(self, name: LimitName) -> tuple[float, Place] | None:
        """Return the least of what the files say a limit is where nobody asks."""
        said = [
            (rule.default, rule.default_at)
            for rule in self._limits(name)
            if rule.default is not None
        ]
        return min(said, key=lambda one: one[0], default=None)

    def most(self, name: LimitName) -> tuple[float, Place] | None:
        """Return the least of what the files say a limit is at most."""
        said = [(rule.most, rule.most_at) for rule in self._limits(name) if rule.most is not None]
        return min(said, key=lambda one: one[0], default=None)

    def _limits(self, name: LimitName) -> Iterator[LimitRule]:
        return (file.limits[name] for file in self.files if name in file.limits)


def refuse(refused: Sequence[str], files: Sequence[Path]) -> None:
    """Raise one PlanError for all that is refused, a line each; nothing has been started."""
    if lines := [*dict.fromkeys(refused)]:
        names = ", ".join(map(str, dict.fromkeys(files)))
        raise PlanError(
            f"the policy {names} does not allow what is asked for",
            details="\n".join(lines),
            hint="ask for less, or let the operator of this machine change the rule",
        )
