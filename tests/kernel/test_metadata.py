"""The metadata file lands in the tree and nowhere else, whatever the tree holds in its place."""

import os
import subprocess
from pathlib import Path

import pytest
from agent_bench import Bench

from containerdeploy import wire

pytestmark = pytest.mark.kernel
META = "baserock/deployment.meta"
PLANTED = {
    "nothing": "true",
    "a-directory": "mkdir baserock; echo kept > baserock/other",
    "an-older-file": "mkdir baserock; echo old > baserock/deployment.meta",
    "absolute-link": "mkdir target; ln -s /target baserock",
    "absolute-link-outside": "ln -s OUTSIDE baserock",
    "relative-link": "mkdir target; ln -s target baserock",
    "link-up": "ln -s ../../../../../../../../../..OUTSIDE baserock",
    "dangling-link": "ln -s nowhere baserock",
    "loop": "ln -s baserock baserock",
    "file-link-absolute": "mkdir baserock; ln -s OUTSIDE/victim baserock/deployment.meta",
    "file-link-relative": "echo old > victim; mkdir baserock; ln -s ../victim " + META,
    "file-link-dangling": "mkdir baserock; ln -s nowhere baserock/deployment.meta",
    "file-link-loop": "mkdir baserock; ln -s deployment.meta baserock/deployment.meta",
    "a-file-for-the-directory": "echo x > baserock",
    "a-fifo-for-the-directory": "mkfifo baserock",
    "a-fifo-for-the-file": "mkdir baserock; mkfifo baserock/deployment.meta",
    "a-directory-for-the-file": f"mkdir -p {META}/full; touch {META}/x",
    "a-device-for-the-file": "mkdir baserock; mknod baserock/deployment.meta c 1 3",
    "a-hard-link": "mkdir baserock; echo old > victim; ln victim baserock/deployment.meta",
    "no-permission": f"mkdir baserock; echo old > {META}; chmod 0 {META} baserock",
}


@pytest.mark.parametrize("planted", PLANTED)
def test_the_file_is_written_into_the_tree_and_nowhere_else(
    bench: Bench, tmp_path: Path, planted: str
) -> None:
    outside, tree = tmp_path / "outside", tmp_path / "tree"
    outside.mkdir()
    tree.mkdir()
    (outside / "victim").write_text("untouched")
    text = PLANTED[planted].replace("OUTSIDE", str(outside))
    subprocess.run(["sh", "-eu", "-c", text], cwd=tree, check=True)
    step = bench.shell(f"cat {META}; stat -c '%F %a %u %Y' {META}; test -d baserock && ls baserock")
    source = bench.tree(tree)
    job = bench.job(bench.deployment(source, configure=[step]), source_date_epoch=77)
    story = bench.run(job)
    assert story.finished.outcome == "ok", story.events
    said = story.said(step).splitlines()
    assert said[:2] == ['{"a": 1}', "regular file 644 0 77"]
    assert "deployment.meta" in said[2:]
    assert ("other" in said) == (planted == "a-directory")
    assert [path.name for path in outside.iterdir()] == ["victim"]
    assert (outside / "victim").read_text() == "untouched"
    base = bench.store / "bases" / source.sha256 / "tree"
    for name in ("victim", "target"):
        assert not (base / name).is_file() or (base / name).read_text() == "old\n"
        assert not (base / name).is_dir() or list((base / name).iterdir()) == []


def test_the_directory_keeps_its_owner_and_mode(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "tree" / "baserock").mkdir(parents=True)
    os.chown(tmp_path / "tree" / "baserock", 12, 34)
    (tmp_path / "tree" / "baserock").chmod(0o750)
    step = bench.shell("stat -c '%a %u %g' baserock")
    story = bench.run(bench.job(bench.deployment(bench.tree(tmp_path / "tree"), configure=[step])))
    assert story.said(step) == "750 12 34\n"


def test_text_of_any_kind_is_written_as_it_is(bench: Bench, small: wire.Source) -> None:
    text = '{"käse": "\udcff\\n\\u0000"}\n' + "x" * 300_000
    step = bench.configure(f"#!/bin/sh\nmd5sum < /tree/{META}; wc -c < /tree/{META}\n")
    deployment = bench.deployment(small, metadata=text, configure=[step])
    story = bench.run(bench.job(deployment))
    assert story.said(step).split()[-1] == str(len(text.encode("utf-8", "surrogateescape")))
