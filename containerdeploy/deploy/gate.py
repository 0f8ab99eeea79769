"""The gate between checking and unpacking: nobody goes through before everybody has been checked.

A system's helper is started, runs its checks, and waits here for those of the others: the smallest
mistake is told before minutes of work, and no helper is started twice. While one waits, another has
its place. One that leaves before its checks have passed shuts the gate for all.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from containerdeploy.errors import Interrupted


class Shut(Interrupted):
    """A system may not go on: another one's checks did not pass, or the run is being stopped."""

    def __init__(self) -> None:
        super().__init__("nothing was unpacked: the checks of another system did not pass")


class Gate:
    """Where the systems of a run wait for each other; `places` limits how many are at work.

    Of those that wait for a place, the one with the lowest number gets it.
    """

    def __init__(self, systems: int, places: int) -> None:
        self._changed = threading.Condition()
        self._unchecked = systems
        self._places = places
        self._waiting: set[tuple[bool, int]] = set()
        self._is_shut = False

    @contextmanager
    def turn(self, number: int) -> Iterator["Turn"]:
        """Wait for a place, have it while the block runs. Raises Shut."""
        turn = Turn(self, number)
        try:
            self._take_place(number, is_checked=False)
            turn.has_place = True
            yield turn
        finally:
            self._leave(turn)

    def shut(self) -> None:
        """Let nobody through any more; those who wait are sent away."""
        with self._changed:
            self._is_shut = True
            self._changed.notify_all()

    def pass_through(self, turn: "Turn") -> None:
        """Note that a system's checks have passed, wait until it may go on. Raises Shut."""
        with self._changed:
            turn.is_checked, turn.has_place = True, False
            self._unchecked -= 1
            self._places += 1
            self._changed.notify_all()
            self._take_place(turn.number, is_checked=True)
            turn.has_place = True

    def _take_place(self, number: int, *, is_checked: bool) -> None:
        me = (is_checked, number)
        with self._changed:
            self._waiting.add(me)
            self._changed.wait_for(lambda: self._is_shut or self._is_next(me))
            self._waiting.remove(me)
            self._changed.notify_all()
            if self._is_shut:
                raise Shut
            self._places -= 1

    def _is_next(self, me: tuple[bool, int]) -> bool:
        is_checked, _ = me
        is_open = not (is_checked and self._unchecked)
        return is_open and self._places > 0 and me == min(self._waiting)

    def _leave(self, turn: "Turn") -> None:
        with self._changed:
            self._places += turn.has_place
            self._is_shut = self._is_shut or not turn.is_checked
            self._changed.notify_all()


class Turn:
    """One system's way through the gate."""

    def __init__(self, gate: Gate, number: int) -> None:
        self._gate = gate
        self.number = number
        self.is_checked = False
        self.has_place = False

    def admit(self) -> None:
        """Call once the checks have passed; returns when unpacking may begin. Raises Shut."""
        self._gate.pass_through(self)
