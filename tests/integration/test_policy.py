"""A policy on real engines: what it allows runs as judged, what it refuses starts nothing."""

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from deploy_world import World, text
from sites import Site

GREET = '#!/bin/sh\necho "greeting from $0"\necho hello > "$1/etc/motd"\n'
OVERLAID = """\
set -eu
mkdir -p "$1/etc/containerdeploy" "$1/work"
cp "$1/policy.yaml" "$1/etc/containerdeploy/policy.yaml"
mount -t overlay overlay -o "lowerdir=$1/etc:/etc" /etc
shift; exec "$@"
"""


def image(site: Site) -> str:
    """The id of the image that the site's helpers are made of."""
    if not site.is_api:
        return "containerdeploy-helper"
    with site.client() as client:
        found = str(client.inspect_image("containerdeploy-helper")["Id"])
    return f"sha256:{found.removeprefix('sha256:')}"


def rules(world: World, name: str = "policy.yaml", **sections: str) -> Path:
    path = world.directory / name
    path.write_text("".join(f"{key}: {value}\n" for key, value in sections.items()))
    path.chmod(0o644)
    return path


@pytest.fixture
def world(site: Site, new_world: Callable[..., World]) -> World:
    made: World = new_world(site)
    made.extension("greet.configure", GREET, sidecar={"writes": ["/etc/motd"]})
    made.system("s", {"d": {"type": "tar", "location": "d.tar"}}, "greet")
    return made


def test_what_a_policy_allows_is_deployed_as_it_was_judged(world: World) -> None:
    digests = [
        f"sha256:{hashlib.sha256(data).hexdigest()}"
        for data in (GREET.encode(), world.source.read_bytes())
    ]
    kind = world.site.kind if world.site.is_api else "local"
    path = rules(
        world,
        engines=f"{{allow: [{kind}]}}",
        images=f"{{allow: ['{image(world.site)}']}}",
        sources=f"{{allow: ['{digests[1]}'], max-expansion: 30, max-members: 100000}}",
        networks="{allow: [none]}",
        extensions=f"{{allow: [built-in, '{digests[0]}'], require-writes: true}}",
        limits="{timeout: {default: 1m, max: 2m}, memory: {max: 256M}}",
    )
    ended = world.deploy(f"--policy={path}")
    assert ended.code == 0, str(ended)
    assert "greeting from /definitions/extensions/greet.configure" in ended.log()
    assert text(world.out / "d.tar", "etc/motd") == "hello\n"


def test_what_it_refuses_starts_nothing(world: World) -> None:
    before, runs = world.site.residue(), [*world.site.home.glob("runs/*")]
    for count, sections in (
        (1, {"engines": "{allow: []}"}),
        (1, {"images": "{deny: [containerdeploy-helper]}"}),
        (
            4,  # the extension, the source, two limits: all of it at once
            {
                "extensions": "{allow: [built-in]}",
                "sources": "{allow: [/nowhere]}",
                "limits": "{timeout: {max: 1m}}",
            },
        ),
    ):
        path = rules(world, **sections)
        ended = world.deploy(f"--policy={path}", "--timeout=100")
        assert ended.code == 2, str(ended)
        assert ended.err.count(f"{path.name}:") == count, ended.err
    assert list(world.out.iterdir()) == []
    assert [*world.site.home.glob("runs/*")] == runs
    assert world.site.residue() == before


@pytest.mark.parametrize(
    "site", [pytest.param("local", marks=pytest.mark.local)], indirect=True, scope="module"
)
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts over /etc, in a namespace of its own")
def test_the_operators_file_holds_whatever_a_user_says(tmp_path: Path, world: World) -> None:
    (tmp_path / "policy.yaml").write_text("extensions: {allow: [built-in]}\n")
    own = rules(world, extensions="{allow: [/]}")
    environment = {**world.site.environment, "CONTAINERDEPLOY_POLICY": str(own)}
    argv = world.argv("validate", f"--policy={own}")
    argv = [word for word in argv if not word.startswith(("--engine", "--events"))]
    overlaid = ["unshare", "--mount", "sh", "-c", OVERLAID, "sh", str(tmp_path), *argv]
    ran = subprocess.run(
        overlaid, env=environment, cwd=world.directory, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2, ran.stderr
    assert "/etc/containerdeploy/policy.yaml:1:14 doesn't allow it" in ran.stderr
    assert not Path("/etc/containerdeploy").exists()
