"""What ends a deployment inside the agent, with words for the user."""

from containerdeploy import wire


class StepFailed(Exception):
    """A step did not do what it was there for; `outcome` is never "ok"."""

    def __init__(self, outcome: wire.Outcome, detail: str, *, hint: str = "") -> None:
        super().__init__(detail)
        self.outcome: wire.Outcome = outcome
        self.detail = detail
        self.hint = hint
