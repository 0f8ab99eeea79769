"""Words for what a Docker-compatible engine refuses, and which refusals may pass; no SDK needed."""

import errno
import re

from containerdeploy import images
from containerdeploy.errors import EngineError, EngineUnreachable, ImageMissing, Stillborn
from containerdeploy.frozen import frozen


class Refused(EngineError):
    """The engine answered no; `status` is the HTTP status."""

    def __init__(self, brief: str, *, status: int, details: str, hint: str | None = None) -> None:
        transient = hint is None and status in (500, 503) and not _LASTING.search(details)
        super().__init__(brief, details=details, hint=hint, transient=transient)
        self.status = status


class NoAnswer(EngineError):
    """The engine took the question and did not answer before the deadline."""


# A runtime that can't start a process will not be able to a second later.
_LASTING = re.compile(r"OCI|runc|crun|exec format|executable file not found", re.IGNORECASE)
# It could, but lost the process on the way: seen on busy hosts, a few times in ten thousand.
_LOST = re.compile(r"during container init:.*(broken pipe|EOF|signal: killed)", re.IGNORECASE)


@frozen
class _Known:
    pattern: re.Pattern[str]
    brief: str
    hint: str


_KNOWN = (
    _Known(
        pattern=re.compile(
            r"bind source path does not exist: (?P<path>.+)"
            r"|(?:statfs|stat|lstat) (?P<path2>/.+?): no such file"
        ),
        brief="bind source '{path}' is not on the engine's host",
        hint="check the path; an engine on another machine sees only its own files",
    ),
    _Known(
        pattern=re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE),
        brief="the engine has no space left while {doing}",
        hint="free some on the engine's disk: containerdeploy cleanup, docker system prune",
    ),
    _Known(
        pattern=re.compile(r"marked read-only|read-only file ?system", re.IGNORECASE),
        brief="the engine can't write while {doing}: the place is read-only",
        hint="write into a volume of the container",
    ),
    _Known(
        pattern=re.compile(r"permission denied|operation not permitted", re.IGNORECASE),
        brief="the engine lacks a permission while {doing}",
        hint="see what the host withholds with containerdeploy doctor",
    ),
)


def refused(status: int, message: str, doing: str) -> EngineError:
    """Make the error for an HTTP `status` with the engine's own `message` while `doing`."""
    if re.search(r"no such image|image not known", message, re.IGNORECASE):
        return image_missing(message)
    if "container state improper" in message:
        status = 409  # as Docker has it; Podman says 500
    for known in _KNOWN:
        if found := known.pattern.search(message):
            paths = [text for text in found.groupdict().values() if text]
            brief = known.brief.format(doing=doing, path=paths[0] if paths else "")
            return Refused(brief, status=status, details=message, hint=known.hint)
    brief = f"the engine failed while {doing}"
    if _LOST.search(message):
        return Stillborn(brief, details=message, hint="try again")
    return Refused(brief, status=status, details=message)


def image_missing(message: str, name: str = "") -> ImageMissing:
    """Make the error for an image that the engine doesn't have."""
    what = f"image '{name}'" if name else "the image"
    hint = images.how_to_get(name)
    return ImageMissing(f"{what} is not on the engine", details=message, hint=hint)


def busy(cause: EngineError) -> EngineError:
    """Make the error for a name or place that is about to become free, or ours."""
    brief = "the engine is still busy with a container of this name"
    return EngineError(brief, details=cause.details, hint="try again", transient=True)


def unreachable(address: str, cause: BaseException) -> EngineUnreachable:
    """Make the error for an engine that nothing answers for at `address`."""
    return EngineUnreachable(
        f"cannot reach the container engine at {address}",
        details=str(cause),
        hint=f"{_advice(cause)}, name another with --engine, or use --engine local",
    )


def _advice(cause: BaseException) -> str:
    match cause:
        case PermissionError():
            return "join the socket's group (often `docker`) or run as root"
        case FileNotFoundError():
            return "install and start the engine (no such socket)"
        case OSError(errno=errno.ECONNREFUSED):
            return "start the engine (its socket is there, nothing listens)"
        case _:
            return "start it"


def lost(doing: str, cause: BaseException) -> EngineError:
    """Make the error for a connection that broke while `doing`."""
    return EngineError(
        f"lost the connection to the engine while {doing}",
        details=str(cause) or type(cause).__name__,
        hint="see whether the engine still runs",
        transient=True,
    )


def no_answer(doing: str, cause: BaseException) -> NoAnswer:
    """Make the error for an answer that did not come in time."""
    return NoAnswer(
        f"the engine did not answer in time while {doing}",
        details=str(cause),
        hint="see whether the engine is overloaded or stuck",
        transient=True,
    )
