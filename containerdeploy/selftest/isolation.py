"""The whole self-test: every family of attacks, one after the other, on one ground."""

from collections.abc import Collection, Mapping

from containerdeploy.plan import Isolation
from containerdeploy.selftest import archives, artifacts, control, extensions, ground, resources
from containerdeploy.selftest.finding import Attempt, Family
from containerdeploy.selftest.matrix import Matrix

# A new family is a function in a module of its own and a line here.
FAMILIES: Mapping[Family, Attempt] = {
    "extensions": extensions.attempt,
    "artifacts": artifacts.attempt,
    "archives": archives.attempt,
    "resources": resources.attempt,
}
CONTROLS: Mapping[Family, Attempt] = {
    "extensions": control.attempt,
    "artifacts": artifacts.control,
    "archives": archives.control,
    "resources": resources.control,
}


def attack(
    engine: str,
    image: str | None,
    isolation: Isolation,
    *,
    only: Collection[str] = (),
    weakened: bool = False,
) -> Matrix:
    """Make all attacks on an engine; nothing of the user's is touched, nothing is left.

    `only` names families, all if it is empty.

    With `weakened` the same scripts run where the confinement is not in their way: what gets
    through there is an attack for real. Raises EngineError where no helper can run.
    """
    with ground.opened(engine, image, isolation) as place:
        families = CONTROLS if weakened else FAMILIES
        attempts = [attempt for name, attempt in families.items() if not only or name in only]
        findings = [finding for attempt in attempts for finding in attempt(place)]
        return Matrix(
            engine=place.why_engine, hello=place.hello, findings=findings, weakened=weakened
        )
