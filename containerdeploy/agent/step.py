"""One step while it runs: the room it gets, its limits, and what is told of it at the end."""

import time
from collections.abc import Mapping

from containerdeploy import wire
from containerdeploy.agent import confine, layers
from containerdeploy.agent import room as rooms
from containerdeploy.agent.cgroups import Groups
from containerdeploy.agent.ending import Ending
from containerdeploy.agent.events import Emitter
from containerdeploy.agent.failures import StepFailed
from containerdeploy.agent.identity import Identity
from containerdeploy.agent.layers import LayeredTree
from containerdeploy.agent.lease import Lease
from containerdeploy.agent.process import Runner, Sink, Task
from containerdeploy.agent.store import Store
from containerdeploy.agent.unpack import Unpacker
from containerdeploy.frozen import frozen, replace

DEFINITIONS_CLONE = f"{layers.PLACE}/definitions"
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

    def run(self, binds: tuple[rooms.Bind, ...], sinks: Mapping[int, Sink] | None = None) -> None:
        """Run the extension in a room with `binds`; raise StepFailed unless it succeeds."""
        shop, step = self._shop, self._step
        limits = replace(
            step.limits, memory_bytes=min(step.limits.memory_bytes or 1 << 62, shop.memory_bytes)
        )
        temporary = self._tree.private_directory(TMPDIR_NAME)
        try:
            with shop.groups.group(
                memory_bytes=limits.memory_bytes or shop.memory_bytes, pids=limits.pids
            ) as group:
                confinement = confine.Confinement(
                    room=self._room(binds, temporary),
                    identity=shop.identity,
                    capabilities=confine.EXTENSION_CAPABILITIES,
                    network=step.network,
                    cgroups=group.to_enter,
                    rlimits=group.rlimits,
                )
                task = Task(
                    step=step.id,
                    argv=step.argv,
                    environment=self._environment(),
                    limits=limits,
                    confinement=confinement,
                    group=group,
                )
                self._ending = shop.runner.run(task, sinks=sinks)
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
            )
        )

    def _room(self, binds: tuple[rooms.Bind, ...], temporary: str) -> rooms.Room:
        return rooms.Room(
            binds=(
                rooms.Bind(source=DEFINITIONS_CLONE, target=wire.DEFINITIONS),
                rooms.Bind(source=EXTENSIONS_PLACE, target=wire.EXTENSIONS),
                rooms.Bind(source=temporary, target=wire.TMPDIR, read_only=False),
                *binds,
            ),
            owner=self._shop.identity.base,
            resolver=self._step.network,
            cwd=wire.DEFINITIONS,
        )

    def _environment(self) -> dict[str, str]:
        environment = dict(self._step.environment)
        if self._epoch is not None:
            environment["SOURCE_DATE_EPOCH"] = str(self._epoch)
        return environment
