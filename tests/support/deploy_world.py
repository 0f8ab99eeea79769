"""Definitions of a test's own on a site, and the command line run on them for real."""

import hashlib
import json
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sites import Site

PATIENCE_S = 30.0


@dataclass(frozen=True, kw_only=True, repr=False)
class Ended:
    """How a command ended; `happenings` are the lines of --events."""

    code: int
    out: str
    err: str
    happenings: Sequence[Mapping[str, Any]] = ()

    def __repr__(self) -> str:
        return f"exit code {self.code}\n{self.out}\n{self.err}"

    def events(self, kind: str) -> list[Mapping[str, Any]]:
        """The helpers' events of one kind."""
        heard = [one["event"] for one in self.happenings if one["happening"] == "Heard"]
        return [event for event in heard if event["event"] == kind]

    def log(self, stream: str = "stdout") -> str:
        """All that extensions said on one stream."""
        return "\n".join(e["text"] for e in self.events("Log") if e["stream"] == stream)

    def steps(self, kind: str) -> list[Mapping[str, Any]]:
        """StepFinished of every step of a kind, in order."""
        ids = {event["step"] for event in self.events("StepStarted") if event["kind"] == kind}
        return [event for event in self.events("StepFinished") if event["step"] in ids]

    def unpacks(self) -> int:
        return sum(not step["cached"] for step in self.steps("base"))


class World:
    """A definitions directory with one cluster; `out` is where relative locations begin."""

    def __init__(self, site: Site, directory: Path, source: Path) -> None:
        self.site = site
        self.directory = directory
        self.definitions = directory / "definitions"
        self.out = directory / "out"
        self.source = source
        self.going: list[Going] = []
        self._entries: list[dict[str, Any]] = []
        self._cluster: dict[str, Any] = {"name": "test", "kind": "cluster"}
        for path in (self.definitions / "extensions", self.out):
            path.mkdir(parents=True)

    def extension(
        self, name: str, script: str, *, mode: int = 0o755, sidecar: Mapping[str, Any] | None = None
    ) -> None:
        """Write an extension; `name` has its kind: `greet.configure`."""
        path = self.file(f"extensions/{name}", script, mode=mode)
        if sidecar is not None:
            path.with_name(f"{path.name}.yaml").write_text(json.dumps(sidecar))

    def file(self, name: str, text: str, *, mode: int = 0o644) -> Path:
        path = self.definitions / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def system(
        self,
        name: str,
        deploy: Mapping[str, Mapping[str, Any]],
        *extensions: str | Mapping[str, Any],
        source: Mapping[str, Any] | None = None,
        defaults: Mapping[str, Any] | None = None,
        subsystems: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        """Add a system with its deployments to the cluster (JSON is YAML)."""
        entry = self.entry(name, deploy, *extensions, source=source)
        entry |= {"deploy-defaults": dict(defaults or {}), "subsystems": list(subsystems)}
        self._entries.append(entry)
        return entry

    def entry(
        self,
        name: str,
        deploy: Mapping[str, Mapping[str, Any]],
        *extensions: str | Mapping[str, Any],
        source: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Write a system and return a cluster's entry for it, for use as a subsystem."""
        system: dict[str, Any] = {"name": name, "kind": "system", "arch": "x86_64"}
        system["configuration-extensions"] = list(extensions)
        system["source"] = dict(source or {"tar": str(self.source)})
        self.file(f"systems/{name}.yaml", json.dumps(system))
        return {"morph": f"systems/{name}.yaml", "deploy": dict(deploy)}

    def cluster(self, **fields: Any) -> None:
        self._cluster |= fields

    def argv(self, verb: str, *words: str) -> list[str]:
        """Write the cluster down and return the command line."""
        content = {**self._cluster, "systems": self._entries}
        cluster = self.file("clusters/test.yaml", json.dumps(content))
        self.site.give(self.directory)
        events = f"--events={self.directory / 'events.jsonl'}"
        options = [f"--definitions={self.definitions}", events, f"--output-dir={self.out}"]
        return self.site.argv(verb, *options, cluster, *words)

    def deploy(
        self, *words: str, verb: str = "deploy", environment: Mapping[str, str] | None = None
    ) -> Ended:
        ran = self.site.run(self.argv(verb, *words), self.directory, environment)
        return self.ended(ran.returncode, ran.stdout, ran.stderr)

    def start(self, *words: str, verb: str = "deploy") -> "Going":
        (self.directory / "events.jsonl").unlink(missing_ok=True)
        self.going.append(Going(self, self.site.start(self.argv(verb, *words), self.directory)))
        return self.going[-1]

    def end_all(self) -> None:
        """Kill what a failed test left running."""
        for one in self.going:
            one.process.kill()
            one.process.communicate(timeout=PATIENCE_S)
        self.going.clear()

    def command(self, verb: str, *words: str) -> Ended:
        """Run another verb, on the engine where it takes one."""
        argv = self.site.argv(verb, *words)
        if verb in ("runs", "show", "help-extensions"):
            argv = [word for word in argv if not word.startswith("--engine")]
        ran = self.site.run(argv, self.directory)
        return Ended(code=ran.returncode, out=ran.stdout, err=ran.stderr)

    def ended(self, code: int, out: str, err: str = "") -> Ended:
        return Ended(code=code, out=out, err=err, happenings=tuple(self.happenings()))

    def happenings(self) -> Iterator[Mapping[str, Any]]:
        """Yield the lines of the events file, whole ones only: the run may still go on."""
        path = self.directory / "events.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        yield from (json.loads(line) for line in lines if line.endswith("\n"))


class Going:
    """A deploy that still goes on."""

    def __init__(self, world: World, process: "subprocess.Popen[str]") -> None:
        self.world = world
        self.process = process

    def await_step(self, kind: str, *, named: str = "") -> None:
        """Return when a step of that kind has started (and, for base, has made some way)."""

        def has_started() -> bool:
            for one in self.world.happenings():
                event = one.get("event", {})
                if event.get("event") == "StepStarted" and event["kind"] == kind:
                    return not named or event["name"] == named
            return False

        self.wait_until(has_started, f"the step {kind}")

    def wait_until(self, is_so: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not is_so():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"{what} did not come: {self.end()}")
            time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command itself, not to whatever it started."""
        self.process.send_signal(number)

    def end(self) -> Ended:
        out, _ = self.process.communicate(timeout=3 * PATIENCE_S)
        self.world.going.remove(self)
        return self.world.ended(self.process.returncode, out)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def members(path: Path) -> dict[str, tarfile.TarInfo]:
    """The members of a tar by name, without the leading `./`."""
    if path.suffix == ".zst":
        plain = path.with_suffix("")
        subprocess.run(["zstd", "-qdf", path, "-o", plain], check=True)
        path = plain
    with tarfile.open(path) as archive:
        return {one.name.removeprefix("./"): one for one in archive.getmembers()}


def text(path: Path, member: str) -> str:
    """A file's content in a tar."""
    with tarfile.open(path) as archive:
        found = archive.extractfile(f"./{member}")
        assert found is not None, f"{member} is no file"
        return found.read().decode()


def as_owner(path: Path) -> tuple[int, int, int]:
    """Owner, group and mode of a path, as one value."""
    found = os.lstat(path)
    return found.st_uid, found.st_gid, found.st_mode & 0o7777
