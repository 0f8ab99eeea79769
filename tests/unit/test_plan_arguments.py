"""The command line's words against a cluster's names, and which value wins."""

import pytest
from definitions_world import Definitions
from hypothesis import given
from hypothesis import strategies as st

from containerdeploy.errors import PlanError
from containerdeploy.plan import split_words
from containerdeploy.plan.arguments import split_assignment


@pytest.fixture
def definitions(tmp_path):
    return Definitions(tmp_path)


def split(word, *names):
    return split_assignment(word, sorted(names, key=len, reverse=True))


def test_a_name_that_begins_another_is_told_apart():
    assert split("node10.A=1", "node1", "node10") == ("node10", "A", "1")
    assert split("node1.A=1", "node1", "node10") == ("node1", "A", "1")


def test_a_name_may_hold_dots():
    assert split("web.morph.A=1", "web", "web.morph") == ("web.morph", "A", "1")
    assert split("web.morph=1", "web", "web.morph") == ("web", "morph", "1")


def test_a_value_may_hold_anything():
    assert split("a.K=x=y.z=", "a") == ("a", "K", "x=y.z=")
    assert split("a.K=", "a") == ("a", "K", "")


@pytest.mark.parametrize("word", ["b.K=1", "a.b.K=1", "ab.K=1", "K=1", "a.=1", "a.1X=1", "=1"])
def test_what_fits_no_name_is_a_fault(word):
    assert isinstance(split(word, "a"), str)


def test_a_fault_does_not_show_the_value():
    assert "hunter2" not in split("b.PASSWORD=hunter2", "a")


words = st.text("ab.=", min_size=1, max_size=6).filter(lambda name: "=" not in name)


@given(st.sets(words, min_size=1, max_size=6), st.text("KX", min_size=1), st.text())
def test_every_name_gets_exactly_its_own_assignments(names, key, value):
    for name in names:
        assert split(f"{name}.{key}={value}", *names) == (name, key, value)


def test_words_are_sorted_into_names_and_assignments():
    assert split_words(["a", "b.c", "a.K=v"]) == (("a", "b.c"), ("a.K=v",))


def test_the_own_value_beats_the_default(definitions):
    definitions.cluster("d: {type: tar, location: d, A: own}\n", "deploy-defaults: {A: x, B: y}\n")
    assert definitions.value("A").value == "own"
    assert definitions.value("B").value == "y"


def test_the_environment_beats_the_file_and_the_command_line_beats_both(definitions):
    definitions.parameters("A: file\nB: file\nC: file")
    options = definitions.options(env={"A": "env", "B": "env"}, assignments=("d.A=line",))
    found = {one.name: (one.value, one.origin) for one in definitions.one(options).parameters}
    assert found["A"] == ("line", "the command line")
    assert found["B"] == ("env", "--env B")
    assert found["C"][1].endswith("clusters/c.yaml:12:10")


def test_the_callers_environment_does_not_leak(definitions, monkeypatch):
    monkeypatch.setenv("HOSTNAME", "ci-machine")
    definitions.parameters("A: 1")
    assert [one.name for one in definitions.one().parameters] == ["A"]


def test_type_and_location_can_be_assigned(definitions):
    definitions.extension("other.write")
    definitions.parameters("")
    options = definitions.options(assignments=("d.type=other", "d.location=x.img"))
    found = definitions.one(options)
    assert (found.type, found.location) == ("other", "x.img")
    assert found.parameters == ()


def test_an_unknown_deployment_names_a_near_one(definitions):
    definitions.parameters("")
    with pytest.raises(PlanError, match=r"no deployment 'dd' in the cluster \(did you mean 'd'"):
        definitions.plan(definitions.options(deployments=("dd",)))


def test_all_wrong_words_are_told_at_once(definitions):
    definitions.parameters("")
    with pytest.raises(PlanError) as caught:
        definitions.plan(definitions.options(deployments=("x",), assignments=("y.A=1", "z=2")))
    assert len(caught.value.details.splitlines()) == 3
    assert caught.value.exit_code == 2


SUBSYSTEM = "subsystems:\n- morph: systems/s.yaml\n  deploy: {sub: {type: tar, location: /i.gz}}\n"


def test_a_subsystem_can_not_be_selected(definitions):
    definitions.cluster("d: {type: tar, location: d}\n", SUBSYSTEM)
    with pytest.raises(PlanError, match="'sub' is a subsystem and can't be deployed by itself"):
        definitions.plan(definitions.options(deployments=("sub",)))


def test_a_subsystem_is_recognised_by_the_name_that_a_plan_shows(definitions):
    definitions.cluster("a: {type: tar, location: a.tar}\n", SUBSYSTEM)
    with pytest.raises(PlanError, match="'a/sub' is a subsystem and can't be deployed by itself"):
        definitions.plan(definitions.options(deployments=("a/sub",)))
    assert "(did you mean 'sub'?)" in split("a/sub.K=1", "a", "sub")


def test_components_are_written_into_the_cluster():
    assert "write it into the cluster" in split("a.partial-deploy-components=b", "a")


def test_a_subsystem_can_be_assigned_to_and_inherits_nothing(definitions):
    definitions.cluster("d: {type: tar, location: d, A: 1}\n", SUBSYSTEM)
    found = definitions.one(definitions.options(assignments=("sub.B=2",)))
    (sub,) = found.subsystems
    assert [(one.name, one.value) for one in sub.parameters] == [("B", "2")]
    assert [one.name for one in found.parameters] == ["A"]
    assert (sub.target, sub.location) == (None, "/i.gz")


def test_only_what_is_selected_is_planned(definitions):
    definitions.cluster("a: {type: tar, location: a}\nb: {type: tar, location: b}\n")
    assert definitions.one(definitions.options(deployments=("b",))).name == "b"


def test_what_deploy_sets_itself_is_not_taken_from_definitions(definitions):
    definitions.parameters("UPGRADE: yes\nTMPDIR: /x")
    plan = definitions.plan()
    assert plan.systems[0].deployments[0].parameters == ()
    assert len(plan.warnings) == 2
