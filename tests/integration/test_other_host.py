"""An engine on another host: it can't see our files, so they travel through its API.

The controller runs in a mount namespace of its own, where a fresh tmpfs holds all that it has.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
set -eu
mount -t tmpfs -o size=200m elsewhere "$PLACE"
cp -r "$DEFINITIONS" "$PLACE/definitions"
cp "$SAMPLE" "$PLACE/sample.tar.gz"
export CONTAINERDEPLOY_HOME="$PLACE/home"
for system in web node; do set -- "$@" --artifact "$system=$PLACE/sample.tar.gz"; done
"$PYTHON" -m containerdeploy deploy --engine "$ENGINE" --definitions "$PLACE/definitions" \
    --output-dir "$PLACE/out" "$@" "$PLACE/definitions/clusters/demo.yaml"
cp "$PLACE"/out/* "$RESULTS"
"""


def deployed(engine: str, sample: Path, place: Path, *, elsewhere: bool) -> dict[str, bytes]:
    """Deploy the sample cluster; with `elsewhere` nothing of it lies where the engine can look."""
    hidden, results = place / "hidden", place / "results"
    hidden.mkdir(parents=True)
    results.mkdir()
    script = SCRIPT if elsewhere else SCRIPT.replace("mount -t tmpfs", ": mount -t tmpfs")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        env={
            **os.environ,
            "PLACE": str(hidden),
            "RESULTS": str(results),
            "SAMPLE": str(sample),
            "DEFINITIONS": str(ROOT / "images/sample/definitions"),
            "ENGINE": engine,
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return {path.name: path.read_bytes() for path in results.iterdir()}


@pytest.mark.parametrize(
    "engine_url",
    [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("docker", "podman")],
    indirect=True,
)
def test_an_engine_on_another_host_gives_the_same_bytes(
    engine_url: str, sample_root: Path, tmp_path: Path
) -> None:
    here = deployed(engine_url, sample_root, tmp_path / "here", elsewhere=False)
    there = deployed(engine_url, sample_root, tmp_path / "there", elsewhere=True)
    assert sorted(here) == ["node.tar.gz", "web.tar"]
    assert there == here
