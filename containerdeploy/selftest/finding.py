"""What came of one attack: the value that all families of attacks tell in."""

from collections.abc import Callable, Iterable
from typing import Literal

from containerdeploy.frozen import frozen
from containerdeploy.selftest.ground import Ground

Family = Literal["extensions", "artifacts", "archives", "resources"]
Verdict = Literal["contained", "got through", "not tried"]


@frozen
class Finding:
    """One attack and its end. `group` is what is attacked, in a user's words.

    `evidence` is what got through, how it was stopped, or why it could not be tried.
    """

    family: Family
    group: str
    name: str
    verdict: Verdict
    evidence: str = ""


# A family: makes its attacks on a ground, and yields one finding for each of them.
Attempt = Callable[[Ground], Iterable[Finding]]
