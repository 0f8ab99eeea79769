"""How a command learns of the engines that tests.engines sets up beside it: from a file."""

import functools
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "CONTAINERDEPLOY_TEST_ENGINES"
TIMEOUT_S = 1800.0
POLL_S = 0.1


def announce(path: Path, environment: Mapping[str, str]) -> None:
    """Tell, all at once, the variables that lead to the engines."""
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(dict(environment)))
    unfinished.replace(path)


@functools.cache
def await_engines() -> None:
    """Have the announced variables in this environment; no wait where nobody sets up engines."""
    if not (named := os.environ.get(VARIABLE)):
        return
    path = Path(named)
    deadline = time.monotonic() + TIMEOUT_S
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the engines are not set up after {TIMEOUT_S:.0f} s")
        time.sleep(POLL_S)
    os.environ.update(json.loads(path.read_text()))
