"""The command line, its helpers' agents replaced by liars; given to Python as text.

Arguments: the liars' module as text, settings of the product as JSON (`module:NAME` to a value),
then the command line's own. What it took of memory at most is said last, on stderr.
"""

import atexit
import importlib
import json
import sys
from pathlib import Path

from containerdeploy import cli
from containerdeploy.helper import payload

HONEST = "boot(extensions, take(job))"
MUTE = "import time; time.sleep(3600)"


def _instead(liars: str) -> tuple[str, ...]:
    """Return the program of a helper; without liars one that never reads nor says anything."""
    bootstrap = MUTE
    if liars:
        told = f"job = take(job)\nexec({liars!r})\nlie(job, lambda: boot(extensions, job))"
        assert payload.BOOTSTRAP.count(HONEST) == 1
        bootstrap = payload.BOOTSTRAP.replace(HONEST, told)
    return (*payload.ARGV[:-1], bootstrap)


def _tell_memory() -> None:
    """VmHWM, and not getrusage, which counts what the parent had when it forked."""
    status = Path("/proc/self/status").read_text()
    sys.stderr.write("".join(line for line in status.splitlines(True) if "VmHWM" in line))


payload.ARGV = _instead(sys.argv[1])
for place, value in json.loads(sys.argv[2]).items():
    module, _, name = place.partition(":")
    assert hasattr(importlib.import_module(module), name), place
    setattr(importlib.import_module(module), name, value)
atexit.register(_tell_memory)
sys.argv = ["containerdeploy", *sys.argv[3:]]
cli.main()
