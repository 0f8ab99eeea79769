"""Changes to a YAML text that leave every other character as its author wrote it."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from containerdeploy.document.nodes import Place
from containerdeploy.document.parse import LOADER
from containerdeploy.errors import DefinitionError
from containerdeploy.frozen import frozen

_PLAIN = re.compile(r"(?:\.{0,2}/)*[A-Za-z_][\w./+-]*(?: [\w./+-]+)*", re.ASCII)
_WORDS = frozenset("y n yes no true false on off null . .inf .nan".split())


@frozen
class _Spot:
    """Where a scalar is written: offsets in the text, and where what comes before it ends."""

    start: int
    end: int
    text: str
    before: int
    is_flow: bool


class Edits:
    """Collects changes at places of a text that parses without a problem."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._spots = _spots(text)
        self._changes: list[tuple[int, int, str]] = []
        self._newline = "\r\n" if "\r\n" in text else "\n"

    def replace(self, at: Place, value: str) -> None:
        """Give the scalar at a place another value; its anchor and, where it can, quotes stay."""
        spot = self._spot(at)
        written = self._text[spot.start : spot.end]
        if written.count(spot.text) == 1 and spot.text and plain(value) == value:
            changed = written.replace(spot.text, value)
        else:
            anchor = re.match(r"&\S+\s+", written)
            changed = (anchor[0] if anchor else "") + plain(value)
        self._changes.append((spot.start, spot.end, changed))

    def insert(self, before: Place, key: str, written: str) -> None:
        """Put a key and its value, as YAML in one line, before the key at a place.

        Comments directly above that key stay with it.
        """
        spot = self._spot(before)
        if spot.is_flow:
            self._changes.append((spot.start, spot.start, f"{key}: {written}, "))
            return
        line = self._text.rfind("\n", 0, spot.start) + 1
        indent = self._text[line : spot.start]
        if indent.strip(" "):
            message = f"no key {key!r} can be written before this one"
            raise DefinitionError([before.problem(message, "give it a line of its own")])
        while line > spot.before:
            above = self._text.rfind("\n", 0, line - 1) + 1
            if above < spot.before or not self._text.startswith(f"{indent}#", above):
                break
            line = above
        self._changes.append((line, line, f"{indent}{key}: {written}{self._newline}"))

    def text(self) -> str:
        """Return the text with all changes made."""
        text = self._text
        for start, end, changed in sorted(set(self._changes), reverse=True):
            text = text[:start] + changed + text[end:]
        return text

    def _spot(self, at: Place) -> _Spot:
        return self._spots[at.line, at.column]


def plain(value: str) -> str:
    """Return a text as YAML in one line: as it is where that means the same, else quoted."""
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


def _spots(text: str) -> Mapping[tuple[int, int], _Spot]:
    """Return every scalar of the text that is written out, by line and column."""
    spots: dict[tuple[int, int], _Spot] = {}
    flows: list[bool] = [False]
    before = 0
    events: Iterator[Any] = yaml.parse(text, Loader=LOADER)
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            flows.append(bool(event.flow_style))
        elif isinstance(event, yaml.CollectionEndEvent):
            flows.pop()
        elif isinstance(event, yaml.ScalarEvent):
            _note(spots, event, before, is_flow=flows[-1])
        before = max(before, event.end_mark.index if _has_text(event) else 0)
    return spots


def _has_text(event: Any) -> bool:
    return isinstance(event, yaml.ScalarEvent | yaml.AliasEvent)


def _note(spots: dict[tuple[int, int], _Spot], event: Any, before: int, *, is_flow: bool) -> None:
    mark = event.start_mark
    if event.end_mark.index > mark.index:
        spots[mark.line + 1, mark.column + 1] = _Spot(
            start=mark.index,
            end=event.end_mark.index,
            text=event.value,
            before=before,
            is_flow=is_flow,
        )
