"""Runs one program in a helper's container, as its root, with nothing of ours in between."""

import uuid
from collections.abc import Callable, Sequence

from containerdeploy import deploy
from containerdeploy.engine import ContainerSpec, Engine
from containerdeploy.errors import DeployError
from containerdeploy.frozen import replace
from containerdeploy.helper import spec

PATIENCE_S = 120.0
MOST_BYTES = 32 << 20


def run(
    engine: Engine,
    image: str,
    store: str,
    argv: Sequence[str],
    shape: Callable[[ContainerSpec], ContainerSpec] = lambda plain: plain,
) -> str:
    """Return what `argv` says; `shape` may change the container before it is made."""
    name = f"containerdeploy-selftest-{uuid.uuid4().hex[:12]}"
    plain = spec.bare(name, image, store, deploy.owner_label(None))
    container = engine.create(shape(replace(plain, argv=argv)))
    try:
        attached = engine.attach(container)
        try:
            engine.start(container)
            said = b""
            while piece := attached.read(PATIENCE_S):
                said += piece[1]
                if len(said) > MOST_BYTES:
                    raise DeployError("the self-test's own helper says far too much")
            return said.decode(errors="replace")
        finally:
            attached.close()
    finally:
        engine.remove(container)
