"""Waits for the controller to end, then removes the staging directories and files that it left.

Run as a script. stdin brings `+PATH` when something is about to be made and `-PATH` when it has
been removed, each ended by a zero byte; its end means that the controller is gone. A helper may
write for some more seconds, so removing is tried again until it works or GIVE_UP_S are over.
"""

import os
import shutil
import sys
import time
from contextlib import suppress

GIVE_UP_S = 60.0
PAUSE_S = 0.2


def main() -> None:
    left: set[bytes] = set()
    for message in sys.stdin.buffer.read().split(b"\0"):
        if message[:1] == b"+":
            left.add(message[1:])
        elif message[:1] == b"-":
            left.discard(message[1:])
    deadline = time.monotonic() + GIVE_UP_S
    while left and time.monotonic() < deadline:
        left = {path for path in left if not removed(path)}
        time.sleep(PAUSE_S if left else 0)


def removed(path: bytes) -> bool:
    with suppress(OSError):
        os.remove(path)  # noqa: PTH107  paths are bytes here
    shutil.rmtree(path, ignore_errors=True)
    return not os.path.lexists(path)


if __name__ == "__main__":
    main()
