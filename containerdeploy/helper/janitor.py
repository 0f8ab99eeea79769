"""Waits for the controller to end, then removes the files and the unstarted helpers that it left.

Run as a script. stdin brings `+PATH` when something is about to be made and `-PATH` when it has
been removed, each ended by a zero byte; its end means that the controller is gone. A helper may
write for some more seconds, so removing is tried again until it works or GIVE_UP_S are over.

A helper that runs ends by itself, for its stdin is its lease; one that was made and never started
has none. It is told as `*SOCKET`, a line's end and its name, and taken back the same way with `.`.
"""

import importlib.util
import json
import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

# No package is to be found from here: only the one file that can remove trees of any depth.
TREES = Path(__file__).parents[1] / "engine" / "runtime_files.py"
GIVE_UP_S = 60.0
PAUSE_S = 0.2
# A question to make one may still be on its way when the controller dies.
MADE_WITHIN_S = 5.0
ANSWER_S = 30.0


def main() -> None:
    left: set[bytes] = set()
    helpers: set[bytes] = set()
    kinds = {b"+": left.add, b"-": left.discard, b"*": helpers.add, b".": helpers.discard}
    for message in sys.stdin.buffer.read().split(b"\0"):
        if message:
            kinds[message[:1]](message[1:])
    waiting = {one: Helper(*one.split(b"\n", 1)) for one in helpers}
    deadline = time.monotonic() + GIVE_UP_S
    while (left or waiting) and time.monotonic() < deadline:
        left = {path for path in left if not removed(path)}
        waiting = {one: helper for one, helper in waiting.items() if not helper.is_gone()}
        time.sleep(PAUSE_S if left or waiting else 0)


class Helper:
    """A container that the controller may have made, on an engine that listens at a socket here."""

    def __init__(self, place: bytes, name: bytes) -> None:
        self._place = place
        self._name = name.decode()
        self._known = False
        self._made_by = time.monotonic() + MADE_WITHIN_S

    def is_gone(self) -> bool:
        """Remove it if it never started; say whether there is nothing left to wait for."""
        try:
            status, body = self._ask("GET", f"/containers/{self._name}/json")
            if status == 404:
                return self._known or time.monotonic() > self._made_by
            self._known = self._known or status == 200
            if status == 200 and json.loads(body)["State"]["Status"] in ("created", "configured"):
                self._ask("DELETE", f"/containers/{self._name}?force=true&v=true")
        except (ConnectionRefusedError, FileNotFoundError):
            return True  # so is the engine
        except (OSError, ValueError, KeyError):
            return False
        return False

    def _ask(self, verb: str, path: str) -> tuple[int, bytes]:
        import http.client  # most runs end well, and none should wait for this

        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.settimeout(ANSWER_S)
            connection.sock.connect(self._place)
            connection.request(verb, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as err:
            raise OSError("that is no answer") from err
        finally:
            connection.close()


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
