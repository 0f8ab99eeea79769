"""Partial deployments: which components are planned, and everything that is refused."""

import json

import pytest
from definitions_world import Definitions

from containerdeploy import planning
from containerdeploy.commands import plan as plan_command
from containerdeploy.errors import PlanError

NAMED = "d: {type: tar, location: d.tar, partial-deploy-components: %s}\n"


@pytest.fixture
def definitions(tmp_path):
    definitions = Definitions(tmp_path)
    for name in ("hello", "base"):
        (tmp_path / f"{name}.tar").write_bytes(bytes(1024))
    return definitions


def given(definitions, *names, **more):
    words = tuple(f"{name}={definitions.root}/{name}.tar" for name in names)
    return definitions.options(partial=True, artifacts=words, **more)


def named(definitions, *names):
    one = definitions.one(given(definitions, *names))
    return [(part.name, part.source.path.name) for part in one.components]


@pytest.mark.parametrize("components", ["[base, hello]", "base hello", "[hello, base, hello]"])
def test_components_are_planned_in_the_lists_order(definitions, components):
    definitions.cluster(NAMED % components)
    found = named(definitions, "hello", "base")
    assert found == [("base", "base.tar"), ("hello", "hello.tar")]


def test_defaults_may_name_the_components(definitions):
    more = "deploy-defaults: {partial-deploy-components: hello}\n"
    definitions.cluster("d: {type: tar, location: d.tar}\n", more)
    assert named(definitions, "hello") == [("hello", "hello.tar")]


def test_a_deployments_own_components_replace_those_of_the_defaults(definitions):
    definitions.cluster(NAMED % "base", "deploy-defaults: {partial-deploy-components: hello}\n")
    assert named(definitions, "base") == [("base", "base.tar")]


def test_a_partial_deployment_configures_nothing_and_has_no_subsystems(definitions):
    definitions.extension("a.configure")
    definitions.system("s", "configuration-extensions: [a]\n")
    below = "subsystems: [{morph: systems/s.yaml, deploy: {i: {type: tar, location: i}}}]\n"
    definitions.cluster(NAMED % "hello", below)
    plan = definitions.plan(given(definitions, "hello"))
    (one,) = plan.systems[0].deployments
    assert (one.configure, one.subsystems) == ((), ())
    assert plan.warnings == ("--partial leaves out the subsystems of systems/s.yaml",)


def test_a_partial_deployment_needs_no_source_of_its_system(definitions):
    (definitions.root / "s.tar").unlink()
    definitions.cluster(NAMED % "hello")
    assert named(definitions, "hello") == [("hello", "hello.tar")]


def test_the_key_alone_makes_no_deployment_partial(definitions):
    definitions.cluster(NAMED % "[hello]")
    one = definitions.one()
    assert (one.components, one.source.path.name) == ((), "s.tar")
    assert json.loads(one.metadata)["partial"] is False


def test_the_metadata_says_that_a_deployment_is_partial(definitions):
    definitions.cluster(NAMED % "hello")
    metadata = json.loads(definitions.one(given(definitions, "hello")).metadata)
    assert metadata["partial"] is True


def test_a_directory_of_artifacts_has_components_too(definitions):
    definitions.cluster(NAMED % "hello")
    options = definitions.options(partial=True, artifacts_dir=definitions.root)
    assert definitions.one(options).components[0].source.origin == "--artifacts"


@pytest.mark.parametrize("more", ["", ", partial-deploy-components: []"])
def test_a_deployment_that_names_no_components_is_refused(definitions, more):
    definitions.cluster(f"d: {{type: tar, location: d.tar{more}}}\n")
    (problem,) = definitions.problems(given(definitions))
    assert "--partial: 'd' doesn't say which components to deploy" in problem


def test_more_components_than_can_be_laid_together_are_refused(definitions):
    definitions.cluster(NAMED % [f"c{number}" for number in range(301)])
    (problem,) = definitions.problems(given(definitions))
    assert "'d' names 301 components; 300 at most" in problem


def test_a_write_extension_that_needs_a_whole_system_is_refused(definitions):
    definitions.extension("rawdisk.write")
    definitions.cluster(NAMED.replace("type: tar", "type: rawdisk") % "hello")
    (problem,) = definitions.problems(given(definitions, "hello"))
    assert "--partial can't be written by 'rawdisk', which needs a whole system" in problem
    assert "tar, sysroot" in problem


def test_a_component_without_an_artifact_is_refused_at_its_place(definitions):
    definitions.cluster(NAMED % "[base, hello]")
    (problem,) = definitions.problems(given(definitions, "base"))
    assert problem.startswith("clusters/c.yaml:7:64: there is no artifact for the component")
    assert "--artifact hello=PATH" in problem


def test_a_component_whose_artifact_is_misspelt_is_told_of_the_near_name(definitions):
    definitions.cluster(NAMED % "[base, hello]")
    with pytest.raises(PlanError) as caught:
        definitions.plan(given(definitions, "base", "hallo"))
    assert "no 'partial-deploy-components' names 'hallo'" in caught.value.brief
    assert caught.value.hint == "did you mean 'hello'?"


def test_an_artifact_of_a_component_without_partial_is_told_of_the_option(definitions):
    definitions.cluster(NAMED % "hello")
    with pytest.raises(PlanError) as caught:
        definitions.plan(definitions.options(artifacts=("hello=hello.tar",)))
    assert "--partial" in str(caught.value.hint)


def test_validate_notes_the_components_that_are_not_there_yet(definitions):
    definitions.cluster(NAMED % "[hello]")
    cluster = definitions.root / "clusters/c.yaml"
    builtin = definitions.root / "builtin"
    _, notes = planning.validate(cluster, None, given(definitions), builtin)
    assert "there is no artifact for the component 'hello'" in notes[0]


def test_the_plan_shows_every_component(definitions):
    definitions.cluster(NAMED % "[base, hello]")
    plan = definitions.plan(given(definitions, "base", "hello"))
    text, body = plan_command.to_text(plan), plan_command.to_json(plan)
    (one,) = body["systems"][0]["deployments"]
    assert one["partial"] is True
    assert [part["name"] for part in one["components"]] == ["base", "hello"]
    assert f"component hello: {definitions.root}/hello.tar (from --artifact hello=…)" in text


def test_components_that_are_no_names_are_a_problem(definitions):
    definitions.cluster(NAMED % "{a: b}")
    (problem,) = definitions.problems()
    assert "has to be a list of component names" in problem
