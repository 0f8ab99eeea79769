"""Several archives become one tree: held to GNU tar unpacking one onto the other."""

import io
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from agent_bench import Bench, Story
from deploy_world import as_owner
from tree_census import Census, census

from containerdeploy import wire
from containerdeploy.plan import partial

pytestmark = pytest.mark.kernel

EPOCH = 1_000_000_000
Entry = tuple[str, dict[str, object], bytes]
PACK = '#!/bin/sh -eu\ntar --directory="$1" --numeric-owner --create --file="$2" .\n'


def directory(name: str, **fields: object) -> Entry:
    return name, {"type": tarfile.DIRTYPE, "mode": 0o755, **fields}, b""


def file(name: str, content: str = "", **fields: object) -> Entry:
    return name, {"mode": 0o644, **fields}, content.encode()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Entry:
    return name, {"type": kind, "linkname": target}, b""


def archive(*entries: Entry) -> bytes:
    """Make an archive whose members are those given, and no directory that isn't."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for number, (name, fields, content) in enumerate(entries):
            info = tarfile.TarInfo(name)
            info.mtime, info.size = EPOCH + number, len(content)
            for field, value in fields.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(content))
    return made.getvalue()


def stacked(bench: Bench, *archives: bytes) -> tuple[Story, bytes]:
    """Deploy archives as components; return what was told, and the tree as a write step saw it."""
    sources = [bench.source(data) for data in archives]
    components = tuple(
        wire.Component(name=f"part-{number}", source=source)
        for number, source in enumerate(sources)
    )
    deployment = bench.deployment(
        sources[0],
        components=components,
        write=bench.write(PACK),
        output=wire.Output(slot="0", name="artifact", kind="file"),
    )
    story = bench.run(bench.job(deployment))
    assert story.finished.outcome == "ok", story.finished
    return story, (bench.output / "0/artifact").read_bytes()


def unpacked(place: Path, archives: Sequence[bytes]) -> Census:
    place.mkdir()
    argv = ["tar", "--extract", "--numeric-owner", "--preserve-permissions", "--same-owner"]
    for data in archives:
        subprocess.run([*argv, f"--directory={place}"], input=data, check=True)
    return census(place)


CASES: dict[str, tuple[bytes, bytes]] = {
    "a file of the later": (archive(file("a", "old")), archive(file("a", "new", mode=0o4755))),
    "a link over a file": (archive(file("a", "old")), archive(link("a", "elsewhere"))),
    "a file over a link": (archive(link("a", "b"), file("b", "b")), archive(file("a", "new"))),
    "a directory over a link": (
        archive(directory("real"), link("a", "real")),
        archive(directory("a"), file("a/f", "new")),
    ),
    "a directory's attributes": (
        archive(directory("tmp", mode=0o1777, uid=5), file("tmp/x", "x")),
        archive(directory("tmp", mode=0o2750, gid=33), file("tmp/y", "y")),
    ),
    "a directory that is only implied": (
        archive(directory("a", mode=0o700, uid=7), directory("a/tmp", mode=0o1777), file("a/x")),
        archive(file("a/tmp/y", "y")),
    ),
    "a root that is only implied": (
        archive(directory(".", mode=0o711, uid=3), file("x")),
        archive(file("y")),
    ),
    "a hard link of which one name is replaced": (
        archive(file("a", "old"), link("b", "a", tarfile.LNKTYPE)),
        archive(file("a", "new")),
    ),
    "a hard link of the later": (
        archive(file("a", "old"), file("b", "old too")),
        archive(file("a", "new"), link("b", "a", tarfile.LNKTYPE)),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_stack_is_what_unpacking_in_order_makes(bench: Bench, tmp_path: Path, case: str) -> None:
    _, made = stacked(bench, *CASES[case])
    ours, theirs = unpacked(tmp_path / "ours", [made]), unpacked(tmp_path / "tar", CASES[case])
    del ours[b"baserock"], ours[b"baserock/deployment.meta"]
    for one in (*ours.values(), *theirs.values()):
        del one["mtime"]  # GNU tar leaves its own on a directory that it adds to
    assert ours == theirs
    assert as_owner(tmp_path / "ours") == as_owner(tmp_path / "tar")


def test_an_implied_directory_keeps_the_time_that_an_archive_gave(bench: Bench) -> None:
    first = archive(directory("."), directory("a"), file("a/x"))
    _, made = stacked(bench, first, archive(file("a/y", mtime=EPOCH + 99)))
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        assert tar.getmember("./a").mtime == EPOCH + 1
        assert tar.getmember("./a/y").mtime == EPOCH + 99


def test_an_implied_directory_tells_nobody_when_it_was_unpacked(bench: Bench) -> None:
    source = bench.source(archive(file("a/b/c")))
    story = bench.run(bench.job(bench.deployment(source)))
    assert story.finished.outcome == "ok"
    tree = bench.store / "bases" / source.sha256 / "tree"
    assert {path.stat().st_mtime for path in (tree, tree / "a", tree / "a/b")} == {EPOCH}


def test_three_sheets_are_looked_through(bench: Bench) -> None:
    first = archive(directory("a", mode=0o700), file("a/x"))
    _, made = stacked(bench, first, archive(file("a/y")), archive(file("a/z")))
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        assert tar.getmember("./a").mode == 0o700
        assert {"./a/x", "./a/y", "./a/z"} <= set(tar.getnames())


def test_what_a_link_hides_is_not_looked_at(bench: Bench) -> None:
    """`a` of the first is covered by the link of the second, so its mode means nothing."""
    first, second = archive(directory("a", mode=0o700)), archive(link("a", "/etc"))
    _, made = stacked(bench, first, second, archive(file("a/z")))
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        assert tar.getmember("./a").mode == 0o755
        assert "./a/z" in tar.getnames()


def test_each_component_is_unpacked_once(bench: Bench) -> None:
    archives = archive(file("x")), archive(file("y"))
    first, _ = stacked(bench, *archives)
    again, _ = stacked(bench, *archives)
    assert [story.ending("one:base").cached for story in (first, again)] == [False, True]
    assert len(list((bench.store / "bases").iterdir())) == 2


def test_a_bad_component_is_named(bench: Bench) -> None:
    good, bad = bench.source(archive(file("x"))), bench.source(b"no archive" * 100)
    components = (wire.Component(name="ok", source=good), wire.Component(name="ill", source=bad))
    story = bench.run(bench.job(bench.deployment(good, components=components)))
    assert story.finished.outcome == "failed"
    assert "the component 'ill': the source can't be unpacked" in story.finished.error


def test_as_many_components_as_a_plan_allows_can_be_mounted(bench: Bench) -> None:
    archives = [archive(file(f"f{number}")) for number in range(partial.MOST)]
    _, made = stacked(bench, *archives)
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        assert sum(one.isfile() for one in tar.getmembers()) == partial.MOST + 1
