"""Asks an engine again when a failure may pass, within bounds and never in step with others."""

from collections.abc import Callable
from typing import TypeVar

import tenacity

from containerdeploy.errors import EngineError

T = TypeVar("T")


def passing(call: Callable[[], T], *, attempts: int = 5, total_s: float = 30.0) -> T:
    """Return what `call` returns, asking again while it fails with a transient EngineError.

    Only for calls that may safely happen twice. At most `attempts` of them, none begun after
    `total_s`; the pauses grow from 0.1 s to 5 s, with jitter. The last error is raised as it is.
    """
    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_may_pass),
        stop=tenacity.stop_after_attempt(attempts) | tenacity.stop_after_delay(total_s),
        wait=tenacity.wait_exponential_jitter(initial=0.1, max=5.0, jitter=0.2),
        reraise=True,
    )
    return again(call)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, EngineError) and error.transient
