"""All systems of a plan side by side: one event queue, orderly teardown, nothing left behind."""

import queue
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Protocol

from containerdeploy import errors, wire
from containerdeploy.deploy import audit, headers
from containerdeploy.deploy.gate import Gate, Shut
from containerdeploy.deploy.headers import Settings
from containerdeploy.deploy.interrupts import on_interrupt
from containerdeploy.engine import Engine
from containerdeploy.engine.binds import refuse_unbindable
from containerdeploy.errors import DeployError, Interrupted, Unfit
from containerdeploy.frozen import replace
from containerdeploy.helper import admission, spec, sweep, toolcheck
from containerdeploy.helper.staging import Staging
from containerdeploy.helper.system import HelperRun, RunContext
from containerdeploy.plan import Plan, PlannedSystem
from containerdeploy.result import (
    Audit,
    Happening,
    Ledger,
    Masking,
    RunFinished,
    RunRecord,
    RunResult,
    RunStarted,
    SystemFinished,
    SystemStarted,
    new_run_id,
    secret_values,
)

POLL_S = 0.2


class Listener(Protocol):
    """Someone who is shown every happening, in order, on the main thread."""

    def show(self, happening: Happening) -> None: ...


def deploy(
    plan: Plan, engine: Engine, settings: Settings, listeners: Sequence[Listener]
) -> RunResult:
    """Carry out a plan; the result holds every outcome and the exit code.

    Raises EngineError when the engine lacks an image, can't mount a path or fails before anything
    is started, PlanError when the policy refuses engine or image, or an image lacks what an
    extension runs with.
    """
    info = engine.describe()
    admission.refuse_place(plan, engine, info)
    refuse_unbindable(info.flavour, spec.bind_sources(plan, settings.home))
    headers.refuse_grants(plan, info)
    headers.refuse_mode(plan, info)
    headers.refuse_runtime(plan, info)
    found = {name: engine.image(name) for name in {system.image for system in plan.systems}}
    toolcheck.check(plan, engine, found, settings.home / "programs", headers.owner_label(None))
    images = {name: image.id for name, image in found.items()}
    run = new_run_id()
    header = headers.header(run, plan, info, images, settings)
    with ExitStack() as stack:
        record = stack.enter_context(RunRecord(settings.home, header))
        masking = Masking(secret_values(header))
        hall = _Hall(plan, engine, settings, [*listeners], record, masking)
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
        masking: Masking,
    ) -> None:
        self._plan = plan
        self._engine = engine
        self._settings = settings
        self._listeners = listeners
        self._record = record
        self._masking = masking
        self._ledger = Ledger()
        self._queue: queue.Queue[Happening] = queue.Queue(maxsize=1000)
        self._gate = Gate(len(plan.systems), settings.jobs)
        self._stopping = threading.Event()
        self._interrupts = 0
        self._is_unfit = False
        self._helpers: list[HelperRun] = []

    def run(self, run: str, engine: str, images: Mapping[str, str]) -> RunResult:
        self._show(
            RunStarted(
                run=run,
                verb=self._plan.verb,
                cluster=self._plan.cluster,
                engine=engine,
                systems=tuple(
                    (system.name, tuple(headers.names(system.deployments)))
                    for system in self._plan.systems
                ),
                record=self._record.directory,
                parents=tuple(headers.parents(self._plan)),
            )
        )
        staging = Staging(run, self._record.directory)
        with on_interrupt(self._interrupt):
            with staging:
                context = self._context(run, staging)
                self._helpers = [
                    HelperRun(context, replace(system, image=images[system.image]), number)
                    for number, system in enumerate(self._plan.systems)
                ]
                self._run_all(images)
                told = self._sweep(context)
            return self._finish(self._audit(context, told))

    def _context(self, run: str, staging: Staging) -> RunContext:
        return RunContext(
            engine=self._engine,
            plan=self._plan,
            run=run,
            owner=headers.owner_label(self._record.directory),
            store=self._settings.store,
            record=self._record.directory,
            digests=self._settings.home / "digests.json",
            staging=staging,
            keep_going=not self._settings.fail_fast,
            waits=len(self._plan.systems) > 1,
            hear=self._queue.put,
        )

    def _run_all(self, images: Mapping[str, str]) -> None:
        """Start the systems, show what happens until the last thread is done."""
        systems = self._plan.systems
        with ThreadPoolExecutor(len(systems), thread_name_prefix="system") as pool:
            running = [
                pool.submit(self._one, number, system, images[system.image])
                for number, system in enumerate(systems)
            ]
            while not all(future.done() for future in running) or not self._queue.empty():
                with suppress(queue.Empty):
                    self._show(self._queue.get(timeout=POLL_S))
        for future in running:
            future.result()

    def _one(self, number: int, system: PlannedSystem, image: str) -> None:
        """Take one system through, on a thread of its own; every end becomes a happening."""
        end = SystemFinished(system=system.name, outcome="not started")
        with ExitStack() as stack:
            stack.callback(lambda: self._queue.put(end))
            try:
                turn = stack.enter_context(self._gate.turn(number))
                self._queue.put(SystemStarted(system=system.name, image=image))
                end = _end(system, self._helpers[number].run(turn.admit))
            except Shut as err:
                end = end if self._stopping.is_set() else replace(end, brief=err.brief)
            except Interrupted:
                end = replace(end, outcome="interrupted")
            except DeployError as err:
                end = _failed(system, err)
                self._is_unfit |= isinstance(err, Unfit)
            except Exception as err:
                end = _failed(system, DeployError(f"containerdeploy failed: {err!r}"))
                raise
            finally:
                if end.outcome == "failed" and self._settings.fail_fast:
                    self._stop()  # before its place is free for the next

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
        self._gate.shut()
        for helper in self._helpers:
            helper.stop()

    def _sweep(self, context: RunContext) -> tuple[str, ...]:
        """Remove what helpers that were killed left in the store; tell what can't be removed."""
        left = tuple(words for helper in self._helpers for words in helper.left_behind)
        if all(helper.is_clean for helper in self._helpers):
            return left
        try:
            sweep.store(context.engine, self._helpers[0].image, context.store, context.owner)
        except (DeployError, OSError, TimeoutError) as err:
            return (*left, f"unfinished work in the store: {err}")
        return left

    def _audit(self, context: RunContext, told: tuple[str, ...]) -> Audit:
        """Look for what is left, on an engine only where it has not failed to remove something."""
        found = [audit.on_this_host(context.staging, context.record)]
        if not told:
            volumes = any(helper.has_volumes for helper in self._helpers)
            found.append(audit.on_the_engine(context.engine, context.owner, with_volumes=volumes))
        return Audit(
            looked_for=tuple(words for one in found for words in one.looked_for),
            left=(*told, *(words for one in found for words in one.left)),
        )

    def _finish(self, found: Audit) -> RunResult:
        self._show(
            RunFinished(
                exit_code=self._exit_code(), leftovers=found.left, looked_for=found.looked_for
            )
        )
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
        return errors.EXIT_ENGINE if self._is_unfit else errors.EXIT_FAILED

    def _show(self, happening: Happening) -> None:
        for told in self._masking.take(happening):
            self._ledger.take(told)
            self._record.take(told)
            for listener in self._listeners:
                listener.show(told)


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
