"""An extension with a grant for loop devices: it reaches its own, and no others of the host."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sites
from deploy_world import World
from sites import Kind, Site

SCRIPT = Path(__file__).parents[1] / "data/loop/grasping.write"
KINDS: tuple[Kind, ...] = ("docker", "podman", "local")
SECRET = b"somebody else's disk"


@pytest.fixture(
    scope="module", params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in KINDS]
)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("needs root and loop devices")
    opened = sites.opened(request.param, sites.address(request.param))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A loop device of the host that has nothing to do with any deploy."""
    image = tmp_path_factory.mktemp("other") / "image"
    image.write_bytes(SECRET.ljust(1 << 20, b"\0"))
    argv = ["losetup", "--find", "--show", image]
    device = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    yield Path(device)
    subprocess.run(["losetup", "--detach", device], check=True)
    assert image.read_bytes().startswith(SECRET)


@pytest.fixture(scope="module")
def attempts(site: Site, other: Path, sample_root: Path) -> dict[str, str]:
    world = World(site, site.directory / "grasping", site.share(sample_root))
    world.file("VERSION", "version: 7\n")
    world.extension("grasping.write", SCRIPT.read_text(), sidecar={"grants": ["loop"]})
    world.system("node", {"disk": {"type": "grasping", "location": "disk.img"}})
    path = world.definitions / "extensions/grasping.write"
    site.policy.write_text(f"grants:\n  loop:\n    - path: {path}\n")
    before = site.residue()
    ended = world.deploy()
    assert ended.code == 0, str(ended)
    assert site.left_since(before, loops=True) == {}
    found = [json.loads(line) for line in ended.log().splitlines() if line.startswith("{")]
    return {one["attempt"]: one["outcome"] for one in found}


def test_it_sees_its_own_device_only(attempts: dict[str, str]) -> None:
    assert attempts.pop("nodes") == "got ['/dev/loop0']"


def test_it_gets_no_more_than_it_was_granted(attempts: dict[str, str]) -> None:
    assert attempts["too many"] == "4 devices"


def test_everything_else_is_refused(attempts: dict[str, str]) -> None:
    rest = {name: told for name, told in attempts.items() if name not in ("nodes", "too many")}
    assert len(rest) == 21
    assert {name: told for name, told in rest.items() if not told.startswith("refused")} == {}


def test_a_loop_device_cannot_be_told_anything(attempts: dict[str, str]) -> None:
    assert "Operation not permitted" in attempts["clear"]
    assert "Operation not permitted" in attempts["change"]
