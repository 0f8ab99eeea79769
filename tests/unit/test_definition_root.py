"""Where definitions begin, and which version they are."""

import subprocess

import pytest

from containerdeploy.definition import describe_version, find_root
from containerdeploy.definition.root import format_warning
from containerdeploy.errors import UsageError


def cluster_in(folder):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "c.yaml"
    path.touch()
    return path


@pytest.mark.parametrize("mark", [".git", "VERSION", "DEFAULTS"])
def test_the_nearest_parent_with_a_mark_is_the_root(tmp_path, mark):
    (tmp_path / mark).touch()
    assert find_root(cluster_in(tmp_path / "a/clusters"), None) == tmp_path


def test_without_a_mark_the_parent_of_clusters_is_the_root(tmp_path):
    assert find_root(cluster_in(tmp_path / "a/clusters"), None) == tmp_path / "a"


def test_else_the_directory_of_the_cluster_is_the_root(tmp_path):
    assert find_root(cluster_in(tmp_path / "a"), None) == tmp_path / "a"


def test_a_given_root_wins(tmp_path):
    (tmp_path / "VERSION").touch()
    (tmp_path / "b").mkdir()
    assert find_root(cluster_in(tmp_path / "a"), tmp_path / "b") == tmp_path / "b"


def test_a_given_root_has_to_be_there(tmp_path):
    with pytest.raises(UsageError):
        find_root(cluster_in(tmp_path), tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "warns"),
    [
        ("version: 7", False),
        ("version: 8  # the last", False),
        ("version: 99", True),
        ("version: 8.5", True),
        ("version: abc", True),
    ],
)
def test_an_unknown_format_is_a_warning(tmp_path, text, warns):
    (tmp_path / "VERSION").write_text(text)
    assert bool(format_warning(tmp_path)) == warns


def test_some_projects_version_is_no_format(tmp_path):
    (tmp_path / "VERSION").write_text("12.1\n")
    assert format_warning(tmp_path) is None


def git(folder, *words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


def test_the_version_is_what_git_describes(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "f").write_text("1")
    git(tmp_path, "add", "f")
    git(tmp_path, "commit", "-m", "x")
    git(tmp_path, "tag", "-a", "v1", "-m", "v1")
    assert describe_version(tmp_path) == "v1"
    (tmp_path / "f").write_text("22")
    assert describe_version(tmp_path) == "v1-dirty"


def test_what_is_no_checkout_has_no_version(tmp_path):
    assert describe_version(tmp_path) == ""
    git(tmp_path, "init")
    assert describe_version(tmp_path) == ""
