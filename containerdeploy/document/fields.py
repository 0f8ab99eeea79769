"""Reads a mapping field by field; every complaint says what was expected and what was found."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from containerdeploy.document import quantities
from containerdeploy.document.nodes import (
    Entry,
    ListNode,
    MappingNode,
    Node,
    Place,
    Scalar,
    describe,
    flaws,
)
from containerdeploy.errors import Problem

_Chosen = TypeVar("_Chosen", bound=str)
_Amount = TypeVar("_Amount", int, float)


def did_you_mean(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the hint `did you mean 'x'?` for a near miss, else None."""
    candidates = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), candidates, n=1, cutoff=cutoff)
    return f"did you mean {candidates[near[0]]!r}?" if near else None


class Complaints:
    """Problems, collected until all of a part has been read."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, at: Place, message: str, hint: str | None = None) -> None:
        self.problems.append(at.problem(message, hint))

    def extend(self, problems: Iterable[Problem]) -> None:
        self.problems.extend(problems)

    def taken(self) -> tuple[Problem, ...]:
        """Return the problems so far, each once."""
        return tuple(dict.fromkeys(self.problems))


class Fields:
    """The fields of one mapping; `what` names it in complaints ("a system", "an option")."""

    def __init__(self, node: Node, what: str, complaints: Complaints) -> None:
        self.at = node.at
        self.entries: dict[str, Entry] = {}
        self._what = what
        self._complaints = complaints
        if isinstance(node, MappingNode):
            self.entries = node.entries
            complaints.extend(node.problems)
        else:
            message = f"expected a mapping for {what}, found {describe(node)}"
            complaints.add(node.at, message)

    def only(self, known: Sequence[str]) -> None:
        """Complain about every key that isn't known."""
        for name, entry in self.entries.items():
            if name not in known:
                hint = did_you_mean(name, known) or f"expected one of: {', '.join(known)}"
                self._complaints.add(entry.key.at, f"unknown key {name!r} in {self._what}", hint)

    def node(self, name: str) -> Node | None:
        """Return a field's node, or None where it is missing or null."""
        entry = self.entries.get(name)
        if entry is None or (isinstance(entry.value, Scalar) and entry.value.is_null):
            return None
        return entry.value

    def require(self, name: str, expected: str) -> Node | None:
        """Return a field's node; complain where there is none."""
        node = self.node(name)
        if node is None:
            entry = self.entries.get(name)
            at = entry.key.at if entry else self.at
            self._complaints.add(at, f"{self._what} needs {name!r}: {expected}")
        return node

    def text(self, name: str) -> str | None:
        """Return a field's text as written, or None; complain about lists and mappings."""
        node = self.node(name)
        if node is None or isinstance(node, Scalar):
            return None if node is None else node.text
        self._expected(name, "text", node)
        return None

    def required_text(self, name: str, expected: str) -> str:
        """Return a field's text; complain and return "" where there is none."""
        return (self.text(name) or "") if self.require(name, expected) is not None else ""

    def choice(self, name: str, choices: Sequence[_Chosen]) -> _Chosen | None:
        """Return one of the words allowed for a field, or None."""
        node = self.node(name)
        for choice in choices:
            if isinstance(node, Scalar) and node.text == choice:
                return choice
        if node is not None:
            word = node.text if isinstance(node, Scalar) else ""
            self._expected(name, f"one of {', '.join(choices)}", node, did_you_mean(word, choices))
        return None

    def boolean(self, name: str) -> bool | None:
        """Return a field that is true or false, or None."""
        node = self.node(name)
        value = node.boolean if isinstance(node, Scalar) else None
        if node is not None and value is None:
            self._expected(name, "true or false", node)
        return value

    def seconds(self, name: str) -> float | None:
        """Return a duration in seconds, or None."""
        return self._amount(name, quantities.seconds, "seconds, or a time such as 90s, 30m or 2h")

    def size(self, name: str) -> int | None:
        """Return a size in bytes, or None."""
        return self._amount(name, quantities.size, "bytes, or a size such as 512M or 2G")

    def cpus(self, name: str) -> float | None:
        """Return a number of processors, or None."""
        return self._amount(name, quantities.cpus, "a number of processors, such as 2 or 1.5")

    def count(self, name: str) -> int | None:
        """Return a number above zero, or None."""
        return self._amount(name, _count, "a whole number above zero")

    def items(self, name: str, of: str) -> tuple[Node, ...]:
        """Return the items of a list field, nothing where it is missing."""
        node = self.node(name)
        if node is None or isinstance(node, ListNode):
            return node.items if node else ()
        self._expected(name, f"a list of {of}", node)
        return ()

    def texts(self, name: str, of: str) -> tuple[str, ...]:
        """Return a list of words; complain about items that are none."""
        words = []
        for item in self.items(name, of):
            if isinstance(item, Scalar):
                words.append(item.text)
            else:
                self._expected(name, f"a list of {of}", item)
        return tuple(words)

    def whole(self, name: str) -> Node | None:
        """Return a field's node whatever it is, after all complaints about what lies below it."""
        node = self.node(name)
        if node is not None:
            self._complaints.extend(flaws(node))
        return node

    def _amount(
        self, name: str, read: Callable[[str], _Amount | None], expected: str
    ) -> _Amount | None:
        node = self.node(name)
        value = read(node.text) if isinstance(node, Scalar) else None
        if node is not None and value is None:
            self._expected(name, expected, node)
        return value

    def _expected(self, name: str, expected: str, node: Node, hint: str | None = None) -> None:
        message = f"{name!r} in {self._what} has to be {expected}; found {describe(node)}"
        self._complaints.add(node.at, message, hint)


def _count(text: str) -> int | None:
    is_number = text.isascii() and text.isdigit() and len(text) < 16
    return int(text) or None if is_number else None
