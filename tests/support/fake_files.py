"""The files of a fake container's volumes: a dictionary per volume, tar streams in and out."""

import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from containerdeploy.engine.base import Mount
from containerdeploy.errors import EngineError

Files = dict[str, bytes]


class Volumes:
    """What one container sees of its volumes, by absolute path."""

    def __init__(self, mounts: Iterable[Mount], named: Mapping[str, Files]) -> None:
        self._volumes: dict[str, Files] = {}
        for mount in mounts:
            if mount.kind in ("volume", "anonymous"):
                self._volumes[mount.target] = named.get(mount.source, {})

    def write(self, path: str, content: bytes) -> None:
        files, name = self._find(path)
        files[name] = content

    def read(self, path: str) -> bytes:
        files, name = self._find(path)
        return files[name]

    def unpack(self, path: str, pieces: Iterable[bytes]) -> None:
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
            for member in archive:
                if member.isreg() and (content := archive.extractfile(member)):
                    self.write(f"{path}/{member.name}", content.read())
        self._find(path)

    def pack(self, path: str) -> Iterator[bytes]:
        """Give `path` and what lies below it as engines do: named from its last part on."""
        files, wanted = self._find(path)
        inside = {
            name: content
            for name, content in files.items()
            if name == wanted or wanted == "." or name.startswith(f"{wanted}/")
        }
        if not inside:
            raise EngineError(f"the engine failed while reading {path}", details="no such file")
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, content in sorted(inside.items()):
                below = "" if name == wanted else f"/{PurePosixPath(name).relative_to(wanted)}"
                member = tarfile.TarInfo(PurePosixPath(path).name + below)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return iter([buffer.getvalue()])

    def _find(self, path: str) -> tuple[Files, str]:
        wanted = PurePosixPath(path)
        for target, files in self._volumes.items():
            if wanted.is_relative_to(target):
                return files, str(wanted.relative_to(target))
        raise EngineError(f"the engine can't write while unpacking into {path}: it is read-only")
