"""Watches what a running step writes, and tells when that is more than it may, or than there is.

What the disk loses is told by the kernel for nothing, but others write there too. So a step's trees
are only measured when the disk lost so much that the step could be over its limit, and now and
then. Beside its own limit a step may have 90 % of what is free or its own, at any time: several
that fill a disk side by side are ended before it is full, the largest first.
"""

import os
import threading
import time
from collections.abc import Sequence
from types import TracebackType

from containerdeploy.agent import usage
from containerdeploy.agent.usage import Amount, Place

SHARE = 0.9
LEAST = Amount(size_bytes=1 << 20, files=1000)  # nobody fills a disk with less
FASTEST_BYTES_S = 2e9
FASTEST_FILES_S = 1e5
PAUSE_S = (0.01, 0.1)
REGULARLY_S = 5.0
CALLS_PER_LOOK = 100
MOST_WORK = 0.05  # of the time goes into measuring
FURTHER = 0.05  # what may still be written between being asked to end and being killed


class Disk:
    """The watch over one step, in a thread of its own while the `with` lasts.

    `excess` says in words what limit is passed, `is_urgent` that it has to be stopped at once.
    """

    def __init__(self, places: Sequence[Place], limit_bytes: int | None) -> None:
        self._places = places
        self._limit = limit_bytes
        self._disks = {place.device: place.path for place in places}
        self._own = dict.fromkeys(self._disks, Amount())
        self._free = self._free_now()
        self._measured = time.monotonic()
        self._took_s = 0.0
        self._calls = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go, daemon=True, name="disk")
        self.excess = ""
        self.is_urgent = False

    def __enter__(self) -> "Disk":
        if self._places:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def last_words(self) -> str:
        """Look once more after the end: a step can write a lot between two looks."""
        self.stop()
        is_suspect = self._limit is not None or self._could_be_over(self._free_now())
        if self._places and not self.excess and is_suspect:
            self._over.clear()
            self._measure()
        return self.excess

    def _go(self) -> None:
        while not self._over.wait(self._pause_s()):
            free = self._free_now()
            if self.excess:
                self.is_urgent = self.is_urgent or self._is_going_on(free)
            elif self._is_due(self._could_be_over(free)):
                self._measure()

    def _free_now(self) -> dict[int, Amount]:
        return {device: _free(path) for device, path in self._disks.items()}

    def _guess(self, device: int, free: Amount) -> Amount:
        """The most that the step can hold: what it held, and all that the disk lost since."""
        own, before = self._own[device], self._free[device]
        return Amount(
            size_bytes=own.size_bytes + max(0, before.size_bytes - free.size_bytes),
            files=own.files + max(0, before.files - free.files),
        )

    def _could_be_over(self, free: dict[int, Amount]) -> bool:
        return bool(_excess({d: self._guess(d, free[d]) for d in free}, free, self._limit))

    def _is_due(self, is_suspect: bool) -> bool:
        since = time.monotonic() - self._measured
        pause = self._took_s / MOST_WORK
        return since > pause and (is_suspect or since > REGULARLY_S)

    def _measure(self) -> None:
        """Learn what the step holds; where that can't be told, all that was lost is its own."""
        started = time.monotonic()
        free = self._free_now()
        try:
            own = usage.measure(self._places, lambda: self._has_time(free))
        except (usage.Unmeasurable, OSError):
            if self._over.is_set():
                return
            now = self._free_now()
            own = {device: self._guess(device, now[device]) for device in now}
        self._own = {device: own.get(device, Amount()) for device in self._disks}
        self._free = self._free_now()
        self._measured = time.monotonic()
        self._took_s = self._measured - started
        self.excess = _excess(self._own, self._free, self._limit)

    def _has_time(self, before: dict[int, Amount]) -> bool:
        """Say whether to go on measuring: not while the disk fills faster than that is done."""
        self._calls += 1
        if self._over.is_set() or self._calls % CALLS_PER_LOOK:
            return not self._over.is_set()
        return all(now.size_bytes > before[d].size_bytes / 2 for d, now in self._free_now().items())

    def _is_going_on(self, free: dict[int, Amount]) -> bool:
        return any(
            _is_more(self._guess(device, free[device]), own, 1 + FURTHER)
            for device, own in self._own.items()
        )

    def _pause_s(self) -> float:
        """Look the more often the less is left."""
        shortest, longest = PAUSE_S
        left = [_least_left(self._own[d], self._free[d], self._limit) for d in self._disks]
        return min(max(shortest, min(left, default=longest)), longest)


def _excess(own: dict[int, Amount], free: dict[int, Amount], limit: int | None) -> str:
    """Say what is over, in words; nothing where all is well."""
    total = sum(amount.size_bytes for amount in own.values())
    if limit is not None and total > limit:
        return f"wrote {total} bytes, the limit is {limit}"
    for device, mine in own.items():
        there = free[device]
        if mine.size_bytes > max(LEAST.size_bytes, _share(mine.size_bytes, there.size_bytes)):
            return f"wrote {mine.size_bytes} bytes, {there.size_bytes} are left on the disk"
        if mine.files > max(LEAST.files, _share(mine.files, there.files)):
            return f"made {mine.files} files, {there.files} more fit on the disk"
    return ""


def _share(own: int, free: int) -> float:
    return SHARE * (own + free)


def _is_more(now: Amount, before: Amount, factor: float) -> bool:
    return now.size_bytes > before.size_bytes * factor or now.files > before.files * factor


def _least_left(own: Amount, free: Amount, limit: int | None) -> float:
    """Return after how many seconds, at the earliest, a limit can be reached."""
    size = _share(own.size_bytes, free.size_bytes) - own.size_bytes
    if limit is not None:
        size = min(size, limit - own.size_bytes)
    files = _share(own.files, free.files) - own.files
    return min(size / FASTEST_BYTES_S, files / FASTEST_FILES_S)


def _free(path: str) -> Amount:
    """Return what is free for everybody; a file system without a count of files has them all."""
    found = os.statvfs(path)
    files = found.f_favail if found.f_files else 1 << 62
    return Amount(size_bytes=found.f_bavail * found.f_frsize, files=files)
