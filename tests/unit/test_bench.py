"""The benchmarks can be asked what they measure, also outside a test run."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_benchmarks_load_without_the_tests_set_up() -> None:
    argv = [sys.executable, "-m", "tests.bench", "--help"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warm-docker" in done.stdout
