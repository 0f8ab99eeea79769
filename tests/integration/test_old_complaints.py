"""What users of deploy tools complained about for ten years, and what must not happen here.

The rest of it lies elsewhere: mistakes told before anything is unpacked (test_order.py), secrets
and what stays behind (test_old_definitions.py, test_kills.py).
"""

import re
from collections.abc import Callable, Iterator

import pytest
from deploy_world import Ended, World, members, text
from old_definitions import OldDefinitions
from sites import Site

TAR = {"type": "tar", "location": "s.tar"}
SPEAKER = re.compile(r"\[([^]]+)\](?:\[([^]]+)\])? (?:(\S+): )?.")


def lines_before_summary(ended: Ended) -> Iterator[str]:
    """The lines while it ran; the first one is the run's own."""
    running, _, _ = ended.out.partition("\n\n")
    return iter(running.splitlines()[1:])


def test_every_line_says_who_speaks(any_site: Site) -> None:
    old = OldDefinitions(any_site)
    ended = old.deploy("release", "--jobs=2", "--progress=plain")
    assert ended.code == 0, str(ended)
    said = [SPEAKER.match(line) for line in lines_before_summary(ended)]
    assert len(said) > 40
    assert None not in said
    spoken = {match.groups() for match in said if match}
    assert ("devel-system", "devel-nfs", "services.configure") in spoken
    assert "[devel-system][devel-nfs] services.configure: enabled ntpd\n" in ended.out


def test_what_two_say_at_once_is_never_mixed(world: World) -> None:
    script = '#!/bin/sh\nfor i in $(seq 300); do printf "$WHO-"; echo "$WHO"; done\n'
    world.extension("talk.configure", script)
    for who in ("anna", "bert"):
        world.system(who, {who: {**TAR, "location": f"{who}.tar", "WHO": who}}, "talk")
    ended = world.deploy("--jobs=2")
    assert ended.code == 0, str(ended)
    for who in ("anna", "bert"):
        assert ended.out.count(f"[{who}][{who}] talk.configure: {who}-{who}\n") == 300


def test_each_stream_is_quoted_under_its_own_name(world: World) -> None:
    script = (
        '#!/bin/sh\necho "from stdout"; echo "from stderr" >&2\n'
        'echo "from the log" >&"$MORPH_LOG_FD"\nexit 1\n'
    )
    world.extension("three.configure", script)
    world.system("s", {"one": TAR}, "three")
    ended = world.deploy()
    assert ended.code == 1
    report = ended.out[ended.out.index("[s][one] FAILED") :]
    for name, words in (("stdout", "stdout"), ("stderr", "stderr"), ("its log", "the log")):
        assert f"  {name}, last lines:\n    from {words}\n" in report, report


@pytest.mark.parametrize("silent", ["stdout", "stderr"])
def test_a_stream_that_said_nothing_is_told_to_have_said_nothing(world: World, silent: str) -> None:
    to = "&2" if silent == "stdout" else "&1"
    world.extension("one.configure", f"#!/bin/sh\necho only here >{to}\nexit 1\n")
    world.system("s", {"one": TAR}, "one")
    report = world.deploy().out
    other = "stderr" if silent == "stdout" else "stdout"
    assert f"  {silent}: nothing\n" in report
    assert f"  {other}, last lines:\n    only here\n" in report


@pytest.mark.parametrize("location", ["/etc/in.tar", "etc/in.tar", "./etc//in.tar"])
def test_a_subsystem_lands_in_its_parents_tree_however_its_place_is_written(
    site: Site, new_world: Callable[..., World], location: str
) -> None:
    world = new_world(site)
    world.extension("look.configure", '#!/bin/sh\nls "$1/etc" > "$1/etc/seen"\n')
    inner = world.entry("inner", {"inner": {"type": "tar", "location": location}}, "set-hostname")
    world.system("s", {"one": TAR}, "look", subsystems=[inner])
    ended = world.deploy()
    assert ended.code == 0, str(ended)
    assert "etc/in.tar" in members(world.out / "s.tar")
    assert "in.tar" in text(world.out / "s.tar", "etc/seen").splitlines()


@pytest.mark.parametrize("location", ["../out", "/../out", "boot/../../out", ".."])
def test_a_subsystem_can_not_leave_its_parents_tree(world: World, location: str) -> None:
    inner = world.entry("inner", {"inner": {"type": "tar", "location": location}})
    world.system("s", {"one": TAR}, subsystems=[inner])
    ended = world.deploy()
    assert ended.code == 2
    assert f"the location '{location}' leads out of the parent system's tree" in ended.err
    assert not ended.happenings


def test_a_link_in_the_parents_tree_leads_a_subsystem_nowhere_else(world: World) -> None:
    world.extension("escape.write", '#!/bin/sh\nln -s / "$2.link" && echo x > "$2.link/escaped"\n')
    inner = world.entry("inner", {"inner": {"type": "escape", "location": "/etc/x"}})
    world.system("s", {"one": TAR}, subsystems=[inner])
    ended = world.deploy()
    assert ended.code == 1
    assert "Read-only file system" in ended.out
