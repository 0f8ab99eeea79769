"""Masks secret values in all that helpers say, also where a piece of a log ends inside of one."""

import json
import os
from collections.abc import Iterable, Iterator

from containerdeploy import wire
from containerdeploy.frozen import replace
from containerdeploy.result.happenings import Happening, Heard, SystemFinished

MASK = "(secret)"
TELLING = 6  # a shorter value ("yes") stands in many places without giving the secret away
Stream = tuple[str, str, str]  # system, step, stream


class Masking:
    """Gives every happening back without the secret values; the end of a log may come later.

    Of a value of several lines each line is a secret too: programs print them one by one. So is
    what the value looks like between the quotes of JSON, Python or bash's `set -x`.
    """

    def __init__(self, values: Iterable[str]) -> None:
        plain = {form for value in values for form in (value.strip("\n"), *value.splitlines())}
        forms = {form for value in plain for form in (value, *_quoted(value))}
        self._secrets = tuple(sorted(form for form in forms if len(form) >= TELLING))
        self._held: dict[Stream, wire.Log] = {}

    def text(self, text: str) -> str:
        """Return a text that is whole, masked."""
        pieces, start = [], 0
        for first, last in self._spans(text):
            pieces += [text[start:first], MASK]
            start = last
        return "".join([*pieces, text[start:]])

    def take(self, happening: Happening) -> Iterator[Happening]:
        """Yield what may be told now: the happening, and before it what it sets free."""
        if not self._secrets:
            yield happening
            return
        match happening:
            case Heard(system=system, event=wire.Log() as log):
                yield from self._log(system, log)
            case Heard(system=system, event=wire.StepFinished() as event):
                yield from self._release(system)
                yield Heard(system=system, event=replace(event, detail=self.text(event.detail)))
            case Heard(system=system, event=wire.Connection() as event):
                yield Heard(system=system, event=replace(event, host=self.text(event.host)))
            case Heard(system=system, event=wire.Changed() as event):
                changes = tuple(self._change(change) for change in event.changes)
                yield Heard(system=system, event=replace(event, changes=changes))
            case Heard(system=system, event=wire.Finished() as event):
                yield Heard(system=system, event=self._finished(event))
            case SystemFinished():
                yield from self._release(happening.system)
                yield self._end(happening)
            case _:
                yield happening

    def _log(self, system: str, event: wire.Log) -> Iterator[Heard]:
        key = (system, event.step, event.stream)
        held = self._held.pop(key, None)
        text = (held.text if held else "") + event.text + ("" if event.partial else "\n")
        safe = self._safe_length(text)
        if safe < len(text):
            self._held[key] = replace(event, text=text[safe:])
        if safe:
            yield _told(system, event, self.text(text[:safe]))

    def _release(self, system: str) -> Iterator[Heard]:
        """Yield what was held of a system: nothing follows that could make a secret of it."""
        for key in [key for key in self._held if key[0] == system]:
            event = self._held.pop(key)
            yield _told(system, event, self.text(event.text))

    def _change(self, change: wire.Change) -> wire.Change:
        return replace(change, path=self.text(change.path), detail=self.text(change.detail))

    def _finished(self, event: wire.Finished) -> wire.Finished:
        left = tuple(replace(one, name=self.text(one.name)) for one in event.left)
        error, hint = self.text(event.error), self.text(event.hint)
        return replace(event, error=error, hint=hint, left=left)

    def _end(self, end: SystemFinished) -> SystemFinished:
        return replace(
            end,
            brief=self.text(end.brief),
            details=self.text(end.details),
            hint=self.text(end.hint),
        )

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """Return where secrets lie in a text, in order; those that overlap are one."""
        found = sorted(
            (at, at + len(secret)) for secret in self._secrets for at in _places(secret, text)
        )
        spans: list[tuple[int, int]] = []
        for first, last in found:
            if spans and first < spans[-1][1]:
                first, last = spans[-1][0], max(last, spans.pop()[1])
            spans.append((first, last))
        return spans

    def _safe_length(self, text: str) -> int:
        """Return how much of a text is sure to be told, whatever follows it."""
        safe = min((_beginning(secret, text) for secret in self._secrets), default=len(text))
        inside = (first for first, last in self._spans(text) if first < safe < last)
        return next(inside, safe)


def _quoted(value: str) -> Iterator[str]:
    """Yield a value as programs write it between quotes, without these."""
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield repr(os.fsencode(value))[2:-1]  # Python 2 knows only bytes
    yield value.replace("'", "'\\''")  # bash
    yield value.replace("'", "'\"'\"'")  # Python's shlex


def _places(secret: str, text: str) -> Iterator[int]:
    at = text.find(secret)
    while at >= 0:
        yield at
        at = text.find(secret, at + 1)


def _beginning(secret: str, text: str) -> int:
    """Return where the end of a text is the beginning of the secret, or the text's length."""
    at = max(0, len(text) - len(secret) + 1)
    while (at := text.find(secret[0], at)) >= 0:
        if secret.startswith(text[at:]):
            return at
        at += 1
    return len(text)


def _told(system: str, event: wire.Log, text: str) -> Heard:
    partial = not text.endswith("\n")
    return Heard(system=system, event=replace(event, text=text.removesuffix("\n"), partial=partial))
