"""YAML text to nodes, built from the parser's events without recursion, and bounded.

PyYAML's own composer is not used: its C half recurses (a few thousand brackets end the process),
and its constructors make 750 of `12:30` and lose where things were written.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml

from containerdeploy.document.nodes import (
    Entry,
    ListNode,
    MappingNode,
    Node,
    Place,
    Scalar,
    depth,
    weight,
)
from containerdeploy.errors import Problem

MAX_FILE = 4 * 1024 * 1024
MAX_DEPTH = 100
MAX_WEIGHT = 4 * 1024 * 1024
MAX_PROBLEMS = 200
_CORE = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(_CORE + name for name in ("int", "float", "bool", "null", "timestamp"))
_COLLECTION_TAGS = frozenset(_CORE + name for name in ("map", "seq", "omap"))
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Mark(Protocol):
    line: int
    column: int


@dataclass
class _Open:
    """A list or mapping whose end has not been read yet."""

    event: Any
    at: Place
    nodes: list[Node] = field(default_factory=list)

    def weight(self) -> int:
        return sum(map(weight, self.nodes)) + 2

    def depth(self) -> int:
        return max(map(depth, self.nodes), default=0) + 1


def read(path: Path, shown: str) -> tuple[Node | None, tuple[Problem, ...]]:
    """Read the YAML file `path`, called `shown` in complaints; the node is None if unusable."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as err:
        return None, (Place(path=shown).problem(f"cannot be read: {err.strerror}"),)
    return parse(data, shown)


def parse(data: bytes, shown: str) -> tuple[Node | None, tuple[Problem, ...]]:
    """Turn YAML bytes into a node and the problems that concern the whole file."""
    if len(data) > MAX_FILE:
        message = f"is larger than {MAX_FILE} bytes, which no definition is"
        return None, (Place(path=shown).problem(message),)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        return None, (_not_utf8(data, err, shown),)
    builder = _Builder(shown)
    try:
        builder.build(yaml.parse(text, Loader=LOADER))
    except yaml.reader.ReaderError as err:
        return None, (_bad_character(text, err, shown),)
    except yaml.MarkedYAMLError as err:
        return None, (*builder.problems, _syntax_error(text, err, shown))
    return builder.result()


class _Builder:
    """Collects events until the tree stands; keeps anchors and complaints on the way."""

    def __init__(self, shown: str) -> None:
        self.problems: list[Problem] = []
        self._shown = shown
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}
        self._roots: list[Node] = []

    def build(self, events: Iterator[Any]) -> None:
        for event in events:
            match event:
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    if not self._open(event):
                        return
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self._close(event)
                case yaml.ScalarEvent():
                    self._add(event.anchor, self._scalar(event))
                case yaml.AliasEvent():
                    self._alias(event)

    def result(self) -> tuple[Node | None, tuple[Problem, ...]]:
        if not self._roots and not self.problems:
            self._complain(Place(path=self._shown), "is empty; expected a mapping")
        for second in self._roots[1:2]:
            self._complain(second.at, "a second document begins here; expected one in a file")
        problems = tuple(self.problems[:MAX_PROBLEMS])
        return (None if problems else self._roots[0]), problems

    def _open(self, event: Any) -> bool:
        at = self._place(event.start_mark)
        if len(self._stack) >= MAX_DEPTH:
            self._complain(at, f"is nested more than {MAX_DEPTH} levels deep")
            return False
        if event.tag and event.tag not in _COLLECTION_TAGS and event.tag != "!":
            self._complain(at, f"the tag {event.tag!r} has no meaning here")
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(event, at))
        return True

    def _close(self, event: Any) -> None:
        opened = self._stack.pop()
        if opened.weight() > MAX_WEIGHT or opened.depth() > MAX_DEPTH:
            self._complain(opened.at, "is too large once its aliases are written out")
            opened.nodes = []
        is_list = isinstance(event, yaml.SequenceEndEvent)
        self._add(opened.event.anchor, _list(opened) if is_list else _mapping(opened))

    def _scalar(self, event: Any) -> Scalar:
        at = self._place(event.start_mark)
        tag = event.tag or None
        if tag not in (None, "!", _CORE + "str") and tag not in _PLAIN_TAGS:
            self._complain(at, f"the tag {tag!r} has no meaning here")
        plain = tag in _PLAIN_TAGS or (tag is None and not event.style)
        return Scalar(text=event.value, at=at, is_plain=plain)

    def _alias(self, event: Any) -> None:
        at = self._place(event.start_mark)
        if event.anchor not in self._anchors:
            self._complain(at, f"no anchor '&{event.anchor}' comes before this alias")
        node = self._anchors.get(event.anchor)
        if node is None and event.anchor in self._anchors:
            self._complain(at, f"the alias '*{event.anchor}' lies inside what it stands for")
        self._add(None, node if node is not None else Scalar(text="", at=at))

    def _add(self, anchor: str | None, node: Node) -> None:
        if anchor:
            self._anchors[anchor] = node
        (self._stack[-1].nodes if self._stack else self._roots).append(node)

    def _place(self, mark: _Mark) -> Place:
        return Place(path=self._shown, line=mark.line + 1, column=mark.column + 1)

    def _complain(self, at: Place, message: str) -> None:
        self.problems.append(at.problem(message))


def _list(opened: _Open) -> ListNode:
    return ListNode(
        items=tuple(opened.nodes), at=opened.at, weight=opened.weight(), depth=opened.depth()
    )


def _mapping(opened: _Open) -> MappingNode:
    """Apply merge keys, then the mapping's own keys; note doubled and impossible ones."""
    problems: list[Problem] = []
    own: dict[str, Entry] = {}
    merged: dict[str, Entry] = {}
    for key, value in zip(opened.nodes[::2], opened.nodes[1::2], strict=True):
        if not isinstance(key, Scalar):
            problems.append(key.at.problem("a key has to be one word, not a list or a mapping"))
        elif key.text == "<<" and key.is_plain:
            merged.update(_merged(value, problems))
        elif key.text in own:
            first = own[key.text].key.at
            hint = f"first written in line {first.line}; remove one"
            problems.append(key.at.problem(f"duplicate key {key.text!r}", hint))
        else:
            own[key.text] = Entry(key=key, value=value)
    entries = {name: entry for name, entry in merged.items() if name not in own} | own
    return MappingNode(
        entries=entries,
        at=opened.at,
        problems=tuple(problems),
        weight=opened.weight(),
        depth=opened.depth(),
    )


def _merged(value: Node, problems: list[Problem]) -> dict[str, Entry]:
    """Return what a merge key brings: of several mappings, the first that has a key wins."""
    sources = value.items if isinstance(value, ListNode) else (value,)
    entries: dict[str, Entry] = {}
    for source in sources:
        if not isinstance(source, MappingNode):
            message = "a merge key '<<' takes a mapping or a list of mappings"
            problems.append(source.at.problem(message))
            continue
        problems.extend(source.problems)
        for name, entry in source.entries.items():
            entries.setdefault(name, Entry(key=entry.key, value=entry.value, is_merged=True))
    return entries


def _not_utf8(data: bytes, err: UnicodeDecodeError, shown: str) -> Problem:
    line = data.count(b"\n", 0, err.start) + 1
    column = err.start - data.rfind(b"\n", 0, err.start)
    at = Place(path=shown, line=line, column=column)
    return at.problem(
        f"the byte 0x{data[err.start]:02x} is no UTF-8", "save the file as UTF-8 and try again"
    )


def _bad_character(text: str, err: yaml.reader.ReaderError, shown: str) -> Problem:
    """Locate the first character that YAML forbids; the C half counts bytes, so search for it."""
    where = text.find(chr(err.character)) if isinstance(err.character, int) else err.position
    line = text.count("\n", 0, where) + 1
    at = Place(path=shown, line=line, column=where - text.rfind("\n", 0, where))
    return at.problem(
        f"the character {text[where : where + 1]!r} can't stand in a YAML file",
        'write it as an escape in double quotes, such as "\\x07"',
    )


def _syntax_error(text: str, err: yaml.MarkedYAMLError, shown: str) -> Problem:
    mark = err.problem_mark or err.context_mark
    at = Place(path=shown)
    if mark is not None:
        at = Place(path=shown, line=mark.line + 1, column=mark.column + 1)
    lines = text.split("\n")
    line = lines[at.line - 1] if at.line <= len(lines) else ""
    hint = "indent with spaces, not with tabs" if "\t" in line else None
    words = " ".join(part for part in (err.context, err.problem) if part)
    return at.problem(f"is no YAML: {words}", hint)
