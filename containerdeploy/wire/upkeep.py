"""Messages about what should be gone at a job's end."""

from typing import Literal

from containerdeploy.frozen import frozen

LeftKind = Literal["process", "mount", "descriptor", "control group", "workspace"]


@frozen
class Left:
    """Something of the agent's that should have been gone when it was done."""

    kind: LeftKind
    name: str
