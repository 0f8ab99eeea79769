"""The built-in extension add-config-files, run for real."""

import os
from pathlib import Path

import pytest
from extension_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_directory_is_copied_into_etc(world: World) -> None:
    world.write("config/a b/deep/$x\n'\udcff", "text", mode=0o775)
    world.write("config/.hidden", "hidden", mode=0o600)
    (world.definitions / "config/link").symlink_to("/nowhere")
    (world.definitions / "config/empty").mkdir()
    world.configure("add-config-files", SRC_CONFIG_DIR="config")
    assert world.read("/etc/a b/deep/$x\n'\udcff") == "text"
    assert world.mode("/etc/a b/deep/$x\n'\udcff") == 0o755
    assert world.mode("/etc/.hidden") == 0o600
    assert os.readlink(world.tree / "etc/link") == "/nowhere"
    assert (world.tree / "etc/empty").is_dir()


def test_existing_configuration_is_replaced_and_keeps_its_mode(world: World) -> None:
    world.write("config/d/f", "new")
    (world.tree / "etc/d").mkdir(mode=0o700)
    (world.tree / "etc/d/f").write_text("old")
    (world.tree / "etc/d/f").chmod(0o600)
    (world.tree / "etc/d/other").write_text("stays")
    world.configure("add-config-files", SRC_CONFIG_DIR="config/")
    assert (world.read("/etc/d/f"), world.mode("/etc/d/f")) == ("new", 0o600)
    assert world.mode("/etc/d") == 0o700
    assert world.read("/etc/d/other") == "stays"


def test_config_files_do_not_leave_the_tree(world: World) -> None:
    world.write("config/d/f", "new")
    (world.tree / "etc/d").symlink_to(world.outside)
    world.run("add-config-files", SRC_CONFIG_DIR="config")
    assert list(world.outside.iterdir()) == []


def test_config_files_that_can_not_be_copied_are_refused(world: World) -> None:
    world.write("file", "")
    world.write("first/a", "")
    world.write("first/b/c", "")
    (world.tree / "etc/b").write_text("a file")
    world.write("second/a", "")
    os.mkfifo(world.definitions / "second/z")
    world.write("third/a", "")
    world.write("third/d", "")
    (world.tree / "etc/d").mkdir()
    for directory, reason in (
        ("missing", "cannot read SRC_CONFIG_DIR 'missing': No such file or directory"),
        ("file", "Not a directory"),
        ("first", "/etc/b in the tree is not a directory"),
        ("second", "'second/z' is neither a file, a directory nor a link"),
        ("third", "/etc/d in the tree is a directory"),
    ):
        assert reason in world.refusal("add-config-files", SRC_CONFIG_DIR=directory)
