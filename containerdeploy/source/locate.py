"""Which archive a system is made from: the command line's, the system's own, a directory's."""

from pathlib import Path

from containerdeploy import paths
from containerdeploy.frozen import frozen

_ENDINGS = (".tar", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst")


@frozen
class Located:
    """A source's archive and the rule that chose it."""

    path: Path
    origin: str
    sha256: str | None = None


@frozen
class NotFound:
    """Why there is no source for a system, and what to do about it."""

    message: str
    hint: str


def locate(
    system: str,
    *,
    artifact: Path | None,
    declared: Path | None,
    sha256: str | None,
    folder: Path | None,
) -> Located | NotFound:
    """Return the archive of a system; the first of the rules that applies wins.

    `artifact` comes from the command line, `declared` and `sha256` from the system file, `folder`
    is the directory of artifacts.
    """
    if artifact is not None:
        return _present(system, Located(path=artifact, origin=f"--artifact {system}=…"))
    if declared is not None:
        named = Located(path=declared, origin="the system's source", sha256=sha256)
        return _present(system, named)
    for name in _names(system) if folder is not None else ():
        if folder is not None and paths.is_file(folder / name):
            return Located(path=folder / name, origin="--artifacts")
    return _nothing(system, folder)


def locate_component(
    name: str, *, artifact: Path | None, folder: Path | None
) -> Located | NotFound:
    """Return the archive of a system's component, from the command line or the directory."""
    found = locate(name, artifact=artifact, declared=None, sha256=None, folder=folder)
    if artifact is not None or isinstance(found, Located):
        return found
    return NotFound(
        message=f"there is no artifact for the component {name!r}: no --artifact {name}=PATH, "
        f"and {_searched(name, folder)}",
        hint=f"give --artifact {name}=PATH",
    )


def _names(system: str) -> tuple[str, ...]:
    return tuple(system + middle + ending for middle in ("", "-rootfs") for ending in _ENDINGS)


def _present(system: str, located: Located) -> Located | NotFound:
    if paths.is_file(located.path):
        return located
    fault = "is no regular file" if paths.is_there(located.path) else "does not exist"
    return NotFound(
        message=f"the source of {system!r} {fault}: {located.path} (from {located.origin})",
        hint=f"put the archive there, or name another with --artifact {system}=PATH",
    )


def _nothing(system: str, folder: Path | None) -> NotFound:
    return NotFound(
        message=f"there is no source for the system {system!r}: no --artifact {system}=PATH, "
        f"no 'source' in the system file, and {_searched(system, folder)}",
        hint=f"give --artifact {system}=PATH, or write 'source: {{tar: PATH}}' into the system",
    )


def _searched(name: str, folder: Path | None) -> str:
    if folder is None:
        return "--artifacts was not given"
    return f"{folder} (--artifacts) has no {name}.tar nor one with another ending"
