"""How long and how much a helper may talk: an honest agent needs less, one that lies is stopped.

The agent ends each extension at its limits. Should the agent be the liar, these bounds hold: they
are those limits, and room for what an agent does around an extension.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from containerdeploy import wire
from containerdeploy.errors import ProtocolError
from containerdeploy.frozen import frozen

START_S = 300.0  # until Hello: engines are slow on busy machines
BETWEEN_S = 3600.0  # between two steps, and for those that are the agent's own
AROUND_S = 3600.0  # for what an agent does around an extension: what it changed, what it left
SLOWEST_BYTES_PER_S = 1 << 20  # of a source, unpacked or waited for
OWN_TEXT_BYTES = 128 << 20  # what the agent's own steps may say
SLACK_BYTES = 16 << 20  # what was read before a limit was seen, and the agent's own words
MOST_PATHS = 2 * wire.MOST_LISTED
OTHER_BYTES = 64 << 20  # of all else in one step


@frozen
class _Bounds:
    """What one step may take."""

    seconds: float
    text_bytes: int = OWN_TEXT_BYTES


class Allowance:
    """Follows one helper's events that passed inspection; the time is for the open step."""

    def __init__(self, job: wire.Job, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._system = job.system or "no system"
        self._clock = clock
        self._bounds = dict(_bounds(job.deployments))
        self._text = self._paths = self._other = 0
        self._begin("its start", _Bounds(seconds=START_S))

    def left_s(self) -> float:
        """Return how long the helper may still take for what it is at; 0 when that is over."""
        return max(0.0, self._deadline - self._clock())

    def overdue(self) -> ProtocolError:
        """Return the words for a helper whose time is over."""
        return ProtocolError(
            f"the helper of {self._system} took too long for {self._what}",
            details=f"{self._now.seconds:.0f} s are what it may take, all limits reached",
            hint="if a source is that large or a disk that slow, try again; else don't trust the "
            "helper's image",
        )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Don't count the time that the controller itself takes."""
        started = self._clock()
        try:
            yield
        finally:
            self._deadline += self._clock() - started

    def spend(self, event: wire.Event, size_bytes: int) -> None:
        """Take an event, whose line had `size_bytes`; raise ProtocolError if it is one too many."""
        match event:
            case wire.StepStarted():
                self._begin(f"the step {event.step!a}", self._bounds[event.step])
            case wire.StepFinished() | wire.Hello() | wire.Checked():
                self._begin("what follows a step", _Bounds(seconds=BETWEEN_S))
            case wire.Log():
                self._refuse_over(len(event.text), wire.TEXT_PER_LINE, "characters at once")
                # A line's end is a byte too.
                self._text += len(event.text) + 1
                self._refuse_over(self._text, self._now.text_bytes + SLACK_BYTES, "bytes of text")
            case wire.Changed():
                self._refuse_over(len(event.changes), wire.CHANGES_PER_EVENT, "changes at once")
                self._paths += len(event.changes)
                self._refuse_over(self._paths, MOST_PATHS, "changed paths")
            case _:
                if isinstance(event, wire.BaseVerified):  # one of many, each as large as a source
                    self._deadline = self._clock() + self._now.seconds
                self._other += size_bytes
                self._refuse_over(self._other, OTHER_BYTES, "bytes of events")

    def _begin(self, what: str, bounds: _Bounds) -> None:
        self._what = what
        self._now = bounds
        self._deadline = self._clock() + bounds.seconds
        self._text = self._paths = self._other = 0

    def _refuse_over(self, count: int, limit: int, what: str) -> None:
        if count > limit:
            raise ProtocolError(
                f"the helper of {self._system} said too much in {self._what}",
                details=f"more than {limit} {what}",
                hint="an agent ends an extension before that: don't trust the helper's image",
            )


def _bounds(deployments: tuple[wire.Deployment, ...]) -> Iterator[tuple[str, _Bounds]]:
    for one in deployments:
        sources = [one.source, *(part.source for part in one.components)]
        unpacking_s = sum(source.size_bytes for source in sources) / SLOWEST_BYTES_PER_S
        yield wire.base_step(one.name), _Bounds(seconds=BETWEEN_S + unpacking_s)
        yield wire.metadata_step(one.name), _Bounds(seconds=BETWEEN_S)
        for step in (one.check, *one.configure, one.write):
            if step is not None:
                yield step.id, _of_extension(step.limits)
        yield from _bounds(one.subsystems)


def _of_extension(limits: wire.Limits) -> _Bounds:
    seconds = math.inf if limits.timeout_s is None else limits.timeout_s + AROUND_S
    return _Bounds(seconds=seconds, text_bytes=limits.max_output_bytes)
