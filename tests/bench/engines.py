"""The places where the benchmarks run: a Docker engine through its own command, this machine."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench import timing
from tests.bench.world import IMAGE, World

# Prints the seconds that a program takes; part of what it times is no container's start.
STOPWATCH = """\
import subprocess, sys, time
started = time.perf_counter()
subprocess.run(sys.argv[1:], check=True)
print(time.perf_counter() - started)
"""


class Missing(Exception):
    """An engine that is not there; the text says why."""


@dataclass(frozen=True)
class Docker:
    """A Docker engine at `url`; what the product is held to runs through the docker command."""

    url: str
    name: str = "docker"
    tar_words: str = "docker run of GNU tar"

    def noop(self) -> float:
        """Run a program that does nothing in a container of the helper image."""
        return timing.seconds([*self._docker("run"), "--rm", "--network", "none", IMAGE, "true"])

    def unpack(self, world: World, source: Path, volume: str) -> tuple[float, float]:
        """Unpack into a new volume; return the seconds of the whole and of GNU tar alone."""
        where = ["--volume", f"{volume}:/store", "--volume", f"{source}:/source{source.suffix}:ro"]
        how = [*self._docker("run"), "--rm", "--network", "none", *where, IMAGE]
        started = time.perf_counter()
        said = timing.run([*how, "python3", "-c", STOPWATCH, *_tar(source, "/store")])
        whole_s = time.perf_counter() - started
        self.remove_volume(volume)
        return whole_s, float(said)

    def remove_volume(self, name: str) -> None:
        timing.run([*self._docker("volume"), "rm", name])

    def _docker(self, *words: str) -> list[str]:
        return ["docker", "--host", self.url, *words]


@dataclass(frozen=True)
class Local:
    """No engine: GNU tar runs on this machine, its volumes are directories."""

    name: str = "local"
    url: str = "local"
    tar_words: str = "GNU tar"

    def unpack(self, world: World, source: Path, volume: str) -> tuple[float, float]:
        """Unpack into a new directory; return the seconds twice, for there is nothing around it."""
        target = world.fresh(volume)
        taken_s = timing.seconds(_tar(source, str(target), source))
        shutil.rmtree(target)
        return taken_s, taken_s

    def remove_volume(self, name: str) -> None:
        """Nothing to do: the volume goes with the product's home."""


def docker() -> Docker:
    """Return the engine that `tests.engines` found or started; raise Missing."""
    url = os.environ.get("CONTAINERDEPLOY_TEST_DOCKER")
    if not url:
        why = os.environ.get("CONTAINERDEPLOY_WITHOUT_DOCKER", "no docker engine answers")
        raise Missing(why)
    if not shutil.which("docker"):
        raise Missing("there is no docker command to compare with")
    return Docker(url)


def _tar(source: Path, target: str, path: Path | None = None) -> list[str]:
    kind = {".gz": "-xzf", ".zst": "--zstd -xf"}[source.suffix].split()
    return ["tar", *kind, str(path or f"/source{source.suffix}"), "-C", target]
