"""Definitions of 2013 to 2017 deploy as they are, and give the same on every engine."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import sites
from old_definitions import OldDefinitions, expected
from sites import Site

KINDS = ("docker", "podman", "local")
pytestmark = pytest.mark.parametrize(
    "site",
    [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in KINDS],
    indirect=True,
    scope="module",
)
# Every cluster, and what of it is deployed how.
RUNS: Mapping[str, tuple[str, ...]] = {
    "release": ("deploy",),
    "nested": ("deploy",),
    "anchors": ("deploy",),
    "boards": ("deploy",),
    "secrets": ("deploy",),
    "trove": ("deploy",),
    "mixed": ("deploy", "fine"),
    "upgrade-only": ("upgrade",),
}
SECRETS = ("pw-correct", "tk-battery", "ss-purple", "pk-dishwasher", "hint-of-the", "key-of-the")
BYTES: dict[str, tuple[dict[str, bytes], str]] = {}


@pytest.fixture(scope="module")
def old(site: Site) -> OldDefinitions:
    return OldDefinitions(site)


@pytest.mark.parametrize("cluster", RUNS)
def test_a_cluster_gives_the_expected_trees_and_the_same_bytes(
    old: OldDefinitions, site: Site, cluster: str
) -> None:
    verb, *words = RUNS[cluster]
    ended = old.deploy(cluster, *words, verb=verb)
    if cluster == "trove" and lacks_python_2(site):
        assert ended.code == 2
        assert "trove.configure needs python: not on this host" in ended.err
        assert "the image legacy has it" in ended.err
        assert old.results(cluster) == {}
        return
    assert ended.code == 0, str(ended)
    assert old.results(cluster) == expected(cluster)
    first, kind = BYTES.setdefault(cluster, (old.bytes_of(cluster), site.kind))
    assert old.bytes_of(cluster) == first, f"{site.kind} differs from {kind}"


def test_a_second_run_gives_the_same_bytes(old: OldDefinitions) -> None:
    first, again = ("first", "again")
    for name in (first, again):
        (old.out / name).mkdir(exist_ok=True)
        ended = old.deploy("nested", f"--output-dir={old.out / name}")
        assert ended.code == 0, str(ended)
    assert contents(old.out / first) == contents(old.out / again)


def test_no_secret_is_anywhere_but_with_its_extension(old: OldDefinitions, site: Site) -> None:
    ended = old.deploy("secrets")
    assert ended.code == 0, str(ended)
    assert "drop.write: token (secret), secret (secret), hint (secret)" in ended.out
    assert ended.log("log").strip() == "(secret)"
    told = str(ended) + str(ended.happenings) + old.results("secrets")["secrets.info"]
    shown = old.command("plan", old.cluster("secrets"))
    assert shown.returncode == 0 and "SIGNING_SECRET=***" in shown.stdout
    told += shown.stdout + shown.stderr
    kept = [path for path in site.home.rglob("*") if path.is_file() and "runs" in path.parts]
    told += "".join(path.read_text(errors="replace") for path in kept)
    assert len(kept) > 3
    assert [secret for secret in SECRETS if secret in told] == []


def test_nothing_stays_behind(old: OldDefinitions, site: Site) -> None:
    before = site.residue()
    assert old.deploy("nested").code == 0
    assert old.deploy("release", "devel-nfs", "devel-nfs.USERS=nobody:x:/").code == 1
    assert not site.left_since(before)


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def lacks_python_2(site: Site) -> bool:
    return not site.is_api and shutil.which("python2", path=sites.PATH) is None
