"""Runs as they may happen, told in happenings: for the tests of ledger, record and reports."""

from pathlib import Path

from containerdeploy import wire
from containerdeploy.result import (
    Delivered,
    Happening,
    Heard,
    RunFinished,
    RunStarted,
    SystemFinished,
    SystemStarted,
)

RUN = "20260102T030405-abc123abc"
DIGEST = "0123456789abcdef" * 4


def extension(step: str, kind: wire.StepKind, name: str) -> wire.Step:
    return wire.Step(id=step, kind=kind, name=name, argv=(name,), environment={})


def deployment(
    name: str, *, subsystems: tuple[wire.Deployment, ...] = (), extensions: int = 2
) -> wire.Deployment:
    configure = (extension(f"{name}:{n}", "configure", f"ext-{n}") for n in range(extensions))
    return wire.Deployment(
        name=name,
        source=wire.Source(path="/sources/0", sha256=DIGEST, size_bytes=1, compression="none"),
        metadata="{}",
        check=extension(f"{name}:check", "check", "tar"),
        configure=tuple(configure),
        write=extension(f"{name}:write", "write", "tar"),
        output=wire.Output(slot=f"slot-{name}", name="out.tar"),
        subsystems=subsystems,
    )


def job(*deployments: wire.Deployment) -> wire.Job:
    return wire.Job(kind="deploy", run=RUN, system="web", deployments=deployments)


def hello(**changes: object) -> wire.Hello:
    fields: dict[str, object] = {
        "run": RUN,
        "version": wire.VERSION,
        "python": "3.11.2",
        "kernel": "6.18",
        "isolation": "strict",
        "limits": "cgroup-v2",
    }
    return wire.Hello(**(fields | changes))  # type: ignore[arg-type]


def started(step: str, kind: wire.StepKind, name: str, of: str = "prod") -> wire.StepStarted:
    return wire.StepStarted(deployment=of, step=step, kind=kind, name=name)


def ended(step: str, outcome: wire.Outcome = "ok", **more: object) -> wire.StepFinished:
    return wire.StepFinished(step=step, outcome=outcome, **more)  # type: ignore[arg-type]


def artifact(of: str = "prod", **changes: object) -> wire.Artifact:
    fields: dict[str, object] = {
        "deployment": of,
        "slot": f"slot-{of}",
        "name": "out.tar",
        "kind": "file",
        "size_bytes": 12_300_000,
        "sha256": DIGEST,
    }
    return wire.Artifact(**(fields | changes))  # type: ignore[arg-type]


def run_started(record: Path, *names: str, parents: tuple[tuple[str, str], ...] = ()) -> RunStarted:
    return RunStarted(
        run=RUN,
        verb="deploy",
        cluster="clusters/x.yaml",
        engine="docker",
        systems=(("web", names or ("prod",)),),
        record=record,
        parents=parents,
    )


def heard(*events: wire.Event) -> list[Happening]:
    return [Heard(system="web", event=event) for event in events]


def step(
    name: str, kind: wire.StepKind, *said: wire.Event, of: str = "prod", **end: object
) -> list[wire.Event]:
    """A whole step: started, what it said, finished."""
    key = f"{of}:{name}"
    return [started(key, kind, name, of), *said, ended(key, **end)]  # type: ignore[arg-type]


def log(name: str, text: str, stream: str = "stdout", of: str = "prod", **more: bool) -> wire.Log:
    return wire.Log(step=f"{of}:{name}", stream=stream, text=text, **more)  # type: ignore[arg-type]


def changed(name: str, *paths: str, of: str = "prod") -> wire.Changed:
    changes = tuple(wire.Change(kind="modified", path=path, size_after=5) for path in paths)
    return wire.Changed(step=f"{of}:{name}", changes=changes)


def good_events(of: str = "prod") -> list[wire.Event]:
    """One deployment from base to artifact; set-hostname changes a file."""
    return [
        *step("base", "base", wire.Progress(step=f"{of}:base", done=5, total=10, unit="bytes"),
              of=of, wall_s=2.0),
        *step("metadata", "metadata", of=of),
        *step("set-hostname", "configure", log("set-hostname", "setting it", of=of),
              changed("set-hostname", "etc/hostname", of=of), of=of, wall_s=0.25,
              changes={"modified": 1}),
        *step("tar", "write", of=of, wall_s=1.0),
        artifact(of),
    ]  # fmt: skip


def delivered(path: Path, of: str = "prod") -> Delivered:
    return Delivered(system="web", deployment=of, path=path, size_bytes=12_300_000, sha256=DIGEST)


def good_run(record: Path) -> list[Happening]:
    """A run of one system and one deployment, in which all goes well."""
    return [
        run_started(record),
        SystemStarted(system="web", image="sha256:" + DIGEST),
        *heard(hello(weaker=("only one user id is mapped",)), *good_events()),
        delivered(Path("/out/prod.tar")),
        *heard(wire.Finished(outcome="ok")),
        SystemFinished(system="web", outcome="deployed"),
        RunFinished(exit_code=0),
    ]


def failed_run(
    record: Path, *said: wire.Event, outcome: wire.Outcome = "failed", exit_code: int = 1
) -> list[Happening]:
    """A run whose only extension, simple-network, says something and fails."""
    detail = f"exit code {exit_code}"
    name = "simple-network"
    return [
        run_started(record, "prod", "staging"),
        SystemStarted(system="web", image="helper"),
        *heard(
            hello(),
            *step("base", "base"),
            *step(name, "configure", *said, outcome=outcome, detail=detail, exit_code=exit_code),
            wire.Finished(outcome="failed", error=detail),
        ),
        SystemFinished(system="web", outcome="failed", brief=detail),
        RunFinished(exit_code=1),
    ]
