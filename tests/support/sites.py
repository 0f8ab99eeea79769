"""Where the command line runs in tests: an engine, a user, a store and a home of their own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import residue
from residue import Residue

from containerdeploy.engine.docker_client import LEAST_API

Kind = Literal["docker", "podman", "local", "user"]
# A kind of site, and the marker of the tests that need it.
MARKS: Mapping[Kind, str] = {
    "docker": "docker",
    "podman": "podman",
    "local": "local",
    "user": "local",
}
ROOT = Path(__file__).resolve().parents[2]
PYTHONS = (sys.executable, "/usr/bin/python3")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LIMIT_S = 120


@dataclass(frozen=True, kw_only=True)
class Person:
    """An account that deploys are run as."""

    name: str
    uid: int
    gid: int
    python_path: str

    @property
    def become(self) -> Sequence[str]:
        """What goes before a command; the shell's start takes away what setpriv leaves of root."""
        ids = [f"--reuid={self.uid}", f"--regid={self.gid}"]
        shell = ["sh", "-c", 'exec "$0" "$@"']
        return ["setpriv", *ids, "--clear-groups", "--inh-caps=-all", *shell]

    def python(self) -> str | None:
        """A Python that the account can run the product with; this one may lie in root's home."""
        for one in PYTHONS:
            argv = [*self.become, one, "-c", "import containerdeploy.cli"]
            environment = {"PATH": PATH, "PYTHONPATH": self.python_path}
            ran = subprocess.run(argv, env=environment, cwd="/", capture_output=True, check=False)
            if ran.returncode == 0:
                return one
        return None


@dataclass(frozen=True, kw_only=True)
class Site:
    """One engine with a store and a home; `mark` is a word that all its things bear."""

    kind: Kind
    mark: str
    directory: Path
    engine: str
    person: Person | None = None
    python: str = sys.executable
    home_name: str = "home"
    store_place: Path | None = None

    @property
    def home(self) -> Path:
        return self.directory / self.home_name

    @property
    def policy(self) -> Path:
        """The operator's policy, which is only there where a test wrote one."""
        return self.directory / "policy.yaml"

    @property
    def store_name(self) -> str:
        return f"containerdeploy-{self.mark}"

    @property
    def is_api(self) -> bool:
        return self.kind in ("docker", "podman")

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": PATH,
            "HOME": str(self.directory),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": self.person.python_path if self.person else python_path(),
            "CONTAINERDEPLOY_HOME": str(self.home),
            "CONTAINERDEPLOY_STORE": self.store_name,
            "CONTAINERDEPLOY_POLICY": str(self.policy),
        }

    def argv(self, verb: str, *arguments: object) -> list[str]:
        """The command line for `verb`, as the site's person, on the site's engine."""
        become = self.person.become if self.person else ()
        command = [self.python, "-m", "containerdeploy", *verb.split(), f"--engine={self.engine}"]
        return [*become, *command, *map(str, arguments)]

    def run(
        self, argv: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            argv,
            cwd=cwd,
            env={**self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=LIMIT_S,
            check=False,
        )

    def start(self, argv: Sequence[str], cwd: Path) -> "subprocess.Popen[str]":
        """Start it in a session of its own, with what it says in one pipe."""
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="surrogateescape",
            start_new_session=True,
        )

    def give(self, path: Path) -> None:
        """Let a tree belong to the site's person."""
        if self.person is None:
            return
        for one in (path, *path.rglob("*")):
            os.chown(one, self.person.uid, self.person.gid, follow_symlinks=False)

    def share(self, source: Path) -> Path:
        """Put a source where the site's person can read it: linked if that can be, else copied."""
        place = self.directory / "sources" / source.name
        place.parent.mkdir(exist_ok=True)
        if not place.exists():
            try:
                os.link(source, place)
            except OSError:
                shutil.copyfile(source, place)
        return place

    def sibling(self) -> "Site":
        """The same engine and person with nothing in store; the caller closes it."""
        return opened(self.kind, self.engine, self.person)

    def via(self, engine: str) -> "Site":
        """The same site, its engine reached at another address."""
        return replace(self, engine=engine)

    def store(self) -> Path | None:
        """The store's directory on this host, where there is one yet."""
        if self.store_place is not None:
            return self.store_place
        if self.is_api:
            return next(map(Path, self._api_volume("Mountpoint")), None)
        return self.home / "volumes" / self.store_name

    def with_store_on(self, disk: Path) -> "Site":
        """Let the store, which is not there yet, lie in a directory of this host."""
        place = disk / "volumes" / self.store_name
        place.mkdir(mode=0o700, parents=True)
        self.give(disk)
        if self.is_api:
            options = {"type": "none", "o": "bind", "device": str(place)}
            with self.client() as client:
                client.create_volume(self.store_name, driver="local", driver_opts=options)
        else:
            (self.home / "volumes").symlink_to(disk / "volumes")
        return replace(self, store_place=place)

    def forget_store(self) -> None:
        """Let go of a store that lies elsewhere."""
        if self.is_api:
            with self.client() as client:
                client.remove_volume(self.store_name, force=True)

    def bases(self) -> list[str]:
        store = self.store()
        with suppress(FileNotFoundError):
            return sorted(os.listdir(store / "bases")) if store else []
        return []

    def residue(self) -> Residue:
        """Look at everything that this site's runs could leave."""
        return Residue(
            mounts=residue.mounts(self.mark),
            processes=residue.processes(self.mark),
            containers=self._containers(),
            volumes=self._anonymous_volumes(),
            workspaces=residue.workspaces(self.store()),
            staging=residue.staging(self.directory),
            locks=residue.locks(self.store()),
            temporary=residue.temporary(self.home),
            cgroups=residue.cgroups(self.mark),
            loops=residue.loops(self.mark),
        )

    def left_since(
        self, before: Residue, *, loops: bool = False, since: float | None = None
    ) -> dict[str, list[str]]:
        """Return what is beyond what was before, once that has had time to go.

        `loops` is for who has any: others' loop devices may come meanwhile, and bear no mark.
        """
        if loops:
            return residue.settle(self.residue, before, since=since)
        none = frozenset[str]()
        return residue.settle(
            lambda: replace(self.residue(), loops=none), replace(before, loops=none), since=since
        )

    def containers(self) -> list[str]:
        """Names of the engine's containers that have this site's store."""
        return sorted(self._containers())

    def kill_helpers(self) -> None:
        """Kill every helper of this site from outside, as its engine's operator would."""
        if not self.is_api:
            for pid in residue.pids(self.mark, "containerdeploy.agent.boot"):
                with suppress(ProcessLookupError):  # some die of the others' death
                    os.kill(pid, signal.SIGKILL)
            return
        import docker

        with self.client() as client:
            for name in self._containers():
                with suppress(docker.errors.APIError):  # it was faster
                    client.kill(name)

    def close(self) -> None:
        """Take the store and the directory away."""
        if self.is_api:
            with self.client() as client:
                for name in self._api_volume("Name"):
                    client.remove_volume(name, force=True)
        shutil.rmtree(self.directory)

    def client(self) -> Any:
        """Speak to the engine without asking for its version, which takes Podman a second."""
        import docker

        return docker.APIClient(base_url=self.engine, version=LEAST_API, timeout=60)

    def _api_volume(self, key: str) -> list[str]:
        with self.client() as client:
            found = client.volumes(filters={"name": self.store_name})["Volumes"] or []
        return [one[key] for one in found if one["Name"] == self.store_name]

    def _containers(self) -> frozenset[str]:
        if not self.is_api:
            return frozenset(str(path) for path in self.home.glob("containers/*"))
        with self.client() as client:
            found = client.containers(all=True, filters={"volume": self.store_name})
        return frozenset(one["Names"][0].removeprefix("/") for one in found)

    def _anonymous_volumes(self) -> frozenset[str]:
        if not self.is_api:
            return frozenset()
        with self.client() as client:
            found = client.volumes(filters={"dangling": True})["Volumes"] or []
        return frozenset(one["Name"] for one in found if len(one["Name"]) == 64)


def python_path() -> str:
    """Where any Python finds this checkout's product and what it needs."""
    return ":".join([str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))])


def address(kind: Kind) -> str:
    """What --engine takes for a kind."""
    return os.environ.get(f"CONTAINERDEPLOY_TEST_{kind.upper()}", "local")


def opened(kind: Kind, engine: str, person: Person | None = None) -> Site:
    """Make a site with a directory that its person can reach; pytest's own are root's alone."""
    python = person.python() if person else sys.executable
    assert python, f"{person} can't run the product"
    mark = f"it{uuid.uuid4().hex[:10]}"
    directory = Path(tempfile.mkdtemp(prefix=f"{mark}-", dir="/var/tmp"))
    directory.chmod(0o755)
    site = Site(
        kind=kind, mark=mark, directory=directory, engine=engine, person=person, python=python
    )
    site.home.mkdir(mode=0o700)
    site.give(directory)
    return site
