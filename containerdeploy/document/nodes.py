"""What a YAML file consists of: scalars, lists and mappings, each with the place it was written."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from containerdeploy.errors import Problem
from containerdeploy.frozen import frozen

# The plain words that YAML 1.1, and so every definition of Baserock's, means as something else.
TRUE = frozenset(["yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"])
FALSE = frozenset(["no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"])
NULL = frozenset(["", "~", "null", "Null", "NULL"])


def shown(path: Path) -> str:
    """Return a path as complaints show it: relative where it lies below the current directory."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


@frozen
class Place:
    """Where something is written; line and column count from 1."""

    path: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"

    def problem(self, message: str, hint: str | None = None) -> Problem:
        """Return a complaint about this place."""
        return Problem(
            path=self.path, line=self.line, column=self.column, message=message, hint=hint
        )


@frozen
class Scalar:
    """One value as the author wrote it; `is_plain` means without quotes, block or tag."""

    text: str
    at: Place
    is_plain: bool = True

    @property
    def is_null(self) -> bool:
        return self.is_plain and self.text in NULL

    @property
    def boolean(self) -> bool | None:
        """What the word means as a boolean, or None where it is none."""
        if not self.is_plain:
            return None
        return True if self.text in TRUE else False if self.text in FALSE else None


@frozen
class ListNode:
    """Values in order.

    `weight` is about how many characters it is when written out in full, aliases and all; `depth`
    counts the levels of that.
    """

    items: tuple["Node", ...]
    at: Place
    weight: int = 0
    depth: int = 1


@frozen
class Entry:
    """A key and its value; `is_merged` where a merge key brought it."""

    key: Scalar
    value: "Node"
    is_merged: bool = False


@frozen
class MappingNode:
    """Entries by key, merge keys applied; `problems` are those of this mapping alone.

    They stay here until somebody reads the mapping, so that a fault in a part of a file that
    nobody asked for stops nothing.
    """

    entries: dict[str, Entry]
    at: Place
    problems: tuple[Problem, ...] = ()
    weight: int = 0
    depth: int = 1


Node = Scalar | ListNode | MappingNode


def weight(node: Node) -> int:
    """Return about how many characters a node is when written out in full."""
    return len(node.text) + 1 if isinstance(node, Scalar) else node.weight


def depth(node: Node) -> int:
    """Return how many levels a node has when written out in full."""
    return 0 if isinstance(node, Scalar) else node.depth


def describe(node: Node) -> str:
    """Say in a few words what a node is, for "expected …, found …"."""
    match node:
        case ListNode():
            return "a list"
        case MappingNode():
            return "a mapping"
        case Scalar() if node.is_null:
            return "nothing"
        case Scalar():
            text = node.text if len(node.text) <= 40 else node.text[:37] + "..."
            return repr(text)


@dataclass
class _Walk:
    seen: set[int] = field(default_factory=set)

    def problems(self, node: Node) -> Iterator[Problem]:
        if isinstance(node, Scalar) or id(node) in self.seen:
            return
        self.seen.add(id(node))
        if isinstance(node, MappingNode):
            yield from node.problems
        for child in children(node):
            yield from self.problems(child)


def children(node: ListNode | MappingNode) -> tuple[Node, ...]:
    """Return the values directly below a node."""
    if isinstance(node, ListNode):
        return node.items
    return tuple(entry.value for entry in node.entries.values())


def flaws(node: Node) -> tuple[Problem, ...]:
    """Return the problems of all mappings at and below a node, each mapping once."""
    return tuple(_Walk().problems(node))
