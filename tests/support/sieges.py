"""The self-test of the isolation, run as users run it, and the machine before and after."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sites import Site

from containerdeploy.selftest import host_state

MOST_TOLD = 300


@dataclass(frozen=True, kw_only=True)
class Siege:
    """What the self-test said, and what this machine was like before and after."""

    code: int
    said: Mapping[str, Any]
    changed: list[str]
    left: Mapping[str, list[str]]

    def named(self, verdict: str) -> dict[str, str]:
        found = [one for one in self.said["findings"] if one["verdict"] == verdict]
        return {one["name"]: one["evidence"][:MOST_TOLD] for one in found}


def besieged(site: Site, *options: str) -> Siege:
    before, residue = host_state.look(), site.residue()
    environment = {"TMPDIR": str(site.directory)}
    ran = site.run(site.argv("selftest isolation", "--json", *options), site.directory, environment)
    assert ran.stdout.startswith("{"), ran.stderr
    return Siege(
        code=ran.returncode,
        said=json.loads(ran.stdout),
        changed=host_state.differences(before, host_state.look()),
        left=site.left_since(residue, loops=True),
    )
