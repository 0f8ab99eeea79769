"""How definitions of 2013 to 2017 are read: every habit of theirs, planned without an engine."""

import shutil
from pathlib import Path

import manifests
import pytest
from click.testing import CliRunner
from sites import ROOT

from containerdeploy import planning
from containerdeploy.cli import cli
from containerdeploy.commands.help_extensions import run_help_extensions
from containerdeploy.errors import DefinitionError, PlanError
from containerdeploy.plan import Options, Plan, PlannedDeployment, Verb

DATA = ROOT / "tests/data/definitions"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("old") / "definitions"
    shutil.copytree(DATA, made)
    for manifest in (made / "sources").glob("*.tree"):
        manifests.make_source(manifest, manifest.with_suffix(".tar"))
    return made


def plan(root: Path, cluster: str, *words: str, verb: Verb = "deploy") -> Plan:
    options = Options(
        verb=verb,
        deployments=tuple(word for word in words if "=" not in word),
        assignments=tuple(word for word in words if "=" in word),
        output_dir=root.parent,
    )
    return planning.prepare(root / "clusters" / cluster, None, options)


def flat(deployments: tuple[PlannedDeployment, ...]) -> list[PlannedDeployment]:
    found = []
    for one in deployments:
        found += [one, *flat(one.subsystems)]
    return found


def by_name(made: Plan) -> dict[str, PlannedDeployment]:
    return {one.name: one for system in made.systems for one in flat(system.deployments)}


def values(one: PlannedDeployment) -> dict[str, str]:
    return {parameter.name: parameter.value for parameter in one.parameters}


def test_the_definitions_are_as_many_and_as_various_as_they_should_be() -> None:
    extensions = [p for p in DATA.rglob("*") if p.suffix in (".configure", ".write", ".check")]
    first = [path.read_text().splitlines()[0] for path in extensions]
    assert len({path.with_suffix("").name for path in extensions}) >= 15
    for interpreter in ("/bin/sh", "/bin/bash", "env python3", "env python", "python2"):
        assert any(line.endswith(interpreter) for line in first), interpreter
    assert len(list((DATA / "systems").iterdir())) >= 6
    assert len(list((DATA / "clusters").iterdir())) >= 8


def test_an_unknown_format_number_is_a_warning(root: Path) -> None:
    assert "in format 12" in plan(root, "release").warnings[0]


def test_a_clusters_name_need_not_be_its_files(root: Path) -> None:
    assert plan(root, "release").cluster == "images-of-a-release"


def test_a_system_has_several_deployments_and_labels_may_hold_dots(root: Path) -> None:
    made = by_name(plan(root, "release"))
    assert {"devel-x86_64.rc-1", "devel-nfs", "devel-dropped"} <= made.keys()
    changed = by_name(plan(root, "release", "devel-x86_64.rc-1.MOTD=hi"))
    assert values(changed["devel-x86_64.rc-1"])["MOTD"] == "hi"
    boards = by_name(plan(root, "boards", "board.v1.0.KERNEL_ARGS=a.b=c", "board.v1.0.debug.X=1"))
    assert values(boards["board.v1.0"])["KERNEL_ARGS"] == "a.b=c"
    assert values(boards["board.v1.0.debug"])["X"] == "1"


@pytest.mark.parametrize(
    ("cluster", "name", "relative"),
    [
        ("release", "minimal-chroot", None),  # type: extensions/tar, which is built in
        ("release", "minimal-tree", None),  # type: sysroot
        ("boards", "board.v1.0", "extensions/rawfs.write"),
        ("boards", "board.v1.0.debug", "extensions/rawfs.write"),  # type: ./extensions/rawfs.write
        ("release", "devel-dropped", "tools/deploy/drop.write"),
    ],
)
def test_a_type_is_a_name_or_a_path(
    root: Path, cluster: str, name: str, relative: str | None
) -> None:
    assert by_name(plan(root, cluster))[name].write.extension.relative == relative


def test_a_relative_location_begins_at_the_output_directory(root: Path) -> None:
    one = by_name(plan(root, "release"))["devel-x86_64.rc-1"]
    assert (one.location, one.target) == ("./devel.tar", root.parent / "devel.tar")


def test_merge_keys_anchors_inside_them_and_labels_that_are_aliases_work(root: Path) -> None:
    made = by_name(plan(root, "anchors"))
    assert list(made) == ["first", "second", "third.of.many"]
    assert [values(one)["HOSTNAME"] for one in made.values()] == ["first", "second", "third"]
    assert values(made["first"])["VHOSTS"] == values(made["second"])["VHOSTS"]


def test_a_system_may_have_no_extensions_and_be_of_another_architecture(root: Path) -> None:
    assert by_name(plan(root, "release"))["minimal-chroot"].configure == ()
    assert by_name(plan(root, "boards"))["board.v1.0"].system == "board-armv7lhf"


def test_what_can_only_be_upgraded_loads_and_a_deploy_of_it_says_what_is_missing(
    root: Path,
) -> None:
    with pytest.raises(DefinitionError) as caught:
        plan(root, "upgrade-only")
    (problem,) = caught.value.problems
    assert "'devel-machine' has no 'type' and no 'location'" in problem.message
    assert problem.hint == "it can only be upgraded: use the command upgrade"
    one = by_name(plan(root, "upgrade-only", verb="upgrade"))["devel-machine"]
    assert (one.type, one.location) == ("extensions/upgrade-drop", "machine.state")
    assert one.check is not None
    cluster = str(root / "clusters/upgrade-only.morph")
    assert CliRunner().invoke(cli, ["validate", "--upgrade", cluster]).exit_code == 0


def test_a_subsystem_is_not_deployed_by_itself_but_its_parameters_can_be_set(root: Path) -> None:
    with pytest.raises(PlanError) as caught:
        plan(root, "nested", "rescue")
    assert "'rescue' is a subsystem and can't be deployed by itself" in caught.value.brief
    made = by_name(plan(root, "nested", "board", "rescue-initramfs.INIT_MESSAGE=hello"))
    assert values(made["rescue-initramfs"]) == {"INIT_MESSAGE": "hello"}
    assert values(made["rescue"]) == {}


def test_a_subsystem_inherits_nothing(root: Path) -> None:
    made = by_name(plan(root, "nested"))
    assert values(made["board"])["HOSTNAME"] == "board"
    assert values(made["board/board-initramfs"]) == {}
    assert set(made) == {
        label
        for parent in ("board", "board-chroot")
        for label in (
            parent,
            f"{parent}/board-initramfs",
            f"{parent}/rescue",
            f"{parent}/rescue-initramfs",
        )
    }


def test_a_problem_in_a_system_that_is_not_selected_stops_nothing(root: Path) -> None:
    assert list(by_name(plan(root, "mixed", "fine"))) == ["fine"]
    with pytest.raises(DefinitionError) as caught:
        plan(root, "mixed")
    told = "\n".join(map(str, caught.value.problems))
    for words in (
        "unknown key 'locaton' in a deployment (did you mean 'location'?)",
        "unknown key 'unknown-field' in a system",
        "there is no configure extension 'long-gone'",
        "there is no system file 'systems/never-written.morph'",
    ):
        assert words in told, told


def test_the_manual_beside_an_extension_is_shown(root: Path) -> None:
    assert "Write what a boot loader reads to LOCATION." in run_help_extensions("rawfs", root)
