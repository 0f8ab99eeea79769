"""Write extensions that leave a trap at their location: it harms nobody."""

import os
from collections.abc import Callable

import pytest
from deploy_world import Ended, World
from sites import Site


def _evil(verb: str) -> str:
    return f'#!/bin/sh -u\ntree=$1 out=$2 dir=$(dirname "$2")\n{verb}\n'


SWAP = """
echo good > "$out"
(while :; do ln -sfn SECRET "$out"; rm -f "$out"; echo good > "$out"; done) & sleep 0.3
"""
# A write extension's script, and what may come of it: the words of a refusal, or a file's content.
ARTIFACTS: dict[str, tuple[str, str | bytes]] = {
    "link-to-secret": ('ln -s /etc/passwd "$out"', "no file or directory"),
    "link-to-host-secret": ('ln -s SECRET "$out"', "no file or directory"),
    "fifo": ('mkfifo "$out"', "no file or directory"),
    "socket": (
        'python3 -c "import socket, sys; socket.socket(1).bind(sys.argv[1])" "$out"',
        "no file or directory",
    ),
    "device": ('mknod "$out" c 1 3 || exit 9', "exit code 9"),
    "nothing": ("true", "nothing"),
    "beside": ('echo x > "$dir/other"; echo good > "$out"', b"good\n"),
    "hard-link": ('echo x > "$dir/a"; ln "$dir/a" "$out"', b"x\n"),
    "setuid": ('echo x > "$out"; chmod 6755 "$out"', b"x\n"),
    "swapped": (SWAP, ""),
    "written-later": ('echo good > "$out"; (sleep 0.2; echo evil > "$out") & exit 0', b"good\n"),
    "parent-replaced": ('rmdir "$dir" 2>&1; mv "$dir" /tmp/x 2>&1; echo good > "$out"', b"good\n"),
    "escaping": ('echo x > "$dir/../planted" 2>&1; echo good > "$out"', b"good\n"),
}


@pytest.fixture(scope="module")
def artifacts(site: Site, new_world: Callable[[str], World]) -> tuple[World, Ended]:
    world = new_world("artifacts")
    secret = world.directory / "secret"
    secret.write_text("top secret\n")
    for name, (script, _) in ARTIFACTS.items():
        script = script.replace("SECRET", str(secret))
        world.extension(f"{name}.write", _evil(script), sidecar={"output": "any"})
        world.system(f"system-{name}", {name: {"type": name, "location": f"{name}.out"}})
    return world, world.deploy("--keep-going", "--jobs=2")


@pytest.mark.parametrize("name", ARTIFACTS)
def test_an_artifact_that_is_a_trap_harms_nobody(artifacts: tuple[World, Ended], name: str) -> None:
    world, ended = artifacts
    _, expected = ARTIFACTS[name]
    path = world.out / f"{name}.out"
    assert not path.is_symlink()
    if isinstance(expected, bytes):
        assert path.is_file(), ended
        assert path.read_bytes() == expected
    elif expected:
        assert not os.path.lexists(path)
        assert expected in ended.out + ended.err
    elif path.exists():
        assert path.read_bytes() in (b"good\n", b"")
    assert (world.directory / "secret").read_text() == "top secret\n"


def test_artifacts_are_ordinary_files_of_the_user(artifacts: tuple[World, Ended]) -> None:
    world, _ = artifacts
    owner = world.site.person.uid if world.site.person else os.getuid()
    for path in world.out.iterdir():
        assert path.stat().st_uid == owner
    assert list(world.directory.rglob("planted")) == []
    assert list(world.directory.rglob(".containerdeploy-*")) == []
    assert sorted(path.name for path in world.out.iterdir()) == sorted(
        f"{name}.out" for name in ARTIFACTS if (world.out / f"{name}.out").exists()
    )
