"""cleanup and store verify at work beside live runs of two controllers: they touch nothing of them.

CONTAINERDEPLOY_CLEANUP_ROUNDS says how many deploys each controller makes meanwhile, and has it
done on Docker too.
"""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from deploy_world import Ended, World, digest
from kill_rounds import tiny_sources
from orphans import orphan
from sites import Site

from containerdeploy.deploy import host_id

ROUNDS = int(os.environ.get("CONTAINERDEPLOY_CLEANUP_ROUNDS", "1"))
FULLY = ("docker", "local") if "CONTAINERDEPLOY_CLEANUP_ROUNDS" in os.environ else ("local",)
WORK = '#!/bin/sh\nfor n in 1 2 3; do echo "$n" > "$1/etc/work-$n"; sleep 0.05; done\n'
on_each_make = pytest.mark.parametrize(
    "site", [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in FULLY], indirect=True
)


@pytest.fixture
def own_site(site: Site) -> Iterator[Site]:
    own = site.sibling()
    yield own
    own.close()


@on_each_make
def test_cleanup_and_verify_touch_nothing_of_runs_that_go_on(
    own_site: Site, new_world: Callable[..., World], tmp_path: Path
) -> None:
    sources = tiny_sources(tmp_path)
    other = replace(own_site, home_name="other-home") if own_site.is_api else own_site
    worlds = [made(new_world(one), sources) for one in (own_site, other)]
    over = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(deploys, world) for world in worlds]
        verbs = [pool.submit(repeated, worlds[0], verb, over) for verb in ("cleanup", VERIFY)]
        try:
            digests = [run.result() for run in runs]
        finally:
            over.set()
        cleaned, verified = (verb.result() for verb in verbs)
    assert len({digest for both in digests for digest in both}) == len(sources)
    for ended in cleaned:
        assert ended.code == 0, str(ended)
        assert "nothing was left behind" in ended.out, str(ended)
    for ended in verified:
        assert ended.code == 0, str(ended)
    residue = own_site.residue()
    assert not (residue.workspaces or residue.locks or residue.staging)


VERIFY = "store verify"


def made(world: World, sources: tuple[Path, Path]) -> World:
    world.extension("work.configure", WORK)
    for number, source in enumerate(sources):
        deploy = {"type": "tar", "location": f"{number}.tar"}
        shared = {"tar": str(world.site.share(source))}
        world.system(f"s{number}", {f"s{number}": deploy}, "work", source=shared)
    return world


def deploys(world: World) -> set[str]:
    """Deploy again and again, which must go well; return all digests that came of it."""
    found = set()
    for _ in range(ROUNDS):
        ended = world.deploy("--jobs=2")
        assert ended.code == 0, str(ended)
        assert ended.happenings[-1]["leftovers"] == [], str(ended)
        found |= {digest(path) for path in world.out.glob("*.tar")}
    return found


def repeated(world: World, verb: str, over: threading.Event) -> list[Ended]:
    """Run a verb until all is over; at least once."""
    ended = [world.command(verb)]
    while not over.is_set():
        ended.append(world.command(verb))
    return ended


@pytest.mark.docker
def test_a_helper_whose_record_can_not_be_seen_is_left_alone(
    any_site: Site, new_world: Callable[..., World]
) -> None:
    """Its run may be another user's, or a controller's in a container on this host."""
    world = new_world(any_site)
    name = orphan(any_site, f"{host_id()}:/nowhere/to/be/seen/runs/x")
    try:
        cleaned = world.command("cleanup")
        assert cleaned.code == 0, str(cleaned)
        assert name in any_site.containers()
    finally:
        with any_site.client() as client:
            client.remove_container(name)
