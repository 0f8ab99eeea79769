"""Hostile archives: each is unpacked as GNU tar does, or refused in words; nothing gets out."""

from collections.abc import Callable, Iterator

import pytest
from deploy_world import World
from sieges import Siege, besieged
from sites import Site

from containerdeploy.selftest.archives import bombs, catalogue
from containerdeploy.selftest.archives.model import Hostile

ARCHIVES = {one.name: one for group in catalogue.GROUPS.values() for one in group}


@pytest.fixture(scope="module")
def siege(site: Site) -> Siege:
    return besieged(site, "--only=archives")


@pytest.fixture(scope="module")
def control(site: Site) -> Siege:
    """The unpackers without protection are the same ones on every engine."""
    return besieged(site, "--only=archives", "--control")


def test_no_archive_gets_through(siege: Siege) -> None:
    assert siege.named("got through") == {}
    assert siege.named("not tried") == {}
    assert siege.code == 0


def test_every_archive_is_tried(siege: Siege) -> None:
    assert len(ARCHIVES) >= 150
    assert siege.named("contained").keys() > ARCHIVES.keys()


def test_the_machine_is_what_it_was(siege: Siege) -> None:
    assert siege.changed == []
    assert siege.left == {}


def test_a_refusal_of_a_single_member_names_it(siege: Siege) -> None:
    words = siege.named("contained")
    for name, member in NAMED.items():
        assert member in words[name], (name, words[name])


NAMED = {
    "through_a_link": "l/planted",
    "hard_link_outside": "h",
    "whiteout_device": "'etc/passwd'",
    "zeros_gz": "'etc/zeros'",
    "splinters": "'splinters'",
    "name_too_long": "nnn",
}


@pytest.mark.only_on("local", "user")
def test_each_of_these_does_harm_elsewhere(site: Site, control: Siege) -> None:
    """What an unpacker without protection would have done, or the reason why it does nothing."""
    is_user = site.kind == "user"
    expected = {one.name for one in harmful() if not (is_user and one.needs_root)}
    assert expected - control.named("got through").keys() == set()
    assert len(expected) >= 50
    assert control.left == {}
    assert control.changed == []


def test_what_does_no_harm_says_why() -> None:
    for archive in ARCHIVES.values():
        assert bool(archive.why_no_harm) == (archive.harm is None), archive.name


def harmful() -> Iterator[Hostile]:
    return (one for one in ARCHIVES.values() if one.harm is not None)


def test_a_bomb_ends_where_the_policy_says_and_the_next_deploy_is_good(
    site: Site, new_world: Callable[[str], World]
) -> None:
    site.policy.write_text("sources: {max-size: 16M}\n")
    site.policy.chmod(0o644)
    site.give(site.policy)
    bomb = site.directory / "bomb.tar.zst"
    bomb.write_bytes(bombs.zeros_zst())
    site.give(bomb)
    try:
        world = new_world("bomb")
        place = {"type": "tar", "location": "one.tar"}
        world.system("small", {"small": {"type": "tar", "location": "small.tar"}})
        world.system("large", {"large": place}, source={"tar": str(bomb)})
        ended = world.deploy()
    finally:
        site.policy.unlink()
    assert ended.code == 1
    assert "'etc/zeros'" in ended.out, ended
    assert f"the operator's policy allows ({site.policy}:1:21)" in ended.out
    assert "sources: max-expansion and max-size" in ended.out
    assert (world.out / "small.tar").exists()
    assert not (world.out / "one.tar").exists()
    assert len(site.bases()) == 1
