"""What programs an image offers, as text, and who is told what when some are missing."""

import subprocess
import sys
from pathlib import Path

import pytest
from definitions_world import Definitions
from fake_engine import FakeEngine

from containerdeploy import images, programs
from containerdeploy.engine import ImageInfo
from containerdeploy.errors import PlanError
from containerdeploy.helper import toolcheck
from containerdeploy.programs import Programs

OFFERED = programs.as_text(["/usr/bin/env", "/usr/bin/python3", "/bin/sh", "/usr/sbin/mkfs.ext4"])


@pytest.mark.parametrize(
    ("program", "has"),
    [
        ("sh", True),
        ("/bin/sh", True),
        ("/usr/bin/sh", True),
        ("/sbin/mkfs.ext4", True),
        ("/opt/own/python", True),
        ("/usr/bin/mkfs.ext4", False),
        ("python", False),
        ("/usr/local/bin/sh", False),
    ],
)
def test_programs_are_found_by_path_and_by_name_and_other_folders_are_not_judged(program, has):
    assert Programs(OFFERED).has(program) is has


def test_the_text_is_the_same_whatever_order_the_programs_come_in():
    paths = ["/usr/bin/b", "/usr/bin/a", "/etc/passwd", "/usr/bin/with space", "/usr/sbin/c"]
    assert (
        programs.as_text(paths)
        == programs.as_text(reversed(paths))
        == ("/usr/bin a b\n/usr/sbin c")
    )


def test_the_module_alone_lists_the_programs_where_it_runs():
    source = Path(programs.__file__).read_text()
    argv = [sys.executable, "-I", "-S", "-c", source]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert Programs(said).has("/bin/sh")
    assert not Programs(said).has("no-such-program")


@pytest.fixture
def definitions(tmp_path):
    return Definitions(tmp_path)


def check(definitions, *, image=None, layers=("l",), label="l"):
    """Plan, then look for the programs in an image that offers OFFERED."""
    plan = definitions.plan(definitions.options(image=image))
    name = plan.systems[0].image
    labels = {programs.LABEL: f"{label}\n{OFFERED}"}
    info = ImageInfo(id="sha256:1", name=name, size_bytes=0, layers=layers, labels=labels)
    engine = FakeEngine(lambda *_: 1, images=[name])
    toolcheck.check(plan, engine, {name: info}, definitions.root / "memory", "owner")


def refusal(definitions, **more):
    with pytest.raises(PlanError) as caught:
        check(definitions, **more)
    return caught.value


def with_extensions(definitions, **first_lines):
    for name, line in first_lines.items():
        definitions.extension(f"{name}.configure", text=f"{line}\n")
    definitions.system("s", f"configuration-extensions: {list(first_lines)}")
    definitions.cluster("d: {type: tar, location: d.tar}")


def test_what_all_images_have_is_not_complained_of(definitions):
    with_extensions(definitions, a="#!/bin/sh", b="#!/usr/bin/env python3", c="\x7fELF")
    check(definitions)


def test_every_extension_with_a_missing_program_is_told_with_the_image_that_has_it(definitions):
    with_extensions(
        definitions, a="#!/usr/bin/env python2", b="#!/usr/bin/python -u", c="#!/bin/sh"
    )
    error = refusal(definitions)
    assert error.exit_code == 2
    assert error.brief == "2 extensions need programs that are not there"
    rest = "not in containerdeploy-helper:latest; the image legacy has it"
    assert error.details.splitlines() == [
        f"extensions/a.configure needs python2: {rest}",
        f"extensions/b.configure needs /usr/bin/python: {rest}",
    ]
    assert error.hint.startswith("use --image legacy")


def test_tools_that_a_sidecar_declares_are_looked_for(definitions):
    with_extensions(definitions, a="#!/bin/sh")
    definitions.write("extensions/a.configure.yaml", "tools: [mkimage, frobnicate, mkfs.ext4]")
    error = refusal(definitions)
    assert error.details == (
        "extensions/a.configure needs mkimage, frobnicate: not in "
        "containerdeploy-helper:latest; the image legacy has mkimage"
    )
    assert "u-boot-tools" in error.hint


def test_write_extensions_and_those_of_subsystems_count_too(definitions):
    with_extensions(definitions)
    definitions.system("sub", "configuration-extensions: [a]")
    definitions.extension("a.configure", text="#!/usr/bin/python2\n")
    definitions.extension("tar.write", text="#!/usr/bin/perl\n")
    definitions.cluster(
        "d: {type: tar, location: d.tar}",
        "subsystems:\n- morph: systems/sub.yaml\n  deploy: {e: {type: tar, location: e.tar}}\n",
    )
    told = refusal(definitions).details
    assert "extensions/a.configure needs /usr/bin/python2" in told
    assert "extensions/tar.write needs /usr/bin/perl" in told


def test_the_label_of_an_image_below_is_not_believed(definitions):
    with_extensions(definitions, a="#!/usr/bin/python2")
    check(definitions, layers=("l", "and one more"))  # it can't be asked here: nothing is known


@pytest.mark.parametrize(
    ("line", "needs"),
    [
        ("#!/bin/sh -e", ("/bin/sh",)),
        ("#! /usr/bin/env  python2", ("/usr/bin/env", "python2")),
        ("#!/usr/bin/env python2 -u", ("/usr/bin/env", "python2 -u")),
        ("#!/usr/bin/env -S LANG=C python2 -u", ("/usr/bin/env", "python2")),
        ("#!/usr/bin/env", ("/usr/bin/env",)),
        ("\x7fELF", ()),
    ],
)
def test_an_extensions_first_line_names_what_it_runs_with(definitions, line, needs):
    with_extensions(definitions, a=line)
    assert definitions.one().configure[0].extension.runs_with == needs


@pytest.mark.parametrize("name", ["containerdeploy-legacy", "host:5000/x/containerdeploy-legacy:1"])
def test_an_own_image_is_known_by_its_name_wherever_it_comes_from(name):
    assert images.own(name) == "legacy"
    assert "IMAGE=legacy" in images.how_to_get(name)
