"""Asks an engine again when a failure may pass, within bounds and never in step with others."""

from collections.abc import Callable
from typing import TypeVar

import tenacity

from containerdeploy.errors import EngineError

T = TypeVar("T")


def passing(call: Callable[[], T], *, attempts: int = 5, total_s: float = 30.0) -> T:
    """Return what `call` returns, asking again while it fails with a transient EngineError.

    Only for calls that may safely happen twice. At most `attempts` of them, none begun after
    `total_s`; each pause is random between 0.05 s and a bound that grows to 5 s. The last error is
    raised as it is.
    """
    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_may_pass),
        stop=tenacity.stop_after_attempt(attempts) | tenacity.stop_after_delay(total_s),
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=5.0, min=0.05),
        reraise=True,
    )
    return again(call)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, EngineError) and error.transient
