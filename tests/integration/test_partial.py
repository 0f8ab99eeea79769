"""A partial deploy on every engine: the components' content, the metadata, the same bytes."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from deploy_world import Ended, World, as_owner, digest, members, text
from sites import Site

DIGESTS: dict[str, str] = {}
EPOCH = 1_000_000_000


def component(world: World, name: str, files: dict[str, str], modes: dict[str, int]) -> str:
    """Pack a component as morph packs chunks; return the word that names it."""
    path = world.directory / f"{name}.tar"
    with tarfile.open(path, "w") as archive:
        for inside in sorted({*files, *modes}):
            info = tarfile.TarInfo(f"./{inside}")
            info.mtime, info.mode = EPOCH, modes.get(inside, 0o644)
            if inside in files:
                source = world.file(f"parts/{name}/{inside.replace('/', '_')}", files[inside])
                info.size = source.stat().st_size
                with source.open("rb") as content:
                    archive.addfile(info, content)
            else:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
    return f"--artifact={name}={path}"


@pytest.fixture(scope="module")
def partial(site: Site, new_world: Callable[..., World]) -> tuple[World, Ended]:
    world = new_world(site)
    world.extension("never.configure", "#!/bin/sh\ntouch $1/configured\n")
    below = world.entry("below", {"inside": {"type": "tar", "location": "inside.tar"}})
    deploy = {
        "packed": {"type": "tar", "location": "packed.tar"},
        "tree": {"type": "sysroot", "location": "tree"},
    }
    components = {"partial-deploy-components": ["base", "hello"]}
    world.system("whole", deploy, "never", defaults=components, subsystems=[below])
    folders = {"baserock": 0o755, "bin": 0o755, "tmp": 0o777}
    artifacts = [
        component(world, "base", {"bin/hello": "old", "baserock/base.meta": "{}"}, folders),
        component(world, "hello", {"bin/hello": "new"}, {"tmp": 0o1777}),
    ]
    return world, world.deploy("--partial", *artifacts)


def test_only_the_components_content_is_deployed(partial: tuple[World, Ended]) -> None:
    world, ended = partial
    assert ended.code == 0, ended
    packed: Path = world.out / "packed.tar"
    expected = "bin bin/hello tmp baserock baserock/base.meta baserock/deployment.meta".split()
    assert set(members(packed)) == {".", *expected}
    assert text(packed, "bin/hello") == "new"
    assert members(packed)["tmp"].mode == 0o1777
    assert json.loads(text(packed, "baserock/deployment.meta"))["partial"] is True
    assert "--partial leaves out the subsystems" in ended.out + ended.err
    tree = {str(path.relative_to(world.out / "tree")) for path in (world.out / "tree").rglob("*")}
    assert tree == set(expected)
    assert as_owner(world.out / "tree/tmp")[2] == 0o1777


def test_components_are_unpacked_once_for_all_deployments(partial: tuple[World, Ended]) -> None:
    _, ended = partial
    assert [step["cached"] for step in ended.steps("base")] == [False, True]
    assert ended.steps("configure") == []


def test_every_engine_makes_the_same_bytes(partial: tuple[World, Ended]) -> None:
    world, _ = partial
    found = digest(world.out / "packed.tar")
    assert DIGESTS.setdefault("packed", found) == found


def test_the_record_shows_the_components(partial: tuple[World, Ended]) -> None:
    world, ended = partial
    record = json.loads(world.command("show", ended.happenings[0]["run"], "--json").out)
    (system,) = record["header"]["plan"]["systems"]
    named = [[part["name"] for part in one["components"]] for one in system["deployments"]]
    assert named == [["base", "hello"]] * 2
