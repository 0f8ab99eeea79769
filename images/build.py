"""Builds a helper image on the container engine that answers, with a registry or without.

Nothing is done where the engine has the image of this very recipe. Else the base is pulled and
images/KIND/Dockerfile built; where that fails, the same packages are put together on this machine
(rootfs.py), kept in the cache for the next engine, and loaded.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import archive
import docker
import rootfs
import wheels
from docker.errors import APIError, DockerException, ImageNotFound

from containerdeploy import programs

HERE = Path(__file__).resolve().parent
BASE = "debian:12-slim"
LABEL = "containerdeploy.recipe"
BUILD_TIMEOUT_S = 900
EXIT_OK, EXIT_FAILED, EXIT_NO_ENGINE = 0, 1, 3


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One of the images: what images/NAME holds, and Debian's `releases` if it needs certain ones.

    `seconds` is how long it takes to make from packages.
    """

    name: str
    releases: tuple[str, ...] = ()
    seconds: int

    @property
    def tag(self) -> str:
        return f"containerdeploy-{self.name}:latest"

    @property
    def context(self) -> Path:
        return HERE / self.name


KINDS = {
    "helper": Kind(name="helper", seconds=30),
    "legacy": Kind(name="legacy", seconds=60, releases=("bookworm", "bullseye")),
}


def main() -> int:
    """Run as a command; exit code 3 says that no engine answers."""
    given = _arguments()
    client = answering_engine(given.engine)
    if client is None:
        say(f"no container engine answers at {', '.join(addresses(given.engine))}")
        say("start one, or name it with DOCKER_HOST; the local engine needs no image")
        return EXIT_NO_ENGINE
    try:
        return build(client, KINDS[given.image], given.base, rebuild=given.rebuild)
    except (DockerException, OSError, rootfs.CannotMake, wheels.CannotFetch) as err:
        say(f"the {given.image} image was not built: {err}")
        say(f"make {given.base} reachable (a registry, or load it and use --base), or install")
        say("mmdebstrap so that the image can be made from the distribution's packages")
        return EXIT_FAILED


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("image", nargs="?", default="helper", choices=KINDS, help="else helper")
    parser.add_argument("--engine", help="address of a Docker-compatible API (else DOCKER_HOST)")
    parser.add_argument("--base", default=BASE, help=f"image to build on (else {BASE})")
    parser.add_argument("--rebuild", action="store_true", help="fetch everything anew")
    return parser.parse_args()


def build(client: docker.DockerClient, kind: Kind, base: str, *, rebuild: bool) -> int:
    """Have an image on the engine, by the first way that works."""
    recipe = recipe_digest(kind, base)
    if not rebuild and _is_built(client, kind, recipe):
        say(f"{kind.tag} is up to date")
        return EXIT_OK
    try:
        _build_dockerfile(client, kind, base, recipe)
    except (DockerException, OSError) as err:
        say(f"cannot build on {base} ({_first_line(err)}): using the distribution's packages")
        _load_own(client, kind, recipe, rebuild=rebuild)
    image = client.images.get(kind.tag)
    say(f"built {kind.tag}: {image.id}")
    return EXIT_OK


def addresses(named: str | None) -> list[str]:
    """List where an engine may answer, most wanted first; a named one stands alone."""
    if named or os.environ.get("DOCKER_HOST"):
        return [named or os.environ["DOCKER_HOST"]]
    own = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    sockets = ("/var/run/docker.sock", f"{own}/docker.sock", "/run/podman/podman.sock")
    return [f"unix://{path}" for path in (*sockets, f"{own}/podman/podman.sock")]


def answering_engine(named: str | None) -> docker.DockerClient | None:
    """Connect to the first address that answers, or None."""
    for address in addresses(named):
        if address.startswith("unix://") and not os.path.exists(address[7:]):  # noqa: PTH110
            continue
        try:
            client = docker.DockerClient(base_url=address, timeout=BUILD_TIMEOUT_S)
            client.ping()
            return client
        except (DockerException, OSError) as err:
            say(f"no answer from {address}: {_first_line(err)}")
    return None


def recipe_digest(kind: Kind, base: str) -> str:
    """Digest everything that decides what is in the image, this program included."""
    digest = hashlib.sha256(base.encode())
    for path in (*sorted(kind.context.iterdir()), *sorted(HERE.glob("*.py"))):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _is_built(client: docker.DockerClient, kind: Kind, recipe: str) -> bool:
    try:
        return (client.images.get(kind.tag).labels or {}).get(LABEL) == recipe
    except ImageNotFound:
        return False


def _build_dockerfile(client: docker.DockerClient, kind: Kind, base: str, recipe: str) -> None:
    try:
        client.images.get(base)
    except ImageNotFound:
        say(f"pulling {base}")
        client.images.pull(*base.rpartition(":")[::2])
    say(f"building {kind.tag} on {base}")
    with tempfile.TemporaryDirectory() as directory:
        shutil.copytree(kind.context, directory, dirs_exist_ok=True)
        _wheels(kind, Path(directory))
        client.images.build(
            path=directory, tag=kind.tag, buildargs={"BASE": base}, labels={LABEL: recipe}, rm=True
        )


def _wheels(kind: Kind, directory: Path) -> list[Path]:
    """Pack the wheels that the image wants, if any, into `directory`."""
    wanted = kind.context / "wheels"
    if not wanted.exists():
        return []
    tar = directory / "wheels.tar"
    wheels.pack(wanted, tar, int(rootfs.EPOCH))
    return [tar]


def _load_own(client: docker.DockerClient, kind: Kind, recipe: str, *, rebuild: bool) -> None:
    """Load the image made from packages; one recipe is made once for all engines."""
    kept = cache_directory() / f"{kind.name}-{recipe[:16]}.tar"
    if rebuild or not kept.exists():
        _make_own(kind, recipe, kept)
    with kept.open("rb") as file:
        for _ in client.api.load_image(_pieces(file), quiet=True) or ():  # type: ignore[no-untyped-call]
            pass


def _make_own(kind: Kind, recipe: str, kept: Path) -> None:
    say(f"making the image from the distribution's packages; this takes about {kind.seconds} s")
    dockerfile = (kind.context / "Dockerfile").read_text()
    root_tar = kept.with_suffix(".root")
    with tempfile.TemporaryDirectory() as directory:
        root = rootfs.Recipe(
            variant="essential",
            packages=(kind.context / "packages").read_text().split(),
            releases=kind.releases,
            tars=_wheels(kind, Path(directory)),
            commands=re.findall(r"^RUN (.*[^\\])$", dockerfile, re.MULTILINE),
        )
        rootfs.make(root, root_tar)
    try:
        for outdated in kept.parent.glob(f"{kind.name}-*.tar"):
            outdated.unlink()
        archive.write(kind.tag, root_tar, _settings(dockerfile, recipe, root_tar), kept)
    finally:
        root_tar.unlink(missing_ok=True)


def _settings(dockerfile: str, recipe: str, root_tar: Path) -> archive.Settings:
    offered = programs.as_text(archive.paths(root_tar))
    [command] = re.findall(r"^CMD (.+)$", dockerfile, re.MULTILINE)
    return archive.Settings(
        environment=tuple(re.findall(r"^ENV (\S+)$", dockerfile, re.MULTILINE)),
        command=tuple(json.loads(command)),
        labels={LABEL: recipe, programs.LABEL: f"{archive.layer_id(root_tar)}\n{offered}"},
    )


def cache_directory() -> Path:
    """Say where things dear to make are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "containerdeploy"


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(1 << 20):
        yield piece


def _first_line(err: Exception) -> str:
    text = err.explanation if isinstance(err, APIError) and err.explanation else str(err)
    return str(text).splitlines()[0][:160] if str(text) else type(err).__name__


def say(text: str) -> None:
    """Tell the user, at once, on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
