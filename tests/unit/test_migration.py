"""migrate: the native form of old definitions, beside them or not at all."""

import json
import os
import shutil
from pathlib import Path

import manifests
import pytest
from click.testing import CliRunner
from definitions_world import EMPTY_TAR, Definitions
from sites import ROOT

from containerdeploy.cli import cli
from containerdeploy.commands.migrate import run_migrate
from containerdeploy.definition import load
from containerdeploy.errors import DefinitionError, PlanError, UsageError
from containerdeploy.sidecar import Sidecar, read_sidecar

DATA = ROOT / "tests/data/definitions"
CLUSTER = """\
name: c
kind: cluster
# what goes where
systems:
- morph: 'systems/old one.morph'   # kept
  deploy-defaults: &common {type: my tools/put, MODE: 0644, AT: 12:30}
  deploy:
    a:
      <<: *common
      location: a.img
      SIZE: 4G
    b: {location: b.img, SIZE: 1G, TEXT: "x: # y", DB_PASSPHRASE: s3cret}
"""
SYSTEM = """\
name: old one
kind: system
arch: x86_64

# in this order
configuration-extensions:
- greet
"""


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CONTAINERDEPLOY_HOME", str(tmp_path_factory.mktemp("home")))


class Old(Definitions):
    """Definitions as they were: `.morph` files, no source, no sidecars."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.write("clusters/c.morph", CLUSTER)
        self.write("systems/old one.morph", SYSTEM)
        self.program("extensions/greet.configure", "#!/bin/sh\nset -u\necho $SIZE ${TEXT:-no}\n")
        self.program(
            "my tools/put.write", '#!/usr/bin/python\nimport os\nprint os.environ["MODE"]\n'
        )

    def program(self, name: str, text: str | bytes) -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(0o755)

    def migrate(self, cluster: str = "c.morph", **more: object) -> dict[str, object]:
        more.setdefault("artifacts", (f"old one={self.root}/s.tar",))
        builtin = self.root / "builtin"
        builtin.mkdir(exist_ok=True)
        path = self.root / "clusters" / cluster
        report = run_migrate(path, None, as_json=True, builtin=builtin, **more)  # type: ignore[arg-type]
        found: dict[str, object] = json.loads(report)
        return found

    def files(self) -> dict[str, bytes]:
        """Every file of the tree, by its path."""
        paths = sorted(path for path in self.root.rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): path.read_bytes() for path in paths}

    def sidecar(self, name: str) -> Sidecar:
        sidecar, problems = read_sidecar(self.root / f"{name}.yaml", name)
        assert problems == ()
        return sidecar


@pytest.fixture
def old(tmp_path):
    return Old(tmp_path)


def told(report, name):
    (part,) = [one for one in report["parts"] if one["name"] == name]
    return "\n".join(f"{one['weight']}: {one['text']}" for one in part["remarks"])


def test_the_native_form_lies_beside_the_old_which_is_as_it_was(old):
    before = old.files()
    report = old.migrate()
    after = old.files()
    assert {name: after[name] for name in before} == before
    new = sorted(after.keys() - before.keys())
    assert new == [
        "clusters/c.yaml",
        "extensions/greet.configure.yaml",
        "my tools/put.write.yaml",
        "systems/old one.yaml",
    ]
    assert sorted(report["files"]) == [str(old.root / name) for name in new]


def test_only_what_has_to_change_does(old):
    old.migrate()
    cluster = (old.root / "clusters/c.yaml").read_text()
    renamed = CLUSTER.replace("old one.morph", "old one.yaml")
    new = "image: legacy\nsecrets: [DB_PASSPHRASE]\n"
    assert cluster == renamed.replace("# what goes", f"{new}# what goes")
    sha256 = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
    source = f'source: {{tar: ../s.tar, sha256: "{sha256}"}}\n'
    system = (old.root / "systems/old one.yaml").read_text()
    assert system == SYSTEM.replace("# in this", f"{source}# in this")


def test_sidecars_say_what_the_extensions_were_seen_to_do(old):
    old.migrate()
    options = old.sidecar("extensions/greet.configure").options
    assert {name: option.required for name, option in options.items()} == {
        "SIZE": True,
        "TEXT": False,
    }
    assert options["TEXT"].help == "without it: no"
    assert old.sidecar("my tools/put.write").options["MODE"].required


def test_an_option_that_another_cluster_does_not_give_is_not_required(old):
    old.write("clusters/d.morph", CLUSTER.replace("SIZE: 1G, ", ""))
    report = old.migrate()
    assert not old.sidecar("extensions/greet.configure").options["SIZE"].required
    assert "reads SIZE without a default, but 'b' does not give it" in told(
        report, "extensions/greet.configure"
    )


def test_an_own_sidecar_stays(old):
    old.write("extensions/greet.configure.yaml", "summary: mine\n")
    report = old.migrate()
    assert old.sidecar("extensions/greet.configure").summary == "mine"
    assert "has a sidecar already" in told(report, "extensions/greet.configure")


def test_the_system_names_the_image_that_its_configuration_needs(old):
    old.program("extensions/greet.configure", "#!/usr/bin/env python2\nprint 'x'\n")
    report = old.migrate()
    cluster = load(old.root / "clusters/c.yaml", old.root)
    assert [entry.system.image for entry in cluster.entries] == ["legacy"]
    assert cluster.image is None
    assert "image: legacy, for extensions/greet.configure needs python2" in told(
        report, "systems/old one.morph"
    )


def test_a_system_without_a_source_is_told_of_and_migrated(old):
    report = old.migrate(artifacts=())
    assert report["troubles"] == 1
    assert "trouble: has no source" in told(report, "systems/old one.morph")
    assert "source" not in (old.root / "systems/old one.yaml").read_text()


def test_sources_of_a_directory_are_found(old, tmp_path):
    (tmp_path / "built").mkdir()
    (tmp_path / "built/old one-rootfs.tar").write_bytes(EMPTY_TAR)
    old.migrate(artifacts=(), artifacts_dir=tmp_path / "built")
    assert "{tar: ../built/old one-rootfs.tar" in (old.root / "systems/old one.yaml").read_text()


def test_what_is_in_the_way_is_named_and_nothing_is_written(old):
    old.write("clusters/c.yaml", "mine")
    old.write("systems/old one.yaml", "mine")
    before = old.files()
    with pytest.raises(UsageError) as caught:
        old.migrate()
    there = [str(old.root / name) for name in ("systems/old one.yaml", "clusters/c.yaml")]
    assert caught.value.details.splitlines() == there
    assert old.files() == before
    old.migrate(force=True)
    assert (old.root / "clusters/c.yaml").read_text().startswith("name: c\n")


def test_a_second_migration_has_nothing_to_write(old):
    old.migrate()
    assert old.migrate()["files"] == []
    assert old.migrate("c.yaml", artifacts=())["files"] == []


def test_another_place_can_be_written_to(old, tmp_path_factory):
    before = old.files()
    out = tmp_path_factory.mktemp("out") / "native"
    report = old.migrate(output=out)
    assert old.files() == before
    assert report["native"] == str(out / "clusters/c.yaml")
    source = (f"old one={old.root}/s.tar",)
    words = run_migrate(old.root / "clusters/c.morph", None, artifacts=source, output=out)
    assert "c.yaml; laid over the definitions, it plans as" in words
    shutil.copytree(out, old.root, dirs_exist_ok=True)
    assert old.migrate()["files"] == []


def test_a_file_that_can_not_be_written_takes_back_the_others(old):
    old.write("systems/old one.yaml", "mine")
    (old.root / "clusters/c.yaml").mkdir()
    before = old.files()
    with pytest.raises(UsageError) as caught:
        old.migrate(force=True)
    assert "can't be written" in caught.value.brief
    assert old.files() == before


def test_what_would_plan_as_something_else_is_not_written(old):
    text = CLUSTER.replace("morph: 'systems/", "morph: &it 'systems/").replace("4G", "*it")
    old.write("clusters/c.morph", text)
    before = old.files()
    with pytest.raises(PlanError) as caught:
        old.migrate()
    assert caught.value.details == "a: parameter SIZE would be another"
    assert old.files() == before


def test_old_definitions_that_can_not_be_planned_are_complained_of(old):
    old.write("clusters/c.morph", CLUSTER.replace("type: my tools/put", "type: nowhere/put"))
    before = old.files()
    with pytest.raises(DefinitionError):
        old.migrate()
    assert old.files() == before


def test_a_deployment_that_can_not_be_planned_is_told_of_beside_those_that_can(old):
    text = CLUSTER + "    c: {type: nowhere/to-be-found, location: c.img}\n"
    old.write("clusters/c.morph", text)
    report = old.migrate()
    troubles = [line for line in told(report, "clusters/c.morph").splitlines() if "trouble" in line]
    assert len(troubles) == 1
    assert troubles[0].startswith("trouble: c can't be deployed: ")
    assert "clusters/c.morph:13:15: " in troubles[0]
    assert "nowhere/to-be-found" in troubles[0]
    native = (old.root / "clusters/c.yaml").read_text()
    assert "nowhere/to-be-found" in native
    assert "systems/old one.yaml" in native


def test_odd_extensions_are_migrated_too(old):
    old.write("systems/old one.morph", SYSTEM + "- odd/elf\n- linked\n- latin\n")
    (old.root / "odd").mkdir()
    old.program("odd/elf.configure", b"\x7fELF\0\1")
    old.program("extensions/real", "#!/bin/bash\necho $SIZE; cpio -o\n")
    (old.root / "extensions/linked.configure").symlink_to("real")
    old.program("extensions/latin.configure", b"#!/usr/bin/perl\n# caf\xe9\n$ENV{SIZE}\n")
    report = old.migrate()
    assert "is a compiled program" in told(report, "odd/elf.configure")
    assert not (old.root / "odd/elf.configure.yaml").exists()
    assert old.sidecar("extensions/linked.configure").tools == ("cpio",)
    assert "SIZE" in old.sidecar("extensions/latin.configure").options
    assert (old.root / "extensions/linked.configure").is_symlink()


def test_network_and_changes_to_the_tree_are_declared(old):
    old.program("my tools/put.write", '#!/bin/sh\nmkdir -p "$1/boot"\nssh x true\n')
    report = old.migrate()
    sidecar = old.sidecar("my tools/put.write")
    assert (str(sidecar.network), sidecar.tree) == ("full", "writable")
    assert "needs the network: uses ssh" in told(report, "my tools/put.write")


def test_a_loop_mount_is_told_of_and_planned_as_before_until_the_policy_allows_it(old):
    old.program("my tools/put.write", '#!/bin/sh\nmount -o loop "$2" /mnt\n')
    report = old.migrate()
    assert "trouble: mounts through a loop device" in told(report, "my tools/put.write")
    assert "grants: []  # " in (old.root / "my tools/put.write.yaml").read_text()
    assert old.sidecar("my tools/put.write").grants == ()


def test_what_the_policy_allows_the_old_form_it_allows_the_native_one(old, monkeypatch):
    old.write("my tools/put.write.yaml", "grants: [loop]\n")
    policy = Path(os.environ["CONTAINERDEPLOY_HOME"]) / "policy.yaml"
    policy.write_text(f"grants: {{loop: [{{path: {old.root}/my tools/put.write}}]}}\n")
    policy.chmod(0o644)
    monkeypatch.setenv("CONTAINERDEPLOY_POLICY", str(policy))
    assert old.migrate()["files"]


def test_a_subsystems_needs_are_its_parents(old):
    old.program("extensions/inner.configure", "#!/usr/bin/python2\n")
    old.program("my tools/put.write", "#!/bin/sh\n")
    old.write("systems/inner", "name: inner\nkind: system\nconfiguration-extensions: [inner]")
    more = "  subsystems:\n  - {morph: systems/inner, deploy: {s: {type: tar, location: x}}}\n"
    old.write("clusters/c.morph", CLUSTER + more)
    old.migrate(artifacts=("inner=s.tar", f"old one={old.root}/s.tar"))
    cluster = load(old.root / "clusters/c.yaml", old.root)
    assert cluster.image == "legacy"
    assert "systems/inner.yaml" in (old.root / "clusters/c.yaml").read_text()


@pytest.fixture(scope="module")
def habits(tmp_path_factory):
    root = tmp_path_factory.mktemp("habits") / "definitions"
    shutil.copytree(DATA, root)
    for manifest in (root / "sources").glob("*.tree"):
        manifests.make_source(manifest, manifest.with_suffix(".tar"))
    return root


@pytest.mark.parametrize("name", sorted(os.listdir(DATA / "clusters")))
def test_every_habit_of_old_definitions_survives(habits, tmp_path, name):
    root = tmp_path / "definitions"
    shutil.copytree(habits, root)
    ran = CliRunner().invoke(cli, ["migrate", str(root / "clusters" / name)])
    assert ran.exception is None, ran.exception
    has_mistakes = name == "mixed.morph"
    assert ("can't be deployed" in ran.output) == has_mistakes
    assert "plans as" in ran.output
    assert "laid over" not in ran.output
    again = CliRunner().invoke(cli, ["migrate", str(root / "clusters" / name)])
    assert "nothing had to be written" in again.output
