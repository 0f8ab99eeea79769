"""Tells happenings in lines of text, each behind its `[system][deployment]`.

Pieces of an unfinished line are joined, up to a bound; the rest goes on in the next line.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import assert_never

from containerdeploy import wire
from containerdeploy.report import text
from containerdeploy.result import (
    Delivered,
    Happening,
    Heard,
    RunFinished,
    RunStarted,
    SystemFinished,
    SystemStarted,
)

MAX_HELD = 64 * 1024
_PROGRESS_EVERY_S = 10.0


@dataclass(kw_only=True)
class _Now:
    """A system's running step."""

    prefix: str
    label: str
    kind: str
    told_at: float
    held: dict[str, str] = field(default_factory=dict)


class Narrator:
    """Turns happenings into lines; one for each stream, since it remembers unfinished lines."""

    def __init__(self, *, terminal: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._shown = text.for_terminal if terminal else text.for_file
        self._clock = clock
        self._now: dict[str, _Now] = {}
        self._mode = ""

    def tell(self, happening: Happening) -> list[str]:
        """Return the lines for what happened, without line ends; none where it isn't worth one."""
        match happening:
            case RunStarted():
                return [_opening(happening)]
            case SystemStarted():
                image = f" from {text.image(happening.image)}" if happening.image else ""
                return [f"[{text.word(happening.system)}] starting a helper{image}"]
            case Heard():
                return self._hear(happening.system, happening.event)
            case Delivered():
                return [_delivery(happening)]
            case SystemFinished():
                return self._end_system(happening)
            case RunFinished():
                return []
        assert_never(happening)

    def _hear(self, system: str, event: wire.Event) -> list[str]:
        now = self._now.get(system)
        match event:
            case wire.Hello():
                return self._greet(system, event)
            case wire.StepStarted():
                return self._start(system, event)
            case wire.Progress() if now:
                return self._progress(now, event)
            case wire.Log() if now:
                return self._log(now, event)
            case wire.StepFinished() if now:
                del self._now[system]
                return [*self._release(now), *_step_end(now, event)]
            case _:
                return []

    def _greet(self, system: str, event: wire.Hello) -> list[str]:
        """Say the mode, once for all systems that have the same."""
        words = mode(event)
        if words == self._mode:
            return []
        self._mode = words
        return [f"[{text.word(system)}] {words}"]

    def _start(self, system: str, event: wire.StepStarted) -> list[str]:
        own = event.kind in ("base", "metadata")
        label = event.kind if own else f"{text.word(event.name)}.{event.kind}"
        prefix = f"[{text.word(system)}][{text.word(event.deployment)}]"
        self._now[system] = _Now(prefix=prefix, label=label, kind=event.kind, told_at=self._clock())
        return [] if event.kind == "metadata" else [f"{prefix} {label}: started"]

    def _progress(self, now: _Now, event: wire.Progress) -> list[str]:
        if self._clock() - now.told_at < _PROGRESS_EVERY_S:
            return []
        now.told_at = self._clock()
        return [f"{now.prefix} {now.label}: {progress(event)}"]

    def _log(self, now: _Now, event: wire.Log) -> list[str]:
        *whole, begun = (now.held.pop(event.stream, "") + event.text).split("\n")
        held = sum(map(len, now.held.values()))
        if not event.partial or held + len(begun) > MAX_HELD:
            whole.append(begun)
        else:
            now.held[event.stream] = begun
        return [self._line(now, line) for line in whole]

    def _release(self, now: _Now) -> list[str]:
        """A step's last words need no line end."""
        return [self._line(now, held) for held in now.held.values() if held]

    def _line(self, now: _Now, line: str) -> str:
        return f"{now.prefix} {now.label}: {self._shown(line)}"

    def _end_system(self, happening: SystemFinished) -> list[str]:
        now = self._now.pop(happening.system, None)
        lines = self._release(now) if now else []
        if happening.brief:
            words = f"{happening.outcome}: {happening.brief}"
            lines.append(f"[{text.word(happening.system)}] {text.word(words)}")
        return lines


def mode(event: wire.Hello) -> str:
    """Return which protections are in use, and what is weaker than it could be."""
    words = f"isolation {event.isolation}, limits {event.limits}, kernel {text.word(event.kernel)}"
    weaker = "; ".join(text.word(item) for item in event.weaker)
    return f"{words}; weaker: {weaker}" if weaker else words


def progress(event: wire.Progress) -> str:
    """Return how far a step is, in words."""
    done, total = str(event.done), str(event.total)
    if event.unit == "bytes":
        done, total = text.size(event.done), text.size(event.total)
    if event.total <= 0:
        return f"{done} done" if event.unit == "bytes" else f"{done} members done"
    percent = min(100, 100 * event.done // event.total)
    return f"{done} of {total} ({percent} %)"


def _opening(happening: RunStarted) -> str:
    inside = dict(happening.parents)
    count = sum(name not in inside for _, names in happening.systems for name in names)
    deployments = f"{count} deployment{'' if count == 1 else 's'}"
    return (
        f"{text.word(happening.verb)} {text.word(happening.cluster)}: {deployments}, "
        f"engine {text.word(happening.engine)}, run {text.word(happening.run)}"
    )


def _delivery(happening: Delivered) -> str:
    place = f"[{text.word(happening.system)}][{text.word(happening.deployment)}]"
    digest = f", sha256 {text.word(happening.sha256)[:12]}" if happening.sha256 else ""
    return (
        f"{place} delivered {text.word(happening.path)} ({text.size(happening.size_bytes)}{digest})"
    )


def _step_end(now: _Now, event: wire.StepFinished) -> list[str]:
    if now.kind == "metadata" and event.outcome == "ok":
        return []
    took = text.duration(event.wall_s)
    start = f"{now.prefix} {now.label}:"
    if event.outcome not in ("ok", "skipped"):
        detail = f" ({text.word(event.detail)})" if event.detail else ""
        return [f"{start} {event.outcome}{detail} after {took}"]
    words = "done" if event.outcome == "ok" else "skipped"
    changed = f", {text.counts(event.changes)}" if now.kind == "configure" else ""
    cached = ", found in the store" if event.cached else ""
    return [f"{start} {words} in {took}{cached}{changed}"]
