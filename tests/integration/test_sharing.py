"""What systems share: one unpack, one store, one small controller."""

import gzip
import json
import sys
from collections.abc import Callable

import pytest
from deploy_world import Ended, World, text
from sites import Site

EACH = ("docker", "local")
MEMORY_BYTES = 120 << 20
MEASURED = """
import json, resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(json.dumps([code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024]))
"""


def many(world: World, systems: int, each: int = 1) -> None:
    for number in range(systems):
        deploy = {
            f"d{number}-{one}": {"type": "tar", "location": f"{number}-{one}.tar"}
            for one in range(each)
        }
        defaults = {"HOSTNAME": f"node-{number}"}
        world.system(f"s{number}", deploy, "set-hostname", defaults=defaults)


@pytest.mark.parametrize(
    "site", [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in EACH], indirect=True
)
def test_twenty_systems_unpack_their_tarball_once(
    site: Site, new_world: Callable[..., World]
) -> None:
    own = site.sibling()
    world = new_world(own)
    many(world, 20)
    ended = world.deploy("--jobs=8")
    bases = own.bases()
    results = [text(world.out / f"{n}-0.tar", "etc/hostname") for n in range(20)]
    own.close()
    assert ended.code == 0, str(ended)
    assert len(ended.steps("base")) == 20
    assert ended.unpacks() == 1
    assert len(bases) == 1
    assert results == [f"node-{number}\n" for number in range(20)]


def test_two_controllers_at_once_unpack_a_tarball_once(
    site: Site, new_world: Callable[..., World]
) -> None:
    own = site.sibling()
    worlds = [new_world(own), new_world(own)]
    for world in worlds:
        many(world, 1)
    going = [world.start() for world in worlds]
    ended: list[Ended] = [one.end() for one in going]
    own.close()
    assert [one.code for one in ended] == [0, 0], ended
    assert sum(one.unpacks() for one in ended) == 1


def test_another_source_under_the_same_name_is_noticed(world: World) -> None:
    own = world.directory / "source.tar.gz"
    own.write_bytes(world.source.read_bytes())
    world.system("s", {"s": {"type": "tar", "location": "s.tar"}}, source={"tar": str(own)})
    assert world.deploy().code == 0
    plain = gzip.decompress(world.source.read_bytes()).replace(b"ID=sample\n", b"ID=simple\n")
    own.write_bytes(gzip.compress(plain, 1))
    ended = world.deploy()
    assert ended.code == 0, str(ended)
    assert ended.unpacks() == 1
    assert "ID=simple\n" in text(world.out / "s.tar", "etc/os-release")


def test_a_changed_extension_and_a_changed_parameter_are_noticed(world: World) -> None:
    world.extension("put.configure", '#!/bin/sh\necho one "$KEY" > "$1/etc/put"\n')
    world.system("s", {"s": {"type": "tar", "location": "s.tar", "KEY": "a"}}, "put")
    seen = []
    assert world.deploy().code == 0
    seen.append(text(world.out / "s.tar", "etc/put"))
    assert world.deploy("s.KEY=b").code == 0
    seen.append(text(world.out / "s.tar", "etc/put"))
    world.extension("put.configure", '#!/bin/sh\necho two "$KEY" > "$1/etc/put"\n')
    assert world.deploy().code == 0
    seen.append(text(world.out / "s.tar", "etc/put"))
    assert seen == ["one a\n", "one b\n", "two a\n"]


def test_fifty_deployments_fit_into_a_small_controller(world: World) -> None:
    many(world, 10, each=5)
    argv = [sys.executable, "-c", MEASURED, *world.argv("deploy", "--jobs=10")]
    ran = world.site.run(argv, world.directory)
    code, peak = json.loads(ran.stdout)
    assert code == 0, ran.stderr
    assert len(list(world.out.iterdir())) == 50
    assert peak < MEMORY_BYTES, f"{peak >> 20} MiB"
