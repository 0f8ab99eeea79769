"""Sidecars: what they may say, and what is said of mistakes in them."""

from pathlib import Path

import pytest
from definitions_world import Definitions

from containerdeploy.errors import DefinitionError
from containerdeploy.sidecar import Option, Sidecar, read_sidecar

BUILTIN = Path(__file__).resolve().parents[2] / "containerdeploy/extensions"

FULL = """\
summary: Do a thing
help: |
  At length.
options:
  HOSTNAME: {type: string, required: true, help: one label}
  HOSTS_*: {type: string}
  COUNT: {type: integer, default: 3}
  LIGHT: {type: boolean, default: yes}
  KEY: {type: path, secret: true}
  BARE:
reads: [/etc/passwd]
writes: [/etc/hostname]
privileged-files: [/etc/hostname]
tools: [mkimage, /sbin/mkfs.ext4]
network: full
timeout: 2h
idle-timeout: 30
memory: 1.5G
max-output: 512M
cpu: 1.5
disk: 3G
pids: 10
tree: writable
output: directory
upgrade: true
cache: false
"""


@pytest.fixture
def definitions(tmp_path):
    return Definitions(tmp_path)


def read(tmp_path, text):
    path = tmp_path / "x.configure.yaml"
    path.write_text(text)
    sidecar, problems = read_sidecar(path, "x.configure.yaml")
    return sidecar, [str(one) for one in problems]


def test_everything_that_a_sidecar_may_say_is_read(tmp_path):
    sidecar, problems = read(tmp_path, FULL)
    assert problems == []
    assert (sidecar.summary, sidecar.help, str(sidecar.network)) == (
        "Do a thing",
        "At length.\n",
        "full",
    )
    assert sidecar.tools == ("mkimage", "/sbin/mkfs.ext4")
    assert (sidecar.timeout_s, sidecar.idle_timeout_s, sidecar.pids) == (7200.0, 30.0, 10)
    assert (sidecar.memory_bytes, sidecar.max_output_bytes) == (3 << 29, 512 << 20)
    assert (sidecar.cpus, sidecar.disk_bytes) == (1.5, 3 << 30)
    assert (sidecar.tree, sidecar.output, sidecar.upgrade) == ("writable", "directory", True)
    assert sidecar.options["COUNT"].default == "3"
    assert sidecar.options["LIGHT"].default == "True"
    assert sidecar.options["KEY"].secret
    assert sidecar.options["BARE"] == Option(name="BARE")


def test_without_a_sidecar_the_defaults_hold(tmp_path):
    assert read_sidecar(tmp_path / "none.yaml", "none.yaml") == (Sidecar(), ())


def test_an_unknown_key_is_told_with_its_place(tmp_path):
    _, problems = read(tmp_path, "summary: x\nnetwrk: full\n")
    assert problems == [
        "x.configure.yaml:2:1: unknown key 'netwrk' in a sidecar (did you mean 'network'?)"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("network: some", "has to be none, full or a list of hosts; found 'some'"),
        ("options: [A]", "expected a mapping for 'options'"),
        ("options: {A: {type: bool}}", "did you mean 'boolean'?"),
        ("options: {A: {requird: true}}", "did you mean 'required'?"),
        ("options: {A B: {}}", "can't be an option's name"),
        ("options: {A: {type: integer, default: x}}", "has to be a whole number"),
        ("options: {A: {required: true, default: x}}", "is never used"),
        ("options: {A*: {default: x}}", "has no name to be set for"),
        ("options: {A: {}, A: {}}", "duplicate key 'A'"),
        ("timeout: -1", "seconds"),
        ("memory: lots", "512M or 2G"),
        ("pids: 0", "a whole number above zero"),
        ("writes: [etc/hosts]", "'etc/hosts' in 'writes' is no path"),
        ("writes: [/etc/../usr]", "is no path"),
        ("writes: [//etc]", "is no path"),
        ("writes: /etc", "has to be a list of absolute paths"),
        ("privileged-files: [/bin/su]", "means nothing without 'writes'"),
        ("upgrade: maybe", "true or false"),
        ("- a", "expected a mapping for a sidecar"),
        ("a: [", "is no YAML"),
    ],
)
def test_a_mistake_in_a_sidecar_is_told(tmp_path, text, told):
    _, problems = read(tmp_path, text)
    assert told in problems[0]


def test_a_mistake_in_a_sidecar_that_is_used_stops_the_plan(definitions):
    definitions.extension("tar.write", "netwrk: full\n")
    definitions.parameters("")
    with pytest.raises(DefinitionError) as caught:
        definitions.plan()
    assert caught.value.problems[0].path.endswith("extensions/tar.write.yaml")


def test_a_mistake_in_a_sidecar_that_is_not_used_stops_nothing(definitions):
    definitions.extension("other.write", "netwrk: full\n")
    definitions.parameters("")
    definitions.plan()


@pytest.mark.parametrize(
    ("type_", "value", "good"),
    [
        ("boolean", "True", True),
        ("boolean", "no", True),
        ("boolean", "", True),
        ("boolean", "maybe", False),
        ("integer", "-5", True),
        ("integer", "5.0", False),
        ("string", "anything", True),
    ],
)
def test_values_are_held_against_the_type(type_, value, good):
    assert (Option(name="A", type=type_).fault(value) is None) == good


def test_a_prefix_covers_all_names_that_begin_so():
    option = Option(name="HOSTS_*")
    assert option.covers("HOSTS_A")
    assert not option.covers("HOST")


@pytest.mark.parametrize("path", sorted(BUILTIN.glob("*.yaml")), ids=lambda path: path.name)
def test_the_built_in_sidecars_have_no_mistakes(path):
    sidecar, problems = read_sidecar(path, path.name)
    assert problems == ()
    assert sidecar.summary
