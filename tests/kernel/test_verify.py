"""A base is compared with what was recorded of it: whatever is damaged is told and dropped."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from agent_bench import Bench

from containerdeploy import wire

pytestmark = pytest.mark.kernel


def verified(bench: Bench) -> wire.BaseVerified:
    """Verify the store, which holds one base."""
    story = bench.run(bench.job(kind="verify"))
    assert story.finished.outcome == "ok", (story.finished, story.stderr)
    (found,) = [event for event in story.events if isinstance(event, wire.BaseVerified)]
    return found


def unpacked(bench: Bench, source: wire.Source) -> Path:
    """Deploy the source; return its base."""
    story = bench.run(bench.job(bench.deployment(source)))
    assert story.finished.outcome == "ok", (story.finished, story.stderr)
    assert story.finished.left == ()
    assert list((bench.store / "locks").iterdir()) == []
    return bench.store / "bases" / source.sha256


def told(found: wire.BaseVerified) -> dict[str, str]:
    assert found.state == "damaged"
    assert found.damaged == len(found.damage)
    return {one.path.strip("'"): one.what for one in found.damage}


def rewrite(path: Path, text: str) -> None:
    """Change a file's content and nothing else that can be seen."""
    before = path.stat()
    assert len(text) == before.st_size
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_damage_is_told_by_path_and_the_next_deploy_unpacks_again(
    bench: Bench, small: wire.Source
) -> None:
    base = unpacked(bench, small)
    assert (verified(bench).state, verified(bench).state) == ("recorded", "sound")
    tree = base / "tree"
    times = {path: path.stat() for path in (tree, tree / "etc", tree / "usr/bin")}
    rewrite(tree / "etc/motd", (tree / "etc/motd").read_text().upper())
    (tree / "usr/bin/tool").chmod(0o4755)
    os.chown(tree / "etc/hostname", 7, 7)
    (tree / "link").unlink()
    (tree / "added\n").touch()
    os.setxattr(tree / "usr", "user.x", b"y")
    for path, before in times.items():
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = told(verified(bench))
    assert found.pop("etc/hostname").startswith("owner 7:7, was ")
    assert found.pop("usr/bin/tool").startswith("mode 4755, was ")
    assert found == {
        "added\\n": "added",
        "etc/motd": "its content is not what it was",
        "link": "missing",
        "usr": "its content is not what it was",
    }
    assert not base.exists()
    assert list((bench.store / "tmp").iterdir()) == []
    unpacked(bench, small)
    assert verified(bench).state == "recorded"


def test_what_was_changed_before_it_was_ever_digested_is_told_by_its_time(
    bench: Bench, small: wire.Source
) -> None:
    base = unpacked(bench, small)
    rewrite(base / "tree/etc/motd", (base / "tree/etc/motd").read_text().upper())
    words = "touched before its content was ever recorded"
    assert told(verified(bench)) == {"etc/motd": words}


def cut(name: str) -> Callable[[Path], None]:
    """Take the end off a file, as a disk that was not written out would."""

    def damage(base: Path) -> None:
        path = base / name
        path.write_bytes(path.read_bytes()[:-3])

    return damage


def as_after_a_power_cut(base: Path) -> None:
    """Another boot finds a base that nobody had waited for to be written out."""
    info = json.loads((base / "info.json").read_text())
    info |= {"boot_id": "another", "synced": False}
    (base / "info.json").write_text(json.dumps(info))


DAMAGES = {
    "its info.json is damaged": cut("info.json"),
    "its manifest is damaged": cut("manifest"),
    "its contents is damaged": cut("contents"),
    "it has no manifest": lambda base: (base / "manifest").unlink(),
    "it has no info.json": lambda base: (base / "info.json").unlink(),
    "it was not known to be on the disk when the machine stopped": as_after_a_power_cut,
}


@pytest.mark.parametrize("words", DAMAGES)
def test_a_base_whose_records_are_damaged_is_dropped(
    bench: Bench, small: wire.Source, words: str
) -> None:
    base = unpacked(bench, small)
    assert verified(bench).state == "recorded"
    DAMAGES[words](base)
    assert told(verified(bench)) == {"": words}
    assert not base.exists()


def test_a_damaged_base_stays_while_a_run_uses_it(bench: Bench, small: wire.Source) -> None:
    base = unpacked(bench, small)
    with bench.paused(source=small):
        (base / "tree/etc/motd").unlink()
        found = verified(bench)
        assert found.in_use
        assert base.exists()
    assert "etc/motd" in told(verified(bench))
    assert not base.exists()


def test_any_tree_is_verified_and_holes_cost_nothing(bench: Bench, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "/".join(["deep"] * 300)).mkdir(parents=True)
    for name in (b"a-b", b"a!b", b"new\nline", b"caf\xe9"):
        (tree / os.fsdecode(name)).touch()
    (tree / "a").mkdir()
    (tree / "a" / "hard").hardlink_to(tree / "a-b")
    os.mkfifo(tree / "fifo")
    with (tree / "holes").open("wb") as file:
        file.truncate(1 << 42)
        file.seek(5_000_000_000)
        file.write(b"here")
    base = unpacked(bench, bench.tree(tree))
    assert (verified(bench).state, verified(bench).state) == ("recorded", "sound")
    times = (base / "tree/holes").stat()
    with (base / "tree/holes").open("r+b") as file:
        file.seek(4_000_000_000_000)
        file.write(b"there")
    os.utime(base / "tree/holes", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert told(verified(bench)) == {"holes": "its content is not what it was"}
