"""Folds happenings, in order, into results; memory is bounded whatever the helpers say."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import assert_never

from containerdeploy import wire
from containerdeploy.frozen import replace
from containerdeploy.result import verdict
from containerdeploy.result.happenings import (
    Delivered,
    Happening,
    Heard,
    RunFinished,
    RunStarted,
    SystemFinished,
    SystemStarted,
)
from containerdeploy.result.names import log_name
from containerdeploy.result.outcomes import ArtifactResult, RunResult, StepResult, SystemResult
from containerdeploy.result.tail import Tail
from containerdeploy.result.verdict import DeploymentFacts, SystemFacts

MAX_PATHS_PER_STEP = 1_000
MAX_PATHS = 20_000
MAX_LEFT = 20
MAX_PATH_TEXT = 8 * 1024 * 1024
MAX_CONNECTIONS = 5_000


@dataclass(kw_only=True)
class _Step:
    """A step as it grows."""

    result: StepResult
    tails: dict[str, Tail] = field(default_factory=dict)
    changed: list[wire.Change] = field(default_factory=list)
    connections: list[wire.Connection] = field(default_factory=list)

    def freeze(self) -> StepResult:
        tails = {stream: tail.text() for stream, tail in self.tails.items()}
        connections = tuple(self.connections)
        changed = tuple(self.changed)
        return replace(self.result, tails=tails, changed=changed, connections=connections)


@dataclass(kw_only=True)
class _Deployment:
    is_subsystem: bool
    parent: str = ""
    steps: dict[str, _Step] = field(default_factory=dict)
    artifacts: list[ArtifactResult] = field(default_factory=list)
    announced: int = 0


@dataclass(kw_only=True)
class _System:
    image: str = ""
    hello: wire.Hello | None = None
    started: bool = False
    end: SystemFinished | None = None
    deployments: dict[str, _Deployment] = field(default_factory=dict)
    steps: dict[str, _Step] = field(default_factory=dict)
    current: str = ""
    current_own: str = ""
    left: tuple[wire.Left, ...] = ()


class Ledger:
    """Takes every happening of one run; `results` may be asked for at any time."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._run = RunResult()
        self._systems: dict[str, _System] = {}
        self._warnings: list[str] = []
        self._parents: dict[str, str] = {}
        self._paths = 0
        self._path_text = 0
        self._connections = 0

    def take(self, happening: Happening) -> None:
        """Take the next happening. Events must have passed Conduct: their order is trusted."""
        match happening:
            case RunStarted():
                self._start_run(happening)
            case SystemStarted():
                system = self._system(happening.system)
                system.image, system.started = happening.image, True
            case Heard():
                self._hear(happening.system, happening.event)
            case Delivered():
                self._deliver(happening)
            case SystemFinished():
                self._system(happening.system).end = happening
            case RunFinished():
                self._run = replace(
                    self._run,
                    exit_code=happening.exit_code,
                    leftovers=happening.leftovers,
                    looked_for=happening.looked_for,
                    ended=self._clock(),
                )
            case _:
                assert_never(happening)

    def warn(self, text: str) -> None:
        """Note something that the user must read at the end, though it was no failure."""
        if text not in self._warnings:
            self._warnings.append(text)

    def results(self) -> RunResult:
        """Return what is known by now."""
        systems = tuple(_freeze(name, system) for name, system in self._systems.items())
        return replace(self._run, systems=systems, warnings=tuple(self._warnings))

    def _start_run(self, happening: RunStarted) -> None:
        self._run = RunResult(
            run=happening.run,
            verb=happening.verb,
            cluster=happening.cluster,
            engine=happening.engine,
            record=happening.record,
            started=self._clock(),
        )
        self._parents = dict(happening.parents)
        for name, deployments in happening.systems:
            system = self._systems[name] = _System()
            for deployment in deployments:
                parent = self._parents.get(deployment, "")
                system.deployments[deployment] = _Deployment(
                    is_subsystem=bool(parent), parent=parent
                )

    def _system(self, name: str) -> _System:
        return self._systems.setdefault(name, _System())

    def _deployment(self, system: _System, name: str) -> _Deployment:
        """A deployment that the run wasn't started with is a subsystem of one that it was."""
        return system.deployments.setdefault(name, _Deployment(is_subsystem=True))

    def _hear(self, name: str, event: wire.Event) -> None:
        system = self._system(name)
        match event:
            case wire.Hello():
                system.hello = event
            case wire.StepStarted():
                self._start_step(name, system, event)
            case wire.Log() if step := system.steps.get(event.step):
                tail = step.tails.setdefault(event.stream, Tail())
                tail.feed(event.text, partial=event.partial)
            case wire.Changed() if step := system.steps.get(event.step):
                self._keep_paths(step, event.changes)
            case wire.Connection() if step := system.steps.get(event.step):
                self._connections += 1
                if self._connections <= MAX_CONNECTIONS:
                    step.connections.append(event)
            case wire.StepFinished() if step := system.steps.get(event.step):
                _finish_step(step, event)
            case wire.Artifact():
                self._deployment(system, event.deployment).announced += 1
            case wire.Finished():
                system.current, system.left = "", event.left[:MAX_LEFT]
            case _:
                pass

    def _start_step(self, name: str, system: _System, event: wire.StepStarted) -> None:
        deployment = self._deployment(system, event.deployment)
        system.current = event.deployment
        if deployment.is_subsystem:
            deployment.parent = self._parents.get(event.deployment, system.current_own)
        else:
            system.current_own = event.deployment
        log = log_name(name, event, len(deployment.steps) + 1)
        result = StepResult(id=event.step, kind=event.kind, name=event.name, log=log)
        deployment.steps[event.step] = system.steps[event.step] = _Step(result=result)

    def _keep_paths(self, step: _Step, changes: tuple[wire.Change, ...]) -> None:
        for change in changes:
            self._path_text += len(change.path) + len(change.detail)
            too_much = self._paths >= MAX_PATHS or self._path_text > MAX_PATH_TEXT
            if too_much or len(step.changed) >= MAX_PATHS_PER_STEP:
                return
            self._paths += 1
            step.changed.append(change)

    def _deliver(self, happening: Delivered) -> None:
        artifact = ArtifactResult(
            path=happening.path, size_bytes=happening.size_bytes, sha256=happening.sha256
        )
        system = self._system(happening.system)
        self._deployment(system, happening.deployment).artifacts.append(artifact)


def _finish_step(step: _Step, event: wire.StepFinished) -> None:
    for tail in step.tails.values():
        tail.seal()
    step.result = replace(
        step.result,
        outcome=event.outcome,
        detail=event.detail,
        exit_code=event.exit_code,
        wall_s=event.wall_s,
        cpu_s=event.cpu_s,
        peak_memory_bytes=event.peak_memory_bytes,
        changes=dict(event.changes),
        cached=event.cached,
        traffic=event.traffic,
    )


def _freeze(name: str, system: _System) -> SystemResult:
    facts = SystemFacts(
        name=name,
        image=system.image,
        hello=system.hello,
        is_started=system.started,
        end=system.end,
        last=system.current_own,
        deployments=tuple(
            DeploymentFacts(
                name=key,
                is_subsystem=item.is_subsystem,
                parent=item.parent,
                steps=tuple(step.freeze() for step in item.steps.values()),
                artifacts=tuple(item.artifacts),
                announced=item.announced,
                is_left=key != system.current,
            )
            for key, item in system.deployments.items()
        ),
    )
    return replace(verdict.judge(facts), left=system.left)
