"""Short-lived helpers that deploy nothing: they sweep or verify the store, or say what works."""

import secrets
from collections.abc import Callable
from typing import Literal

from containerdeploy import wire
from containerdeploy.engine import Engine
from containerdeploy.errors import DeployError, ProtocolError
from containerdeploy.helper import spec
from containerdeploy.helper.session import Order, Session


def store(engine: Engine, image: str, volume: str, owner: str) -> int:
    """Remove the workspaces that no agent holds any more; return how many there were."""
    finished, _ = _run(engine, image, volume, owner, "sweep")
    return finished.swept


def verify(
    engine: Engine, image: str, volume: str, owner: str, hear: Callable[[wire.BaseVerified], None]
) -> None:
    """Have every base compared with what was recorded of it; tell of each as it is done."""

    def listen(event: wire.Event) -> None:
        if isinstance(event, wire.BaseVerified):
            hear(event)

    _run(engine, image, volume, owner, "verify", listen)


def probe(
    engine: Engine, image: str, volume: str, owner: str, isolation: wire.WantedMode = "auto"
) -> wire.Hello:
    """Return what an agent says of the place it finds itself in; raise DeployError.

    Raises Unfit where an `isolation` that is asked for by name can't be had.
    """
    _, hello = _run(engine, image, volume, owner, "probe", isolation=isolation)
    return hello


def _run(
    engine: Engine,
    image: str,
    volume: str,
    owner: str,
    kind: Literal["sweep", "probe", "verify"],
    listen: Callable[[wire.Event], None] = lambda _: None,
    isolation: wire.WantedMode = "auto",
) -> tuple[wire.Finished, wire.Hello]:
    name = f"containerdeploy-{kind}-{secrets.token_hex(6)}"
    hellos: list[wire.Hello] = []
    job = wire.Job(kind=kind, run=name, isolation=isolation)

    def hear(event: wire.Event) -> None:
        if isinstance(event, wire.Hello):
            hellos.append(event)
        listen(event)

    def refuse(container: str, artifact: wire.Artifact) -> None:
        raise ProtocolError(f"{container}: an artifact that nobody asked for: {artifact.name!r}")

    order = Order(
        container=spec.bare(name, image, volume, owner, isolation),
        job=job,
        nonce="",
        hear=hear,
        take=refuse,
    )
    finished = Session(engine, order).run()
    if finished.outcome != "ok":
        raise DeployError(finished.error, hint=finished.hint or None)
    if not hellos:
        raise ProtocolError("the agent never said hello")
    return finished, hellos[0]
