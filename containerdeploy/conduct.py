"""Checks that a helper's events come in an order that an honest agent would send them in.

Each event was decoded and type-checked by itself (wire.decode); this looks at the sequence. What a
helper says is hostile until it has passed here. A deployment's steps run in this order, some may
be left out: check, base, metadata, the configuration extensions as planned, write. No check comes
after the first step of another kind, whosever it is; nor such a step before Checked, where the job
waits for an answer to that.
"""

import re
import typing
from collections.abc import Iterator
from typing import NoReturn, assert_never

from containerdeploy import wire
from containerdeploy.errors import ProtocolError
from containerdeploy.frozen import as_mapping, frozen

_DIGEST = re.compile(r"[0-9a-f]{64}")
_COUNTED = frozenset(typing.get_args(wire.ChangeKind))
_MAX_NAME = 255
_MAX_PORT = 65535
_DONE = ("ok", "skipped")
_BASE, _METADATA, _FIRST_CONFIGURE = 1, 2, 3


@frozen
class _Planned:
    """A step that the job asks for; `rank` is its place in its deployment.

    `name` is None for the agent's own steps: what it calls them is its affair.
    """

    deployment: str
    kind: wire.StepKind
    name: str | None
    rank: int
    is_listed: bool = False


class Conduct:
    """Follows one helper's events. Give it each one before anything else sees it."""

    def __init__(self, job: wire.Job) -> None:
        self._job = job
        self._deployments: set[str] = set()
        self._planned: dict[str, _Planned] = {}
        self._slots: dict[str, str] = {}
        self._piped: set[str] = set()
        for deployment in _flatten(job.deployments):
            self._expect(deployment)
        self._greeted = False
        self._finished = False
        self._checked = False
        self._at_work = False
        self._open: str | None = None
        self._connections = 0
        self._ended: dict[str, wire.Outcome] = {}
        self._reached: dict[str, int] = {}
        self._delivered: set[str] = set()

    @property
    def is_finished(self) -> bool:
        """Whether Finished has come: without it the stream is a failure, whatever came before."""
        return self._finished

    def check(self, event: wire.Event) -> None:
        """Accept the next event, or raise ProtocolError; after an error the stream is dead."""
        if self._finished:
            self._refuse("something came after Finished", type(event).__name__)
        if self._greeted and isinstance(event, wire.Hello):
            self._refuse("Hello came twice", event.run)
        if not (self._greeted or isinstance(event, wire.Hello) or _is_apology(event)):
            self._refuse("the first event is no Hello", type(event).__name__)
        self._check_kind(event)

    def _check_kind(self, event: wire.Event) -> None:
        match event:
            case wire.Hello():
                self._check_hello(event)
            case wire.StepStarted():
                self._check_start(event)
            case wire.Progress():
                self._check_open(event.step, "Progress")
                self._check_counts("Progress", event.done, event.total)
            case wire.Log():
                self._check_open(event.step, "Log")
            case wire.Changed():
                self._check_open(event.step, "Changed")
            case wire.Connection():
                self._check_connection(event)
            case wire.StepFinished():
                self._check_step_end(event)
            case wire.Artifact():
                self._check_artifact(event)
            case wire.Checked():
                self._check_checked()
            case wire.BaseVerified():
                self._check_verified(event)
            case wire.Finished():
                self._check_end(event)
            case _:
                assert_never(event)

    def check_ended(self) -> None:
        """Raise ProtocolError if the stream may not end here."""
        if not self._finished:
            where = f"in step {self._open!a}" if self._open else "between steps"
            self._refuse("its stream ended without Finished", where)

    def _expect(self, deployment: wire.Deployment) -> None:
        self._deployments.add(deployment.name)
        if deployment.output:
            self._slots[deployment.output.slot] = deployment.name
            if deployment.output.piped:
                self._piped.add(deployment.output.slot)
        own: tuple[tuple[int, str, wire.StepKind], ...] = (
            (_BASE, wire.base_step(deployment.name), "base"),
            (_METADATA, wire.metadata_step(deployment.name), "metadata"),
        )
        for rank, step, kind in own:
            self._planned[step] = _Planned(
                deployment=deployment.name, kind=kind, name=None, rank=rank
            )
        for rank, extension in _ranked(deployment):
            self._planned[extension.id] = _Planned(
                deployment=deployment.name,
                kind=extension.kind,
                name=extension.name,
                rank=rank,
                is_listed=extension.network == "listed",
            )

    def _check_hello(self, event: wire.Hello) -> None:
        if event.version != wire.VERSION:
            words = f"the agent speaks version {event.version}, this is {wire.VERSION}"
            self._refuse(words, f"Python {event.python[:40]!a}")
        if event.run != self._job.run:
            self._refuse("it answers for another run", event.run)
        wanted = self._job.isolation  # auto never means compat
        if event.isolation not in (("strict", "rootless") if wanted == "auto" else (wanted,)):
            self._refuse(f"it isolates by another mode than {wanted}", event.isolation)
        self._greeted = True

    def _check_start(self, event: wire.StepStarted) -> None:
        if event.deployment not in self._deployments:
            self._refuse("a step of a deployment that it was not given", event.deployment)
        if self._open is not None:
            self._refuse("a step started while another was open", event.step)
        if event.step in self._ended:
            self._refuse("a step started twice", event.step)
        self._check_phase(event)
        rank = self._rank(event)
        if rank <= self._reached.get(event.deployment, -1):
            self._refuse("a step started out of order", event.step)
        self._reached[event.deployment] = rank
        self._open = event.step
        self._connections = 0

    def _check_phase(self, event: wire.StepStarted) -> None:
        if event.kind == "check" and (self._at_work or self._checked):
            self._refuse("a check came after the checks were over", event.step)
        if event.kind != "check" and self._job.waits and not self._checked:
            self._refuse("it went on before its checks were over", event.step)
        self._at_work = event.kind != "check"

    def _check_checked(self) -> None:
        if not self._job.waits or self._checked or self._at_work:
            self._refuse("Checked came where nobody waits for it", "Checked")
        for step, planned in self._planned.items():
            if planned.kind == "check" and self._ended.get(step) not in _DONE:
                self._refuse("Checked came before every check had passed", step)
        self._checked = True

    def _rank(self, event: wire.StepStarted) -> int:
        planned = self._planned.get(event.step)
        if planned is None:
            self._refuse("a step that it was not given", event.step)
        if (event.deployment, event.kind) != (planned.deployment, planned.kind):
            self._refuse("a step is not what the job says it is", event.step)
        if planned.name is not None and event.name != planned.name:
            self._refuse("a step is not called what the job calls it", event.name)
        if planned.name is None and not _is_label(event.name):
            self._refuse("a step with an impossible name", event.name)
        return planned.rank

    def _check_open(self, step: str, what: str) -> None:
        if self._open is None or step != self._open:
            self._refuse(f"{what} of a step that is not open", step)

    def _check_counts(self, what: str, *numbers: float) -> None:
        if min(numbers, default=0) < 0:
            self._refuse(f"{what} counts below zero", str(numbers))

    def _check_connection(self, event: wire.Connection) -> None:
        self._check_open(event.step, "Connection")
        if not self._planned[event.step].is_listed:
            self._refuse("a connection of a step whose network is no list", event.step)
        self._check_counts("Connection", event.port, event.sent_bytes, event.received_bytes)
        for text in (event.host, event.address, event.refused):
            if not _is_label(text):
                self._refuse("a connection with impossible words", text)
        self._connections += 1
        if self._connections > wire.MAX_CONNECTIONS or event.port > _MAX_PORT:
            self._refuse("a connection too many", str(event.port))

    def _check_step_end(self, event: wire.StepFinished) -> None:
        self._check_open(event.step, "StepFinished")
        amounts = (event.wall_s, event.cpu_s, event.peak_memory_bytes, *event.changes.values())
        self._check_counts("StepFinished", *amounts)
        if event.traffic is not None:
            self._check_counts("StepFinished", *as_mapping(event.traffic).values())
        for kind in event.changes:
            if kind not in _COUNTED:
                self._refuse("a kind of change that nobody knows", kind)
        self._ended[event.step] = event.outcome
        self._open = None

    def _check_artifact(self, event: wire.Artifact) -> None:
        for name in (event.slot, event.name):
            if not _is_plain_name(name):
                self._refuse("an artifact with an impossible name", name)
        if self._slots.get(event.slot) != event.deployment:
            self._refuse("an artifact in a slot that its deployment doesn't have", event.slot)
        if event.slot in self._delivered:
            self._refuse("a second artifact in one slot", event.slot)
        planned = self._planned.get(self._open or "")
        if planned is None or (planned.kind, planned.deployment) != ("write", event.deployment):
            self._refuse("an artifact of a deployment that is not being written", event.name)
        self._check_counts("Artifact", event.size_bytes)
        if event.kind == "stream" and event.slot not in self._piped:
            self._refuse("a stream where none was asked for", event.name)
        if event.kind == "file" and not _DIGEST.fullmatch(event.sha256):
            self._refuse("a file without a SHA-256", event.sha256)
        self._delivered.add(event.slot)

    def _check_verified(self, event: wire.BaseVerified) -> None:
        if self._job.kind != "verify":
            self._refuse("it verified what nobody asked about", event.base)
        self._check_counts("BaseVerified", event.members, event.bytes, event.damaged)

    def _check_end(self, event: wire.Finished) -> None:
        self._check_counts("Finished", event.swept)
        if event.outcome == "ok":
            self._check_all_done(event)
        if event.unfit and (event.outcome == "ok" or self._greeted):
            self._refuse("its place is unfit, and it worked there", event.error)
        self._finished = True

    def _check_all_done(self, event: wire.Finished) -> None:
        """An agent that says all is well has run all that it was asked to."""
        if event.error:
            self._refuse("Finished is both ok and an error", event.error)
        if self._open is not None:
            self._refuse("Finished is ok but a step is still open", self._open)
        for step, planned in self._planned.items():
            if planned.name is not None and step not in self._ended:
                self._refuse("Finished is ok but a step never ran", step)
        for step, outcome in self._ended.items():
            if outcome not in _DONE:
                self._refuse(f"Finished is ok but a step ended with {outcome!r}", step)

    def _refuse(self, what: str, evidence: str) -> NoReturn:
        raise ProtocolError(
            f"the helper of {self._job.system or 'no system'} broke the protocol: {what}",
            details=f"it said {evidence[:100]!a}",
            hint="nothing that it sent is used; if its image is your own, report this as a bug, "
            "else don't trust the image",
        )


def _flatten(deployments: tuple[wire.Deployment, ...]) -> Iterator[wire.Deployment]:
    for deployment in deployments:
        yield deployment
        yield from _flatten(deployment.subsystems)


def _ranked(deployment: wire.Deployment) -> Iterator[tuple[int, wire.Step]]:
    """Yield the deployment's extensions, each with its place in the order."""
    if deployment.check:
        yield 0, deployment.check
    yield from enumerate(deployment.configure, _FIRST_CONFIGURE)
    if deployment.write:
        yield _FIRST_CONFIGURE + len(deployment.configure), deployment.write


def _is_apology(event: wire.Event) -> bool:
    """An agent that can't even say Hello may say why."""
    return isinstance(event, wire.Finished) and event.outcome != "ok"


def _is_label(name: str) -> bool:
    return len(name) <= _MAX_NAME and name.isprintable()


def _is_plain_name(name: str) -> bool:
    """One entry of a directory: no way up or down, nothing that a terminal or a log acts on."""
    if not 0 < len(name.encode("utf-8", "surrogatepass")) <= _MAX_NAME or name in (".", ".."):
        return False
    return "/" not in name and not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in name)
