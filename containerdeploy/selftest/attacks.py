"""The attack scripts that users get with the product, and what these say of each attack."""

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from containerdeploy.selftest.finding import Finding, Verdict

MAIN = "attacks.configure"
CONTROL = "control.py"


def files() -> Mapping[str, str]:
    """Return the scripts by name; MAIN makes all attacks that need no script of their own."""
    folder = resources.files("containerdeploy.selftest").joinpath("attacks")
    names = [one.name for one in folder.iterdir() if one.name.endswith((".py", ".configure"))]
    return {name: folder.joinpath(name).read_text(encoding="utf-8") for name in names}


def findings(said: str) -> Iterator[Finding]:
    """Read what MAIN said: the names of what it is going to try, then a line for each attack.

    An attack of which nothing is heard took the script with it, and counts as not tried.
    """
    lines = [_parsed(line) for line in said.splitlines() if line.startswith('{"attack')]
    groups: Mapping[str, str] = next((one["attacks"] for one in lines if "attacks" in one), {})
    told = {one["attack"]: one for one in lines if "attack" in one}
    for name, group in groups.items():
        one = told.get(name, {"untried": "the script ended before it was tried"})
        verdict, evidence = _verdict(one)
        yield Finding(
            family="extensions", group=group, name=name, verdict=verdict, evidence=evidence
        )


def _verdict(one: Mapping[str, Any]) -> tuple[Verdict, str]:
    if "untried" in one:
        return "not tried", str(one["untried"])
    if one.get("through") is not None:
        return "got through", str(one["through"])
    return "contained", str(one.get("error", ""))


def _parsed(line: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
