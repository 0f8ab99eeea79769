"""What a word of a rule may be, section by section, and what is wrong with one that it can't be."""

import re

from containerdeploy.network import host_fault

FLAVOURS = ("docker", "podman", "local")
MODES = ("strict", "rootless", "compat")
BUILT_IN = "built-in"
DIGEST = "sha256:"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SCHEMES = ("unix://", "tcp://", "http://", "https://")


def engine_fault(word: str) -> str | None:
    """Return what is wrong with a word about engines, None where nothing is."""
    if word in FLAVOURS or word.startswith(_SCHEMES):
        return None
    return f"has to be one of {', '.join(FLAVOURS)}, or a URL such as unix:///run/podman/*.sock"


def image_fault(word: str) -> str | None:
    """Return what is wrong with a word about images, None where nothing is."""
    return _digest_fault(word) if word.startswith(DIGEST) else None


def source_fault(word: str) -> str | None:
    """Return what is wrong with a word about sources, None where nothing is."""
    if word.startswith(DIGEST):
        return _digest_fault(word)
    return None if word.startswith("/") else "has to be an absolute path or sha256:DIGEST"


def extension_fault(word: str) -> str | None:
    """Return what is wrong with a word about extensions, None where nothing is."""
    if word == BUILT_IN or not source_fault(word):
        return None
    return f"has to be {BUILT_IN}, an absolute path or sha256:DIGEST"


def network_fault(word: str) -> str | None:
    """Return what is wrong with a word about networks; `*` stands for any host or any port."""
    if word in ("none", "full"):
        return None
    host, _, port = word.rpartition(":")
    usual = f"{'any' if host == '*' else host}:{'1' if port == '*' else port}"
    if host and port and not host_fault(usual):
        return None
    return "has to be none, full, or a host and a port, such as *.example.org:443"


def isolation_fault(word: str) -> str | None:
    """Return what is wrong with a word about isolation, None where nothing is."""
    return None if word in MODES else f"has to be one of {', '.join(MODES)}"


def _digest_fault(word: str) -> str | None:
    return None if _DIGEST.fullmatch(word) else "is no digest: sha256: and 64 digits, 0-9 and a-f"
