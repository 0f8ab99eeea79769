"""Unpacks each archive once more, with GNU tar, and holds the agent's bases to that.

Runs in a helper of the self-test's own, which has the archives at SOURCES and the store; says a
line of JSON for the store and one for each archive.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

from containerdeploy import syscalls
from containerdeploy.selftest.archives.described import Entry, census

SOURCES, STORE = "/sources", "/store"
DECOMPRESSORS = {"gz": "gzip", "xz": "xz", "bz2": "bzip2", "zst": "zstd"}
TAR = "tar --extract --file=- --numeric-owner --same-owner --preserve-permissions --acls --xattrs"
SHELVES = {"bases", "locks", "tmp"}
TIMEOUT_S = 60.0
MOST_TOLD = 5
MARK = "user.containerdeploy."


def main() -> None:
    """Compare everything that is listed."""
    with open(f"{SOURCES}/list.json", encoding="ascii") as stream:
        listed = json.load(stream)
    beyond = sorted({*os.listdir(STORE)} - SHELVES)
    left = os.listdir(f"{STORE}/tmp")
    print(json.dumps({"beyond": beyond, "tmp": left, "bases": _bases()}), flush=True)
    for number, one in enumerate(listed):
        directory = f"{STORE}/judge/{number}"
        os.makedirs(directory)
        try:
            told = compare(one, directory)
        except (OSError, subprocess.SubprocessError) as err:
            told = {"error": f"{type(err).__name__}: {err}"}
        print(json.dumps({"name": one["name"], **told}), flush=True)
    subprocess.run(["rm", "-rf", f"{STORE}/judge"], check=True)


def compare(one: Mapping[str, Any], directory: str) -> dict[str, object]:
    """Unpack with GNU tar, unless that is what must never be done, and compare with the base."""
    base = next((name for name in _bases() if name.startswith(one["sha256"])), "")
    if one["harm"] in ("fills", "breaks"):
        return {"base": bool(base), "tar": None, "differences": []}
    theirs = f"{directory}/tree"
    os.makedirs(theirs, 0o755)
    code = _unpacked(one, theirs)
    if not base:
        return {"base": False, "tar": code, "differences": []}
    place = f"{STORE}/bases/{base}"
    with open(f"{place}/info.json", encoding="utf-8") as stream:
        implied = set(json.load(stream)["implied"])
    ours, expected = census(f"{place}/tree"), census(theirs)
    _leave_marks_out(ours, expected)
    for tree in (ours, expected):
        tree.pop(one["varies"], None)
    found = _differences(ours, expected, implied)
    return {"base": True, "tar": code, "differences": found[:MOST_TOLD]}


def _leave_marks_out(ours: dict[str, Entry], theirs: Mapping[str, Entry]) -> None:
    """Let an ordinary user's device nodes be missing: tar alone can't make them."""
    for path, entry in list(ours.items()):
        xattrs = entry["xattrs"]
        assert isinstance(xattrs, dict)
        marks = [name for name in xattrs if name.startswith(MARK)]
        if f"{MARK}node" in marks and path not in theirs:
            del ours[path]
        for name in marks:
            del xattrs[name]


def _unpacked(one: Mapping[str, Any], target: str) -> int:
    """Unpack as the agent does; return tar's exit code."""
    argv = [*TAR.split(), "--xattrs-include=*", f"--directory={target}"]
    if one["compression"] != "none":
        command = f"{DECOMPRESSORS[one['compression']]} -d"
        if one["compression"] == "gz":  # of which 2 is a warning: something stands behind the end
            command = f"sh -c '{command} || test $? -eq 2'"
        argv.append(f"--use-compress-program={command}")
    with open(f"{SOURCES}/{one['file']}", "rb") as data:
        ended = subprocess.run(
            argv, stdin=data, capture_output=True, timeout=TIMEOUT_S, preexec_fn=_lose_sys_admin
        )
    return ended.returncode


def _bases() -> list[str]:
    return os.listdir(f"{STORE}/bases")


def _lose_sys_admin() -> None:
    """Be what the agent's unpacker is: root without what overlayfs' own marks ask for."""
    syscalls.drop_bounding(syscalls.CAPABILITIES["SYS_ADMIN"])


def _differences(
    ours: Mapping[str, Entry], theirs: Mapping[str, Entry], implied: set[str]
) -> list[str]:
    odd = sorted(ours.keys() ^ theirs.keys())
    for path in sorted(ours.keys() & theirs.keys()):
        left, right = ours[path], theirs[path]
        keys = [key for key in left if not (key == "mtime" and path in implied)]
        odd += [
            f"{path}: {key} {left[key]}, not {right[key]}"
            for key in keys
            if left[key] != right[key]
        ]
    return [ascii(one) for one in odd]
