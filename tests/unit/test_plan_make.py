"""What a plan holds: sources, steps, network, options of sidecars, secrets, metadata, images."""

import json

import pytest
from definitions_world import Definitions

from containerdeploy import images
from containerdeploy.errors import PlanError, UsageError
from containerdeploy.planning import chosen_environment


@pytest.fixture
def definitions(tmp_path):
    return Definitions(tmp_path)


GOOD = "d: {type: tar, location: d.tar}\n"
REMOTE = "d: {type: tar, location: root@host}\n"


def test_a_source_is_relative_to_the_system_file(definitions):
    definitions.cluster(GOOD)
    source = definitions.one().source
    assert source.path.resolve() == definitions.root / "s.tar"
    assert source.origin == "the system's source"


def test_an_artifact_of_the_command_line_comes_first(definitions, tmp_path):
    definitions.cluster(GOOD)
    (tmp_path / "a=b.tar").touch()
    options = definitions.options(artifacts=(f"s={tmp_path}/a=b.tar",))
    assert definitions.one(options).source.path == tmp_path / "a=b.tar"


def test_an_artifact_for_an_unknown_system_names_a_near_one(definitions):
    definitions.cluster(GOOD)
    with pytest.raises(PlanError) as caught:
        definitions.plan(definitions.options(artifacts=("ss=x.tar",)))
    assert caught.value.hint == "did you mean 's'?"


@pytest.mark.parametrize("name", ["s.tar", "s.tar.zst", "s-rootfs.tar.gz"])
def test_a_directory_of_artifacts_comes_last(definitions, tmp_path, name):
    definitions.write("systems/s.yaml", "name: s\nkind: system\n")
    definitions.cluster(GOOD)
    folder = tmp_path / "artifacts"
    folder.mkdir()
    (folder / name).touch()
    options = definitions.options(artifacts_dir=folder)
    assert definitions.one(options).source.path == folder / name


def test_a_missing_source_names_all_three_places(definitions):
    definitions.write("systems/s.yaml", "name: s\nkind: system\n")
    definitions.cluster(GOOD)
    empty = definitions.root / "systems"
    (problem,) = definitions.problems(definitions.options(artifacts_dir=empty))
    for place in ("--artifact s=PATH", "'source' in the system file", "systems (--artifacts)"):
        assert place in problem


def test_a_source_that_is_no_file_is_a_problem(definitions):
    definitions.cluster(GOOD)
    (definitions.root / "s.tar").unlink()
    (problem,) = definitions.problems()
    assert problem.startswith("systems/s.yaml:3:15: the source of 's' does not exist")


def test_configuration_runs_in_the_lists_order(definitions):
    for name in ("b", "a"):
        definitions.extension(f"{name}.configure")
    definitions.system("s", "configuration-extensions: [b, extensions/a]\n")
    definitions.cluster(GOOD)
    assert [step.extension.name for step in definitions.one().configure] == ["b", "a"]


def test_a_missing_extension_names_the_definition_line(definitions):
    definitions.extension("hosts.configure")
    definitions.system("s", "configuration-extensions:\n- host\n")
    definitions.cluster(GOOD)
    (problem,) = definitions.problems()
    assert problem.startswith("systems/s.yaml:5:3: there is no configure extension 'host'")
    assert "did you mean 'hosts'?" in problem


def test_a_missing_write_extension_names_the_line_of_its_type(definitions):
    definitions.cluster("d: {type: tarr, location: x}\n")
    assert definitions.problems()[0].startswith(
        "clusters/c.yaml:7:15: there is no write extension 'tarr'"
    )


def test_a_check_runs_where_there_is_one(definitions):
    definitions.cluster(GOOD)
    assert definitions.one().check is None
    definitions.extension("tar.check")
    assert definitions.one().check.extension.kind == "check"


@pytest.mark.parametrize(
    ("cluster", "sidecar", "network"),
    [
        (GOOD, "", "none"),
        (REMOTE, "", "full"),
        (REMOTE, "network: none\n", "none"),
        (GOOD, "network: full\n", "full"),
        (REMOTE, "network: [b.org:22]\n", "listed"),
        (REMOTE, "summary: x\n", "full"),
    ],
)
def test_a_write_and_its_check_get_the_network_they_need(definitions, cluster, sidecar, network):
    definitions.extension("tar.write", sidecar)
    definitions.extension("tar.check")
    definitions.cluster(cluster)
    found = definitions.one()
    assert (found.write.network.mode, found.check.network.mode) == (network, network)


@pytest.mark.parametrize(
    ("use", "sidecar", "network"),
    [
        ("x", "", "none"),
        ("x", "network: full\n", "full"),
        ("{name: x, network: full}", "", "full"),
        ("{name: x, network: none}", "network: full\n", "none"),
        ("x", "network: [A.org:80, '[::0:1]:9', a.org:80]\n", "a.org:80, [::1]:9"),
        ("{name: x, network: [b.org:22]}", "network: full\n", "b.org:22"),
    ],
)
def test_configuration_has_no_network_unless_declared(definitions, use, sidecar, network):
    definitions.extension("x.configure", sidecar)
    definitions.system("s", f"configuration-extensions: [{use}]\n")
    definitions.cluster(REMOTE)
    assert str(definitions.one().configure[0].network) == network


def test_the_definitions_limits_beat_the_sidecars(definitions):
    definitions.extension("x.configure", "timeout: 10\nmemory: 1G\n")
    definitions.system("s", "configuration-extensions: [{name: x, timeout: 20}]\n")
    definitions.cluster(GOOD)
    step = definitions.one().configure[0]
    assert (step.timeout_s, step.memory_bytes, step.pids) == (20.0, 1 << 30, None)
    assert definitions.one(definitions.options(timeout_s=5.0)).configure[0].timeout_s == 5.0


OPTIONS = """\
options:
  HOSTNAME: {required: true, help: one label}
  SIZE: {type: integer, default: 4}
  LIGHT: {type: boolean}
  KEY: {secret: true}
"""


def test_a_required_option_that_is_missing_says_where_to_put_it(definitions):
    definitions.extension("tar.write", OPTIONS)
    definitions.parameters("")
    (problem,) = definitions.problems()
    assert "the extension tar.write needs 'HOSTNAME': one label" in problem
    assert "write 'HOSTNAME: VALUE' below 'd', or give d.HOSTNAME=VALUE" in problem


def test_a_required_prefix_needs_one_name_that_begins_so(definitions):
    definitions.extension("tar.write", "options: {HOSTS_*: {required: true}}\n")
    definitions.parameters("")
    assert "give d.HOSTS_…=VALUE" in definitions.problems()[0]
    definitions.parameters("HOSTS_A: x")
    definitions.plan()


def test_a_sidecars_default_is_a_parameter_with_that_origin(definitions):
    definitions.extension("tar.write", OPTIONS)
    definitions.parameters("HOSTNAME: x")
    found = definitions.value("SIZE")
    assert (found.value, found.origin) == ("4", "sidecar default of tar.write")


def test_values_of_the_wrong_type_are_problems(definitions):
    definitions.extension("tar.write", OPTIONS)
    definitions.parameters("HOSTNAME: x\nSIZE: big\nLIGHT: perhaps")
    problems = definitions.problems()
    assert "'SIZE' has to be a whole number for the extension tar.write; found 'big'" in problems[0]
    assert "'LIGHT' has to be yes or no" in problems[1]


def test_a_wrong_type_from_the_command_line_says_so(definitions):
    definitions.extension("tar.write", OPTIONS)
    definitions.parameters("HOSTNAME: x")
    (problem,) = definitions.problems(definitions.options(assignments=("d.SIZE=big",)))
    assert "found 'big', from the command line" in problem


def test_metadata_is_baserocks_and_leaves_secrets_out(definitions):
    definitions.extension("tar.write", "options: {KEY: {secret: true}}\n")
    definitions.parameters(
        "A: 1\nDB_PASSWORD: p\nMY_SECRET: p\nAPI_TOKEN: p\nPRIVATE_KEY: p\nKEY: p\nOWN: p"
    )
    text = (definitions.root / "clusters/c.yaml").read_text()
    definitions.write("clusters/c.yaml", text + "secrets: [OWN]\n")
    found = definitions.one()
    content = json.loads(found.metadata)
    assert content["configuration"] == {"A": "1"}
    assert content["deployment-type"] == "tar"
    assert content["location"] == "d.tar"
    assert content["system-artifact-name"] == "s"
    assert content["partial"] is False
    assert list(content) == sorted(content)
    assert '\n    "configuration": {\n' in found.metadata
    assert sum(one.secret for one in found.parameters) == 6


def test_a_value_too_large_for_a_process_is_told_before_anything_starts(definitions):
    definitions.parameters(f"A: {'x' * 140_000}")
    assert "no process can get more than 131071" in definitions.problems()[0]


@pytest.mark.parametrize(
    ("cluster", "system", "option", "image"),
    [
        ("", "", None, images.HELPER),
        ("image: a\n", "", None, "a"),
        ("image: a\n", "image: b\n", None, "b"),
        ("image: a\n", "image: b\n", "c", "c"),
        ("image: legacy\n", "", None, images.LEGACY),
        ("image: legacy\n", "image: helper\n", None, images.HELPER),
        ("", "image: helper\n", "legacy", images.LEGACY),
    ],
)
def test_the_image_is_the_nearest_one_named(definitions, cluster, system, option, image):
    definitions.system("s", system)
    path = definitions.cluster(GOOD)
    path.write_text(path.read_text() + cluster)
    assert definitions.plan(definitions.options(image=option)).systems[0].image == image


def test_systems_have_names_of_their_own(definitions):
    definitions.write(
        "clusters/c.yaml",
        """\
        name: c
        kind: cluster
        systems:
        - {morph: systems/s, deploy: {a: {type: tar, location: a}}}
        - {morph: systems/s, deploy: {b: {type: tar, location: b}}}
        """,
    )
    assert [one.name for one in definitions.plan().systems] == ["s", "s#2"]


def test_subsystems_nest_to_any_depth(definitions):
    sub = "{{morph: systems/s, deploy: {{{0}: {{type: tar, location: x}}}}{1}}}"
    inner = sub.format("inner", "")
    outer = sub.format("outer", f", subsystems: [{inner}]")
    definitions.cluster(GOOD, f"subsystems: [{outer}]\n")
    (outer_planned,) = definitions.one().subsystems
    assert [one.name for one in outer_planned.subsystems] == ["inner"]


def test_an_unknown_format_of_definitions_is_a_warning(definitions):
    definitions.write("VERSION", "version: 99\n")
    definitions.cluster(GOOD)
    assert "format 99" in definitions.plan().warnings[0]


def test_only_named_variables_are_taken_from_the_environment():
    assert chosen_environment(["A"], {"A": "1", "B": "2"}) == {"A": "1"}
    with pytest.raises(UsageError) as caught:
        chosen_environment(["HOSTNAM"], {"HOSTNAME": "x"})
    assert caught.value.hint == "did you mean 'HOSTNAME'?"
