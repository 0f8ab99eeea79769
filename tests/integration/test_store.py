"""store verify, from the command line on every engine."""

import json
from collections.abc import Callable

import pytest
from deploy_world import World, digest
from sites import Site


@pytest.mark.parametrize(
    "site",
    [
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("user", marks=pytest.mark.local),
    ],
    indirect=True,
)
def test_a_damaged_base_is_told_dropped_and_unpacked_again(
    site: Site, new_world: Callable[..., World]
) -> None:
    own = site.sibling()
    try:
        world = new_world(own)
        world.system("s", {"s": {"type": "tar", "location": "s.tar"}})
        first = world.deploy()
        assert first.code == 0, str(first)
        right = digest(world.out / "s.tar")
        sound = world.command("store verify")
        assert sound.code == 0, str(sound)
        assert "recorded  " in sound.out
        store = own.store()
        assert store is not None
        (file,) = store.glob("bases/*/tree/etc/hostname")
        file.write_text("damage\n")
        damaged = world.command("store verify")
        assert damaged.code == 1, str(damaged)
        assert "  'etc/hostname': " in damaged.out
        assert "the next deploy of its source unpacks it again" in damaged.out
        assert own.bases() == []
        again = world.deploy()
        assert again.code == 0, str(again)
        assert again.unpacks() == 1
        assert digest(world.out / "s.tar") == right
        told = json.loads(world.command("store verify", "--json").out)
        assert [one["state"] for one in told["bases"]] == ["recorded"]
    finally:
        own.close()
