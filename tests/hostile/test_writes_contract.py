"""What an extension changes beyond its sidecar's `writes` never gets into a result."""

import io
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deploy_world import Ended, World, members, text

BREAKER = (Path(__file__).parent / "breaches/breaker.configure").read_text()
BREACHES = re.findall(r"^def (\w+)\(\):$", BREAKER, re.MULTILINE)
KEPT = [name for name in BREACHES if name.startswith("kept")]
CONTRACT = {
    "writes": ["/etc/own", "/var/lib/*/own", "/srv/deep/er", "/srv/deep-su"],
    "privileged-files": ["/srv/deep-su"],
}
STRAY = """#!/bin/sh -eu
echo written > "$2"
echo more >> "${2%/etc/own/*}/etc/passwd"
"""
SCRIBBLE = """#!/bin/sh -eu
echo more >> "$1/etc/passwd"
cp "$1/etc/passwd" "$2"
"""
LEAD = '#!/bin/sh\nln -s ../../usr "$1/etc/own/lead"\n'
FOLLOW = '#!/bin/sh\necho x > "$1/$WHERE/x"\n'
OLD = 1_000_000_000
pytestmark = pytest.mark.parametrize(
    "site",
    [
        pytest.param("local", marks=pytest.mark.local),
        pytest.param("user", marks=pytest.mark.local),
        pytest.param("docker", marks=pytest.mark.docker),
    ],
    indirect=True,
    scope="module",
)
# What the violation names where it isn't a path that the breach's function spells.
NAMED = {
    "mode_of_the_root": "/ (mode)",
    "added_under_a_name_of_two_lines": r"'/etc/a\nb' (added)",
    "modified_file": "/etc/passwd (modified)",
    "modified_by_mapping": "/etc/passwd (modified)",
    "modified_through_a_link_of_its_own": "/etc/passwd (modified)",
    "modified_through_a_hard_link": "/etc/passwd (modified)",
    "deleted_directory": "/usr/share (deleted)",
    "emptied_directory": "/usr/share/doc (deleted)",
    "linked_in": "/etc/passwd (linked)",
    "linked_out": "/usr/bin/file (added)",
    "renamed_in": "/etc/passwd (deleted)",
    "renamed_out": "/usr/bin/file (added)",
    "attribute_by_the_name_of_overlayfs_own": "/etc/passwd (xattr)",
    "attribute_of_the_root_by_the_name_of_overlayfs_own": "/ (xattr)",
    "attribute_that_looks_like_a_hidden_directory": "/usr/share (xattr)",
    "time_of_a_file": "/etc/passwd (time)",
    "time_of_a_link": "/etc/mtab (time)",
    "same_bytes_again": "/etc/passwd (time)",
    "setuid_file": "/etc/own/su (setuid)",
    "setuid_bit": "/etc/own/file (setuid)",
    "setuid_file_moved": "/etc/own/sudo2 (setuid)",
    "setuid_file_of_other_content": "/etc/own/sudo (setuid)",
    "setgid_file": "/etc/own/sg (setgid)",
    "capability": "/etc/own/capable (capability)",
    "capability_on_an_old_file": "/etc/own/file (capability)",
    "replaced_the_directory_that_holds_its_own": "/var/lib/one (replaced)",
}


def _source(path: Path) -> Path:
    """A small system with what the breaches break."""
    with tarfile.open(path, "w") as archive:

        def add(name: str, mode: int = 0o644, **fields: Any) -> None:
            member = tarfile.TarInfo(f"./{name}")
            member.mode, member.mtime = mode, OLD  # the newest: what is newer becomes that
            for key, value in fields.items():
                setattr(member, key, value)
            data = b"as it was\n" if member.isreg() else b""
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))

        for name in (
            *("etc", "etc/own", "opt", "srv", "usr", "usr/bin", "usr/share", "usr/share/doc"),
            *("var", "var/lib", "var/lib/one", "var/lib/two"),
        ):
            add(name, 0o755, type=tarfile.DIRTYPE)
        add("etc/passwd", mtime=OLD - 60)
        for name in ("etc/own/file", "usr/share/doc/text", "var/lib/one/file"):
            add(name)
        add("etc/shadow", 0o600)
        add("etc/own/sudo", 0o4755)
        add("usr/share/first")
        add("usr/share/twin", type=tarfile.LNKTYPE, linkname="./usr/share/first")
        add("etc/led", type=tarfile.SYMTYPE, linkname="../var/lib/one")
        add("etc/mtab", type=tarfile.SYMTYPE, linkname="../proc/mounts")
    return path


@dataclass(frozen=True, kw_only=True)
class Case:
    """A run in which each deployment is one breach, with and without a contract."""

    world: World
    ended: Ended

    def endings(self, name: str) -> dict[str, dict[str, Any]]:
        """StepFinished of the extension `name` by deployment."""
        started = [e for e in self.ended.events("StepStarted") if e["name"] == name]
        places = {event["step"]: event["deployment"] for event in started}
        return {
            places[event["step"]]: dict(event)
            for event in self.ended.events("StepFinished")
            if event["step"] in places
        }

    def tree(self, deployment: str) -> dict[str, tarfile.TarInfo]:
        return members(self.world.out / f"{deployment}.tar")


@pytest.fixture(scope="module")
def case(new_world: Callable[[str], World]) -> Case:
    world = new_world("contract")
    world.source = _source(world.directory / "source.tar")
    world.extension("bound.configure", BREAKER, sidecar=CONTRACT)
    world.extension("free.configure", BREAKER)
    world.extension("after.configure", "#!/bin/sh\necho ran after $BREACH\n")
    for name in ("bound", "free"):
        deploy = {
            f"{name}-{breach}": {
                "type": "tar",
                "location": f"{name}-{breach}.tar",
                "BREACH": breach,
            }
            for breach in BREACHES
        }
        world.system(name, deploy, name, *(["after"] if name == "bound" else []))
    _write_extensions(world)
    _led_by_links(world)
    return Case(world=world, ended=world.deploy("--keep-going"))


def _write_extensions(world: World) -> None:
    """Write extensions that change the tree that they write, or the parent's of a subsystem."""
    for name, sidecar in (("bound", {"writes": []}), ("free", {})):
        world.extension(f"stray-{name}.write", STRAY, sidecar=sidecar)
        world.extension(f"scribble-{name}.write", SCRIBBLE, sidecar={**sidecar, "tree": "writable"})
        scribble = {"type": f"scribble-{name}", "location": f"scribble-{name}.img"}
        world.system(f"scribble-{name}", {f"scribble-{name}": scribble})
        inner = {"type": f"stray-{name}", "location": "/etc/own/inner"}
        entry = world.entry(f"inner-{name}", {f"inner-{name}": inner})
        outer = {"type": "tar", "location": f"outer-{name}.tar"}
        world.system(f"outer-{name}", {f"outer-{name}": outer}, subsystems=[entry])


def _led_by_links(world: World) -> None:
    """One writes through a link of the source, one through a link that the step before made."""
    world.extension("lead.configure", LEAD, sidecar={"writes": ["/etc/own"]})
    for name, where, steps in (
        ("by-source", "etc/led", ["by-source"]),
        ("by-step", "etc/own/lead", ["lead", "by-step"]),
    ):
        world.extension(f"{name}.configure", FOLLOW, sidecar={"writes": [f"/{where}/x"]})
        tar = {"type": "tar", "location": f"{name}.tar", "WHERE": where}
        world.system(name, {name: tar}, *steps)


def test_every_breach_of_the_contract_is_a_policy_violation(case: Case) -> None:
    endings = case.endings("bound")
    broken = {f"bound-{name}": "policy violation" for name in BREACHES if name not in KEPT}
    kept = {f"bound-{name}": "ok" for name in KEPT}
    assert {name: one["outcome"] for name, one in endings.items()} == broken | kept, case.ended


def test_the_violation_names_the_path_and_what_happened_to_it(case: Case) -> None:
    endings = case.endings("bound")
    for name, expected in NAMED.items():
        assert expected in endings[f"bound-{name}"]["detail"], endings[f"bound-{name}"]
    for ending in endings.values():
        assert "\n" not in ending["detail"]


def test_what_to_declare_is_told(case: Case) -> None:
    told = case.ended.out + case.ended.err
    assert f"it may write {', '.join(CONTRACT['writes'])}, but changed /etc/new (added)" in told
    assert "add the paths to `writes:` in its sidecar" in told


def test_no_later_step_runs_and_nothing_is_written_after_a_violation(case: Case) -> None:
    assert case.ended.code == 1
    delivered = {path.stem for path in case.world.out.iterdir()}
    assert {name for name in delivered if name.startswith("bound")} == {f"bound-{n}" for n in KEPT}
    assert set(case.endings("after")) == {f"bound-{name}" for name in KEPT}
    assert set(case.ended.log().splitlines()) == {f"ran after {name}" for name in KEPT}


def test_without_a_contract_the_same_changes_are_in_the_result(case: Case) -> None:
    endings = case.endings("free")
    assert {one["outcome"] for one in endings.values()} == {"ok"}, case.ended
    before = case.tree("free-kept_and_only_looked")
    for name in BREACHES:
        if name not in KEPT:
            assert _portrait(case.tree(f"free-{name}")) != _portrait(before), name
    assert case.tree("free-setuid_file")["etc/own/su"].mode == 0o4755
    assert (
        "SCHILY.xattr.security.capability"
        in case.tree("free-capability")["etc/own/capable"].pax_headers
    )


def test_a_write_extension_changes_nothing_else_of_its_tree(case: Case) -> None:
    (ending,) = case.endings("scribble-bound").values()
    assert ending["outcome"] == "policy violation"
    assert ending["detail"] == "it may write nothing, but changed /etc/passwd (modified)"
    assert not (case.world.out / "scribble-bound.img").exists()
    assert "more" in (case.world.out / "scribble-free.img").read_text()


def test_a_subsystem_is_written_at_its_location_and_nowhere_else(case: Case) -> None:
    (ending,) = case.endings("stray-bound").values()
    assert ending["outcome"] == "policy violation"
    expected = "it may write /etc/own/inner, but changed /etc/passwd (modified)"
    assert ending["detail"] == expected
    assert not (case.world.out / "outer-bound.tar").exists()
    assert text(case.world.out / "outer-free.tar", "etc/passwd") == "as it was\nmore\n"


def test_links_of_the_source_are_followed_and_those_of_steps_are_not(case: Case) -> None:
    assert case.endings("by-source")["by-source"]["outcome"] == "ok"
    assert text(case.world.out / "by-source.tar", "var/lib/one/x") == "x\n"
    ending = case.endings("by-step")["by-step"]
    assert ending["outcome"] == "policy violation"
    assert "changed /usr/x (added)" in ending["detail"]


def test_nothing_is_left_of_what_was_dropped(case: Case) -> None:
    store = case.world.site.store()
    assert store is not None
    assert list((store / "tmp").iterdir()) == []


def _portrait(tree: dict[str, tarfile.TarInfo]) -> dict[str, object]:
    """What a result's entries are; the text of deployment.meta differs by itself."""
    return {
        name: (one.mode, one.uid, one.gid, one.size, one.chksum, one.type, one.linkname)
        for name, one in tree.items()
        if not name.startswith("baserock")
    }
