"""A thread that stands in a control group before its step begins: what it forks is born there.

Before a process moves into a group the kernel waits until nobody is in the middle of a fork, 5 to
15 ms. In version 1 a thread can move alone; this one does so while the step before is running.
"""

import itertools
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
REMOVE_S = 2.0
PAUSE_S = 0.0005


class Launcher:
    """Goes from one new group, below each of `roots`, to the next; starts one thing in each."""

    def __init__(self, roots: tuple[str, ...]) -> None:
        self._roots = roots
        self._places: queue.SimpleQueue[tuple[str, ...] | OSError] = queue.SimpleQueue()
        self._orders: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._is_claimed = False
        self._thread = threading.Thread(target=self._go, daemon=True, name="launcher")
        self._thread.start()

    def claim(self) -> tuple[str, ...]:
        """Wait until it stands in a group of its own; return the group's directories.

        The group is the caller's then; `call` or `leave` must follow. Raises OSError.
        """
        place = self._places.get()
        if isinstance(place, OSError):
            self._places.put(place)
            raise place
        self._is_claimed = True
        return place

    def call(self, action: Callable[[], T]) -> T:
        """Let the thread do something in the claimed group, then go on to the next."""
        self._is_claimed = False
        over = threading.Event()
        results: list[T] = []
        failures: list[BaseException] = []

        def order() -> None:
            try:
                results.append(action())
            except BaseException as err:
                failures.append(err)
            over.set()

        self._orders.put(order)
        over.wait()
        if failures:
            raise failures[0]
        return results[0]

    def leave(self) -> None:
        """Go on to the next group if nothing was called in the claimed one."""
        if self._is_claimed:
            self.call(lambda: None)

    def close(self) -> None:
        """End the thread, and so its stay in a group that nobody claimed; remove that."""
        self._orders.put(None)
        self._thread.join()
        if self._is_claimed or isinstance(place := self._places.get(), OSError):
            return
        for directory in place:
            remove(directory)

    def _go(self) -> None:
        numbers = itertools.count()
        while self._stand(next(numbers)):
            pass

    def _stand(self, number: int) -> bool:
        """Enter a group and carry out one order there; False when it was the last."""
        try:
            self._places.put(self._enter(f"step-{number}"))
        except OSError as err:
            self._places.put(err)
            return False
        order = self._orders.get()
        if order is not None:
            order()
        return order is not None

    def _enter(self, name: str) -> tuple[str, ...]:
        """Make the group and move there, this thread and no other."""
        directories = tuple(f"{root}/{name}" for root in self._roots)
        for directory in directories:
            os.mkdir(directory)
            with open(f"{directory}/tasks", "w", encoding="ascii") as stream:
                stream.write("0")
        return directories


def remove(group: str) -> None:
    """Remove a group; the kernel lets go of its last task a moment after that is over."""
    deadline = time.monotonic() + REMOVE_S
    while True:
        try:
            return os.rmdir(group)
        except FileNotFoundError:
            return None
        except OSError:
            if time.monotonic() > deadline:
                return None
            time.sleep(PAUSE_S)
