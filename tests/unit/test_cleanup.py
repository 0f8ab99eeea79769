"""Which helpers cleanup takes for dead: only those that certainly have no controller."""

import time
from pathlib import Path

import pytest

from containerdeploy.commands.cleanup import SETTLING_S, is_dead
from containerdeploy.deploy import host_id
from containerdeploy.engine import ContainerInfo
from containerdeploy.helper import spec
from containerdeploy.result import RunLock


def helper(owner: str, state: str = "running", *, age_s: float = 0.0) -> ContainerInfo:
    labels = {spec.LABEL: "helper", spec.OWNER_LABEL: owner}
    return ContainerInfo(id="1", name="h", labels=labels, state=state, created=time.time() - age_s)


@pytest.mark.parametrize("state", ["running", "created", "exited"])
def test_a_helper_lives_as_long_as_its_runs_lock_is_held(tmp_path: Path, state: str) -> None:
    one = helper(f"{host_id()}:{tmp_path}", state, age_s=2 * SETTLING_S)
    with RunLock(tmp_path):
        assert not is_dead(one)
    assert is_dead(one)


@pytest.mark.parametrize("record", ["", "/nowhere/to/be/seen"])
def test_a_helper_whose_run_can_not_be_seen_is_dead_once_it_has_not_run_for_long(
    record: str,
) -> None:
    owner = f"{host_id()}:{record}"
    assert not is_dead(helper(owner, "running", age_s=2 * SETTLING_S))
    assert not is_dead(helper(owner, "created", age_s=SETTLING_S / 2))
    assert is_dead(helper(owner, "created", age_s=2 * SETTLING_S))


def test_a_helper_of_another_host_is_that_hosts_affair(tmp_path: Path) -> None:
    assert not is_dead(helper(f"another:{tmp_path}", "exited", age_s=2 * SETTLING_S))
