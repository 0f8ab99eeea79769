"""One step while it runs: the room it gets, its limits, and what is told of it at the end."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from containerdeploy import wire
from containerdeploy.agent import confine, layers, pin, powers
from containerdeploy.agent import room as rooms
from containerdeploy.agent.access import Access, granted
from containerdeploy.agent.cgroups import Group, Groups
from containerdeploy.agent.ending import Ending
from containerdeploy.agent.events import Emitter
from containerdeploy.agent.failures import StepFailed
from containerdeploy.agent.identity import Identity
from containerdeploy.agent.kept import Keeper
from containerdeploy.agent.layers import LayeredTree
from containerdeploy.agent.lease import Lease
from containerdeploy.agent.process import Runner, Sink, Task
from containerdeploy.agent.store import Store
from containerdeploy.agent.unpack import Unpacker
from containerdeploy.agent.usage import Place
from containerdeploy.frozen import frozen, replace

DEFINITIONS_CLONE = f"{layers.PLACE}/{pin.CLONE}"
EXTENSIONS_PLACE = f"{layers.PLACE}/extensions"
TMPDIR_NAME = "tmpdir"


@frozen
class Workshop:
    """All that the deployments of one job share; `memory_bytes` is a step's default limit."""

    job: wire.Job
    emitter: Emitter
    lease: Lease
    runner: Runner
    groups: Groups
    identity: Identity
    store: Store
    unpacker: Unpacker
    keeper: Keeper
    workspace: str
    memory_bytes: int


class RunningStep:
    """Collects what StepFinished will say; `run` runs the extension itself."""

    def __init__(
        self, shop: Workshop, step: wire.Step, tree: LayeredTree, epoch: int | None
    ) -> None:
        self._shop = shop
        self._step = step
        self._tree = tree
        self._epoch = epoch
        self._started = time.monotonic()
        self._ending: Ending | None = None
        self.changes: Mapping[str, int] = {}
        self.cached = False
        self._traffic: wire.Traffic | None = None

    def run(self, binds: tuple[rooms.Bind, ...], sinks: Mapping[int, Sink] | None = None) -> None:
        """Run the extension in a room with `binds`; raise StepFailed unless it succeeds."""
        shop, step = self._shop, self._step
        limits = replace(
            step.limits, memory_bytes=min(step.limits.memory_bytes or 1 << 62, shop.memory_bytes)
        )
        binds = (self._new_temporary(), *binds)
        try:
            with (
                granted(step, rootless=shop.identity.rootless, send=shop.emitter.send) as network,
                self._loops(binds) as started,
                pin.definitions(step, self._tree, shop.identity) as definitions,
                shop.groups.group(limits) as group,
            ):
                task = Task(
                    step=step.id,
                    argv=step.argv,
                    environment={**network.environment, **self._environment()},
                    limits=limits,
                    confinement=self._confinement(binds, network, group, definitions),
                    group=group,
                    started=started,
                    places=tuple(_places(binds)),
                )
                self._ending = shop.runner.run(task, sinks={**(sinks or {}), **network.sinks})
                self._traffic = network.finish()
        finally:
            self._tree.remove_directory(TMPDIR_NAME)
        if self._ending.outcome != "ok":
            raise StepFailed(self._ending.outcome, self._ending.detail)

    def note(self, text: str) -> None:
        self._shop.emitter.note(self._step.id, text)

    def finish(self, outcome: wire.Outcome, detail: str) -> None:
        ending = self._ending
        self._shop.emitter.send(
            wire.StepFinished(
                step=self._step.id,
                outcome=outcome,
                detail=detail[:2000],
                exit_code=ending.exit_code if ending else None,
                wall_s=time.monotonic() - self._started,
                cpu_s=ending.cpu_s if ending else 0.0,
                peak_memory_bytes=ending.peak_memory_bytes if ending else 0,
                changes=self.changes,
                cached=self.cached,
                traffic=self._traffic,
            )
        )

    def _confinement(
        self, binds: tuple[rooms.Bind, ...], network: Access, group: Group, definitions: str
    ) -> confine.Confinement:
        room = rooms.Room(
            binds=(
                rooms.Bind(source=definitions, target=wire.DEFINITIONS),
                rooms.Bind(source=EXTENSIONS_PLACE, target=wire.EXTENSIONS),
                *self._loop_places(),
                *network.binds,
                *binds,
            ),
            owner=self._shop.identity.base,
            for_real_root=self._shop.identity.is_real_root,
            resolver=network.is_full,
            cwd=wire.DEFINITIONS,
            loop_devices=self._step.loop_devices,
        )
        return confine.Confinement(
            room=room,
            identity=self._shop.identity,
            capabilities=powers.EXTENSION_CAPABILITIES,
            network=network.is_full,
            entrance=network.entrance,
            cgroups=group.to_enter,
            processors=group.processors,
            rlimits=group.rlimits,
        )

    def _new_temporary(self) -> rooms.Bind:
        return rooms.Bind(
            source=self._tree.private_directory(TMPDIR_NAME),
            target=wire.TMPDIR,
            read_only=False,
            kept=self._tree.plain_path(TMPDIR_NAME),
        )

    def _loop_places(self) -> tuple[rooms.Bind, ...]:
        if not self._step.loop_devices:
            return ()
        from containerdeploy.agent import loops

        return (rooms.Bind(source=loops.SHOWN, target=wire.LOOPS, devices=True),)

    @contextmanager
    def _loops(self, binds: tuple[rooms.Bind, ...]) -> Iterator[Callable[[int], None] | None]:
        """Serve loop devices where they are granted; yield who wants to know the started process.

        An image may lie where the extension may write.
        """
        limit = self._step.loop_devices
        if not limit:
            yield None
            return
        from containerdeploy.agent import broker

        self.note(f"granted: up to {limit} loop devices")
        allowed = frozenset(os.stat(bind.source).st_dev for bind in binds if not bind.read_only)
        with broker.serving(self._shop.identity, limit, allowed, self.note) as serving:
            yield serving.enter

    def _environment(self) -> dict[str, str]:
        environment = dict(self._step.environment)
        if self._epoch is not None:
            environment["SOURCE_DATE_EPOCH"] = str(self._epoch)
        if self._step.loop_devices:
            environment["PATH"] = f"{wire.LOOPS}/bin:{environment.get('PATH', '')}"
        return environment


def _places(binds: tuple[rooms.Bind, ...]) -> Iterator[Place]:
    """Yield the directories that fill with what the step writes."""
    for bind in binds:
        if not bind.read_only and bind.kept:
            yield Place(path=bind.kept, shown=os.stat(bind.source).st_dev)
