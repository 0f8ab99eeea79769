"""Where a deployment goes: which write extension, which location, which path on this host."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from containerdeploy.frozen import frozen
from containerdeploy.plan.model import Verb
from containerdeploy.plan.settings import Chosen, ResolvedDeployment

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")


@frozen
class Destination:
    """The write extension and the location that a verb uses; `warning` may be empty."""

    type: Chosen
    location: Chosen
    warning: str = ""


@frozen
class Refusal:
    """Why a deployment has no destination, and what to do about it."""

    message: str
    hint: str


def destination(one: ResolvedDeployment, verb: Verb) -> Destination | Refusal:
    """Choose type and location as morph did.

    `deploy` takes type and location. `upgrade` takes upgrade-type and upgrade-location, which have
    to come together; where there is neither it takes type and location, with a warning. A
    subsystem is written into its parent's tree either way.
    """
    settings = one.settings
    upgrades = "upgrade-type" in settings or "upgrade-location" in settings
    if verb == "upgrade" and upgrades:
        return _pair(one.name, settings, "upgrade-type", "upgrade-location")
    found = _pair(one.name, settings, "type", "location")
    if isinstance(found, Refusal):
        hint = "it can only be upgraded: use the command upgrade" if upgrades else found.hint
        return Refusal(message=found.message, hint=hint)
    if verb == "deploy" or one.is_subsystem:
        return found
    warning = f"{one.name}: upgrade-type and upgrade-location are not set, using type and location"
    return Destination(type=found.type, location=found.location, warning=warning)


def is_remote(location: str) -> bool:
    """Say whether a location is a URL, `user@host` or `host:path`, and so no path on this host."""
    head = location.partition("/")[0]
    return bool(_SCHEME.match(location)) or ":" in head or ("@" in head and head[0] != "@")


def location_fault(location: str, *, is_directory: bool) -> str | None:
    """Return why a location can't be a path to write to, or None."""
    if not location:
        return "is empty"
    if "\0" in location:
        return "holds a NUL"
    name = location.rstrip("/").rpartition("/")[2]
    if name in ("", ".", ".."):
        return "names no file"
    if location.endswith("/") and not is_directory:
        return "ends in '/', so it names a directory, not a file to write"
    return None


def target(location: str, output_dir: Path) -> Path:
    """Return the absolute path that a location means; `~` is a name like any other."""
    return Path(os.path.normpath(output_dir / location))


def leaves_parent(location: str) -> bool:
    """Say whether a subsystem's location leads out of the tree that it is written into."""
    normal = os.path.normpath(location.lstrip("/") or ".")
    return normal == ".." or normal.startswith("../")


def _pair(
    name: str, settings: Mapping[str, Chosen], kind: str, location: str
) -> Destination | Refusal:
    missing = [key for key in (kind, location) if key not in settings]
    if missing:
        return Refusal(
            message=f"the deployment {name!r} has no {' and no '.join(map(repr, missing))}",
            hint=f"write it below the deployment's name, or give {name}.{missing[0]}=VALUE",
        )
    return Destination(type=settings[kind], location=settings[location])
