"""Takes hostile results without any care, to see what comes of that; runs in a helper's container.

The order (JSON, the only argument) has every trap's script, its kind of output and what a good
result holds, by its name. Nothing of the product is here to be in the way.
"""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

LARGE_BYTES = 1 << 40
LATER_S = 0.5
LOOKS = 50


def main(order: Mapping[str, Mapping[str, Any]]) -> None:
    """Spring one trap after the other; tell a line of JSON for each."""
    if os.getpid() != 1:
        sys.exit("it ends whatever runs beside it, so it runs in a container of its own only")
    for name, trap in order.items():
        harm = sprung(f"/tmp/{name}", trap)
        print(json.dumps({"name": name, "harm": harm}), flush=True)


def sprung(top: str, trap: Mapping[str, Any]) -> str:
    """Run the script, and take what it leaves; return what harm that did, nothing if none."""
    place = f"{top}/output"
    out = f"{place}/result"
    os.makedirs(place)
    is_stream = trap["output"] == "stream"
    if is_stream:
        os.mkfifo(out)
    kept = os.open(out, os.O_RDWR | os.O_NONBLOCK) if is_stream else -1
    text = f'out=$1 dir=$(dirname "$1")\n{trap["script"]}\n'
    nowhere = subprocess.DEVNULL
    subprocess.run(["sh", "-uc", text, "sh", out], stdout=nowhere, stderr=nowhere, check=False)
    try:
        if is_stream and (said := streamed(kept)):
            return "" if said in trap["contents"] else f"it says {said!r}"
        return taken(top, place, out, trap["contents"])
    finally:
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)


def streamed(kept: int) -> str:
    """Read all that anybody writes for a while."""
    said = b""
    ends = time.monotonic() + LATER_S
    while time.monotonic() < ends:
        with suppress(BlockingIOError):
            said += os.read(kept, 100)
        time.sleep(LATER_S / LOOKS)
    return said.decode()


def taken(top: str, place: str, out: str, good: list[str]) -> str:
    """Look at it as often as a race needs, then once more when it should have come to rest."""
    for _ in range(LOOKS):
        if harm := seen(out, good):
            return harm
        time.sleep(LATER_S / LOOKS)
    beside = {f"{top}/{name}" for name in os.listdir(top)} - {place}
    beside |= {f"{place}/{name}" for name in os.listdir(place)} - {out}
    return f"beside it lie {sorted(beside)}" if beside else ""


def seen(out: str, good: list[str]) -> str:
    """Say what is wrong with what lies there now; a result that is not there does no harm."""
    try:
        found = os.lstat(out)
        if not stat.S_ISREG(found.st_mode):
            return f"it is no file: mode {found.st_mode:o}"
        if found.st_mode & 0o7000 or found.st_nlink > 1:
            return f"mode {found.st_mode:o}, {found.st_nlink} names"
        if found.st_size > LARGE_BYTES:
            return f"{found.st_size} bytes"
        if marks := [name for name in os.listxattr(out) if name.startswith("user.overlay")]:
            return f"it bears {marks}"
        with open(out) as stream:
            said = stream.read(100)
    except FileNotFoundError:
        return "" if os.path.isdir(os.path.dirname(out)) else "its directory is gone"
    return "" if said in good or not said else f"it holds {said!r}"


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
