"""The real agent without an engine: in a root, namespaces, group and capabilities of its own.

    bench = Bench(tmp_path)
    step = bench.configure("probe", "#!/bin/sh\nid -u\n")
    story = bench.run(bench.job(bench.deployment(source, configure=[step])))
    assert story.said(step) == "0\n"

What the helper finds at /store, /definitions, /sources and /output are directories of the test's.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from containerdeploy import wire
from containerdeploy.helper import payload, spec

HELPER_ROOT = Path(__file__).with_name("helper_root.py")
OLDER_KERNEL = Path(__file__).with_name("older_kernel.py")
PATIENCE_S = 60.0
SUFFIXES: dict[str, wire.Compression] = {
    ".gz": "gz",
    ".xz": "xz",
    ".bz2": "bz2",
    ".zst": "zst",
}


class Agent:
    """A running agent; what it says arrives in `events`."""

    def __init__(self, argv: Sequence[str], opening: bytes) -> None:
        self.events: list[wire.Event] = []
        self.stderr = b""
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._errors)]
        for thread in self._threads:
            thread.start()
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(opening)
            self.process.stdin.flush()
        self._let_go = threading.Event()
        self._heart = threading.Thread(target=self._beat)
        self._heart.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = wire.decode(line)
            with self._changed:
                self.events.append(event)
                self._changed.notify_all()

    def _errors(self) -> None:
        assert self.process.stderr is not None
        self.stderr = self.process.stderr.read()

    def wait_for(self, kind: type[wire.Event], *, step: str = "", text: str = "") -> wire.Event:
        """Wait for an event of a kind, of a step, that holds a text."""

        def found() -> wire.Event | None:
            for event in self.events:
                fits = not step or getattr(event, "step", "") == step
                if isinstance(event, kind) and fits and text in getattr(event, "text", ""):
                    return event
            return None

        with self._changed:
            assert self._changed.wait_for(lambda: found() or self._is_over(), PATIENCE_S), self
            event = found()
        assert event is not None, (self.events, self.stderr)
        return event

    def _is_over(self) -> bool:
        return any(isinstance(event, wire.Finished) for event in self.events)

    def _beat(self) -> None:
        """Keep the lease alive, as a controller does."""
        assert self.process.stdin is not None
        with suppress(OSError, ValueError):
            while not self._let_go.wait(wire.HEARTBEAT_S):
                self.process.stdin.write(b"\n")
                self.process.stdin.flush()

    def say(self, word: bytes) -> None:
        """Send the agent a word, as a controller does."""
        assert self.process.stdin is not None
        self.process.stdin.write(word)
        self.process.stdin.flush()

    def let_go(self) -> None:
        """End the lease."""
        self._let_go.set()
        self._heart.join()
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()

    def wait_end(self, seconds: float) -> None:
        """Wait that long, or until it ends by itself."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def kill(self) -> None:
        """Kill it and all that it started, without a chance to clean up."""
        self.process.send_signal(signal.SIGUSR1)
        self.end()

    def end(self, within_s: float = PATIENCE_S) -> "Story":
        """Wait for its end; it must come in time."""
        self.process.wait(within_s)
        for thread in self._threads:
            thread.join(within_s)
        self.let_go()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return Story(events=tuple(self.events), stderr=self.stderr.decode(errors="replace"))

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGUSR1)
        self.end()


@dataclass(frozen=True, kw_only=True)
class Story:
    """All that an agent told."""

    events: tuple[wire.Event, ...]
    stderr: str

    @property
    def finished(self) -> wire.Finished:
        assert self.events, self.stderr
        last = self.events[-1]
        assert isinstance(last, wire.Finished), (last, self.stderr)
        return last

    @property
    def hello(self) -> wire.Hello:
        return next(event for event in self.events if isinstance(event, wire.Hello))

    def ending(self, step: wire.Step | str) -> wire.StepFinished:
        name = step if isinstance(step, str) else step.id
        found = [e for e in self.events if isinstance(e, wire.StepFinished) and e.step == name]
        assert len(found) == 1, self
        return found[0]

    def said(self, step: wire.Step | str, stream: str = "stdout") -> str:
        name = step if isinstance(step, str) else step.id
        return "".join(
            event.text + ("" if event.partial else "\n")
            for event in self.events
            if isinstance(event, wire.Log) and event.step == name and event.stream == stream
        )

    def changes(self, step: wire.Step | str) -> dict[str, wire.Change]:
        """Return a step's changes by path; no path may be told twice."""
        name = step if isinstance(step, str) else step.id
        told = [
            change
            for event in self.events
            if isinstance(event, wire.Changed) and event.step == name
            for change in event.changes
        ]
        assert len({change.path for change in told}) == len(told), told
        return {change.path: change for change in told}

    def kinds(self, step: wire.Step | str) -> dict[str, str]:
        return {path: change.kind for path, change in self.changes(step).items()}


@dataclass(kw_only=True)
class Bench:
    """The directories of one test, and agents that use them."""

    place: Path
    _agents: list[Agent] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1_000_000)))

    def __post_init__(self) -> None:
        for name in ("store", "definitions", "sources", "output"):
            (self.place / name).mkdir(parents=True)
        (self.place / "nonce").write_text("a nonce")

    @property
    def store(self) -> Path:
        return self.place / "store"

    @property
    def output(self) -> Path:
        return self.place / "output"

    @property
    def definitions(self) -> Path:
        return self.place / "definitions"

    def source(self, content: bytes | Path, suffix: str = "") -> wire.Source:
        """Put an archive (bytes, or a file to be linked to) where agents find it."""
        data = content.read_bytes() if isinstance(content, Path) else content
        digest = hashlib.sha256(data).hexdigest()
        (self.place / "sources" / digest).write_bytes(data)
        return wire.Source(
            path=f"{wire.SOURCES}/{digest}",
            sha256=digest,
            size_bytes=len(data),
            compression=SUFFIXES.get(suffix, "none"),
        )

    def tree(self, directory: Path) -> wire.Source:
        """Make a source of a directory's content."""
        argv = ["tar", "--create", "--numeric-owner", "--xattrs", "--acls", "--sparse"]
        argv += ["--xattrs-include=*", "--format=pax", f"--directory={directory}", "."]
        return self.source(subprocess.run(argv, check=True, capture_output=True).stdout)

    def script(self, name: str, text: str, *, mode: int = 0o755) -> str:
        """Write a file of the definitions; return its path inside."""
        path = self.definitions / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return f"{wire.DEFINITIONS}/{name}"

    def step(
        self,
        kind: wire.StepKind,
        text: str,
        *arguments: str,
        argv: Sequence[str] | None = None,
        environment: dict[str, str] | None = None,
        **changes: object,
    ) -> wire.Step:
        """Make a step that runs the script `text`; `changes` are fields of Step."""
        number = next(self._numbers)
        path = self.script(f"s{number}.{kind}", text)
        values: dict[str, object] = {
            "id": f"step-{number}",
            "kind": kind,
            "name": f"s{number}",
            "argv": tuple(argv or (path, *arguments)),
            "environment": {"PATH": spec.PATH, "TMPDIR": wire.TMPDIR, **(environment or {})},
        }
        return wire.Step(**(values | changes))  # type: ignore[arg-type]

    def configure(self, text: str, **changes: object) -> wire.Step:
        return self.step("configure", text, wire.TREE, **changes)  # type: ignore[arg-type]

    def shell(self, text: str, **changes: object) -> wire.Step:
        """Make a configuration step that runs shell commands, in the tree."""
        return self.configure(f'#!/bin/sh -eu\ncd "$1"\n{text}\n', **changes)

    def pause(self) -> wire.Step:
        """Make a step that says "paused" and waits for `resume`."""
        return self.shell("echo paused; while ! test -e /definitions/go; do sleep 0.02; done")

    def resume(self) -> None:
        (self.definitions / "go").touch()

    def write(self, text: str, name: str = "artifact", **changes: object) -> wire.Step:
        return self.step("write", text, wire.TREE, f"{wire.OUTPUT}/{name}", **changes)  # type: ignore[arg-type]

    def deployment(
        self,
        source: wire.Source,
        *,
        name: str = "one",
        configure: Sequence[wire.Step] = (),
        **rest: object,
    ) -> wire.Deployment:
        values: dict[str, object] = {"metadata": '{"a": 1}\n'}
        return wire.Deployment(
            name=name,
            source=source,
            configure=tuple(configure),
            **(values | rest),  # type: ignore[arg-type]
        )

    def job(self, *deployments: wire.Deployment, **changes: object) -> wire.Job:
        values: dict[str, object] = {"kind": "deploy", "run": f"run-{next(self._numbers)}"}
        return wire.Job(deployments=deployments, **(values | changes))  # type: ignore[arg-type]

    def argv(self, lacking: str = "", more: Sequence[str] = ()) -> list[str]:
        """Return what starts an agent that waits for its opening.

        `lacking` are system calls, split by commas, that its kernel shall not have, `more` are
        further capabilities of its helper.
        """
        places = {
            f"/{name}": str(self.place / name)
            for name in ("store", "definitions", "sources", "output", "nonce")
        }
        helper = [
            sys.executable,
            str(HELPER_ROOT),
            json.dumps(places),
            ",".join([*spec.CAPABILITIES, *more]),
        ]
        older = [sys.executable, str(OLDER_KERNEL), lacking] if lacking else []
        return [*helper, *older, sys.executable, *payload.ARGV[1:]]

    def start(self, job: wire.Job, *, lacking: str = "") -> Agent:
        more = spec.MORE_FOR_COMPAT if job.isolation == "compat" else ()
        agent = Agent(self.argv(lacking, more), payload.opening(job))
        self._agents.append(agent)
        return agent

    def run(self, job: wire.Job, *, lacking: str = "") -> Story:
        return self.start(job, lacking=lacking).end()

    def layers(self, job: wire.Job, deployment: int = 0) -> list[Path]:
        """Return the upper directories of a deployment that is under way, oldest first."""
        place = self.store / "tmp" / job.run / f"d{deployment}"
        return sorted(place.glob("[0-9]*/up"), key=lambda path: int(path.parent.name))

    @contextmanager
    def paused(self, *steps: wire.Step, source: wire.Source) -> Iterator[tuple[Agent, list[Path]]]:
        """Run the steps; yield the agent and the steps' layers while they lie on disk."""
        pause = self.pause()
        job = self.job(self.deployment(source, configure=[*steps, pause]))
        agent = self.start(job)
        agent.wait_for(wire.Log, step=pause.id, text="paused")
        yield agent, self.layers(job)[1:-1]
        self.resume()
        assert agent.end().finished.outcome == "ok"

    def close(self) -> None:
        for agent in self._agents:
            agent.close()


def wait_until(condition: object, within_s: float = PATIENCE_S) -> None:
    """Wait until calling `condition` gives something true."""
    assert callable(condition)
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def as_root() -> bool:
    return os.geteuid() == 0
