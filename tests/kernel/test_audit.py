"""The agent's look at itself finds everything that it could fail to let go of."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel

CARELESS = """
import json, os, subprocess, sys
from containerdeploy import syscalls
from containerdeploy.agent.audit import Audit
place = sys.argv[1]
audit = Audit(f"{place}/workspace", [f"{place}/groups"])
print(json.dumps([[one.kind, one.name] for one in audit.left()]))
child = subprocess.Popen(["sleep", "60"])
os.open("/proc/self/ns/user", os.O_RDONLY)
for name in ("workspace", "groups/step-1", "mounted"):
    os.makedirs(f"{place}/{name}")
syscalls.mount("tmpfs", f"{place}/mounted", "tmpfs", 0, "size=4k")
print(json.dumps([[one.kind, one.name] for one in audit.left()]))
child.kill()
"""


def test_what_the_agent_holds_at_its_end_is_told_by_kind(tmp_path: Path) -> None:
    (tmp_path / "groups").mkdir()
    argv = ["unshare", "--user", "--map-root-user", "--pid", "--mount", "--fork", "--mount-proc"]
    ran = subprocess.run(
        [*argv, sys.executable, "-c", CARELESS, tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = map(json.loads, ran.stdout.splitlines())
    assert first == []
    found = dict(second)
    assert sorted(found) == ["control group", "descriptor", "mount", "process", "workspace"]
    assert found["control group"] == f"{tmp_path}/groups/step-1"
    assert " user:[" in found["descriptor"]
    assert found["mount"].startswith(f"{tmp_path}/mounted ")
    assert found["process"].partition(" ")[0].isdigit()
    assert found["workspace"] == "workspace"
