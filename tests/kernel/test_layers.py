"""What a step does to the tree: as it lies in its layer on disk, and as it is told."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from agent_bench import Bench, Story

from containerdeploy import wire
from containerdeploy.agent import overlay
from containerdeploy.agent.identity import Identity

pytestmark = pytest.mark.kernel


def configured(bench: Bench, source: wire.Source, *steps: wire.Step) -> Story:
    """Run the steps, which must all succeed."""
    story = bench.run(bench.job(bench.deployment(source, configure=steps)))
    assert story.finished.outcome == "ok", (story.finished, story.events)
    return story


def kinds(bench: Bench, source: wire.Source, text: str) -> dict[str, str]:
    """Return the kinds of change by path that a shell script's step is told to have made."""
    step = bench.shell(text)
    story = configured(bench, source, step)
    told = story.kinds(step)
    counts = story.ending(step).changes
    assert dict(counts) == {kind: list(told.values()).count(kind) for kind in set(told.values())}
    return told


def owner(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_uid, found.st_gid


def test_everything_lands_on_disk_with_its_plain_ids(bench: Bench, small: wire.Source) -> None:
    step = bench.shell(
        "mkdir new; touch new/file; chown 1000:33 new/file; chown -h 65534:1 link\n"
        "chown 5:6 etc/motd; chmod 4755 usr/bin/tool; chmod 2775 new; ln new/file new/hard\n"
        "mkfifo new/fifo; ln -s /nowhere new/dangling; touch sticky; chmod 1777 sticky"
    )
    with bench.paused(step, source=small) as (_, layers):
        top = layers[0]
        assert owner(top / "new/file") == (1000, 33)
        assert owner(top / "link") == (65534, 1)
        assert owner(top / "etc/motd") == (5, 6)
        assert owner(top / "new") == owner(top / "etc") == owner(top) == (0, 0)
        assert stat.S_IMODE((top / "usr/bin/tool").stat().st_mode) == 0o4755
        assert stat.S_IMODE((top / "new").stat().st_mode) == 0o2775
        assert stat.S_IMODE((top / "sticky").stat().st_mode) == 0o1777
        assert (top / "new/hard").samefile(top / "new/file")
        assert stat.S_ISFIFO((top / "new/fifo").lstat().st_mode)
        assert os.readlink(top / "new/dangling") == "/nowhere"


def test_file_capabilities_land_as_roots_would(
    bench: Bench, small: wire.Source, tmp_path: Path
) -> None:
    ours = tmp_path / "ours"
    ours.touch()
    subprocess.run(["setcap", "cap_net_raw,cap_net_admin+ep", ours], check=True)
    step = bench.shell("setcap cap_net_raw,cap_net_admin+ep usr/bin/tool; getcap usr/bin/tool")
    with bench.paused(step, source=small) as (agent, layers):
        found = os.getxattr(layers[0] / "usr/bin/tool", "security.capability")
        assert found == os.getxattr(ours, "security.capability")
        assert agent.wait_for(wire.Changed, step=step.id).changes[0].kind == "xattr"


def test_extended_attributes_and_acls_land_as_they_are(bench: Bench, small: wire.Source) -> None:
    step = bench.shell(
        "setfattr -n user.colour -v blue etc/motd; setfacl -m u:1000:rw,g:33:r etc/hostname\n"
        "mkdir d; setfacl -d -m u:1001:rwx d; touch d/inherits"
    )
    with bench.paused(step, source=small) as (_, layers):
        top = layers[0]
        assert os.getxattr(top / "etc/motd", "user.colour") == b"blue"
        argv = ["getfacl", "--numeric", "--omit-header", "--absolute-names"]
        acl = subprocess.run([*argv, top / "etc/hostname"], capture_output=True, text=True).stdout
        assert {"user:1000:rw-", "group:33:r--"} <= set(acl.split())
        acl = subprocess.run([*argv, top / "d"], capture_output=True, text=True).stdout
        assert "default:user:1001:rwx" in acl.split()
        acl = subprocess.run([*argv, top / "d/inherits"], capture_output=True, text=True).stdout
        assert "user:1001:rwx" in acl


def test_what_ran_when_leaves_no_trace_in_times(bench: Bench, small: wire.Source) -> None:
    old = "touch -d @12345 old; mkdir made; touch made/now etc/motd; ln -s x made/l"
    with bench.paused(bench.shell(old), source=small) as (_, layers):
        for path in [layers[0], *layers[0].rglob("*")]:
            wanted = 12345 if path.name == "old" else 1_000_000_000
            assert path.lstat().st_mtime_ns == wanted * 10**9, path


def test_a_step_sees_what_the_steps_before_it_did(bench: Bench, small: wire.Source) -> None:
    steps = [
        bench.shell("echo one > etc/motd; rm etc/hostname; mv etc/sub moved"),
        bench.shell("cat etc/motd; ls etc moved; echo two > moved/one; rm -r etc; mkdir etc"),
        bench.shell("ls -A etc; cat moved/one; test ! -e etc/motd; cat baserock/deployment.meta"),
    ]
    story = configured(bench, small, *steps)
    assert story.said(steps[1]).split() == "one etc: motd moved: one two".split()
    assert story.said(steps[2]).split("\n", 1) == ["two", '{"a": 1}\n']


def test_the_base_is_never_touched(bench: Bench, small: wire.Source) -> None:
    destroy = bench.shell("find . -xdev -mindepth 1 -delete; touch only; chmod 700 .")
    story = configured(bench, small, destroy)
    base = bench.store / "bases" / small.sha256 / "tree"
    assert sorted(path.name for path in base.iterdir()) == ["device", "etc", "link", "usr"]
    assert stat.S_IMODE(base.stat().st_mode) == 0o755
    assert story.kinds(destroy)["etc"] == "deleted"
    again = bench.shell("ls")
    assert configured(bench, small, again).said(again).split() == [
        *("baserock", "device", "etc", "link", "usr")
    ]


def test_every_kind_of_change_is_told(bench: Bench, small: wire.Source) -> None:
    text = (
        "echo new > added; mkdir -p deep/er; ln -s x deep/link\n"
        "echo more >> etc/motd; rm etc/hostname; chmod 600 etc/sub/one; chown 7:8 etc/sub/two\n"
        "setfattr -n user.x -v y usr/bin/tool; rm link; mkdir link; ln -sfn elsewhere etc/l"
    )
    assert kinds(bench, small, text) == {
        "added": "added",
        "deep": "added",
        "deep/er": "added",
        "deep/link": "added",
        "etc/hostname": "deleted",
        "etc/l": "added",
        "etc/motd": "modified",
        "etc/sub/one": "mode",
        "etc/sub/two": "owner",
        "link": "replaced",
        "usr/bin/tool": "xattr",
    }


def test_a_change_has_sizes_and_details(bench: Bench, small: wire.Source) -> None:
    step = bench.shell(
        "printf 12345 > etc/motd; chmod 4711 usr/bin/tool; chown 3:4 device; rm link"
    )
    changes = configured(bench, small, step).changes(step)
    assert (changes["etc/motd"].size_before, changes["etc/motd"].size_after) == (19, 5)
    assert "0644 → 4711" in changes["usr/bin/tool"].detail
    assert "0:0 → 3:4" in changes["device"].detail
    assert (changes["link"].size_before, changes["link"].size_after) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        "touch etc/motd device usr",
        "cat etc/motd > $TMPDIR/x; cat $TMPDIR/x > etc/motd",
        "chmod 600 etc/motd; chmod 644 etc/motd",
        "chown 5 etc/motd; chown 0 etc/motd",
        "setfattr -n user.x -v y etc/motd; setfattr -x user.x etc/motd",
        "touch new; rm new; mkdir d; rmdir d",
        "mv etc/motd away; mv away etc/motd",
        "rm etc/motd; echo 'etc/motd as it was' > etc/motd",
        "cp -a etc/sub $TMPDIR/; rm -r etc/sub; cp -a $TMPDIR/sub etc/sub",
        "ln etc/motd other; rm other",
        "touch -h link; rm link; ln -s etc/motd link",
    ],
)
def test_what_ends_as_it_began_is_no_change(bench: Bench, small: wire.Source, text: str) -> None:
    assert kinds(bench, small, text) == {}


def test_the_root_directory_itself_can_change(bench: Bench, small: wire.Source) -> None:
    assert kinds(bench, small, "chmod 700 .") == {".": "mode"}
    assert kinds(bench, small, "chown 9:9 .") == {".": "owner"}
    assert kinds(bench, small, "setfattr -n user.x -v y .") == {".": "xattr"}


def test_a_directory_made_anew_hides_what_was_below(bench: Bench, small: wire.Source) -> None:
    told = kinds(
        bench, small, "rm -r etc/sub; mkdir etc/sub; echo x > etc/sub/three; touch etc/sub/one"
    )
    assert told == {
        "etc/sub/one": "modified",
        "etc/sub/three": "added",
        "etc/sub/two": "deleted",
    }


def test_a_directory_made_anew_twice_is_compared_with_the_step_before(
    bench: Bench, small: wire.Source
) -> None:
    first = bench.shell("rm -r etc/sub; mkdir etc/sub; touch etc/sub/a etc/sub/b")
    second = bench.shell("rm -r etc; mkdir -p etc/sub; touch etc/sub/b")
    story = configured(bench, small, first, second)
    assert story.kinds(second) == {
        "etc/hostname": "deleted",
        "etc/motd": "deleted",
        "etc/sub/a": "deleted",
    }


def test_a_moved_directory_is_deleted_and_added(bench: Bench, small: wire.Source) -> None:
    told = kinds(bench, small, "mv etc/sub usr/moved; ls usr/moved")
    assert told == {
        "etc/sub": "deleted",
        "usr/moved": "added",
        "usr/moved/one": "added",
        "usr/moved/two": "added",
    }


def test_a_directory_replaced_by_a_file_and_the_other_way(bench: Bench, small: wire.Source) -> None:
    told = kinds(
        bench,
        small,
        "rm -r etc/sub; echo x > etc/sub; rm etc/motd; mkdir etc/motd; touch etc/motd/x",
    )
    assert told == {"etc/sub": "replaced", "etc/motd": "replaced", "etc/motd/x": "added"}


def test_deleted_and_made_again_by_another_step(bench: Bench, small: wire.Source) -> None:
    steps = [
        bench.shell("rm etc/motd; rm -r usr"),
        bench.shell("echo back > etc/motd; mkdir -p usr/bin; touch usr/bin/other"),
        bench.shell("ls -R usr; cat etc/motd"),
    ]
    story = configured(bench, small, *steps)
    assert story.kinds(steps[0]) == {"etc/motd": "deleted", "usr": "deleted"}
    assert story.kinds(steps[1]) == {
        **dict.fromkeys(("etc/motd", "usr", "usr/bin", "usr/bin/other"), "added")
    }
    assert story.said(steps[2]).split() == ["usr:", "bin", "usr/bin:", "other", "back"]


def test_a_link_swapped_for_a_directory_leads_no_comparison_astray(
    bench: Bench, small: wire.Source
) -> None:
    told = kinds(
        bench, small, "rm -r etc/sub; ln -s /usr/bin etc/sub; rm link; mkdir link; cp /bin/sh link/"
    )
    assert told == {"etc/sub": "replaced", "link": "replaced", "link/sh": "added"}


ODD_NAMES = [b"a\nb", b"\xff\xfe", b"x" * 255, b"\x1b[31m", b"-rf", b"\\,:"]


def test_names_with_newlines_and_bytes_that_are_no_text(bench: Bench, small: wire.Source) -> None:
    program = f"for name in {ODD_NAMES!r}: open(b'/tree/' + name, 'w')"
    step = bench.configure(f"#!/usr/bin/python3\n{program}\n")
    told = configured(bench, small, step).kinds(step)
    assert {os.fsencode(path) for path in told} == set(ODD_NAMES)
    assert set(told.values()) == {"added"}


def test_five_thousand_files_are_told_one_by_one(bench: Bench, small: wire.Source) -> None:
    program = "import os\nos.mkdir('/tree/many')\n"
    program += "for n in range(5000): open(f'/tree/many/{n}', 'w').write(str(n))"
    step = bench.configure(f"#!/usr/bin/python3\n{program}\n")
    story = configured(bench, small, step)
    assert len(story.kinds(step)) == 5001
    assert story.ending(step).changes == {"added": 5001}
    assert max(len(wire.encode(event)) for event in story.events) < wire.MAX_LINE


DEEP = """#!/usr/bin/python3
import os
os.chdir("/tree")
for level in range(2000):
    os.mkdir("d" * 100)
    os.chdir("d" * 100)
open("bottom", "w")
"""


def test_two_thousand_levels_are_told_used_and_removed(bench: Bench, small: wire.Source) -> None:
    deep, later = bench.configure(DEEP), bench.shell("echo still fine > etc/motd; rm -r ddd*")
    story = configured(bench, small, deep, later)
    assert story.ending(deep).changes == {"added": 2001}
    assert story.kinds(later) == {"etc/motd": "modified", "d" * 100: "deleted"}
    assert list((bench.store / "tmp").iterdir()) == []


def test_marks_of_overlayfs_cannot_be_set_by_hand(bench: Bench, small: wire.Source) -> None:
    step = bench.shell(
        "for name in trusted.overlay.opaque trusted.overlay.redirect trusted.x; do\n"
        "setfattr -n $name -v y etc 2>&1 && echo set; done\n"
        "mknod whiteout c 0 0 2>&1 && echo made\n"
        "setfattr -n user.overlay.opaque -v y etc 2>/dev/null; ls etc; true"
    )
    said = configured(bench, small, step).said(step)
    assert "set" not in said.split("\n")
    assert "made" not in said.split("\n")
    assert said.split()[-3:] == ["hostname", "motd", "sub"]


def test_many_layers_fit_one_mount(bench: Bench, small: wire.Source) -> None:
    steps = [bench.shell(f"echo {number} > n{number}") for number in range(60)]
    last = bench.shell("ls n* | wc -l")
    assert configured(bench, small, *steps, last).said(last) == "60\n"


def test_more_layers_than_a_mount_can_take_are_an_error_that_says_so() -> None:
    identity = Identity(mode="strict", descriptor=-1, base=0, count=1)
    names = [f"rw/{number}/up" for number in range(500)]
    with pytest.raises(OSError, match="500 layers: their names don't fit"):
        overlay.mount(identity, "/nowhere", "/", names, None)


def test_a_failed_step_is_told_with_what_it_changed(bench: Bench, small: wire.Source) -> None:
    step = bench.shell("echo x > etc/motd; touch half; exit 5")
    story = bench.run(bench.job(bench.deployment(small, configure=[step])))
    assert story.ending(step).outcome == "failed"
    assert story.kinds(step) == {"etc/motd": "modified", "half": "added"}


def test_subsystems_are_written_into_the_parents_tree(
    bench: Bench, small: wire.Source, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "inner").write_text("of the subsystem\n")
    other = bench.tree(tmp_path / "other")
    text = '#!/bin/sh -eu\nmkdir -p "$(dirname "$2")"; cp "$1/inner" "$2"\n'
    write = bench.step("write", text, wire.TREE, f"{wire.PARENT_TREE}/boot/initramfs")
    subsystem = bench.deployment(other, name="below", write=write)
    step = bench.shell("cat boot/initramfs; test ! -e inner; ls etc/motd")
    deployment = bench.deployment(small, configure=[step], subsystems=(subsystem,))
    story = bench.run(bench.job(deployment))
    assert story.finished.outcome == "ok"
    assert story.said(step) == "of the subsystem\netc/motd\n"


def test_what_a_subsystem_wrote_is_as_old_as_the_rest(bench: Bench, small: wire.Source) -> None:
    text = f'#!/bin/sh\ncp "$1/etc/motd" "$2"; touch {wire.PARENT_TREE}/etc\n'
    write = bench.step("write", text, wire.TREE, f"{wire.PARENT_TREE}/etc/written")
    subsystem = bench.deployment(small, name="below", write=write)
    step = bench.shell("stat -c %Y etc/written etc .")
    deployment = bench.deployment(small, configure=[step], subsystems=(subsystem,))
    story = bench.run(bench.job(deployment))
    assert story.said(step).split() == ["1000000000"] * 3
