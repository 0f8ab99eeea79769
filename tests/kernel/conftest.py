"""The agent without an engine, for tests of what it does with the kernel."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_bench import Bench

from containerdeploy import wire

EPOCH = 1_000_000_000


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Directories and agents of the test's own; none of them outlives it."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    made = Bench(place=tmp_path / "bench")
    yield made
    made.close()


@pytest.fixture
def small(bench: Bench, tmp_path: Path) -> wire.Source:
    """A source with two directories, some files and a link, all of the same old age."""
    tree = tmp_path / "small"
    for name in ("etc/sub", "usr/bin"):
        (tree / name).mkdir(parents=True)
    for name in ("etc/hostname", "etc/motd", "etc/sub/one", "etc/sub/two", "usr/bin/tool"):
        (tree / name).write_text(f"{name} as it was\n")
    (tree / "link").symlink_to("etc/motd")
    (tree / "device").touch()
    for path in [tree, *tree.rglob("*")]:
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)
    return bench.tree(tree)
