"""What a step gets of the network: none, all of it, or a gateway to the hosts that it lists."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from containerdeploy import wire
from containerdeploy.agent import confine, layers
from containerdeploy.agent import filter as call_filter
from containerdeploy.agent.failures import StepFailed
from containerdeploy.agent.process import Sink
from containerdeploy.agent.room import RESOLVER_FILES, Bind
from containerdeploy.frozen import NOTHING, frozen

if TYPE_CHECKING:
    from containerdeploy.gateway.connection import Told
    from containerdeploy.gateway.process import Gateway

HOSTS = "/etc/hosts"
PLACE = f"{layers.PLACE}/network"


@frozen
class Access:
    """A step's part of the network; `is_full` shares the helper's."""

    is_full: bool = False
    entrance: confine.Entrance | None = None
    binds: tuple[Bind, ...] = ()
    environment: Mapping[str, str] = NOTHING
    sinks: Mapping[int, Sink] = NOTHING
    finish: Callable[[], wire.Traffic | None] = lambda: None


@contextmanager
def granted(
    step: wire.Step, *, rootless: bool, send: Callable[[wire.Event], None]
) -> Iterator[Access]:
    """Yield what a step may use; a gateway's connections are sent as events while it runs.

    After the step `finish` has to be called: it returns the sums, and raises StepFailed where the
    gateway did not hold out. Modules for it are loaded for steps that list hosts only.
    """
    if step.network != "listed":
        yield Access(is_full=step.network == "full")
        return
    from containerdeploy.gateway import doors, hosts, process

    listed = tuple(hosts.parse(entry) for entry in step.hosts)
    order = process.Order(hosts=listed, filter=call_filter.program(), becomes_nobody=not rootless)
    with process.serving(order, lambda told: send(_event(step.id, told))) as gateway:
        yield Access(
            entrance=gateway.entrance,
            binds=_files(doors.hosts_file(listed)),
            environment=doors.environment(),
            sinks={gateway.descriptor: gateway},
            finish=lambda: _finished(gateway),
        )


def _files(hosts_file: str) -> tuple[Bind, ...]:
    """Return the room's own /etc/hosts, and an /etc/resolv.conf that names no server."""
    os.makedirs(PLACE, exist_ok=True)
    binds = []
    for path in RESOLVER_FILES:
        text = hosts_file if path == HOSTS else ""
        source = f"{PLACE}/{os.path.basename(path)}"
        with open(source, "w", encoding="ascii") as stream:
            stream.write(text)
        if os.path.exists(path):
            binds.append(Bind(source=source, target=path))
    return tuple(binds)


def _finished(gateway: "Gateway") -> wire.Traffic:
    try:
        gateway.finish()
    except OSError as err:
        raise StepFailed("failed", str(err)) from err
    return wire.Traffic(**gateway.totals)


def _event(step: str, told: "Told") -> wire.Connection:
    return wire.Connection(
        step=step,
        host=told.host,
        port=told.port,
        address=told.address,
        sent_bytes=told.sent_bytes,
        received_bytes=told.received_bytes,
        refused=told.refused,
    )
