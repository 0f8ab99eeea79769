"""Waits for the controller to end, then removes the staging directories and files that it left.

Run as a script. stdin brings `+PATH` when something is about to be made and `-PATH` when it has
been removed, each ended by a zero byte; its end means that the controller is gone. A helper may
write for some more seconds, so removing is tried again until it works or GIVE_UP_S are over.
"""

import importlib.util
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

# No package is to be found from here: only the one file that can remove trees of any depth.
TREES = Path(__file__).parents[1] / "engine" / "runtime_files.py"
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
    with suppress(OSError):
        _remove_tree(os.fsdecode(path))
    return not os.path.lexists(path)


def _remove_tree(path: str) -> None:
    found = importlib.util.spec_from_file_location("runtime_files", TREES)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    module.remove_tree(path)


if __name__ == "__main__":
    main()
