"""Which of this host's paths an engine can't show to a container, though they are there."""

from collections.abc import Iterable

from containerdeploy.errors import EngineError

# Podman writes each mount as a line of comma-separated values, unquoted, and reads it back
# (its ContainerCreateToContainerCLIOpts): "/srv/a,ro" is /srv/a, read-only.
_PODMAN_CUTS_AT = {",": "a comma", '"': "a double quote", "\n": "a line end"}


def refuse_unbindable(flavour: str, paths: Iterable[str]) -> None:
    """Raise EngineError if the engine would misread any of the paths, with all of them."""
    if flavour != "podman":
        return
    found = [f"{path!r} has {what}" for path in dict.fromkeys(paths) if (what := _cut(path))]
    if found:
        raise EngineError(
            "Podman can't mount paths with a comma, a double quote or a line end",
            details="\n".join(found),
            hint="move or rename these, or use docker (--engine docker) or --engine local",
        )


def _cut(path: str) -> str:
    return " and ".join(words for mark, words in _PODMAN_CUTS_AT.items() if mark in path)


def is_utf8(path: str) -> bool:
    """Say whether the API, which is JSON, can carry the path as it is."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
