"""What a deploy makes: the right tree, the same bytes, everywhere; one run serves many tests."""

import json
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from deploy_world import Ended, World, digest, members, text
from sites import Site

FORMATS = {"plain": "plain.tar", "zipped": "zipped.tar.gz", "packed": "packed.tar.zst"}
PARAMETERS = {
    "HOSTNAME": "node-7",
    "HOSTS_A": "10.0.0.1 gateway.example gateway",
    "FSTAB_DATA": "LABEL=data /srv ext4 defaults 0 2",
    "NETWORK_CONFIG": "lo:loopback;eth0:static,address=10.0.0.2,netmask=255.255.255.0",
    "INSTALL_FILES": "files/manifest",
    "SRC_CONFIG_DIR": "files/etc",
    "SSHKEYS": "files/key.pub",
    "ODD": "a $b %c 'd' \"e\" = f\ng",
    "ROOT_PASSWORD": "hunter2-in-a-name",
    "QUIET": "hunter2-declared",
}
BUILT_IN = (
    "set-hostname hosts fstab simple-network install-files add-config-files sshkeys"
).split()
DIGESTS: dict[str, tuple[str, str]] = {}


@dataclass(frozen=True)
class Everything:
    """A world with every built-in extension, and how its first deploy ended."""

    world: World
    first: Ended

    def path(self, name: str) -> Path:
        return self.world.out / name


@pytest.fixture(scope="module")
def everything(site: Site, new_world: Callable[..., World]) -> Everything:
    world = new_world(site)
    fill(world)
    first = world.deploy()
    assert first.code == 0, str(first)
    return Everything(world, first)


def fill(world: World) -> None:
    world.file("files/manifest", "0100640 0 42 /etc/greeting\n0100755 33 33 /bin/hello\n")
    world.file("files/etc/greeting", "hello\n")
    world.file("files/bin/hello", "#!/bin/sh\necho hello\n")
    world.file("files/etc/motd", "welcome\n")
    world.file("files/key.pub", "ssh-ed25519 AAAA somebody\n")
    world.extension(
        "oddities.configure",
        '#!/bin/sh\nset -e\nprintf %s "$ODD" > "$1/etc/odd"\nchmod 0750 "$1/etc/odd"\n'
        'chown 1000:65534 "$1/etc/odd"\nrm "$1/etc/inittab"\nmkfifo "$1/run/pipe"\n'
        'ln "$1/etc/odd" "$1/etc/odd-too"\n'
        'printf "%s and" "$QUIET" >&2; echo "with $ROOT_PASSWORD"\n'
        'printf hunter2- >&"$MORPH_LOG_FD"; sleep 0.1; printf declared >&"$MORPH_LOG_FD"\n',
    )
    world.cluster(secrets=["QUIET"])
    deploy: dict[str, dict[str, str]] = {
        name: {"type": "tar", "location": location} for name, location in FORMATS.items()
    }
    deploy["tree"] = {"type": "sysroot", "location": "tree"}
    world.system("full", deploy, *BUILT_IN, "oddities", defaults=PARAMETERS)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("etc/hostname", "node-7\n"),
        ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n10.0.0.1 gateway.example gateway\n"),
        ("etc/fstab", "proc /proc proc defaults 0 0\nLABEL=data /srv ext4 defaults 0 2\n"),
        ("etc/greeting", "hello\n"),
        ("bin/hello", "#!/bin/sh\necho hello\n"),
        ("etc/motd", "welcome\n"),
        ("root/.ssh/authorized_keys", "ssh-ed25519 AAAA somebody\n"),
        ("etc/odd", PARAMETERS["ODD"]),
    ],
)
def test_every_extension_has_its_effect(everything: Everything, path: str, content: str) -> None:
    assert text(everything.path("plain.tar"), path) == content


def test_the_network_is_configured_for_both_worlds(everything: Everything) -> None:
    plain = everything.path("plain.tar")
    assert "iface eth0 inet static\n    address 10.0.0.2\n" in text(plain, "etc/network/interfaces")
    assert "Address=10.0.0.2/24\n" in text(plain, "etc/systemd/network/51-eth0.network")
    assert "etc/systemd/network/10-dhcp.network" not in members(plain)


def test_owners_and_modes_are_those_that_extensions_set(everything: Everything) -> None:
    found = members(everything.path("plain.tar"))
    expected = {
        "etc/greeting": (0, 42, 0o640),
        "bin/hello": (33, 33, 0o755),
        "etc/odd": (1000, 65534, 0o750),
        "root/.ssh": (0, 0, 0o700),
        "root/.ssh/authorized_keys": (0, 0, 0o600),
    }
    seen = {path: (found[path].uid, found[path].gid, found[path].mode) for path in expected}
    assert seen == expected


def test_what_no_extension_touched_is_as_it_was_in_the_source(everything: Everything) -> None:
    before, after = members(everything.world.source), members(everything.path("plain.tar"))
    told = {change["path"] for e in everything.first.events("Changed") for change in e["changes"]}
    touched = told | {str(Path(path).parent) for path in told} | {"."}
    assert {"etc/hostname", "etc/inittab"} <= told
    differing = {
        path: (portrait(whole(one, before)), portrait(whole(after[path], after)))
        for path, one in before.items()
        if path not in touched
        if portrait(whole(one, before)) != portrait(whole(after[path], after))
    }
    assert not differing
    assert set(before) - set(after) <= told


def whole(one: tarfile.TarInfo, found: dict[str, tarfile.TarInfo]) -> tarfile.TarInfo:
    """A hard link's file: which of the names holds the content is the order's affair."""
    return found[one.linkname.removeprefix("./")] if one.islnk() else one


def portrait(one: tarfile.TarInfo) -> tuple[object, ...]:
    """What of a member must survive."""
    attributes = {k: v for k, v in one.pax_headers.items() if k.startswith("SCHILY.xattr")}
    size = one.size if one.isreg() else 0
    return one.type, one.mode, one.uid, one.gid, int(one.mtime), size, one.linkname, str(attributes)


def test_hard_links_and_set_id_bits_survive(everything: Everything) -> None:
    found = members(everything.path("plain.tar"))
    assert found["bin/bbsuid"].mode == 0o4711
    assert found["var/www"].mode == 0o2775
    pair = [found["etc/odd"], found["etc/odd-too"]]
    assert sorted(one.type for one in pair) == [tarfile.REGTYPE, tarfile.LNKTYPE]
    assert found["bin/sh"].islnk() or found["bin/busybox"].islnk()
    assert found["run/pipe"].isfifo()


def test_nothing_is_newer_than_the_source(everything: Everything) -> None:
    newest = max(one.mtime for one in members(everything.world.source).values())
    found = members(everything.path("plain.tar")).values()
    assert max(one.mtime for one in found) <= newest


def test_all_formats_hold_the_same_tree(everything: Everything) -> None:
    plain, *others = [members(everything.path(name)) for name in FORMATS.values()]
    for other in others:
        assert {k: v for k, v in portraits(other).items() if k != "baserock/deployment.meta"} == {
            k: v for k, v in portraits(plain).items() if k != "baserock/deployment.meta"
        }


def portraits(found: dict[str, tarfile.TarInfo]) -> dict[str, tuple[object, ...]]:
    return {path: portrait(whole(one, found)) for path, one in found.items()}


def test_a_sysroot_is_the_same_tree_as_a_directory(everything: Everything, site: Site) -> None:
    tree = everything.path("tree")
    expected = members(everything.path("plain.tar"))
    found = {str(path.relative_to(tree)) for path in tree.rglob("*")} | {"."}
    assert found == set(expected)
    wrong = {}
    for path, one in expected.items():
        there = os.lstat(tree / path)
        owner = (there.st_uid, there.st_gid) if site.kind != "user" else (one.uid, one.gid)
        seen = (stat.S_IMODE(there.st_mode), *owner, int(there.st_mtime))
        if not one.issym() and seen != (one.mode, one.uid, one.gid, int(one.mtime)):
            wrong[path] = (seen, one)
    assert not wrong
    assert os.lstat(tree / "etc/odd").st_nlink == 2
    assert os.getxattr(tree / "usr/share/doc/README", "user.origin") == b"containerdeploy sample"


def test_the_metadata_tells_how_it_was_configured_and_no_secret(everything: Everything) -> None:
    raw = text(everything.path("plain.tar"), "baserock/deployment.meta")
    found = json.loads(raw)
    assert raw == json.dumps(found, sort_keys=True, indent=4) + "\n"
    public = {k: v for k, v in PARAMETERS.items() if k not in ("ROOT_PASSWORD", "QUIET")}
    assert found["configuration"] == public
    assert found["system-artifact-name"] == "full"
    assert (found["deployment-type"], found["location"]) == ("tar", "plain.tar")
    assert found["partial"] is False
    assert {"definitions-version", "containerdeploy-version"} <= found.keys()
    assert "hunter2" not in raw


def test_secrets_are_in_no_output_and_in_no_record(everything: Everything, site: Site) -> None:
    assert "hunter2" not in str(everything.first) + str(everything.first.happenings)
    assert "oddities.configure: with (secret)\n" in everything.first.out
    for path in (site.home / "runs").rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes(), path


def test_the_events_tell_what_each_extension_changed(everything: Everything) -> None:
    counts = {event["step"]: event["changes"] for event in everything.first.steps("configure")}
    names = {event["step"]: event["name"] for event in everything.first.events("StepStarted")}
    by_name = {names[step]: changes for step, changes in counts.items()}
    assert by_name["set-hostname"] == {"modified": 1}
    assert by_name["oddities"]["deleted"] == 1
    assert by_name["oddities"]["added"] == 3


def test_four_deployments_of_a_system_share_one_unpack(everything: Everything) -> None:
    assert len(everything.first.steps("base")) == len(FORMATS) + 1
    assert everything.first.unpacks() <= 1


def test_a_second_deploy_finds_the_base_and_makes_the_same_bytes(everything: Everything) -> None:
    world = everything.world
    before = {name: digest(world.out / location) for name, location in FORMATS.items()}
    again = world.deploy(*FORMATS, "--output-dir", str(world.directory / "again"))
    assert again.code == 0, str(again)
    assert again.unpacks() == 0
    after = {name: digest(world.directory / "again" / it) for name, it in FORMATS.items()}
    assert after == before


@pytest.mark.parametrize("name", FORMATS)
def test_every_engine_makes_the_same_bytes(everything: Everything, site: Site, name: str) -> None:
    found = digest(everything.path(FORMATS[name]))
    first = DIGESTS.setdefault(name, (found, site.kind))
    assert found == first[0], f"{site.kind} differs from {first[1]}"


def test_the_delivered_digests_are_the_files(everything: Everything) -> None:
    told = {
        one["deployment"]: one["sha256"]
        for one in everything.first.happenings
        if one["happening"] == "Delivered" and one["sha256"]
    }
    assert told == {name: digest(everything.path(path)) for name, path in FORMATS.items()}


def test_a_template_is_filled_where_the_tools_have_jinja2(
    site: Site, new_world: Callable[..., World]
) -> None:
    jinja2 = ["/usr/bin/python3", "-c", "import jinja2"]
    if not site.is_api and subprocess.run(jinja2, capture_output=True, check=False).returncode:
        pytest.skip("this machine's Python has no Jinja2, and its tools are the local engine's")
    world = new_world(site)
    world.file("files/manifest", "template 0100644 0 0 /etc/motd\n")
    world.file("files/etc/motd", "this is {{HOSTNAME}}\n")
    deploy = {
        "type": "tar",
        "location": "t.tar",
        "HOSTNAME": "x",
        "INSTALL_FILES": "files/manifest",
    }
    world.system("t", {"t": deploy}, "install-files")
    ended = world.deploy()
    assert ended.code == 0, str(ended)
    assert text(world.out / "t.tar", "etc/motd") == "this is x\n"


def test_results_belong_to_whoever_deployed(everything: Everything, site: Site) -> None:
    uid = site.person.uid if site.person else os.geteuid()
    assert {os.stat(everything.path(path)).st_uid for path in FORMATS.values()} == {uid}
