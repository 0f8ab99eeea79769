"""Holds what a plan is made of against the policy; yields the rules that refuse it, in words."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from containerdeploy.network import Network, normalized
from containerdeploy.policy.model import LimitName, Policy
from containerdeploy.policy.words import BUILT_IN, DIGEST

# What loaders, shells and interpreters take for code or a place of code, by its beginning.
LOADING = (
    *("LD_", "GLIBC_", "GCONV_", "BASH_", "BASHOPTS", "SHELLOPTS", "PYTHON", "PERL", "RUBY"),
    *("LUA_", "NODE_", "JAVA_", "_JAVA_", "JDK_JAVA_", "GIT_", "TAR_OPTIONS", "RSYNC_RSH", "AWK"),
)
SET_BY_US = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")


def extension(policy: Policy, path: Path, sha256: str, *, is_builtin: bool) -> Iterator[str]:
    """Yield what refuses an extension, by its bytes and by where it really lies."""

    def fits(word: str) -> bool:
        return is_builtin if word == BUILT_IN else _is_file(word, path, sha256)

    for file in policy.files:
        if reason := file.extensions.against(fits):
            yield reason


def parameter(policy: Policy, name: str, *, is_granted: bool) -> Iterator[str]:
    """Yield why a parameter is refused: by some, other code than was judged would be loaded."""
    if name in SET_BY_US or not name.startswith(LOADING):
        return
    for file in policy.files:
        if file.extensions.allow is not None or file.extensions.deny:
            yield f"programs load code by it, and {file.extensions.at} judges extensions"
        elif is_granted and file.loop:
            yield f"programs load code by it, and {file.loop_at} grants loop devices"


def source(policy: Policy, path: Path, sha256: str | None) -> Iterator[str]:
    """Yield what refuses an archive; one whose digest isn't known is none that a digest names."""
    for file in policy.files:
        if reason := file.sources.against(lambda word: _is_file(word, path, sha256)):
            yield reason


def wants_digests(policy: Policy) -> bool:
    """Say whether a rule about sources names a digest."""
    every = (rules for file in policy.files for rules in [file.sources])
    return any(
        rule.text.startswith(DIGEST) for one in every for rule in (*(one.allow or ()), *one.deny)
    )


def network(policy: Policy, wanted: Network) -> Iterator[str]:
    """Yield what refuses a step's network: all that it may reach has to be allowed, none denied."""
    if wanted.mode == "none":
        return
    hosts = wanted.hosts if wanted.mode == "listed" else ("full",)
    for file in policy.files:
        for host in hosts:
            reason = file.networks.against(_covers_host(host), _touches_host(host))
            if reason:
                yield f"{reason} ({host})" if wanted.mode == "listed" else reason


def isolation(policy: Policy, wanted: str) -> Iterator[str]:
    """Yield what refuses a mode of isolation; `auto` may become any but compat."""
    for mode in ("strict", "rootless") if wanted == "auto" else (wanted,):
        for file in policy.files:
            if reason := file.isolation.against(mode.__eq__):
                yield f"{reason} ({mode})" if wanted == "auto" else reason


def limit(policy: Policy, name: LimitName, value: float) -> Iterator[str]:
    """Yield what refuses a limit that somebody asked for: one that is above the most."""
    most = policy.most(name)
    if most is not None and not value <= most[0]:  # what is no number isn't below anything
        yield f"{most[1]} allows {most[0]:g} at the most"


def _is_file(word: str, path: Path, sha256: str | None) -> bool:
    if word.startswith(DIGEST):
        return sha256 is not None and word == f"{DIGEST}{sha256}"
    return word.startswith("/") and is_below(path, Path(word))


def is_below(path: Path, folder: Path) -> bool:
    """Say whether a path really lies in a directory, or is it; a loop of links lies nowhere."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _covers_host(wanted: str) -> Callable[[str], bool]:
    """Return what says whether a word allows all of an entry."""

    def fits(word: str) -> bool:
        return word == "full" or (wanted != "full" and word != "none" and _covers(word, wanted))

    return fits


def _touches_host(wanted: str) -> Callable[[str], bool]:
    """Return what says whether a word denies a part of an entry; the whole net is all of them."""

    def fits(word: str) -> bool:
        if "full" in (word, wanted):
            return wanted == "full" and word != "none"
        return word != "none" and (_covers(word, wanted) or _covers(wanted, word))

    return fits


def _covers(rule: str, host: str) -> bool:
    """Say whether one `host:port` holds all of another; `*.x` holds all below x."""
    (name, _, port), (other, _, other_port) = normalized(rule).rpartition(":"), host.rpartition(":")
    if port not in ("*", other_port):
        return False
    return name in ("*", other) or (name.startswith("*.") and other.endswith(name[1:]))
