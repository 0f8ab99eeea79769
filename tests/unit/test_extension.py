"""Where extensions are found, how they are run, and what is said of those that can't be."""

import os

import pytest
from definitions_world import Definitions

from containerdeploy.extension import Extension, Fault, Finder


@pytest.fixture
def definitions(tmp_path):
    return Definitions(tmp_path)


@pytest.fixture
def finder(definitions):
    builtin = definitions.root / "builtin"
    definitions.write("builtin/fstab.configure", "#!/bin/sh\n").chmod(0o755)
    definitions.write("builtin/sysroot.write", "#!/bin/sh\n").chmod(0o755)
    return Finder(definitions.root, builtin)


@pytest.mark.parametrize(
    "name", ["tar", "tar.write", "extensions/tar", "extensions/tar.write", "./extensions/tar"]
)
def test_an_extension_goes_by_its_path_or_its_name(finder, name):
    found = finder.find(name, "write")
    assert isinstance(found, Extension)
    assert (found.name, found.kind, found.relative) == ("tar", "write", "extensions/tar.write")


def test_a_path_from_the_root_comes_before_the_folder(definitions, finder):
    definitions.write("tar.write", "#!/bin/sh\n")
    assert finder.find("tar", "write").relative == "tar.write"


@pytest.mark.parametrize("name", ["fstab", "extensions/fstab", "fstab.configure"])
def test_a_built_in_one_comes_last(finder, name):
    assert finder.find(name, "configure").relative is None


def test_the_definitions_own_one_hides_the_built_in_one(definitions, finder):
    definitions.extension("fstab.configure")
    assert finder.find("fstab", "configure").relative == "extensions/fstab.configure"


def test_without_run_bit_the_interpreter_is_that_of_the_first_line(definitions, finder):
    definitions.extension("x.configure", text="#! /usr/bin/env  python2 -u\n").chmod(0o644)
    assert finder.find("x", "configure").interpreter == ("/usr/bin/env", "python2 -u")


def test_with_run_bit_it_is_run_itself(definitions, finder):
    definitions.extension("x.configure")
    assert finder.find("x", "configure").interpreter == ()


@pytest.mark.parametrize("text", ["echo\n", "", "#!\n", "#! \necho\n"])
@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_a_script_without_a_first_line_is_a_fault_whatever_its_mode(
    definitions, finder, text, mode
):
    definitions.extension("x.configure", text=text).chmod(mode)
    fault = finder.find("x", "configure")
    assert isinstance(fault, Fault)
    assert "has no '#!' line" in fault.message
    assert "#!/bin/sh" in fault.hint


def test_a_binary_needs_a_run_bit_and_no_first_line(definitions, finder):
    binary = definitions.extension("x.configure", text="\x7fELF")
    assert finder.find("x", "configure").interpreter == ()
    binary.with_name("y.configure").write_bytes(b"\x7fELF")
    fault = finder.find("y", "configure")
    assert "has no run bit" in fault.message
    assert "chmod +x" in fault.hint


def test_a_carriage_return_after_the_interpreter_is_told(definitions, finder):
    (definitions.root / "extensions/x.configure").write_bytes(b"#!/bin/sh\r\n")
    assert "carriage return" in finder.find("x", "configure").message


def test_a_missing_extension_names_a_near_one_and_where_it_was_looked_for(finder):
    fault = finder.find("fstabb", "configure")
    assert fault.message == "there is no configure extension 'fstabb'"
    assert fault.hint.startswith("did you mean 'fstab'?")
    assert "extensions/fstabb.configure" in fault.hint


@pytest.mark.parametrize("name", ["../x", "extensions/../../x"])
def test_a_name_that_leaves_the_definitions_is_refused(definitions, name, tmp_path):
    inner = definitions.root / "inner"
    (inner / "extensions").mkdir(parents=True)
    definitions.write("x.configure", "#!/bin/sh\n")
    fault = Finder(inner, tmp_path / "none").find(name, "configure")
    assert "leads out of the definitions" in fault.message


def test_an_absolute_name_is_refused(finder):
    assert "can't be an extension's name" in finder.find("/bin/sh", "configure").message


def test_a_link_out_of_the_definitions_is_refused(definitions, finder):
    (definitions.root / "extensions/x.configure").symlink_to("/bin/sh")
    assert "leads out of the definitions" in finder.find("x", "configure").message


def test_a_link_within_the_definitions_is_fine(definitions, finder):
    (definitions.root / "extensions/x.write").symlink_to("tar.write")
    assert isinstance(finder.find("x", "write"), Extension)


def test_a_loop_of_links_is_refused(definitions, finder):
    (definitions.root / "extensions/x.write").symlink_to("x.write")
    assert isinstance(finder.find("x", "write"), Fault)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_no_extension(definitions, finder, make):
    make(definitions.root / "extensions/x.configure")
    assert isinstance(finder.find("x", "configure"), Fault)


def test_the_digest_is_that_of_the_bytes(definitions, finder):
    assert finder.find("tar", "write").sha256.startswith("a8076d3d")


def test_a_check_lies_beside_its_write_extension(definitions, finder):
    definitions.extension("tar.check")
    assert finder.check_beside(finder.find("tar", "write")).name == "tar"


def test_a_check_elsewhere_is_not_taken(definitions, finder):
    definitions.extension("sysroot.check")
    assert finder.check_beside(finder.find("sysroot", "write")) is None


def test_all_extensions_are_listed_once(definitions, finder):
    definitions.extension("deep/x.configure")
    assert [(one.name, one.kind, one.is_builtin) for one in finder.every()] == [
        ("extensions/tar", "write", False),
        ("extensions/deep/x", "configure", False),
        ("fstab", "configure", True),
        ("sysroot", "write", True),
    ]
