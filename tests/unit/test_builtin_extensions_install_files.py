"""The built-in extension install-files, run for real."""

import os
from pathlib import Path

import pytest
from extension_world import EXTENSIONS, World, snapshot


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes owners, as root only")


@needs_root
def test_a_manifest_installs_files_directories_and_links(world: World) -> None:
    world.write("m/manifest", "0040750 1 2 /opt\n0104755 3 4 /opt/run\n0120000 5 6 /opt/link\n")
    world.write("m/opt/run", "content")
    (world.definitions / "m/opt/link").symlink_to("/some/where")
    world.configure("install-files", INSTALL_FILES="m/manifest")
    found = snapshot(world.tree)
    assert found["opt"] == (0o040750, 1, 2, b"")
    assert found["opt/run"] == (0o104755, 3, 4, b"content")
    assert found["opt/link"][1:] == (5, 6, b"/some/where")


@needs_root
def test_manifests_are_taken_by_parameter_and_split_as_a_shell_does(world: World) -> None:
    world.write("f", "")
    world.write("a b/it's", "0100644 0 0 /d/one\n")
    world.write("a b/d/one", "1")
    world.write("dirs", "0040755 0 0 /d\n")
    world.write("x", "0100644 0 0 /d/x\n")
    world.write("d/x", "x")
    values = {"INSTALL_FILES_B": "'a b/it'\"'\"s  x", "INSTALL_FILES": "dirs"}
    world.configure("install-files", **values)
    assert (world.read("/d/one"), world.read("/d/x")) == ("1", "x")


@needs_root
def test_overwrite_replaces_files_links_and_a_directory_s_mode(world: World) -> None:
    lines = ("0100600 1 1 /etc/f", "0100644 0 0 /etc/l", "0120000 0 0 /etc/t", "0040711 1 1 /etc")
    world.write("manifest", "".join(f"overwrite {line}\n" for line in lines))
    for name in ("f", "l"):
        world.write(f"etc/{name}", "new")
    (world.definitions / "etc/t").symlink_to("target")
    (world.tree / "etc/f").write_text("old")
    (world.tree / "etc/l").symlink_to("f")
    (world.tree / "etc/t").write_text("old")
    world.configure("install-files", INSTALL_FILES="manifest")
    found = snapshot(world.tree)
    assert found["etc/f"] == (0o100600, 1, 1, b"new")
    assert found["etc/l"] == (0o100644, 0, 0, b"new")
    assert found["etc/t"][3] == b"target"
    assert found["etc"] == (0o040711, 1, 1, b"")


@needs_root
def test_an_existing_directory_that_is_the_same_is_no_error(world: World) -> None:
    (world.tree / "usr/lib").mkdir(parents=True)
    (world.tree / "lib").symlink_to("usr/lib")
    world.write("manifest", "0040755 0 0 /lib\n0040755 0 0 /lib/a\n0100644 0 0 /usr/lib/a/b\n")
    world.write("usr/lib/a/b", "content")
    world.configure("install-files", INSTALL_FILES="manifest")
    assert world.read("/usr/lib/a/b") == "content"


@needs_root
def test_a_link_that_an_earlier_line_makes_can_be_a_parent(world: World) -> None:
    (world.tree / "srv/data").mkdir(parents=True)
    world.write("manifest", "0120000 0 0 /var\n0100644 0 0 /var/data/f\n")
    (world.definitions / "var").symlink_to("srv")
    world.write("other/manifest", "0100644 0 0 /var/data/g\n")
    world.write("other/var/data/g", "g")
    world.write("srv/data/f", "f")
    world.configure("install-files", INSTALL_FILES="manifest other/manifest")
    assert (world.read("/srv/data/f"), world.read("/srv/data/g")) == ("f", "g")


@needs_root
def test_installed_files_do_not_leave_the_tree(world: World) -> None:
    (world.tree / "opt").symlink_to(world.outside)
    (world.tree / str(world.outside).lstrip("/")).mkdir(parents=True)
    world.write("manifest", "0100644 0 0 /opt/f\n0040777 0 0 /opt/d\n0120000 0 0 /opt/l\n")
    world.write("opt/f", "f")
    (world.definitions / "opt/l").symlink_to("/")
    world.configure("install-files", INSTALL_FILES="manifest")
    assert list(world.outside.iterdir()) == []
    assert world.read(f"{world.outside}/f") == "f"


@needs_root
def test_a_template_is_filled_in_with_the_parameters(world: World) -> None:
    pytest.importorskip("jinja2")
    world.write("m/manifest", "template 0100640 0 0 /etc/conf\ntemplate 0100644 0 0 /etc/plain\n")
    world.write("m/etc/conf", "a={{ A }}{% if not MISSING %}!{% endif %}\n{% include 'part' %}\n\n")
    world.write("m/part", "{{ B }}")
    world.write("m/etc/plain", "\udcff {{ A }}")
    world.configure("install-files", INSTALL_FILES="m/manifest", A="<$'\">", B="b\nc")
    assert world.read("/etc/conf") == "a=<$'\">!\nb\nc\n\n"
    assert world.mode("/etc/conf") == 0o640
    assert world.read("/etc/plain") == "\udcff <$'\">"


def test_a_template_that_can_not_be_filled_in_is_refused(world: World) -> None:
    pytest.importorskip("jinja2")
    world.write("manifest", "template 0100644 0 0 /etc/conf\n")
    world.write("etc/conf", "{% if %}")
    line = world.refusal("install-files", INSTALL_FILES="manifest")
    assert "manifest:1: 'etc/conf' as a template" in line


@needs_root
def test_without_jinja2_only_templates_fail_and_name_the_package(world: World) -> None:
    world.write("without/jinja2.py", "raise ModuleNotFoundError('no jinja2')\n")
    path = f"{EXTENSIONS}:{world.definitions}/without"
    world.write("plain", "0100644 0 0 /etc/a\n")
    world.write("etc/a", "a")
    world.write("manifest", "0100644 0 0 /etc/b\ntemplate 0100644 0 0 /etc/a\n")
    world.write("etc/b", "b")
    line = world.refusal("install-files", INSTALL_FILES="manifest", PYTHONPATH=path)
    assert line.startswith("ERROR: manifest:2: a template needs Jinja2")
    assert "add the package python3-jinja2" in line
    world.configure("install-files", INSTALL_FILES="plain", PYTHONPATH=path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "'' is no entry: expected"),
        ("# a comment", "'# a comment' is no entry"),
        ("0100644 0 0", "is no entry"),
        ("0100644 0 0 /etc/a b", "is no entry"),
        ("0100648 0 0 /etc/a", "is no entry"),
        ("0100644 root root /etc/a", "is no entry"),
        ("overwrite template 0100644 0 0 /etc/a", "is no entry"),
        ("0644 0 0 /etc/a", "has no mode of a file, directory or link"),
        ("0060644 0 0 /etc/a", "has no mode of a file, directory or link"),
        ("template 0040755 0 0 /etc/a", "only a file can be a template"),
        ("0100644 9999999999 0 /etc/a", "an owner's number"),
        ("0100644 0 0 /../etc/a", "must not hold '..'"),
        ("0100644 0 0 /etc/missing", "cannot read './etc/missing'"),
        ("0120000 0 0 /etc/a", "'./etc/a' is not a link"),
        ("0100644 0 0 /none/a", "/none/a: its parent directory is missing"),
        ("0100644 0 0 /etc/old/a", "/etc/old/a: its parent directory is missing"),
        ("0100644 0 0 /etc/old", "/etc/old exists; 'overwrite' would replace it"),
        ("0100644 0 0 /etc/dangling", "/etc/dangling exists"),
        ("0040755 0 0 /etc/old", "/etc/old exists and is not a directory"),
        ("0040700 0 0 /etc", "/etc exists with mode 0040755 and owner"),
        ("overwrite 0100644 0 0 /etc/dir", "/etc/dir is a directory in the tree"),
        ("0100644 0 0 /etc/good", "/etc/good is listed twice"),
    ],
)
def test_a_line_that_can_not_be_used_is_refused(world: World, line: str, reason: str) -> None:
    (world.tree / "etc/old").write_text("old")
    (world.tree / "etc/dangling").symlink_to("nowhere")
    (world.tree / "etc/dir").mkdir()
    for path in ("etc/good", "etc/a", "etc/old", "etc/dangling", "etc/dir", "none/a", "old/a"):
        world.write(path, "content")
    (world.definitions / "etc/old").unlink()
    world.write("etc/old", "content") if not line.endswith("/old/a") else world.write(
        "etc/old/a", ""
    )
    world.write("manifest", f"0100644 0 0 /etc/good\n{line}\n")
    said = world.refusal("install-files", INSTALL_FILES="./manifest")
    assert said.startswith("ERROR: ./manifest:2: ")
    assert reason in said


@pytest.mark.parametrize(
    ("value", "reason"),
    [("missing", "cannot read 'missing'"), ("'a", "can't be split"), (".", "not a regular file")],
)
def test_a_manifest_that_can_not_be_read_is_refused(world: World, value: str, reason: str) -> None:
    assert reason in world.refusal("install-files", INSTALL_FILES_X=value)
