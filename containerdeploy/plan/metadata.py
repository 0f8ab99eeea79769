"""The text of /baserock/deployment.meta: what a tree was configured with, and nothing secret."""

import json
from collections.abc import Sequence

from containerdeploy import __version__
from containerdeploy.plan.model import Parameter


def metadata(
    *,
    system: str,
    type_: str,
    location: str,
    parameters: Sequence[Parameter],
    definitions_version: str,
    partial: bool = False,
) -> str:
    """Return deployment.meta in Baserock's form; it depends on no clock, host or engine."""
    content = {
        "system-artifact-name": system,
        "configuration": {one.name: one.value for one in parameters if not one.secret},
        "deployment-type": type_,
        "location": location,
        "definitions-version": {"describe": definitions_version},
        "containerdeploy-version": __version__,
        "partial": partial,
    }
    return json.dumps(content, sort_keys=True, indent=4) + "\n"
