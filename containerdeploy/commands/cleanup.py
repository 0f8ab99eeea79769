"""cleanup: removes what dead runs left on the engine and on this host; live runs keep theirs."""

import time
from collections.abc import Iterator
from pathlib import Path

from containerdeploy import deploy, images, places
from containerdeploy.engine import ContainerInfo, Engine
from containerdeploy.engine.choose import open_engine
from containerdeploy.errors import EngineError
from containerdeploy.helper import admission, spec, staging, sweep
from containerdeploy.planning import read_policy
from containerdeploy.result import is_live, liveness

SETTLING_S = 600.0
UNFINISHED = (".*.new", "programs/.*.new")  # caches that were being written


def run_cleanup(engine: str, image: str | None) -> str:
    """Clean up and return what was removed, one line each."""
    home = places.home()
    chosen = open_engine(engine, home)
    try:
        name = images.full_name(image or images.HELPER)
        admission.refuse(read_policy(), chosen.engine, {name: "--image" if image else "cleanup"})
        lines = [
            *_containers(chosen.engine),
            *_store(chosen.engine, name),
        ]
    finally:
        chosen.engine.close()
    lines += _here(home)
    return "\n".join([f"engine: {chosen.why}", *(lines or ["nothing was left behind"])])


def _containers(engine: Engine) -> Iterator[str]:
    for container in engine.containers(spec.LABEL):
        if is_dead(container):
            engine.remove(container.id)
            yield f"removed the helper {container.name}"


def is_dead(container: ContainerInfo) -> bool:
    """Whether nobody waits for it: its run was of this host and holds its lock no more.

    Other hosts' are theirs to judge. Where there is no run (doctor's), or its record can't be seen
    from here (another user's, or another container's on this host), a helper that runs still has
    its controller: else its lease would have ended it.
    """
    host, _, record = container.labels.get(spec.OWNER_LABEL, "").partition(":")
    if host != deploy.host_id():
        return False
    live = liveness(Path(record)) if record else None
    if live is None:
        return container.state != "running" and time.time() - container.created > SETTLING_S
    return not live


def _store(engine: Engine, image: str) -> Iterator[str]:
    try:
        swept = sweep.store(engine, image, places.store(), deploy.owner_label(None))
    except EngineError as err:
        yield f"the store was not swept: {err.brief}"
        return
    if swept:
        yield f"removed {swept} unfinished workspace{'' if swept == 1 else 's'} from the store"


def _here(home: Path) -> Iterator[str]:
    """Staging directories lie beside targets; the records of dead runs tell where those were."""
    for pattern in UNFINISHED:
        for file in home.glob(pattern):
            if time.time() - file.stat().st_mtime > SETTLING_S:
                file.unlink(missing_ok=True)
                yield f"removed {file}"
    for run in sorted((home / "runs").glob("*")):
        if is_live(run):
            continue
        for directory in staging.left_by(run):
            staging.remove_tree(directory)
            yield f"removed {directory}"
        for file in deploy.temporary_files(run):
            file.unlink(missing_ok=True)
            yield f"removed {file}"
