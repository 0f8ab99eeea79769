"""The family of hostile artifacts: write extensions leave a trap where their result should be."""

import json
import os
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from containerdeploy.selftest import inside
from containerdeploy.selftest.finding import Finding, Verdict
from containerdeploy.selftest.ground import Ground, Told
from containerdeploy.selftest.traps import TRAPS

GROUP = "who fetches the result"
SECRET = "top secret\n"


def attempt(ground: Ground) -> Iterator[Finding]:
    """Deploy a system with every trap, and look at what came of each on this host."""
    definitions = ground.definitions("artifacts")
    secret = ground.directory / "secret"
    secret.write_text(SECRET, encoding="ascii")
    for name, trap in TRAPS.items():
        script = trap.script.replace("SECRET", str(secret))
        text = f'#!/bin/sh -u\ntree=$1 out=$2 dir=$(dirname "$2")\n{script}\n'
        definitions.extension(f"{name}.write", text, {"output": trap.output})
    entries = {name: {"type": name, "location": f"{name}.out"} for name in TRAPS}
    for number in range(2):
        half = {name: entries[name] for name in [*TRAPS][number::2]}
        definitions.system(f"half-{number}", deployments=half)
    told = definitions.deploy()
    yield from (_judged(name, definitions.out / f"{name}.out", told) for name in TRAPS)
    is_told = secret.read_text(encoding="ascii") != SECRET
    yield _finding("a secret of the host is what it was", "it was changed" if is_told else "")
    planted = [str(path) for path in ground.directory.rglob("planted")]
    yield _finding(
        "nothing lies beside the results", ", ".join(planted + _strangers(definitions.out))
    )


def control(ground: Ground) -> Iterator[Finding]:
    """Spring the same traps where results are taken without care; yield what harm that did."""
    secret = "/etc/passwd"  # of the container
    order = {
        name: {
            "script": trap.script.replace("SECRET", secret),
            "output": trap.output,
            "contents": [content.decode() for content in trap.contents],
        }
        for name, trap in TRAPS.items()
    }
    package = resources.files("containerdeploy.selftest")
    text = package.joinpath("careless.py").read_text(encoding="utf-8")
    argv = ("python3", "-I", "-S", "-c", text, json.dumps(order))
    said = inside.run(ground.engine, ground.image, ground.store, argv).splitlines()
    harms = {one["name"]: one["harm"] for one in map(json.loads, said)}
    yield from (_finding(name, harms[name]) for name in TRAPS)


def _judged(name: str, path: Path, told: Told) -> Finding:
    contents = TRAPS[name].contents
    if not os.path.lexists(path):
        lost = contents and not TRAPS[name].race
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
    every = (one for system in told.result.systems for one in system.deployments)
    return next((one.error for one in every if one.name == name), "")


def _strangers(out: Path) -> list[str]:
    known = {f"{name}.out" for name in TRAPS}
    return sorted(path.name for path in out.iterdir() if path.name not in known)


def _finding(name: str, trouble: str, words: str = "") -> Finding:
    verdict: Verdict = "got through" if trouble else "contained"
    return Finding(
        family="artifacts", group=GROUP, name=name, verdict=verdict, evidence=trouble or words
    )
