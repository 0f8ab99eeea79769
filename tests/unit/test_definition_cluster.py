"""Clusters and systems: what loads, and what is said of what doesn't."""

import pytest
from definitions_world import CLUSTER, Definitions

from containerdeploy.errors import DefinitionError, UsageError


@pytest.fixture
def definitions(tmp_path):
    return Definitions(tmp_path)


GOOD = "d: {type: tar, location: d.tar}\n"


def test_a_cluster_of_one_system_plans(definitions):
    definitions.cluster(GOOD)
    plan = definitions.plan()
    assert (plan.cluster, plan.systems[0].name, plan.systems[0].deployments[0].name) == (
        "c",
        "s",
        "d",
    )


@pytest.mark.parametrize("morph", ["systems/s", "systems/s.yaml"])
def test_a_system_is_named_with_or_without_its_suffix(definitions, morph):
    definitions.cluster(GOOD, morph=morph)
    assert definitions.one().system == "s"


def test_a_morph_file_is_found_without_its_suffix(definitions):
    definitions.system("old").rename(definitions.root / "systems/old.morph")
    definitions.cluster(GOOD, morph="systems/old")
    assert definitions.one().system == "old"


def test_baserock_fields_are_accepted(definitions):
    definitions.system(
        "s",
        """\
        arch: armv7l
        description: x
        strata:
        - {name: core, morph: strata/core.morph, repo: upstream:x, ref: master}
        build-system: manual
        repo: baserock:definitions
        ref: master
        """,
    )
    definitions.cluster(GOOD, "repo: a\nref: b\n")
    assert definitions.one().configure == ()


def test_a_deployment_may_live_of_the_defaults_alone(definitions):
    definitions.cluster("d:\n", "deploy-defaults: {type: tar, location: d.tar}\n")
    assert definitions.one().location == "d.tar"


def test_labels_may_be_aliases_and_hold_dots(definitions):
    definitions.cluster(
        "web.morph: {type: tar, location: &name node1}\n*name : {type: tar, location: n.tar}\n"
    )
    names = [one.name for one in definitions.plan().systems[0].deployments]
    assert names == ["web.morph", "node1"]


def test_merge_keys_make_deployments(definitions):
    definitions.cluster(
        "a: &a\n  type: tar\n  location: a.tar\n  X: 1\nb:\n  <<: *a\n  location: b.tar\n"
    )
    second = definitions.plan().systems[0].deployments[1]
    assert (second.location, second.parameters[0].value) == ("b.tar", "1")


def test_an_unknown_key_has_its_place_and_what_was_meant(definitions):
    definitions.cluster(GOOD, "deploi: {}\n")
    assert definitions.problems() == [
        "clusters/c.yaml:8:3: unknown key 'deploi' in a system (did you mean 'deploy'?)"
    ]


def test_a_misspelt_place_is_no_parameter(definitions):
    definitions.cluster("d: {type: tar, locaton: d.tar}\n")
    assert any(
        "unknown key 'locaton' in a deployment (did you mean 'location'?)" in one
        for one in definitions.problems()
    )


def test_a_wrong_type_says_what_was_expected(definitions):
    definitions.cluster(GOOD, "subsystems: none\n")
    (problem,) = definitions.problems()
    assert "'subsystems' in a system has to be a list of systems; found 'none'" in problem


def test_a_duplicate_key_is_a_problem(definitions):
    definitions.cluster("d: {type: tar, location: d.tar}\nd: {type: tar, location: e.tar}\n")
    assert "duplicate key 'd'" in definitions.problems()[0]


def test_duplicate_deployment_names_in_two_systems_are_a_problem(definitions):
    definitions.write(
        CLUSTER,
        """\
        name: c
        kind: cluster
        systems:
        - morph: systems/s.yaml
          deploy: {d: {type: tar, location: d.tar}}
        - morph: systems/s.yaml
          deploy: {d: {type: tar, location: e.tar}}
        """,
    )
    (problem,) = definitions.problems()
    assert problem.startswith("clusters/c.yaml:7:12: duplicate deployment name 'd' (first used in")


def test_a_subsystem_may_not_take_a_name_again(definitions):
    definitions.cluster(
        GOOD, "subsystems:\n- morph: systems/s.yaml\n  deploy: {d: {type: tar, location: x}}\n"
    )
    assert "duplicate deployment name 'd'" in definitions.problems()[0]


def test_a_missing_system_file_names_a_near_one(definitions):
    definitions.cluster(GOOD, morph="systems/z.yaml")
    (problem,) = definitions.problems()
    assert problem.startswith("clusters/c.yaml:5:10: there is no system file 'systems/z.yaml'")
    assert "did you mean 'systems/s.yaml'?" in problem


def test_a_system_outside_of_the_definitions_is_refused(definitions):
    definitions.cluster(GOOD, morph="../s.yaml")
    assert "lies outside of the definitions" in definitions.problems()[0]


def test_a_stratum_is_no_system(definitions):
    definitions.write("systems/s.yaml", "name: s\nkind: stratum\n")
    definitions.cluster(GOOD)
    problems = definitions.problems()
    assert "expected a system (kind: system), found kind 'stratum'" in problems[0]


def test_all_problems_of_all_files_come_at_once(definitions):
    definitions.system("s", "image: [x]\nconfiguration-extensions: [nix]\nnoise: 1\n")
    definitions.cluster("d: {type: tarr, locaton: x}\n", "deploi: {}\n")
    problems = definitions.problems()
    assert len(problems) >= 5
    assert {one.partition(":")[0] for one in problems} == {"clusters/c.yaml", "systems/s.yaml"}


def test_a_broken_cluster_file_is_a_problem_with_a_place(definitions):
    definitions.write(CLUSTER, "name: [\n")
    with pytest.raises(DefinitionError) as caught:
        definitions.plan()
    assert caught.value.problems[0].line == 2


def test_a_missing_cluster_file_names_a_near_one(definitions):
    definitions.cluster(GOOD).rename(definitions.root / "clusters/d.yaml")
    with pytest.raises(UsageError) as caught:
        definitions.plan()
    assert caught.value.hint == "did you mean 'd.yaml'?"


def test_a_problem_in_a_system_that_is_not_selected_stops_nothing(definitions):
    definitions.write(
        CLUSTER,
        """\
        name: c
        kind: cluster
        systems:
        - morph: systems/s.yaml
          deploy: {good: {type: tar, location: d.tar}, bad: {type: nix, X: [1, {a: 1, a: 2}]}}
        - morph: systems/missing.yaml
          oops: 1
          deploy: {other: {type: tar, location: e.tar}}
        """,
    )
    assert definitions.one(definitions.options(deployments=("good",))).name == "good"
    assert len(definitions.problems()) >= 4


def test_a_parameter_can_not_have_an_impossible_name(definitions):
    definitions.parameters("'A=B': 1\n'1X': 1")
    assert len(definitions.problems()) == 2


def test_a_nul_in_a_value_is_a_problem(definitions):
    definitions.parameters('X: "a\\0b"')
    assert "holds a NUL" in definitions.problems()[0]


def test_a_bad_digest_is_a_problem(definitions):
    definitions.write(
        "systems/s.yaml", "name: s\nkind: system\nsource: {tar: ../s.tar, sha256: abc}\n"
    )
    definitions.cluster(GOOD)
    assert "expected a SHA-256 of 64 hexadecimal digits" in definitions.problems()[0]


def test_limits_of_an_extension_are_read(definitions):
    definitions.extension("x.configure")
    use = "{name: x, network: full, timeout: 2m, idle-timeout: 90s, memory: 512M, pids: 7"
    use += ", cpu: 0.5, disk: 2G, max-output: 3M}"
    definitions.system("s", f"configuration-extensions: [{use}]\n")
    definitions.cluster(GOOD)
    (step,) = definitions.one().configure
    assert (step.network.mode, step.timeout_s, step.idle_timeout_s) == ("full", 120.0, 90.0)
    assert (step.memory_bytes, step.pids, step.max_output_bytes) == (512 << 20, 7, 3 << 20)
    assert (step.cpus, step.disk_bytes) == (0.5, 2 << 30)


def test_a_bad_limit_says_what_one_looks_like(definitions):
    definitions.system("s", "configuration-extensions: [{name: x, timeout: soon}]\n")
    definitions.extension("x.configure")
    definitions.cluster(GOOD)
    assert "a time such as 90s, 30m or 2h; found 'soon'" in definitions.problems()[0]


@pytest.mark.parametrize("cpu", ["0", "-1", "all", "1e3", "0.001", "1.5x", "999999"])
def test_a_bad_number_of_processors_is_told(definitions, cpu):
    definitions.system("s", f"configuration-extensions: [{{name: x, cpu: {cpu}}}]\n")
    definitions.extension("x.configure")
    definitions.cluster(GOOD)
    assert "a number of processors, such as 2 or 1.5" in definitions.problems()[0]
