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


@frozen
class Verdict:
    """What a program's end means."""

    outcome: wire.Outcome
    detail: str
    exit_code: int | None = None


def verdict(
    status: int,
    trouble: str,
    group: Group,
    limits: wire.Limits,
    over: tuple[wire.Outcome, str] | None,
    disk: str,
) -> Verdict:
    """What a program's end means; told in the order in which one cause hides another.

    `over` is the limit that it was ended for, `disk` says that it wrote more than it may.
    """
    code = os.waitstatus_to_exitcode(status)
    if over:
        return Verdict(outcome=over[0], detail=over[1])
    if trouble:
        return Verdict(outcome="cannot start", detail=" ".join(trouble.split()))
    if disk:
        return Verdict(outcome="out of disk", detail=disk, exit_code=code)
    if code == 0:
        return Verdict(outcome="ok", detail="", exit_code=0)
    outcome, detail = _failure(code, group, limits)
    return Verdict(outcome=outcome, detail=detail, exit_code=code)


def _failure(code: int, group: Group, limits: wire.Limits) -> tuple[wire.Outcome, str]:
    if kills := group.memory_kills():
        used = f"used more than {limits.memory_bytes} bytes (peak {group.peak_memory_bytes()})"
        return "out of memory", f"{used}; the kernel killed {kills}"
    if refused := group.forks_refused():
        told = f"the limit is {limits.pids}, {refused} times more were refused"
        return "too many processes", f"{_how(code)}; {told}"
    return ("killed" if _signal_name(code) else "failed"), _how(code)


def _how(code: int) -> str:
    name = _signal_name(code)
    return f"ended by {name}" if name else f"exit code {code}"


def _signal_name(code: int) -> str:
    """Return the name of the signal that ended a program, or a shell's child."""
    number = -code if code < 0 else code - 128
    with suppress(ValueError):
        return signal.Signals(number).name if code < 0 or code > 128 else ""
    return ""
