"""A small image made of this machine's own programs, so that the suite needs no registry."""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

TOOLS = (
    "sh",
    "cat",
    "tee",
    "sleep",
    "head",
    "tail",
    "wc",
    "ls",
    "grep",
    "env",
    "stat",
    "touch",
    "df",
)


def as_tar() -> bytes:
    """Pack the tools and the libraries that they load."""
    files = {f"bin/{tool}": _which(tool) for tool in TOOLS}
    for path in list(files.values()):
        files |= {library.lstrip("/"): Path(library) for library in _libraries(path)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as archive:
        for name, path in sorted(files.items()):
            member = archive.gettarinfo(path, name)
            member.uid, member.gid, member.mode = 0, 0, 0o755
            with path.open("rb") as content:
                archive.addfile(member, content)
    return buffer.getvalue()


def load(url: str, name: str) -> None:
    """Import the image into the engine at `url`; Podman 4 knows no tag but `latest` here."""
    import docker

    api = docker.APIClient(url, version="auto")
    api.import_image_from_data(as_tar(), repository=name, tag="latest")
    api.close()


def drop(url: str, name: str) -> None:
    """Take the image's name away again."""
    import docker

    api = docker.APIClient(url, version="auto")
    api.remove_image(f"{name}:latest")
    api.close()


def _which(tool: str) -> Path:
    found = shutil.which(tool, path="/usr/bin:/bin")
    assert found, f"this machine has no {tool}"
    return Path(found).resolve()


def _libraries(path: Path) -> list[str]:
    listing = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
    return [word for word in listing.split() if word.startswith("/")]
