"""plan, validate and help-extensions: what they print."""

import json
import subprocess
import sys

import pytest
from definitions_world import Definitions

from containerdeploy.commands.help_extensions import run_help_extensions
from containerdeploy.commands.plan import to_json, to_json_text, to_text
from containerdeploy.commands.validate import run_validate
from containerdeploy.errors import DefinitionError, UsageError


@pytest.fixture
def definitions(tmp_path):
    definitions = Definitions(tmp_path)
    definitions.extension("x.configure", "summary: Do x\noptions: {A: {help: the a}}\n")
    definitions.system("s", "configuration-extensions: [{name: x, timeout: 20}]\n")
    definitions.parameters("A: some value\nMY_PASSWORD: hunter2\nEMPTY: ''")
    return definitions


def test_the_json_has_its_documented_keys(definitions):
    content = to_json(definitions.plan())
    assert set(content) == set(
        "format verb cluster cluster_path definitions definitions_version source_date_epoch "
        "isolation runtime warnings policy systems".split()
    )
    (deployment,) = content["systems"][0]["deployments"]
    assert set(deployment) == set(
        "name system type location target source partial components parameters steps "
        "subsystems".split()
    )
    assert [step["kind"] for step in deployment["steps"]] == ["configure", "write"]
    assert deployment["steps"][0]["timeout_s"] == 20.0
    assert json.loads(to_json_text(definitions.plan())) == content


def test_secrets_are_masked_in_both_faces(definitions):
    plan = definitions.plan()
    assert "hunter2" not in to_text(plan) + to_json_text(plan)
    assert "MY_PASSWORD=***" in to_text(plan)


def test_the_text_shows_where_each_value_came_from(definitions):
    options = definitions.options(assignments=("d.A=b",), env={"B": "c"})
    text = to_text(definitions.plan(options))
    lines = [line.split() for line in text.splitlines()]
    assert ["parameter", "A=b", "(the", "command", "line)"] in lines
    assert ["parameter", "B=c", "(--env", "B)"] in lines
    assert any('EMPTY=""' in line and "clusters/c.yaml:" in line for line in text.splitlines())


def test_the_text_shows_source_steps_and_target(definitions):
    text = to_text(definitions.plan())
    assert "(from the system's source)" in text
    step = "configure x.configure (extensions/x.configure, no network, timeout 20 s from "
    assert f"{step}{definitions.root}/systems/s.yaml:4:28)" in text
    assert f"to        {definitions.root}/out/d.tar" in text


def test_validate_counts_what_is_good(definitions, tmp_path):
    text = run_validate(tmp_path / "clusters/c.yaml", None, definitions.options(), tmp_path)
    assert text == "c: 1 deployment of 1 system, no problems"


def test_validate_needs_no_sources_but_notes_them(definitions, tmp_path):
    (tmp_path / "s.tar").unlink()
    text = run_validate(tmp_path / "clusters/c.yaml", None, definitions.options(), tmp_path)
    assert "note: the source of 's' does not exist" in text


def test_validate_reports_all_problems(definitions, tmp_path):
    definitions.cluster("d: {type: nix, locaton: x}\n", "oops: 1\n")
    with pytest.raises(DefinitionError) as caught:
        run_validate(tmp_path / "clusters/c.yaml", None, definitions.options(), tmp_path)
    assert len(caught.value.problems) >= 3


def test_extensions_are_listed_with_one_line_each(definitions, tmp_path):
    definitions.write("extensions/tar.write.help", "help: |\n  Write a tar\n\n  More.\n")
    assert run_help_extensions(None, tmp_path, tmp_path / "none").splitlines() == [
        "extensions/tar.write    Write a tar",
        "extensions/x.configure  Do x",
    ]


def test_a_name_gives_the_whole_manual(definitions, tmp_path):
    definitions.write("extensions/tar.write.help", "help: |\n  Write a tar\n\n  More.\n")
    assert "More." in run_help_extensions("tar", tmp_path, tmp_path / "none")
    manual = run_help_extensions("x.configure", tmp_path, tmp_path / "none")
    assert "Do x" in manual
    assert "A (string)\n        the a" in manual


def test_a_wrong_name_gives_a_near_one(definitions, tmp_path):
    with pytest.raises(UsageError) as caught:
        run_help_extensions("tarr", tmp_path, tmp_path / "none")
    assert "did you mean 'tar'?" in caught.value.hint


def test_planning_imports_no_engine_and_no_screen():
    program = (
        "import sys, containerdeploy.planning, containerdeploy.commands.plan; "
        "print([name for name in ('docker', 'rich', 'requests') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert done.stdout == b"[]\n"
