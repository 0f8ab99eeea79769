"""What an extension sees, has and may: told by a script that looks around, run by the agent."""

import json
import os
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_bench import Bench

from containerdeploy import syscalls, wire

pytestmark = pytest.mark.kernel

CAPABILITIES = "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETFCAP SYS_CHROOT "
CAPABILITIES += "NET_BIND_SERVICE"
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "ODD": "a=b $HOME 'c' \"d\"\n\te", "EMPTY": ""}
LOOK_AROUND = Path(__file__).parents[1] / "support" / "look_around.py"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the script saw."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    place = tmp_path_factory.mktemp("seen")
    bench = Bench(place=place / "bench")
    (place / "tree").mkdir()
    source = bench.tree(place / "tree")
    step = bench.configure(LOOK_AROUND.read_text())
    step = wire.Step(**{**vars(step), "environment": ENVIRONMENT | {"TMPDIR": "/var/tmp"}})
    story = bench.run(bench.job(bench.deployment(source, configure=[step])))
    assert story.finished.outcome == "ok", (story.finished, story.said(step, "stderr"))
    yield json.loads(story.said(step))
    bench.close()


def test_it_is_root_of_ids_that_nobody_has(seen: dict[str, Any]) -> None:
    assert seen["ids"] == [0] * 6
    assert seen["groups"] == []
    inside, outside, count = map(int, seen["uid_map"])
    assert (inside, count) == (0, 65536)
    assert outside > 100_000


def test_it_has_exactly_the_capabilities_for_configuring_files(seen: dict[str, Any]) -> None:
    wanted = sum(1 << syscalls.CAPABILITIES[name] for name in CAPABILITIES.split())
    for name in ("CapEff", "CapPrm", "CapBnd"):
        assert int(seen["status"][name], 16) == wanted
    for name in ("CapInh", "CapAmb"):
        assert int(seen["status"][name], 16) == 0


def test_it_can_gain_no_privileges_and_is_filtered(seen: dict[str, Any]) -> None:
    assert seen["status"]["NoNewPrivs"] == "1"
    assert seen["status"]["Seccomp"] == "2"


def test_every_namespace_is_its_own(seen: dict[str, Any]) -> None:
    for name in NAMESPACES:
        assert seen["namespaces"][name] != str(Path(f"/proc/self/ns/{name}").readlink())


def test_there_is_only_the_loopback_interface(seen: dict[str, Any]) -> None:
    assert seen["interfaces"] == ["lo"]


def test_the_host_is_called_localhost(seen: dict[str, Any]) -> None:
    assert seen["host"] == ["localhost", "localhost"]


def test_the_environment_is_exactly_what_was_given(seen: dict[str, Any]) -> None:
    assert seen["environment"].pop("SOURCE_DATE_EPOCH").isdigit()
    extra = {"TMPDIR": "/var/tmp", "MORPH_LOG_FD": "3"}
    added_by_python = {"LC_CTYPE": seen["environment"].get("LC_CTYPE")}
    assert seen["environment"] | added_by_python == ENVIRONMENT | extra | added_by_python


def test_it_starts_in_the_definitions_which_it_cannot_write(seen: dict[str, Any]) -> None:
    assert seen["cwd"] == "/definitions"
    assert seen["definitions"] == "EROFS"


def test_tools_root_and_kernel_settings_are_read_only(seen: dict[str, Any]) -> None:
    assert set(seen["tools"].values()) == {"EROFS"}
    assert seen["chmod"] in ("EROFS", "EPERM")
    assert seen["root"] == "EROFS"
    assert seen["sysctl"] == seen["core_pattern"] == "EROFS"
    assert seen["sysrq"] in ("EROFS", "ENOENT")


def test_it_has_its_four_descriptors_and_no_other(seen: dict[str, Any]) -> None:
    assert seen["descriptors"] == {"0": "/dev/null", "1": "pipe", "2": "pipe", "3": "pipe"}


def test_new_files_get_the_usual_mode(seen: dict[str, Any]) -> None:
    assert seen["umask"] == 0o022
    assert seen["made"] == 0o644


def test_dev_holds_what_programs_count_on(seen: dict[str, Any]) -> None:
    devices = ["full", "null", "random", "urandom", "zero"]
    assert seen["dev"] == sorted([*devices, "fd", "shm", "stderr", "stdin", "stdout"])
    assert seen["null"] == "done"
    assert seen["random"] == 8


def test_its_own_places_are_empty_and_writable(seen: dict[str, Any]) -> None:
    assert seen["tmpdir"] == ["done", ["big"]]
    assert seen["tmp"] == ["done", ["x"]]
    assert seen["shm"] == seen["home"] == "done"


def test_nothing_of_the_agent_can_be_reached(seen: dict[str, Any]) -> None:
    assert seen["store"] == [False] * 4
    assert set(seen["init"]) <= {"EACCES", "EPERM"}
    assert seen["processes"] == [1, 2]
    assert {"definitions", "extensions", "tree"} <= set(seen["at_root"])


def test_limits_and_signals_are_those_of_a_fresh_program(seen: dict[str, Any]) -> None:
    assert seen["core"] == [1, 1]  # 0 would let a program of the host's take core dumps
    assert seen["nofile"][0] <= 4096
    assert seen["oom"] == 1000
    # Python itself ignores SIGPIPE and SIGXFSZ.
    assert int(seen["signals"][0], 16) == 0
    assert int(seen["signals"][1], 16) & ~(1 << 12 | 1 << 24) == 0
    assert seen["session"][0]
    assert seen["session"][1] != "done"
    assert seen["limits"] == {"max_user_namespaces": 0, "max_mnt_namespaces": 0}


def test_devices_in_the_tree_do_not_work(seen: dict[str, Any]) -> None:
    assert "nodev" in seen["tree_mount"]


def test_tmpdir_is_roomy_private_and_gone_afterwards(bench: Bench, small: wire.Source) -> None:
    first = bench.shell("head -c 70000000 /dev/zero > $TMPDIR/big; mkdir $TMPDIR/d; ls $TMPDIR")
    second = bench.shell("ls -A $TMPDIR /tmp /run /root /dev/shm")
    story = bench.run(bench.job(bench.deployment(small, configure=[first, second])))
    assert story.said(first) == "big\nd\n"
    assert [line for line in story.said(second).splitlines() if line and line[-1] != ":"] == []
    assert list((bench.store / "tmp").iterdir()) == []


def test_daemons_are_dead_when_the_step_is_over(bench: Bench, small: wire.Source) -> None:
    daemon = textwrap.dedent("""\
        trap '' TERM HUP
        (setsid sh -c 'trap "" TERM HUP; while :; do echo beat >> /tree/beats; sleep 0.02; done' \\
            >/dev/null 2>&1 </dev/null 3>&- &)
        while ! test -s beats; do sleep 0.01; done
        """)
    first, second = bench.shell(daemon), bench.shell("wc -l < beats; sleep 0.3; wc -l < beats")
    story = bench.run(bench.job(bench.deployment(small, configure=[first, second])))
    before, after = story.said(second).split()
    assert before == after
    assert story.ending(first).wall_s < 5


def test_a_child_that_keeps_the_log_open_holds_nobody_up(bench: Bench, small: wire.Source) -> None:
    step = bench.shell("(sleep 60 &) ; printf last >&3; printf 'no newline'")
    story = bench.run(bench.job(bench.deployment(small, configure=[step])))
    assert story.ending(step).outcome == "ok"
    assert story.ending(step).wall_s < 5
    assert story.said(step, "log") == "last\n"
    assert story.said(step) == "no newline\n"


def test_setuid_programs_of_the_tree_give_nothing(bench: Bench, small: wire.Source) -> None:
    step = bench.shell("cp /usr/bin/id me; chown 1234 me; chmod 4755 me; ./me -u")
    story = bench.run(bench.job(bench.deployment(small, configure=[step])))
    assert story.said(step) == "0\n"


def test_a_step_can_become_another_user(bench: Bench, small: wire.Source) -> None:
    code = "import os; os.setgid(33); os.setuid(33); open('/tree/mine', 'w'); print(os.getuid())"
    step = bench.shell(f'chmod 777 .; python3 -c "{code}"; stat -c %u:%g mine')
    story = bench.run(bench.job(bench.deployment(small, configure=[step])))
    assert story.said(step) == "33\n33:33\n"


def test_the_write_step_sees_the_tree_read_only(bench: Bench, small: wire.Source) -> None:
    write = bench.write('#!/bin/sh\ntouch "$1/new" 2>&1; cat "$1/etc/motd" > "$2"\n')
    output = wire.Output(slot="0", name="artifact", kind="file")
    story = bench.run(bench.job(bench.deployment(small, write=write, output=output)))
    assert "Read-only file system" in story.said(write)
    assert (bench.output / "0" / "artifact").read_text() == "etc/motd as it was\n"
    artifact = next(e for e in story.events if isinstance(e, wire.Artifact))
    assert (artifact.name, artifact.kind, artifact.size_bytes) == ("artifact", "file", 19)
