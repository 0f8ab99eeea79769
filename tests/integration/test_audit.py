"""Every run ends with a look for what it left: nothing usually, and what there is, is told."""

from collections.abc import Callable
from pathlib import Path

import pytest
from deploy_world import World
from orphans import orphan
from sites import Site

from containerdeploy.deploy import host_id

WAIT = "#!/bin/sh\nwhile [ ! -e files/go ]; do sleep 0.05; done\n"
MAKES = ("docker", "local")
on_each_make = pytest.mark.parametrize(
    "site", [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in MAKES], indirect=True
)
HERE = ["staging directories", "temporary files", "helpers"]


@on_each_make
def test_what_is_left_of_a_run_is_told_and_taken_away_by_cleanup(
    site: Site, new_world: Callable[..., World]
) -> None:
    world = new_world(site)
    world.extension("wait.configure", WAIT)
    world.file("files/go", "")
    world.system("s", {"s": {"type": "tar", "location": "s.tar"}}, "wait")
    clean = world.deploy()
    assert clean.code == 0, str(clean)
    assert clean.happenings[-1]["leftovers"] == []
    assert clean.happenings[-1]["looked_for"] == HERE
    assert "had not let go of" not in clean.out
    assert f"left      nothing (looked for {', '.join(HERE)})" in world.command("show").out
    (world.definitions / "files" / "go").unlink()
    going = world.start()
    going.await_step("configure")
    record = Path(next(world.happenings())["record"])
    planted = [f"the file {record}/nonce-7"]
    (record / "nonce-7").touch()
    if site.is_api:
        planted.append(f"the helper {orphan(site, f'{host_id()}:{record}')}")
    world.file("files/go", "")
    ended = going.end()
    assert ended.code == 0, str(ended)
    assert ended.happenings[-1]["leftovers"] == planted
    shown = world.command("show").out
    for words in planted:
        assert f"left behind: {words} (containerdeploy cleanup removes it)" in ended.out
        assert f"left      {words}" in shown
    assert "nothing was left behind" not in world.command("cleanup").out
    assert "nothing was left behind" in world.command("cleanup").out
