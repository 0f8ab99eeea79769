"""Disks that are full: the store's, and that of the results."""

from collections.abc import Callable, Iterator

import pytest
from deploy_world import World
from sites import Site
from small_disk import small_disk

FILL_BYTES = 9 << 20


@pytest.fixture
def own_site(site: Site) -> Iterator[Site]:
    """A site whose store lies on a small disk that is full but for a little."""
    own = site.sibling()
    try:
        with small_disk(own.directory) as disk:
            (disk / "filler").write_bytes(bytes(FILL_BYTES))
            yield own.with_store_on(disk)
            own.forget_store()
    finally:
        own.close()


def test_a_full_store_is_told_and_leaves_no_base(
    own_site: Site, new_world: Callable[..., World]
) -> None:
    world = new_world(own_site)
    world.system("s", {"s": {"type": "tar", "location": "s.tar"}}, "set-hostname")
    ended = world.deploy()
    assert ended.code == 1, str(ended)
    assert "No space left on device" in ended.out
    assert "make room on the disk that holds the store" in ended.out
    assert own_site.bases() == []
    assert not own_site.residue().workspaces
    (own_site.directory / "disk" / "filler").unlink()
    again = world.deploy()
    assert again.code == 0, str(again)
    assert len(own_site.bases()) == 1


def test_a_full_disk_for_the_result_leaves_nothing_there(
    any_site: Site, new_world: Callable[..., World]
) -> None:
    world = new_world(any_site)
    world.system("s", {"s": {"type": "tar", "location": "s.tar"}})
    with small_disk(world.directory) as disk:
        filler = disk / "filler"
        filler.write_bytes(bytes(FILL_BYTES))
        ended = world.deploy(f"--output-dir={disk}")
        left = {path.name for path in disk.iterdir()}
        filler.unlink()
        again = world.deploy(f"--output-dir={disk}")
    assert ended.code == 1, str(ended)
    assert "all that it may take there" in ended.out
    assert "make room on that disk" in ended.out
    assert left == {"filler", "lost+found"}
    assert again.code == 0, str(again)
