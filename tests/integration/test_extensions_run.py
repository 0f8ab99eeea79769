"""What an extension sees and how it is run: environment, files, ids, network, interpreters, log."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from deploy_world import Ended, World, text
from sites import Site

PROBE = """\
#!/usr/bin/env python3
import json, os, sys
def attempt(act):
    try:
        act()
    except OSError as err:
        return err.strerror
    return "done"
os.write(int(os.environ["MORPH_LOG_FD"]), b"a word for the log, without a newline")
print("on stdout")
print("on stderr", file=sys.stderr)
seen = {
    "environment": dict(os.environ),
    "arguments": sys.argv[1:],
    "cwd": os.getcwd(),
    "ids": [os.getuid(), os.getgid(), os.geteuid(), os.getegid()],
    "umask": os.umask(0o22),
    "host name": os.uname().nodename,
    "interfaces": sorted(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net")
        else sorted(line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line),
    "private": open("files/private").read(),
    "definitions": attempt(lambda: open("files/private", "w")),
    "beside": attempt(lambda: open("new", "w")),
    "TMPDIR": [attempt(lambda: open("/var/tmp/x", "w")), os.listdir(os.environ["TMPDIR"])],
    "descriptors": sorted(map(int, os.listdir("/proc/self/fd"))),
    "devices": sorted(os.listdir("/dev")),
    "processes": sum(name.isdigit() for name in os.listdir("/proc")),
    "store": os.path.exists("/store"),
}
json.dump(seen, open(sys.argv[1] + "/etc/seen.json", "w"))
"""
ROOTS = ("docker", "podman", "local")
NOISE = {"HOSTNAME": "ci-runner-17", "SECRET_TOKEN": "hunter2-of-the-caller", "CHOSEN": "taken"}


@dataclass(frozen=True)
class Probed:
    """What the probe saw, and the deploy that it ran in."""

    ended: Ended
    seen: dict[str, object]


@pytest.fixture(scope="module")
def probed(site: Site, new_world: Callable[..., World]) -> Probed:
    world = new_world(site)
    world.extension("probe.configure", PROBE)
    world.file("files/private", "only for its owner\n", mode=0o600)
    world.system("probe", {"probe": {"type": "tar", "location": "p.tar", "KEY": "value"}}, "probe")
    ended = world.deploy("--env=CHOSEN", environment=NOISE)
    assert ended.code == 0, str(ended)
    return Probed(ended, json.loads(text(world.out / "p.tar", "etc/seen.json")))


def test_the_environment_is_the_protocols_and_nothing_else(probed: Probed) -> None:
    environment = dict(probed.seen["environment"])  # type: ignore[call-overload]
    epoch = environment.pop("SOURCE_DATE_EPOCH")
    assert epoch.isdigit()
    assert environment.pop("MORPH_LOG_FD") in list("3456789")
    assert environment == {
        "KEY": "value",
        "CHOSEN": "taken",
        "UPGRADE": "no",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "TMPDIR": "/var/tmp",
        "PYTHONPATH": "/definitions/extensions",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def test_it_runs_as_root_of_a_small_world(probed: Probed) -> None:
    seen = probed.seen
    assert seen["arguments"] == ["/tree"]
    assert seen["cwd"] == "/definitions"
    assert seen["ids"] == [0, 0, 0, 0]
    assert seen["umask"] == 0o022
    assert seen["host name"] == "localhost"
    assert seen["interfaces"] == ["lo"]
    assert seen["store"] is False
    assert seen["processes"] == 2


def test_definitions_can_be_read_whoever_owns_them_and_never_written(probed: Probed) -> None:
    seen = probed.seen
    assert seen["private"] == "only for its owner\n"
    assert seen["definitions"] == seen["beside"] == "Read-only file system"
    assert seen["TMPDIR"] == ["done", ["x"]]


def test_everything_that_it_said_is_in_its_log(probed: Probed, site: Site) -> None:
    assert probed.ended.log("stdout") == "on stdout"
    assert probed.ended.log("stderr") == "on stderr"
    assert probed.ended.log("log") == "a word for the log, without a newline"
    assert "[probe][probe] probe.configure: on stdout" in probed.ended.out
    run = probed.ended.happenings[0]["run"]
    (log,) = (site.home / "runs" / run / "logs").rglob("*probe.log")
    written = log.read_text()
    assert "a word for the log, without a newline" in written
    assert {"on stdout", "on stderr"} <= set(written.splitlines())


def test_nothing_of_the_callers_is_in_the_record(probed: Probed, site: Site) -> None:
    run = site.home / "runs" / probed.ended.happenings[0]["run"]
    for path in run.rglob("*"):
        text = path.read_text(errors="replace") if path.is_file() else ""
        assert "hunter2-of-the-caller" not in text, path
        assert "ci-runner-17" not in text, path


@pytest.mark.parametrize(
    "site", [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ROOTS], indirect=True
)
def test_definitions_of_an_ordinary_user_are_readable_for_a_deploy_by_root(
    site: Site, new_world: Callable[..., World]
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can deploy what belongs to somebody else")
    world = new_world(site)
    script = '#!/bin/sh\ncat files/private > "$1/etc/copied"\n'
    world.extension("copy.configure", script, mode=0o700)
    world.file("files/private", "mine\n", mode=0o600)
    world.system("own", {"own": {"type": "tar", "location": "own.tar"}}, "copy")
    argv = world.argv("deploy")
    for path in (world.definitions, *world.definitions.rglob("*")):
        os.chown(path, 1234, 1234)
    world.definitions.chmod(0o700)
    ran = site.run(argv, world.directory)
    assert ran.returncode == 0, ran.stdout
    assert text(world.out / "own.tar", "etc/copied") == "mine\n"


def test_network_full_is_for_the_extension_that_asks(
    site: Site, new_world: Callable[..., World]
) -> None:
    if without := without_network(site):
        pytest.skip(without)
    world = new_world(site)
    look = "sed -n 's/^ *\\([^ :]*\\):.*/\\1/p' /proc/net/dev | sort"
    script = f'#!/bin/sh\n{look} > "$1/etc/$(basename "$0")"\n'
    for name in ("online", "offline"):
        world.extension(f"{name}.configure", script)
    extensions = ({"name": "online", "network": "full"}, "offline")
    world.system("net", {"net": {"type": "tar", "location": "net.tar"}}, *extensions)
    ended = world.deploy()
    assert ended.code == 0, str(ended)
    assert text(world.out / "net.tar", "etc/offline.configure") == "lo\n"
    assert len(text(world.out / "net.tar", "etc/online.configure").splitlines()) > 1


def without_network(site: Site) -> str | None:
    """Say why there is no second interface to be seen, or None where there should be one."""
    if site.is_api:
        with site.client() as client:
            found = [one["Name"] for one in client.networks()]
        has_bridge = site.kind != "docker" or "bridge" in found
        return None if has_bridge else "this engine runs without a bridge network"
    others = [path.name for path in Path("/sys/class/net").iterdir() if path.name != "lo"]
    return None if others else "this machine has no network interface but lo"


PYTHON = """\
#!/usr/bin/python3
import os, sys
open(sys.argv[1] + "/etc/ran", "w").write(os.environ["KEY"])
"""
RUN = 'printf %s "$KEY" > "$1/etc/ran"'


@pytest.mark.parametrize(
    ("script", "mode"),
    [
        (f"#!/bin/sh\n{RUN}\n", 0o755),
        (f"#!/bin/sh\n{RUN}\n", 0o644),
        (f"#!/bin/sh -e\n{RUN}\n", 0o644),
        (f"#!/usr/bin/env sh\n{RUN}\n", 0o644),
        (PYTHON, 0o600),
    ],
    ids=["executable", "no-run-bit", "option", "env", "python-0600"],
)
def test_an_extension_runs_by_its_first_line(world: World, script: str, mode: int) -> None:
    world.extension("it.configure", script, mode=mode)
    world.system("s", {"s": {"type": "tar", "location": "s.tar", "KEY": "value"}}, "it")
    ended = world.deploy()
    assert ended.code == 0, str(ended)
    assert text(world.out / "s.tar", "etc/ran") == "value"


@pytest.mark.parametrize("mode", [0o755, 0o644])
def test_a_missing_interpreter_is_told_before_anything_starts(world: World, mode: int) -> None:
    world.extension("it.configure", "#!/usr/bin/morph-python2\nprint 1\n", mode=mode)
    world.system("s", {"s": {"type": "tar", "location": "s.tar"}}, "it")
    ended = world.deploy()
    assert ended.code == 2
    assert "extensions/it.configure needs /usr/bin/morph-python2: not " in ended.err
    assert not ended.happenings


@pytest.mark.parametrize("mode", [0o755, 0o644])
def test_one_without_first_line_is_refused_before_anything_starts(world: World, mode: int) -> None:
    world.extension("it.configure", "echo hello\n", mode=mode)
    world.system("s", {"s": {"type": "tar", "location": "s.tar"}}, "it")
    ended = world.deploy()
    assert ended.code == 2
    assert "it.configure' has no '#!' line" in ended.err
    assert "systems/s.yaml:1:" in ended.err
    assert not ended.happenings


def test_a_binary_that_this_machine_does_not_run_cannot_start(world: World) -> None:
    world.extension("it.configure", "\x7fELF but no more\n", mode=0o755)
    world.system("s", {"s": {"type": "tar", "location": "s.tar"}}, "it")
    ended = world.deploy()
    assert ended.code == 1
    assert ended.steps("configure")[0]["outcome"] == "cannot start"


def test_extensions_call_each_other_by_relative_path(world: World) -> None:
    world.extension("outer.configure", '#!/bin/sh\nexec extensions/inner.configure "$1" "$KEY"\n')
    world.extension("inner.configure", '#!/bin/sh\nprintf %s "$2" > "$1/etc/ran"\n')
    world.system("s", {"s": {"type": "tar", "location": "s.tar", "KEY": "value"}}, "outer")
    ended = world.deploy()
    assert ended.code == 0, str(ended)
    assert text(world.out / "s.tar", "etc/ran") == "value"


def test_upgrade_tells_extensions_so(world: World) -> None:
    world.extension("note.configure", '#!/bin/sh\nprintf %s "$UPGRADE" > "$1/etc/upgrade"\n')
    world.extension("put.write", '#!/bin/sh\ncp "$1/etc/upgrade" "$2"; echo "$UPGRADE, $2"\n')
    deploy = {"type": "tar", "location": "s.tar"}
    deploy |= {"upgrade-type": "put", "upgrade-location": "upgraded"}
    world.system("s", {"s": deploy}, "note")
    ended = world.deploy(verb="upgrade")
    assert ended.code == 0, str(ended)
    assert (world.out / "upgraded").read_text() == "yes"
    assert "put.write: yes, /output/upgraded" in ended.out
    assert not (world.out / "s.tar").exists()


def test_what_tar_cannot_upgrade_is_refused_before_anything_starts(world: World) -> None:
    world.system("s", {"s": {"type": "tar", "location": "s.tar"}})
    ended = world.deploy(verb="upgrade")
    assert ended.code == 2
    assert "can't upgrade" in ended.err
