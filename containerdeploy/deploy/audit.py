"""Looks for whatever of a run is still there when it is over, by its label and by its paths.

A machine changes all the time while a run goes on: only what bears the run's name is the run's.
What lives in a helper goes with it; the agent has looked at that before (agent/audit.py).
"""

from pathlib import Path

from containerdeploy.engine import Engine
from containerdeploy.errors import EngineError
from containerdeploy.helper import spec
from containerdeploy.helper.staging import Staging
from containerdeploy.result import Audit

TEMPORARY = ("nonce-*", ".*.new")


def on_the_engine(engine: Engine, owner: str, *, with_volumes: bool) -> Audit:
    """Ask the engine; `with_volumes` says that the run's helpers had volumes of their own."""
    label = f"{spec.OWNER_LABEL}={owner}"
    left = []
    try:
        left += [f"the helper {one.name or one.id}" for one in engine.containers(label)]
        if with_volumes:
            left += [f"the volume {one.name}" for one in engine.volumes(label)]
    except EngineError as err:
        return Audit(left=(f"nobody knows what on the engine: {err.brief}",))
    looked_for = ("helpers", "volumes") if with_volumes else ("helpers",)
    return Audit(looked_for=looked_for, left=tuple(left))


def on_this_host(staging: Staging, record: Path) -> Audit:
    """Look at the paths that the run has used."""
    left = [f"the staging directory {path}" for path in staging.left() if path.parent != record]
    left += [f"the file {path}" for path in temporary_files(record)]
    return Audit(looked_for=("staging directories", "temporary files"), left=tuple(left))


def temporary_files(record: Path) -> list[Path]:
    """List what lies in a run's record for the time of the run only."""
    return [path for pattern in TEMPORARY for path in record.glob(pattern)]
