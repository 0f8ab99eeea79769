"""The whole self-test: every family of attacks, one after the other, on one ground."""

from collections.abc import Mapping

from containerdeploy.plan import Isolation
from containerdeploy.selftest import artifacts, control, extensions, ground
from containerdeploy.selftest.finding import Attempt, Family
from containerdeploy.selftest.matrix import Matrix

# A new family is a function in a module of its own and a line here.
FAMILIES: Mapping[Family, Attempt] = {
    "extensions": extensions.attempt,
    "artifacts": artifacts.attempt,
}


def attack(
    engine: str, image: str | None, isolation: Isolation, *, weakened: bool = False
) -> Matrix:
    """Make all attacks on an engine; nothing of the user's is touched, nothing is left.

    With `weakened` the same scripts run where the confinement is not in their way: what gets
    through there is an attack for real. Raises EngineError where no helper can run.
    """
    with ground.opened(engine, image, isolation) as place:
        attempts = [control.attempt] if weakened else FAMILIES.values()
        findings = [finding for attempt in attempts for finding in attempt(place)]
        return Matrix(
            engine=place.why_engine, hello=place.hello, findings=findings, weakened=weakened
        )
