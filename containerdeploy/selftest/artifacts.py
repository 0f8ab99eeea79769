"""The family of hostile artifacts: write extensions leave a trap where their result should be."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from containerdeploy.selftest.finding import Finding, Verdict
from containerdeploy.selftest.ground import Ground, Told

GROUP = "who fetches the result"
SECRET = "top secret\n"
GOOD, TAKEN, NOTHING = b"good\n", b"x\n", b""
SWAP = """
echo good > "$out"
(while :; do ln -sfn SECRET "$out"; rm -f "$out"; echo good > "$out"; done) & sleep 0.3
"""
SOCKET = 'python3 -c "import socket, sys; socket.socket(1).bind(sys.argv[1])" "$out"'
# What is done at the location, and what the result may then be; no content is a refusal.
TRAPS: Mapping[str, tuple[str, tuple[bytes, ...]]] = {
    "link-to-secret": ('ln -s /etc/passwd "$out"', ()),
    "link-to-host-secret": ('ln -s SECRET "$out"', ()),
    "fifo": ('mkfifo "$out"', ()),
    "socket": (SOCKET, ()),
    "device": ('mknod "$out" c 1 3 || exit 9', ()),
    "nothing": ("true", ()),
    "beside": ('echo x > "$dir/other"; echo good > "$out"', (GOOD,)),
    "hard-link": ('echo x > "$dir/a"; ln "$dir/a" "$out"', (TAKEN,)),
    "setuid": ('echo x > "$out"; chmod 6755 "$out"', (TAKEN,)),
    "swapped": (SWAP, (GOOD, NOTHING)),
    "written-later": ('echo good > "$out"; (sleep 0.2; echo evil > "$out") & exit 0', (GOOD,)),
    "parent-replaced": ('rmdir "$dir" 2>&1; mv "$dir" /tmp/x 2>&1; echo good > "$out"', (GOOD,)),
    "escaping": ('echo x > "$dir/../planted" 2>&1; echo good > "$out"', (GOOD,)),
}
# These may also end without a result, for what lies there changes all the time.
RACES = ("swapped",)


def attempt(ground: Ground) -> Iterator[Finding]:
    """Deploy a system for each trap, and look at what came of it on this host."""
    definitions = ground.definitions("artifacts")
    secret = ground.directory / "secret"
    secret.write_text(SECRET, encoding="ascii")
    for name, (script, _) in TRAPS.items():
        script = script.replace("SECRET", str(secret))
        text = f'#!/bin/sh -u\ntree=$1 out=$2 dir=$(dirname "$2")\n{script}\n'
        definitions.extension(f"{name}.write", text, {"output": "any"})
        definitions.system(name, type=name, location=f"{name}.out")
    told = definitions.deploy()
    yield from (_judged(name, definitions.out / f"{name}.out", told) for name in TRAPS)
    is_told = secret.read_text(encoding="ascii") != SECRET
    yield _finding("a secret of the host is what it was", "it was changed" if is_told else "")
    planted = [str(path) for path in ground.directory.rglob("planted")]
    yield _finding(
        "nothing lies beside the results", ", ".join(planted + _strangers(definitions.out))
    )


def _judged(name: str, path: Path, told: Told) -> Finding:
    contents = TRAPS[name][1]
    if not os.path.lexists(path):
        lost = contents and name not in RACES
        return _finding(
            name, f"no result: {_words(name, told)}" if lost else "", _words(name, told)
        )
    found = path.lstat()
    if path.is_symlink() or not path.is_file():
        return _finding(name, f"a special file lies on the host, mode {found.st_mode:o}")
    if found.st_uid != os.getuid() or found.st_mode & 0o7000:
        return _finding(name, f"owner {found.st_uid}, mode {found.st_mode:o}")
    content = path.read_bytes()
    return _finding(name, "" if content in contents else f"it holds {content[:40]!r}")


def _words(name: str, told: Told) -> str:
    """Say why a system has no result."""
    systems = [system for system in told.result.systems if system.name == name]
    return systems[0].deployments[0].error if systems and systems[0].deployments else ""


def _strangers(out: Path) -> list[str]:
    known = {f"{name}.out" for name in TRAPS}
    return sorted(path.name for path in out.iterdir() if path.name not in known)


def _finding(name: str, trouble: str, words: str = "") -> Finding:
    verdict: Verdict = "got through" if trouble else "contained"
    return Finding(
        family="artifacts", group=GROUP, name=name, verdict=verdict, evidence=trouble or words
    )
