"""Makes attacks, each in a process of its own, and tells what came of them, a line of JSON each."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable

import on_devices
import on_mounts
import on_the_agent
import on_the_host
import on_the_kernel
import on_the_network
import on_the_store
from tools import ATTACKS, Untried

PATIENCE_S = 10
MOST_EVIDENCE = 500
TRIED = (
    *(on_the_agent, on_the_store, on_mounts, on_the_host, on_devices),
    *(on_the_kernel, on_the_network),
)


def tell(value: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def announce(groups: dict[str, str]) -> None:
    """Tell what is going to be tried, by name, and what each of it is on."""
    sys.stdout.write(json.dumps({"attacks": groups}) + "\n")


def attempt(names: Iterable[str], prepare: Callable[[], None] | None = None) -> None:
    """Make attacks; `prepare` is called in the process of each, before it."""
    for name in names:
        tell({"attack": name, **_told(name, prepare)})


def group(name: str) -> str:
    found: str = sys.modules[ATTACKS[name].__module__].GROUP
    return found


def _told(name: str, prepare: Callable[[], None] | None) -> dict[str, object]:
    """Make one attack; its process may well be killed or stay silent."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE_S)
        if prepare is not None:
            prepare()
        os.write(write, b"\n" + json.dumps(_result(name)).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        lines = stream.read().splitlines()
    os.waitpid(child, 0)
    try:
        found: dict[str, object] = json.loads(lines[-1])
    except (IndexError, ValueError):
        return {"error": "it was killed"}
    return found


def _result(name: str) -> dict[str, object]:
    try:
        evidence = ATTACKS[name]()
        is_none = evidence is None or evidence is False
        return {"through": None if is_none else repr(evidence)[:MOST_EVIDENCE]}
    except OSError as err:
        place = f" ({err.filename})" if err.filename else ""
        return {"error": f"{err.strerror or err}{place}", "errno": err.errno}
    except Untried as err:
        return {"untried": str(err)}
    except Exception as err:
        return {"untried": repr(err)}
