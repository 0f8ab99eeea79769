"""One system, from planned to delivered: digests, staging, the helper's session, the artifacts."""

import secrets
import threading
from collections.abc import Callable
from pathlib import Path

from containerdeploy import source, wire
from containerdeploy.engine import ContainerId, Engine
from containerdeploy.errors import DeployError, Interrupted, SourceError
from containerdeploy.frozen import frozen, replace
from containerdeploy.helper import delivery, spec, transfer
from containerdeploy.helper.reception import Reception
from containerdeploy.helper.session import Order, OtherHost, Session
from containerdeploy.helper.staging import Staging
from containerdeploy.plan import Plan, PlannedDeployment, PlannedSystem
from containerdeploy.result import Delivered, Happening, Heard


@frozen
class RunContext:
    """What all systems of a run share. `record` is the run's directory, `digests` a cache file."""

    engine: Engine
    plan: Plan
    run: str
    owner: str
    store: str
    record: Path
    digests: Path
    staging: Staging
    keep_going: bool
    waits: bool
    hear: Callable[[Happening], None]


class HelperRun:
    """Takes one system through; `stop` and `kill` may come from another thread.

    `has_volumes` says that its helper had volumes of its own; `left_behind` is of what could not be
    removed.
    """

    def __init__(self, context: RunContext, system: PlannedSystem, number: int) -> None:
        self._context = context
        self._system = system
        self._number = number
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._reception: Reception | None = None
        self._received = ""
        self._taken: list[wire.Artifact] = []
        self._due: list[wire.Artifact] = []
        self._stopping = False
        self._admit: Callable[[], None] = lambda: None
        self.is_clean = True
        self.has_volumes = False
        self.left_behind: tuple[str, ...] = ()

    @property
    def image(self) -> str:
        return self._system.image

    def run(self, admit: Callable[[], None]) -> wire.Finished:
        """Deploy the system; raise DeployError, Interrupted after `stop`.

        Where systems wait for each other, `admit` is called between checks and unpacking.
        """
        self._admit = admit
        nonce = secrets.token_hex(16)
        nonce_path = self._context.record / f"nonce-{self._number}"
        slots: dict[str, spec.Slot] = {}
        with self._context.staging.file(nonce_path, nonce):
            try:
                place = self._place(slots, nonce_path)
                return self._converse_anywhere(place, nonce)
            finally:
                for slot in slots.values():
                    self._context.staging.remove(slot.staging)

    def _converse_anywhere(self, place: spec.Placement, nonce: str) -> wire.Finished:
        try:
            return self._converse(place, nonce, shared_host=True)
        except OtherHost:
            self._refuse_directories()
            self.has_volumes = True
            return self._converse(place, nonce, shared_host=False)

    def stop(self) -> None:
        with self._lock:
            self._stopping = True
            session = self._session
        if session is not None:
            session.stop()

    def kill(self) -> None:
        self.stop()
        if self._session is not None:
            self._session.kill()

    def _converse(self, place: spec.Placement, nonce: str, *, shared_host: bool) -> wire.Finished:
        context = self._context
        order = Order(
            container=spec.container(self._system, place, shared_host=shared_host),
            job=spec.job(self._system, place, shared_host=shared_host),
            nonce=nonce,
            hear=lambda event: self._hear(place, event),
            take=lambda container, item: self._take(place, container, item, shared=shared_host),
            stage=None if shared_host else lambda container: self._stage(place, container),
            admit=self._admit,
        )
        session = Session(context.engine, order)
        with self._lock:
            if self._stopping:
                raise Interrupted("stopped")
            self._session = session
        try:
            with context.staging.helper(context.engine.describe().address, place.name):
                return session.run()
        finally:
            self.is_clean = session.is_clean
            self.left_behind += (session.left_behind,) if session.left_behind else ()
            if self._reception is not None:
                self._reception.abandon()
                self._reception = None
            if not session.left_behind:
                self._deliver(place)

    def _place(self, slots: dict[str, spec.Slot], nonce: Path) -> spec.Placement:
        """Read the sources' digests and make the staging directories, into `slots`."""
        context = self._context
        sources = self._sources()
        for number, deployment in enumerate(self._system.deployments):
            if deployment.target is not None:
                delivery.refuse_directory(deployment.target)
                directory = context.staging.make(deployment.target, self._number * 1000 + number)
                slot = spec.Slot(name=str(number), staging=directory)
                slots[deployment.name] = slot
                slot.directory.mkdir(mode=0o700)
        return spec.Placement(
            run=context.run,
            owner=context.owner,
            name=f"containerdeploy-{context.run}-{self._number}",
            store=context.store,
            definitions=context.plan.definitions,
            nonce=nonce,
            sources=sources,
            slots=slots,
            verb=context.plan.verb,
            source_date_epoch=context.plan.source_date_epoch,
            keep_going=context.keep_going,
            waits=context.waits,
            isolation=context.plan.isolation,
            runtime=context.plan.runtime,
        )

    def _sources(self) -> dict[Path, wire.Source]:
        found: dict[Path, wire.Source] = {}
        for planned in spec.sources(self._system.deployments):
            if planned.path in found:
                continue
            digest = source.digest(planned.path, self._context.digests)
            if planned.sha256 is not None and planned.sha256 != digest:
                raise SourceError(
                    f"{planned.path} is not the source that {planned.origin} names",
                    details=f"sha256 {digest}, expected {planned.sha256}",
                    hint="fetch it again, or correct the sha256",
                )
            found[planned.path] = self._bounded(
                wire.Source(
                    path=f"{wire.SOURCES}/{len(found)}",
                    sha256=digest,
                    size_bytes=planned.path.stat().st_size,
                    compression=source.compression(planned.path),
                )
            )
        return found

    def _bounded(self, usual: wire.Source) -> wire.Source:
        """Return a source with the bounds that the policy sets on what it may become."""
        policy = self._context.plan.policy
        found = {
            "max_expansion": policy.ceiling("max-expansion", usual.max_expansion),
            "max_bytes": policy.ceiling("max-size", usual.max_bytes),
            "max_members": policy.ceiling("max-members", usual.max_members),
        }
        return replace(
            usual,
            **{name: one.most for name, one in found.items()},
            rules={name: str(one.at) for name, one in found.items() if one.at},
        )

    def _stage(self, place: spec.Placement, container: ContainerId) -> None:
        """Send definitions and sources to an engine that is not on this host."""
        put = self._context.engine.put
        put(container, wire.DEFINITIONS, transfer.pack_tree(place.definitions))
        for path, item in place.sources.items():
            put(container, wire.SOURCES, transfer.pack_file(path, Path(item.path).name))

    def _take(
        self, place: spec.Placement, container: ContainerId, item: wire.Artifact, *, shared: bool
    ) -> None:
        """Receive a stream; put anything else where only we can reach it."""
        slot = place.slots[item.deployment]
        if item.kind == "stream":
            most = self._planned(item.deployment).write.disk_bytes
            fifo = slot.directory / item.name
            self._reception = Reception(fifo, slot.received, most_bytes=most)
            self._received = item.deployment
            return
        if shared:
            delivery.take_out(slot.directory / item.name, slot.received)
        else:
            path = f"{wire.OUTPUT}/{slot.name}/{item.name}"
            stream = self._context.engine.fetch(container, path)
            transfer.unpack_file(stream, item, slot.received)
        self._taken.append(item)

    def _hear(self, place: spec.Placement, event: wire.Event) -> None:
        """Pass an event on; the end of a write extension is the end of what it streams."""
        self._context.hear(Heard(system=self._system.name, event=event))
        if isinstance(event, wire.StepFinished):
            self._due += self._taken if event.outcome == "ok" else []
            self._taken = []
        reception = self._reception
        if reception is None or not isinstance(event, wire.StepFinished):
            return
        if event.outcome == "ok" or reception.failure is not None:
            reception.finish()
            target = self._target(self._received)
            delivery.put_in_place(reception.received, target)
            self._tell(self._received, target, reception.size_bytes, reception.sha256)
        else:
            reception.abandon()
        self._reception = None

    def _deliver(self, place: spec.Placement) -> None:
        """Bring to their targets what finished steps left; nobody can change it any more."""
        due, self._due = self._due, []
        for item in due:
            target = self._target(item.deployment)
            received = place.slots[item.deployment].received
            delivery.deliver(item, received, target, lambda: self._stopping)
            self._tell(item.deployment, target, item.size_bytes, item.sha256)

    def _target(self, deployment: str) -> Path:
        target = self._planned(deployment).target
        assert target is not None
        return target

    def _planned(self, deployment: str) -> PlannedDeployment:
        return next(one for one in self._system.deployments if one.name == deployment)

    def _tell(self, deployment: str, target: Path, size_bytes: int, sha256: str) -> None:
        self._context.hear(
            Delivered(
                system=self._system.name,
                deployment=deployment,
                path=target,
                size_bytes=size_bytes,
                sha256=sha256,
            )
        )

    def _refuse_directories(self) -> None:
        for deployment in self._system.deployments:
            if deployment.write.extension.sidecar.output == "directory":
                raise DeployError(
                    f"{deployment.name}: a directory can't be fetched from another host",
                    hint="write a tar file, or use an engine on this host",
                )
