"""What the benchmarks work on: a Debian system as archives and as a tree, definitions, a state."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.bench import timing
from tests.debian import COMPRESSORS, DEBIAN_PACKAGES, IMAGES

PRODUCT = Path(sysconfig.get_path("scripts")) / "containerdeploy"
IMAGE = "containerdeploy-helper"
# Five small extensions of the kind that people write: each reads a parameter, writes a file.
EXTENSIONS = {
    "name": 'printf "%s\\n" "$HOSTNAME" > "$1/etc/hostname"',
    "hosts": 'printf "%s\\n" "$HOSTS" >> "$1/etc/hosts"',
    "motd": 'printf "Welcome to %s\\n" "$HOSTNAME" > "$1/etc/motd"',
    "link": 'mkdir -p "$1/srv/www" && ln -sf ../srv/www "$1/etc/www"',
    "mode": 'chmod 0700 "$1/root"',
}


@dataclass(frozen=True)
class World:
    """A directory of this run's own; everything measured lies on the disk that it is on."""

    root: Path

    def fresh(self, name: str) -> Path:
        """Return an empty directory, whatever was there."""
        path = self.root / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path

    def environment(self, store: str, home: str = "home") -> dict[str, str]:
        """Return what keeps the product's records, caches and store apart from the user's."""
        return {
            "CONTAINERDEPLOY_HOME": str(self.root / home),
            "CONTAINERDEPLOY_STORE": f"{self.root.name}-{store}",
        }

    def deploy(self, engine: str, source: Path, *, output: Path, events: Path) -> list[str | Path]:
        """Return the command that deploys `source` to a tar file in `output`."""
        how = ["--engine", engine, "--progress", "quiet", "--events", events]
        what = ["--definitions", self.definitions, "--artifact", f"node={source}"]
        cluster = self.definitions / "clusters" / "one.yaml"
        return [PRODUCT, "deploy", *how, *what, "--output-dir", output, cluster]

    @cached_property
    def debian(self) -> Path:
        """A Debian root file system as plain tar, the one that the tests keep."""
        recipe = hashlib.sha256((IMAGES / "rootfs.py").read_bytes() + DEBIAN_PACKAGES.encode())
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        kept = cache / "containerdeploy" / f"debian-{recipe.hexdigest()[:16]}.tar"
        if not kept.exists():
            maker = IMAGES / "rootfs.py"
            timing.run([sys.executable, maker, f"--include={DEBIAN_PACKAGES}", kept])
        return kept

    def compressed(self, suffix: str) -> Path:
        made = self.root / f"debian.tar.{suffix}"
        if not made.exists():
            with self.debian.open("rb") as given, made.open("wb") as target:
                argv = [*COMPRESSORS[suffix], "-c"]
                subprocess.run(argv, stdin=given, stdout=target, check=True)
        return made

    @cached_property
    def tree(self) -> Path:
        """The Debian system unpacked, for tar to read."""
        tree = self.fresh("tree")
        timing.run(["tar", "-C", tree, "-xf", self.debian])
        return tree

    @cached_property
    def definitions(self) -> Path:
        root = self.fresh("definitions")
        for name in ("clusters", "systems", "extensions"):
            (root / name).mkdir()
        for name, line in EXTENSIONS.items():
            path = root / "extensions" / f"{name}.configure"
            path.write_text(f"#!/bin/sh\nset -eu\n{line}\n", encoding="utf-8")
            path.chmod(0o755)
        names = ", ".join(EXTENSIONS)
        _write_system(root, "node", f"configuration-extensions: [{names}]\n")
        _write_cluster(root, "one", ["node"])
        return root

    def many(self, count: int) -> Path:
        """Return definitions with a cluster `many` of tiny systems, sources and all."""
        root = self.fresh(f"many-{count}")
        for name in ("clusters", "systems"):
            (root / name).mkdir()
        _write_tiny(root / "systems" / "tiny.tar")
        names = [f"node{number}" for number in range(count)]
        for name in names:
            _write_system(root, name, "source: {tar: tiny.tar}\n")
        _write_cluster(root, "many", names)
        return root

    def idle(self, count: int) -> Path:
        """Return definitions of a tiny system that is configured `count` times by nothing."""
        root = self.fresh("idle")
        for name in ("clusters", "systems", "extensions"):
            (root / name).mkdir()
        _write_tiny(root / "systems" / "tiny.tar")
        script = root / "extensions" / "idle.configure"
        script.write_text("#!/bin/sh\n", encoding="utf-8")
        script.chmod(0o755)
        uses = f"configuration-extensions: [{', '.join(['idle'] * count)}]\n"
        _write_system(root, "idle", f"source: {{tar: tiny.tar}}\n{uses}")
        _write_cluster(root, "idle", ["idle"])
        return root


@contextmanager
def world() -> Iterator[World]:
    """Make a directory below the system's temporary one, and remove it."""
    with tempfile.TemporaryDirectory(prefix="containerdeploy-bench-") as directory:
        yield World(Path(directory))


def _write_system(root: Path, name: str, rest: str) -> None:
    text = f"name: {name}\nkind: system\narch: x86_64\n{rest}"
    (root / "systems" / f"{name}.yaml").write_text(text, encoding="utf-8")


def _write_cluster(root: Path, cluster: str, names: Sequence[str]) -> None:
    lines = [f"name: {cluster}", "kind: cluster", "systems:"]
    for name in names:
        lines += [f"- morph: systems/{name}.yaml", "  deploy:", f"    {name}:"]
        lines += ["      type: tar", f"      location: {name}.tar", f"      HOSTNAME: {name}"]
        lines += ["      HOSTS: 10.0.0.1 server"]
    path = root / "clusters" / f"{cluster}.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_tiny(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for name in ("etc", "root", "srv"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(directory)
        content = b"tiny\n"
        file = tarfile.TarInfo("etc/hostname")
        file.size = len(content)
        archive.addfile(file, io.BytesIO(content))
