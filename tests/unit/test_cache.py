"""What a step's layer depends on: recipes, ids, views of the definitions, differences in words."""

import os
from pathlib import Path

import pytest

from containerdeploy import cache

OLD = {
    "extension": "aa",
    "image": "sha256:1",
    "parameter HOSTNAME": "web-1",
    "secret DB_PASSWORD": "k1",
    "file network/eth0.conf": "0644 bb",
    "metadata": "cc",
}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("parameter HOSTNAME", "web-2", "HOSTNAME: web-1 → web-2"),
        ("parameter HOSTNAME", None, "HOSTNAME: web-1 → not set"),
        ("parameter PORT", "80\n", "PORT: not set → '80\\n'"),
        ("extension", "ab", "extensions/x.configure changed"),
        ("image", "sha256:2", "helper image changed"),
        ("secret DB_PASSWORD", "k2", "DB_PASSWORD changed"),
        ("file network/eth0.conf", "0755 bb", "network/eth0.conf changed"),
        ("file network/eth1.conf", "0644 dd", "network/eth1.conf added"),
        ("file network/eth0.conf", None, "network/eth0.conf removed"),
        ("metadata", "dd", "deployment.meta changed"),
        ("limit memory", "1024", "limit memory: not set → 1024"),
    ],
)
def test_the_input_that_differs_is_told(name: str, value: str | None, words: str) -> None:
    new = {key: text for key, text in {**OLD, name: value}.items() if text is not None}
    assert cache.difference(OLD, new, "extensions/x.configure") == words
    assert cache.recipe(OLD) != cache.recipe(new)


def test_equal_inputs_have_one_recipe_and_no_difference() -> None:
    other = dict(reversed(OLD.items()))
    assert cache.recipe(OLD) == cache.recipe(other)
    assert cache.difference(OLD, other, "x") == ""


def test_what_the_user_changed_is_told_before_what_follows_from_it() -> None:
    new = {**OLD, "metadata": "dd", "image": "sha256:2", "parameter HOSTNAME": "web-2"}
    assert cache.difference(OLD, new, "x") == "HOSTNAME: web-1 → web-2"


def test_every_part_of_a_chain_makes_another_id() -> None:
    first = cache.beginning(["aa", "bb"], epoch=5, mode="strict", ids=65536)
    ids = [
        first,
        cache.beginning(["bb", "aa"], epoch=5, mode="strict", ids=65536),
        cache.beginning(["aa", "bb"], epoch=6, mode="strict", ids=65536),
        cache.beginning(["aa", "bb"], epoch=5, mode="compat", ids=65536),
        cache.beginning(["aa", "bb"], epoch=5, mode="strict", ids=1),
        cache.after(first, "r", ""),
        cache.after(first, "r", "t"),
        cache.after(first, "s", ""),
        cache.made(first, "r"),
    ]
    assert len({*ids}) == len(ids)


def look(root: Path, *shown: str, hidden: tuple[str, ...] = ()) -> list[str]:
    return [entry.path for entry in cache.visible(str(root), shown, hidden)]


def test_a_view_holds_what_is_shown_and_nothing_that_is_hidden(tmp_path: Path) -> None:
    for name in ("a/b/one", "a/two", ".git/HEAD", "three"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("/etc")
    assert look(tmp_path, "", hidden=(".git", "a/b")) == ["", "a", "a/two", "link", "three"]
    assert look(tmp_path, "a/b", "three", "nowhere", "three/below") == ["a/b", "a/b/one", "three"]


def test_a_change_that_hides_its_traces_leaves_another_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    before = path.stat()
    entries = cache.visible(str(tmp_path), [""])
    assert cache.fingerprint(entries) == cache.fingerprint(cache.visible(str(tmp_path), [""]))
    path.write_text("new")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert cache.fingerprint(entries) != cache.fingerprint(cache.visible(str(tmp_path), [""]))


def test_only_times_that_a_layer_can_hold_count(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("text")
    os.utime(path, (2000, 2000))
    entries = cache.visible(str(tmp_path), ["file"])
    assert cache.times(entries, 1000) == ""
    early = cache.times(entries, 3000)
    os.utime(path, (2001, 2001))
    assert early not in ("", cache.times(cache.visible(str(tmp_path), ["file"]), 3000))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"id": 1}', '{"inputs": {}, "x": 1}', "\0"])
def test_a_damaged_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "info.json").write_text(text)
    assert cache.read_layer(str(tmp_path)) == "its info.json is damaged"
    assert cache.read_place(str(tmp_path / "info.json")) is None
    assert cache.read_layer(str(tmp_path / "nowhere")) == "it has no info.json"
