"""What an ordinary user's disk can't hold of a source: kept beside its base, shown to extensions.

While an archive is unpacked, `_marks.py` of the built-in extensions turns device nodes into empty
files, and foreign owners into root's, with attributes that say what they are (see there). It leaves
two files beside the base: the `devices` that count, and the owners of symbolic `links`, which hold
no attributes. A write extension finds them below /extensions/kept.
"""

import os
from collections.abc import Sequence
from contextlib import suppress

from containerdeploy.agent import identity as identities

NAME = "kept"
DEVICES, LINKS = "devices", "links"


class Keeper:
    """Gathers what was kept for the sources of one job; `place` is where extensions find it.

    Nothing is kept where the agent is real root: there all can be had.
    """

    def __init__(self, extensions: str, *, keeps: bool) -> None:
        self._place = f"{extensions}/{NAME}"
        self._keeps = keeps
        self._devices: set[bytes] = set()

    def add(self, base: str) -> None:
        """Let the devices of a base count, in all that is written from now on."""
        self._devices |= set(_read(base, DEVICES).split(b"\0")) - {b""}

    def show(self, bases: Sequence[str]) -> None:
        """Put down what a tree made of these bases (the topmost first) needs to be whole."""
        if not self._keeps:
            return
        os.makedirs(self._place, 0o755, exist_ok=True)
        links = b"".join(_read(base, LINKS) for base in reversed(bases))
        devices = b"".join(device + b"\0" for device in sorted(self._devices))
        for name, content in ((DEVICES, devices), (LINKS, links)):
            with open(f"{self._place}/{name}", "wb") as stream:
                stream.write(content)


def as_words() -> str:
    """Return the ids that an unpacked tree's owners can be, as `_marks.py` wants them."""
    return ",".join(f"{first}+{count}" for first, count in identities.mapped_ids())


def _read(base: str, name: str) -> bytes:
    with suppress(FileNotFoundError), open(f"{base}/{NAME}/{name}", "rb") as stream:
        return stream.read()
    return b""
