"""A definitions tree in the manner of 2013 to 2017, and what deploying its clusters should give."""

import json
import os
import re
import shutil
import subprocess
import uuid
from pathlib import Path

import manifests
from deploy_world import Ended
from sites import ROOT, Site

import containerdeploy

DATA = ROOT / "tests/data"
DEFINITIONS = DATA / "definitions"
EXPECTED = DATA / "expected"


class OldDefinitions:
    """A copy of the definitions for one site; `deploy` runs a cluster of it into `out`."""

    def __init__(self, site: Site) -> None:
        self.site = site
        directory = site.directory / f"old-{uuid.uuid4().hex[:8]}"
        self.root = directory / "definitions"
        self.out = directory / "out"
        shutil.copytree(DEFINITIONS, self.root)
        self.out.mkdir()
        for path in self.root.rglob("*"):
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        for manifest in (self.root / "sources").glob("*.tree"):
            manifests.make_source(manifest, manifest.with_suffix(".tar"))
        site.give(directory)

    def deploy(self, cluster: str, *words: str, verb: str = "deploy") -> Ended:
        """Run a cluster; its results lie in a directory of its own below `out`."""
        events, out = self.root.parent / "events.jsonl", self.out / cluster
        events.unlink(missing_ok=True)
        options = [f"--events={events}", f"--output-dir={out}"]
        argv = self.site.argv(verb, *options, self.cluster(cluster), *words)
        ran = self.site.run(argv, self.root.parent)
        lines = events.read_text().splitlines() if events.exists() else []
        happenings = tuple(json.loads(line) for line in lines)
        return Ended(code=ran.returncode, out=ran.stdout, err=ran.stderr, happenings=happenings)

    def command(self, verb: str, *words: object) -> "subprocess.CompletedProcess[str]":
        return self.site.run(self.site.argv(verb, *words), self.root.parent)

    def cluster(self, name: str) -> str:
        (found,) = (self.root / "clusters").glob(f"{name}.*")
        return str(found)

    def results(self, cluster: str) -> dict[str, str]:
        """What a cluster's deploy left, by name, as text that compares."""
        return {path.name: portrait(path) for path in sorted((self.out / cluster).glob("*"))}

    def bytes_of(self, cluster: str) -> dict[str, bytes]:
        """The bytes of the files that it left."""
        found = sorted((self.out / cluster).iterdir())
        return {path.name: path.read_bytes() for path in found if path.is_file()}


def expected(cluster: str) -> dict[str, str]:
    """What a cluster's deploy should leave."""
    return {path.stem: path.read_text() for path in sorted((EXPECTED / cluster).glob("*.tree"))}


def portrait(path: Path) -> str:
    """Return a result as text, without the version of the product."""
    if path.is_dir():
        found = manifests.of_directory(path)
    else:
        is_tar = path.suffix == ".tar" or path.name.endswith(".tar.gz")
        found = manifests.of_tar(path) if is_tar else manifests.of_content(path.read_bytes())
    version = re.escape(containerdeploy.__version__)
    return re.sub(rf'("containerdeploy-version": )"{version}"', r'\1"VERSION"', found)
