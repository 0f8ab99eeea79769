"""How a confined program ended, and what that means."""

import os
import signal
from contextlib import suppress

from containerdeploy import wire
from containerdeploy.agent.cgroups import Group
from containerdeploy.frozen import frozen


@frozen
class Ending:
    """How a program ended; `detail` is one line of evidence."""

    outcome: wire.Outcome
    detail: str
    exit_code: int | None
    wall_s: float
    cpu_s: float
    peak_memory_bytes: int
    stderr_tail: str = ""


def verdict(
    status: int, trouble: str, group: Group, limits: wire.Limits
) -> tuple[wire.Outcome, str, int | None]:
    """What a program's end means; told in the order in which one cause hides another."""
    code = os.waitstatus_to_exitcode(status)
    if trouble:
        return "cannot start", " ".join(trouble.split()), None
    if code == 0:
        return "ok", "", 0
    if group.memory_kills():
        return "out of memory", f"used more than {limits.memory_bytes} bytes", code
    if code < 0 or code > 128:
        number = -code if code < 0 else code - 128
        with suppress(ValueError):
            return "killed", f"ended by {signal.Signals(number).name}", code
    return "failed", f"exit code {code}", code
