"""What migration learns of extensions and what it has to say about them."""

from pathlib import Path
from typing import Literal

from containerdeploy.extension import ExtensionKind
from containerdeploy.frozen import frozen

Weight = Literal["found", "guessed", "trouble"]


@frozen
class Read:
    """A parameter that an extension reads; a name that ends in `*` stands for a prefix.

    `is_needed` where it is read without a default, `default` what is used instead of none,
    `is_sure` where nothing but a parameter can be meant.
    """

    name: str
    line: int
    is_needed: bool = False
    default: str | None = None
    is_sure: bool = True
    is_boolean: bool = False
    is_secret: bool = False
    path: str = ""


@frozen
class Call:
    """A program that an extension calls, and the words of that line."""

    program: str
    line: int
    words: str = ""


@frozen
class Oddity:
    """Something that a reader should look at; a grave one may keep an extension from running."""

    line: int
    text: str
    advice: str = ""
    is_grave: bool = True


@frozen
class Sight:
    """All that was seen in an extension's text."""

    language: str
    summary: str = ""
    reads: tuple[Read, ...] = ()
    calls: tuple[Call, ...] = ()
    needs_network: int | None = None
    changes_tree: int | None = None
    oddities: tuple[Oddity, ...] = ()


@frozen
class Remark:
    """One line of the report: `found` and `guessed` say where, `trouble` what to do too."""

    weight: Weight
    at: str
    text: str
    advice: str = ""


@frozen
class Part:
    """What the report says of a cluster, a system or an extension."""

    kind: Literal["cluster", "system", "extension"]
    name: str
    remarks: tuple[Remark, ...] = ()


@frozen
class NewFile:
    """A file of the native form; `beside` is the file whose mode it takes."""

    path: Path
    text: str
    beside: Path


@frozen
class Report:
    """The whole of a migration: `native` is the cluster's new form, `files` are all new files."""

    cluster: Path
    native: Path
    files: tuple[Path, ...]
    parts: tuple[Part, ...]

    @property
    def troubles(self) -> int:
        return sum(one.weight == "trouble" for part in self.parts for one in part.remarks)


@frozen
class Use:
    """An extension in the plans, the programs that its first line names, who gives it what."""

    path: Path
    relative: str
    kind: ExtensionKind
    has_sidecar: bool
    runs_with: tuple[str, ...] = ()
    given: tuple["Given", ...] = ()


@frozen
class Given:
    """A deployment that runs an extension, and its parameters' values by name."""

    deployment: str
    values: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        return dict(self.values).get(name)

    def names(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.values)
