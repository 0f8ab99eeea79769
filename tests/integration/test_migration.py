"""Migrated definitions deploy to the same bytes as the old ones."""

import json
from pathlib import Path

import pytest
from old_definitions import OldDefinitions, portrait
from sites import Site

pytestmark = pytest.mark.parametrize(
    "site", [pytest.param("local", marks=pytest.mark.local)], indirect=True, scope="module"
)


@pytest.fixture(scope="module")
def old(site: Site) -> OldDefinitions:
    return OldDefinitions(site)


def results(folder: Path) -> dict[str, bytes]:
    """Every result: a file's bytes, of a directory all that it holds."""
    return {
        path.name: path.read_bytes() if path.is_file() else portrait(path).encode()
        for path in sorted(folder.iterdir())
    }


# None of these needs Python 2, which the local engine's tools may lack.
@pytest.mark.parametrize("cluster", ["release", "nested", "anchors", "boards", "secrets"])
def test_both_forms_give_the_same_bytes(old: OldDefinitions, site: Site, cluster: str) -> None:
    ended = old.deploy(cluster)
    assert ended.code == 0, str(ended)
    before = results(old.out / cluster)
    assert before
    argv = [site.python, "-m", "containerdeploy", "migrate", "--json", old.cluster(cluster)]
    migrated = site.run(argv, old.root)
    assert migrated.returncode == 0, migrated.stderr
    native, out = json.loads(migrated.stdout)["native"], old.out / "native" / cluster
    out.parent.mkdir(exist_ok=True)
    deployed = old.command("deploy", f"--output-dir={out}", native)
    assert deployed.returncode == 0, deployed.stderr
    assert results(out) == before
