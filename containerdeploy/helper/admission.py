"""Asks the operator's policy about an engine and its images, before any container is made there."""

from containerdeploy import policy
from containerdeploy.engine import Engine, EngineInfo
from containerdeploy.errors import ImageMissing
from containerdeploy.plan import Plan


def refuse_place(plan: Plan, engine: Engine, info: EngineInfo | None = None) -> None:
    """Raise PlanError where the plan's policy refuses the engine or an image of the plan's."""
    images = {system.image: system.image_from for system in plan.systems}
    refuse(plan.policy, engine, images, info)


def refuse(
    rules: policy.Policy, engine: Engine, images: dict[str, str], info: EngineInfo | None = None
) -> None:
    """Raise PlanError where a policy refuses the engine or an image; who asks, by its name."""
    if not rules.files:
        return

    def resolve(name: str) -> str | None:
        try:
            return engine.image(name).id
        except ImageMissing:
            return None

    info = info or engine.describe()
    place = policy.Place(flavour=info.flavour, address=info.address, resolve=resolve)
    policy.refuse_place(rules, place, images)
