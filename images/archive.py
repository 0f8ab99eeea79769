"""Turns a root file system's tar into an image archive that has the same id on every engine.

The id of an image is the digest of its configuration; made here from nothing but the layer's digest
and fixed words, it is equal on every engine and every machine with the same packages.
"""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CREATED = "2025-01-01T00:00:00Z"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an image says beside its files."""

    environment: tuple[str, ...]
    command: tuple[str, ...]
    labels: Mapping[str, str]


def write(name: str, root_tar: Path, settings: Settings, target: Path) -> None:
    """Write `target` in the format of `docker save`: one layer, tagged `name`."""
    config = _json(_config(layer_id(root_tar), settings))
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    entry = {"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}
    unfinished = target.with_suffix(".part")
    with tarfile.open(unfinished, "w") as archive:
        _add(archive, "manifest.json", _json([entry]))
        _add(archive, config_name, config)
        member = tarfile.TarInfo("layer.tar")
        member.size = root_tar.stat().st_size
        with root_tar.open("rb") as layer:
            archive.addfile(member, layer)
    unfinished.replace(target)


def layer_id(root_tar: Path) -> str:
    """Return what an engine calls the layer made from this file."""
    with root_tar.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def paths(root_tar: Path) -> Iterator[str]:
    """Yield the paths of all files in a root file system."""
    with tarfile.open(root_tar) as archive:
        yield from (member.name.removeprefix(".") for member in archive if not member.isdir())


def _config(layer_digest: str, settings: Settings) -> object:
    return {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "config": {
            "Cmd": settings.command,
            "Env": settings.environment,
            "Labels": settings.labels,
        },
        "created": CREATED,
        "history": [{"created": CREATED, "comment": "from the distribution's packages"}],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
    }


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
