"""All systems of a plan side by side: one event queue, orderly teardown, nothing left behind."""

import os
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from containerdeploy import errors, wire
from containerdeploy.engine import Engine
from containerdeploy.errors import DeployError, Interrupted
from containerdeploy.helper import sweep
from containerdeploy.helper.staging import Staging
from containerdeploy.helper.system import HelperRun, RunContext
from containerdeploy.plan import Plan, PlannedDeployment, PlannedSystem
from containerdeploy.result import (
    DeploymentParameters,
    Happening,
    Ledger,
    RecordedParameter,
    RunFinished,
    RunHeader,
    RunRecord,
    RunResult,
    RunStarted,
    SystemFinished,
    SystemStarted,
    new_run_id,
)

POLL_S = 0.2


class Listener(Protocol):
    """Someone who is shown every happening, in order, on the main thread."""

    def show(self, happening: Happening) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to run: `home` keeps records and caches, `store` names the engine's store volume."""

    home: Path
    store: str
    jobs: int
    fail_fast: bool
    plan_json: Mapping[str, Any]
    versions: Mapping[str, str]
    why_engine: str = ""


def deploy(
    plan: Plan, engine: Engine, settings: Settings, listeners: Sequence[Listener]
) -> RunResult:
    """Carry out a plan; the result holds every outcome and the exit code.

    Raises EngineError when the engine lacks an image or fails before anything is started.
    """
    info = engine.describe()
    images = {system.image: engine.image(system.image).id for system in plan.systems}
    run = new_run_id()
    header = RunHeader(
        run=run,
        verb=plan.verb,
        cluster=plan.cluster,
        engine={
            "flavour": info.flavour,
            "address": info.address,
            "version": info.version,
            "api-version": info.api_version,
            "kernel": info.kernel,
        },
        images={system.name: images[system.image] for system in plan.systems},
        versions=settings.versions,
        plan=settings.plan_json,
        parameters=tuple(_parameters(plan)),
    )
    with ExitStack() as stack:
        record = stack.enter_context(RunRecord(settings.home, header))
        hall = _Hall(plan, engine, settings, [*listeners], record)
        words = settings.why_engine or f"{info.flavour} at {info.address}"
        return hall.run(run, words, images)


class _Hall:
    """One run: threads put happenings on a queue, the main thread shows them."""

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        settings: Settings,
        listeners: list[Listener],
        record: RunRecord,
    ) -> None:
        self._plan = plan
        self._engine = engine
        self._settings = settings
        self._listeners = listeners
        self._record = record
        self._ledger = Ledger()
        self._queue: queue.Queue[Happening] = queue.Queue(maxsize=1000)
        self._stopping = threading.Event()
        self._interrupts = 0
        self._helpers: list[HelperRun] = []

    def run(self, run: str, engine: str, images: Mapping[str, str]) -> RunResult:
        self._show(
            RunStarted(
                run=run,
                verb=self._plan.verb,
                cluster=self._plan.cluster,
                engine=engine,
                systems=tuple(
                    (system.name, tuple(_names(system.deployments)))
                    for system in self._plan.systems
                ),
                record=self._record.directory,
                parents=tuple(_parents(self._plan)),
            )
        )
        with Staging(run, self._record.directory) as staging, _on_interrupt(self._interrupt):
            context = self._context(run, staging)
            self._helpers = [
                HelperRun(context, system, number)
                for number, system in enumerate(self._plan.systems)
            ]
            self._run_all(images)
            leftovers = self._sweep(context)
        return self._finish(leftovers)

    def _context(self, run: str, staging: Staging) -> RunContext:
        return RunContext(
            engine=self._engine,
            plan=self._plan,
            run=run,
            owner=owner_label(self._record.directory),
            store=self._settings.store,
            record=self._record.directory,
            digests=self._settings.home / "digests.json",
            staging=staging,
            keep_going=not self._settings.fail_fast,
            hear=self._queue.put,
        )

    def _run_all(self, images: Mapping[str, str]) -> None:
        """Start the systems, show what happens until the last thread is done."""
        with ThreadPoolExecutor(self._settings.jobs, thread_name_prefix="system") as pool:
            running = [
                pool.submit(self._one, helper, system, images[system.image])
                for helper, system in zip(self._helpers, self._plan.systems, strict=True)
            ]
            while not all(future.done() for future in running) or not self._queue.empty():
                with suppress(queue.Empty):
                    self._show(self._queue.get(timeout=POLL_S))
        for future in running:
            future.result()

    def _one(self, helper: HelperRun, system: PlannedSystem, image: str) -> None:
        """Take one system through, on a thread of its own; every end becomes a happening."""
        end = SystemFinished(system=system.name, outcome="not started")
        try:
            if not self._stopping.is_set():
                self._queue.put(SystemStarted(system=system.name, image=image))
                end = _end(system, helper.run())
        except Interrupted:
            end = SystemFinished(system=system.name, outcome="interrupted")
        except DeployError as err:
            end = _failed(system, err)
        except Exception as err:
            end = _failed(system, DeployError(f"containerdeploy failed: {err!r}"))
            raise
        finally:
            if end.outcome == "failed" and self._settings.fail_fast:
                self._stop()
            self._queue.put(end)

    def _interrupt(self) -> None:
        """First ^C: stop new work, tear down in order. Second: kill."""
        self._interrupts += 1
        if self._interrupts == 1:
            threading.Thread(target=self._stop, daemon=True).start()
        else:
            for helper in self._helpers:
                threading.Thread(target=helper.kill, daemon=True).start()

    def _stop(self) -> None:
        self._stopping.set()
        for helper in self._helpers:
            helper.stop()

    def _sweep(self, context: RunContext) -> tuple[str, ...]:
        """Remove what helpers that were killed left in the store; tell what can't be removed."""
        if all(helper.is_clean for helper in self._helpers):
            return ()
        try:
            sweep.store(context.engine, self._plan.systems[0].image, context.store, context.owner)
        except (DeployError, OSError, TimeoutError) as err:
            return (f"the store could not be swept ({err}); `containerdeploy cleanup` will",)
        return ()

    def _finish(self, leftovers: tuple[str, ...]) -> RunResult:
        self._show(RunFinished(exit_code=self._exit_code(), leftovers=leftovers))
        for warning in (*self._plan.warnings, *self._record.warnings):
            self._ledger.warn(warning)
        result = self._ledger.results()
        self._record.finish(result)
        return result

    def _exit_code(self) -> int:
        if self._interrupts:
            return errors.EXIT_INTERRUPTED
        if all(system.outcome == "deployed" for system in self._ledger.results().systems):
            return 0
        return errors.EXIT_FAILED

    def _show(self, happening: Happening) -> None:
        self._ledger.take(happening)
        self._record.take(happening)
        for listener in self._listeners:
            listener.show(happening)


def owner_label(record: Path | None) -> str:
    """Name this host and the run's record, if any: who may say whether the run is still alive."""
    return f"{host_id()}:{record or ''}"


def host_id() -> str:
    with suppress(OSError):
        if text := Path("/etc/machine-id").read_text(encoding="ascii").strip():
            return text
    return socket.gethostname()


def _end(system: PlannedSystem, finished: wire.Finished) -> SystemFinished:
    outcomes = {"ok": "deployed", "failed": "failed", "interrupted": "interrupted"}
    return SystemFinished(
        system=system.name,
        outcome=outcomes[finished.outcome],
        brief=finished.error,
        hint=finished.hint,
    )


def _failed(system: PlannedSystem, err: DeployError) -> SystemFinished:
    return SystemFinished(
        system=system.name,
        outcome="failed",
        brief=err.brief,
        details=err.details or "",
        hint=err.hint or "",
    )


@contextmanager
def _on_interrupt(action: Callable[[], None]) -> Iterator[None]:
    """Call `action` for ^C and SIGTERM while the block runs, instead of ending the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, lambda *_: action())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _parameters(plan: Plan) -> Iterator[DeploymentParameters]:
    for system in plan.systems:
        for deployment in _all(system.deployments):
            recorded = tuple(
                RecordedParameter(name=p.name, value=p.value, origin=p.origin, secret=p.secret)
                for p in deployment.parameters
            )
            yield DeploymentParameters(
                system=system.name, deployment=deployment.name, parameters=recorded
            )


def _all(deployments: Sequence[PlannedDeployment]) -> Iterator[PlannedDeployment]:
    for deployment in deployments:
        yield deployment
        yield from _all(deployment.subsystems)


def _names(deployments: Sequence[PlannedDeployment]) -> Iterator[str]:
    return (deployment.name for deployment in _all(deployments))


def _parents(plan: Plan) -> Iterator[tuple[str, str]]:
    for system in plan.systems:
        for deployment in _all(system.deployments):
            for subsystem in deployment.subsystems:
                yield subsystem.name, deployment.name


def default_jobs() -> int:
    """Systems side by side: as many as there are processors to use."""
    return max(1, len(os.sched_getaffinity(0)))
