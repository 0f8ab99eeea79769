"""What ends a deployment inside the agent, with words for the user."""

import os

from containerdeploy import wire


class StepFailed(Exception):
    """A step did not do what it was there for; `outcome` is never "ok"."""

    def __init__(self, outcome: wire.Outcome, detail: str, *, hint: str = "") -> None:
        super().__init__(detail)
        self.outcome: wire.Outcome = outcome
        self.detail = detail
        self.hint = hint


def told(err: BaseException) -> str:
    """Return an error in one line, with the place that it comes from."""
    what = str(err) if isinstance(err, OSError) else f"{type(err).__name__}: {err}"
    trace = err.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return what
    file = os.path.basename(trace.tb_frame.f_code.co_filename)
    return f"{what} ({file}:{trace.tb_lineno})"
