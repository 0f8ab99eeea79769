"""Runs every command of the README, as printed, in a copy of the checkout."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
# What these do is what the test run itself does.
ELSEWHERE = {"make demo\nmake test\n"}


def blocks() -> list[str]:
    text = (TOP / "README.md").read_text()
    return [block for block in re.findall(r"```sh\n(.*?)```", text, re.S) if block not in ELSEWHERE]


@pytest.mark.local
def test_every_command_in_the_readme_runs_as_printed(tmp_path: Path, sample_root: Path) -> None:
    checkout = tmp_path / "checkout"
    sample = checkout / "images/sample/.build"
    sample.mkdir(parents=True)
    shutil.copy(sample_root, sample / "sample.tar.gz")
    binaries = checkout / ".venv/bin"
    binaries.mkdir(parents=True)
    command = binaries / "containerdeploy"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m containerdeploy "$@"\n')
    command.chmod(0o755)
    script = "set -eu\n" + "\n".join(blocks())
    # `auto` may find an engine that has no helper image; `local` is everywhere.
    script = re.sub(r"(containerdeploy (?:deploy|doctor|cleanup))", r"\1 --engine local", script)
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(TOP)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "Welcome!" in done.stdout.splitlines()
    assert "cafe.GREETING" not in done.stderr
