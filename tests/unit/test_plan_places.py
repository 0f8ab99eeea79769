"""Where a deployment goes: morph's rules for upgrade, locations that are paths and others."""

import pytest
from definitions_world import Definitions

from containerdeploy.errors import PlanError
from containerdeploy.plan.places import is_remote, leaves_parent


@pytest.fixture
def definitions(tmp_path):
    definitions = Definitions(tmp_path)
    definitions.extension("ssh-rsync.write")
    return definitions


BOTH = "d: {type: tar, location: d.tar, upgrade-type: ssh-rsync, upgrade-location: root@host}\n"
UPGRADE_ONLY = "d: {upgrade-type: ssh-rsync, upgrade-location: root@host}\n"


def test_deploy_takes_type_and_location(definitions):
    definitions.cluster(BOTH)
    found = definitions.one()
    assert (found.type, found.location) == ("tar", "d.tar")


def test_upgrade_takes_upgrade_type_and_upgrade_location(definitions):
    definitions.cluster(BOTH)
    found = definitions.one(definitions.options(verb="upgrade"))
    assert (found.type, found.location, found.target) == ("ssh-rsync", "root@host", None)


def test_upgrade_falls_back_to_type_and_location_with_a_warning(definitions):
    definitions.parameters("")
    plan = definitions.plan(definitions.options(verb="upgrade"))
    assert plan.systems[0].deployments[0].type == "tar"
    assert "upgrade-type and upgrade-location are not set" in plan.warnings[0]


def test_upgrade_location_without_upgrade_type_is_a_problem(definitions):
    definitions.cluster("d: {type: tar, location: d, upgrade-location: root@host}\n")
    (problem,) = definitions.problems(definitions.options(verb="upgrade"))
    assert "the deployment 'd' has no 'upgrade-type'" in problem


def test_deploy_of_what_can_only_be_upgraded_says_so(definitions):
    definitions.cluster(UPGRADE_ONLY)
    (problem,) = definitions.problems()
    assert "has no 'type' and no 'location' (it can only be upgraded" in problem
    assert definitions.one(definitions.options(verb="upgrade")).type == "ssh-rsync"


def test_a_write_extension_that_can_not_upgrade_refuses_to(definitions):
    definitions.extension("tar.write", "upgrade: false\n")
    definitions.parameters("")
    (problem,) = definitions.problems(definitions.options(verb="upgrade"))
    assert "the write extension 'tar' can't upgrade 'd'" in problem


@pytest.mark.parametrize(
    "location",
    ["kvm+ssh://u@h/G/x.img", "https://x", "root@host", "u@h:/x", "host:path", "14:58:d0:57"],
)
def test_a_location_that_is_no_path(location):
    assert is_remote(location)


@pytest.mark.parametrize(
    "location", ["x.tar", "/a/b:c", "./a:b", "a/b@c", "/dev/sdb", "~/x", "@x", "a/http://x"]
)
def test_a_location_that_is_a_path(location):
    assert not is_remote(location)


def located(location):
    return f"d: {{type: tar, location: '{location}'}}\n"


@pytest.mark.parametrize(
    ("location", "path"),
    [("x.tar", "out/x.tar"), ("a/../x", "out/x"), ("~x", "out/~x"), ("../x", "x")],
)
def test_a_relative_location_begins_at_the_output_directory(definitions, location, path):
    (definitions.root / path).parent.mkdir(exist_ok=True)
    definitions.cluster(located(location))
    assert definitions.one().target == definitions.root / path


def test_without_an_output_directory_it_begins_where_the_command_was_started(
    definitions, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path / "systems")
    definitions.cluster(located("x.tar"))
    assert definitions.one(definitions.options().__class__()).target == tmp_path / "systems/x.tar"


def test_an_absolute_location_is_that_path(definitions, tmp_path):
    definitions.cluster(located(f"{tmp_path}/x.tar"))
    assert definitions.one().target == tmp_path / "x.tar"


@pytest.mark.parametrize(
    ("location", "told"),
    [("x/", "ends in"), ("", "is empty"), (".", "names no file"), ("a/..", "names no file")],
)
def test_a_location_that_can_not_be_written_is_refused(definitions, location, told):
    definitions.cluster(located(location))
    assert told in definitions.problems()[0]


def test_a_directory_may_end_in_a_slash(definitions):
    definitions.extension("tar.write", "output: directory\n")
    definitions.cluster(located("x/"))
    assert definitions.one().target == definitions.root / "out/x"


def test_a_write_extension_without_output_has_no_target(definitions):
    definitions.extension("tar.write", "output: none\n")
    definitions.cluster(located("somewhere"))
    assert definitions.one().target is None


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [("x", "./x", "is that of"), ("x", "x/y", "lies inside of"), ("x/y", "x", "holds that of")],
)
def test_two_deployments_may_not_write_over_each_other(definitions, first, second, told):
    definitions.cluster(
        f"a: {{type: tar, location: {first}}}\nb: {{type: tar, location: {second}}}\n"
    )
    (problem,) = definitions.problems()
    assert told in problem


def test_a_directory_at_the_target_is_refused(definitions):
    definitions.parameters("")
    (definitions.root / "out/d.tar").mkdir(parents=True)
    with pytest.raises(PlanError, match="no place to go") as caught:
        definitions.plan()
    assert "is a directory" in caught.value.details


def test_a_target_whose_directory_is_missing_is_refused(definitions):
    definitions.cluster(located("sub/x.tar"))
    with pytest.raises(PlanError, match="no place to go") as caught:
        definitions.plan()
    assert str(definitions.root / "out/sub") in caught.value.details


@pytest.mark.parametrize(
    ("location", "leaves"),
    [("/rootfs", False), ("boot/x", False), ("a/../b", False), ("../x", True), ("/../x", True)],
)
def test_a_subsystems_location_stays_in_its_parents_tree(location, leaves):
    assert leaves_parent(location) == leaves


def test_a_subsystem_that_leaves_its_parents_tree_is_a_problem(definitions):
    definitions.cluster(
        located("d"),
        "subsystems:\n- morph: systems/s.yaml\n  deploy: {sub: {type: tar, location: ../i}}\n",
    )
    assert "leads out of the parent system's tree" in definitions.problems()[0]
