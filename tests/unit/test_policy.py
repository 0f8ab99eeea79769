"""Privileges: who asks, who allows, and what is said where nobody did."""

import os
from pathlib import Path

import pytest
from definitions_world import Definitions

from containerdeploy import places
from containerdeploy.commands import plan as plan_command
from containerdeploy.errors import PlanError, UsageError
from containerdeploy.policy import Policy, read_policy

ASKING = "grants: [loop]\n"


@pytest.fixture
def definitions(tmp_path, monkeypatch):
    root = tmp_path / "definitions"
    root.mkdir()
    monkeypatch.setenv("CONTAINERDEPLOY_POLICY", str(tmp_path / "policy.yaml"))
    definitions = Definitions(root)
    definitions.cluster("d: {type: rawdisk, location: d.img}\n")
    return definitions


def allow(definitions, rules):
    path = definitions.root.parent / "policy.yaml"
    path.write_text(f"grants: {{loop: [{rules}]}}\n")
    path.chmod(0o644)
    return path


def devices(definitions, **options):
    return definitions.one(definitions.options(**options)).write.loop_devices


def digest(definitions):
    return definitions.one().write.extension.sha256


def test_nobody_asks_and_nobody_gets(definitions):
    extension = definitions.extension("rawdisk.write")
    allow(definitions, f"{{path: {extension}}}")
    assert devices(definitions) == 0


def test_what_is_asked_but_not_allowed_is_one_error_with_the_line_to_add(definitions):
    definitions.extension("rawdisk.write")
    sha256 = digest(definitions)
    definitions.extension("rawdisk.write", ASKING)
    with pytest.raises(PlanError) as caught:
        definitions.plan()
    policy = str(definitions.root.parent / "policy.yaml")
    assert policy in caught.value.brief
    assert "extensions/rawdisk.write asks for loop devices (rawdisk.write.yaml)" in str(
        caught.value.details
    )
    assert f"    - sha256: {sha256}  # rawdisk.write" in str(caught.value.details).splitlines()
    assert f"{policy} allows none" in str(caught.value.details)


def test_the_lines_of_the_error_are_a_policy_that_allows_it(definitions):
    definitions.extension("rawdisk.write", ASKING)
    with pytest.raises(PlanError) as caught:
        definitions.plan()
    lines = str(caught.value.details).partition("this allows it:\n")[2]
    path = allow(definitions, "")
    path.write_text(lines + "\n")
    assert devices(definitions) == 4


def test_a_sidecar_asks_and_a_digest_allows(definitions):
    definitions.extension("rawdisk.write")
    allow(definitions, f"{{sha256: {digest(definitions)}, devices: 2}}")
    definitions.extension("rawdisk.write", ASKING)
    assert devices(definitions) == 2


def test_a_changed_extension_is_no_longer_allowed_by_its_digest(definitions):
    definitions.extension("rawdisk.write")
    allow(definitions, f"{{sha256: {digest(definitions)}}}")
    definitions.extension("rawdisk.write", ASKING, text="#!/bin/sh\nother\n")
    with pytest.raises(PlanError, match="does not allow"):
        definitions.plan()


def test_the_command_line_asks_and_a_path_allows(definitions):
    extension = definitions.extension("rawdisk.write")
    allow(definitions, f"{{path: {extension}}}")
    assert devices(definitions, grants=("rawdisk=loop",)) == 4


def test_a_configuration_extension_may_ask_too(definitions):
    definitions.extension("rawdisk.write")
    extension = definitions.extension("disk.configure", ASKING)
    definitions.system("s", "configuration-extensions: [disk]\n")
    allow(definitions, f"{{path: {extension}}}")
    one = definitions.one()
    assert (one.configure[0].loop_devices, one.write.loop_devices) == (4, 0)


def test_a_check_gets_nothing_from_its_write_extensions_grant(definitions):
    extension = definitions.extension("rawdisk.write")
    definitions.extension("rawdisk.check")
    allow(definitions, f"{{path: {extension}}}")
    one = definitions.one(definitions.options(grants=("rawdisk=loop",)))
    assert one.check.loop_devices == 0


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("rawdsk=loop", "did you mean 'rawdisk'?"),
        ("nothing=loop", "these are used: rawdisk"),
        ("rawdisk=root", None),
        ("rawdisk", None),
    ],
)
def test_a_grant_that_fits_nothing_is_refused(definitions, word, expected):
    definitions.extension("rawdisk.write")
    with pytest.raises(PlanError) as caught:
        devices(definitions, grants=(word,))
    assert repr(word) in caught.value.brief
    assert caught.value.hint == expected


def test_an_unknown_privilege_of_a_sidecar_is_a_problem(definitions):
    definitions.extension("rawdisk.write", "grants: [loop, root]\n")
    (problem,) = definitions.problems()
    assert problem.startswith("extensions/rawdisk.write.yaml:1:9: unknown privilege 'root'")


def test_a_policy_among_the_definitions_is_refused(definitions, monkeypatch):
    definitions.extension("rawdisk.write", ASKING)
    (definitions.root / "policy.yaml").write_text("grants: {}\n")
    monkeypatch.setenv("CONTAINERDEPLOY_POLICY", str(definitions.root / "policy.yaml"))
    with pytest.raises(UsageError, match="lies in the definitions"):
        definitions.plan()


def test_a_policy_that_others_can_write_is_refused(definitions):
    path = allow(definitions, "")
    path.chmod(0o664)
    with pytest.raises(UsageError, match="written by others"):
        read_policy(path, definitions.root)


def test_a_policy_that_is_a_fifo_holds_nothing_up(definitions):
    path = definitions.root.parent / "policy.yaml"
    os.mkfifo(path)
    with pytest.raises(UsageError, match="is no regular file"):
        read_policy(path, definitions.root)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("{}", "needs either 'sha256' or 'path'"),
        ("{path: relative}", "is not absolute"),
        ("{sha256: abc}", "is no SHA-256"),
        ("{path: /a, devices: 0}", "a whole number above zero"),
        ("{paht: /a}", "did you mean 'path'?"),
    ],
)
def test_a_policy_with_a_mistake_allows_nothing_and_says_where(definitions, rules, expected):
    path = allow(definitions, rules)
    with pytest.raises(UsageError, match=r"the policy .* can't be used") as caught:
        read_policy(path, definitions.root)
    assert expected in str(caught.value.details)
    assert "policy.yaml:1:" in str(caught.value.details)


def test_an_empty_policy_allows_nothing(definitions):
    path = allow(definitions, "{path: /a}")
    at = {"": "", "# nothing yet\n": "", "grants:\n": "", "grants: {loop: []}\n": ":1:10"}
    for text, place in at.items():
        path.write_text(text)
        policy = Policy(ground=path, files=(read_policy(path, definitions.root),))
        assert policy.loop_devices("0" * 64, Path("/a")) == (0, f"{path}{place} allows none")


def test_a_user_has_a_policy_of_their_own_and_root_has_the_operators(monkeypatch, tmp_path):
    assert places.own_policy({"CONTAINERDEPLOY_POLICY": "/p.yaml"}) == Path("/p.yaml")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert places.own_policy({}) is None
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    found = places.own_policy({"XDG_CONFIG_HOME": str(tmp_path)})
    assert found == tmp_path / "containerdeploy/policy.yaml"


def test_the_plan_shows_a_grant(definitions):
    extension = definitions.extension("rawdisk.write", ASKING)
    allow(definitions, f"{{path: {extension}}}")
    plan = definitions.plan()
    (one,) = plan_command.to_json(plan)["systems"][0]["deployments"]
    assert one["steps"][-1]["loop_devices"] == 4
    assert "granted: 4 loop devices" in plan_command.to_text(plan)
