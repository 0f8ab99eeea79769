"""Isolation modes: the one that is asked for or nothing, and what compat still holds back."""

import os
import stat
from pathlib import Path

import pytest
from agent_bench import Bench, Story

from containerdeploy import wire

pytestmark = pytest.mark.kernel

BEFORE_5_12 = "mount_setattr"
# As real root, with all that an extension may in any mode.
REACH = r"""
import os, resource, stat
def tried(name, action):
    try: action()
    except OSError as err: print(name, "refused", err.errno)
    else: print(name, "done")
def write(path):
    with open(path, "r+b", buffering=0) as stream: stream.write(b"\n" if "trigger" in path else b"")
tried("core_pattern", lambda: write("/proc/sys/kernel/core_pattern"))
tried("chmod-null", lambda: os.chmod("/dev/null", 0o600))
tried("mknod", lambda: os.mknod("/tree/node", 0o600 | stat.S_IFCHR, os.makedev(1, 3)))
tried("tools", lambda: os.chmod("/usr/bin", 0o755))
tried("definitions", lambda: os.chmod("/definitions", 0o755))
tried("below", lambda: os.chmod("/definitions/below", 0o755))
tried("mount-again", lambda: os.listdir("/proc/1/root/store"))
def inotify():
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.inotify_init() < 0: raise OSError(ctypes.get_errno(), "inotify")
tried("inotify", inotify)
found = []
for place, directories, names in os.walk("/proc"):
    directories[:] = [one for one in directories if not one.isdigit() and "self" not in one]
    found += [f"{place}/{one}" for one in names]
open_ones = []
for path in found:
    shown = os.lstat(path)
    if stat.S_ISREG(shown.st_mode) and shown.st_mode & 0o200:
        try: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError: continue
        open_ones.append(path)
print("writable", open_ones)
hidden = [one for one in found if stat.S_ISREG(os.lstat(one).st_mode) and one.count("/") == 2
          and not os.lstat(one).st_mode & 0o004]
print("for root only", hidden)
print("queues", resource.getrlimit(resource.RLIMIT_MSGQUEUE)[1])
"""


def done(bench: Bench, source: wire.Source, *steps: wire.Step, **asked: object) -> Story:
    lacking = str(asked.pop("lacking", ""))
    job = bench.job(bench.deployment(source, configure=steps), **asked)
    return bench.run(job, lacking=lacking)


def test_auto_is_strict_for_root_and_says_so(bench: Bench, small: wire.Source) -> None:
    step = bench.shell("cat /proc/self/uid_map")
    story = done(bench, small, step)
    assert story.finished.outcome == "ok"
    assert (story.hello.isolation, story.hello.weaker) == ("strict", ())
    assert story.said(step).split() == ["0", "524288", "65536"]


@pytest.mark.parametrize("wanted", ["auto", "strict"])
def test_a_kernel_without_id_mapped_layers_is_refused_before_anything_is_unpacked(
    bench: Bench, small: wire.Source, wanted: str
) -> None:
    story = done(bench, small, bench.shell("true"), isolation=wanted, lacking=BEFORE_5_12)
    finished = story.finished
    assert (finished.outcome, finished.unfit, len(story.events)) == ("failed", True, 1)
    assert finished.error.startswith("strict isolation can't be had here: mount_setattr: ")
    assert "Linux 5.19" in finished.hint
    assert "--isolation compat" in finished.hint
    assert "real root" in finished.hint
    assert list((bench.store / "bases").iterdir()) == []
    assert list((bench.store / "tmp").iterdir()) == []


def test_rootless_is_refused_to_an_engine_that_runs_as_root(
    bench: Bench, small: wire.Source
) -> None:
    finished = done(bench, small, bench.shell("true"), isolation="rootless").finished
    assert finished.unfit
    assert "the engine runs as root" in finished.error
    assert "--engine local" in finished.hint


@pytest.mark.parametrize("lacking", ["", BEFORE_5_12])
def test_compat_is_real_root_that_reaches_nothing_of_the_host(
    bench: Bench, small: wire.Source, lacking: str
) -> None:
    (bench.definitions / "below").mkdir()
    step = bench.shell(f"cat /proc/self/uid_map; exec python3 -I -c '{REACH}'")
    before = {path: os.lstat(path).st_mode for path in ("/dev/null", "/usr/bin")}
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    story = done(bench, small, step, isolation="compat", lacking=lacking)
    assert story.finished.outcome == "ok", (story.finished, story.said(step, "stderr"))
    assert story.hello.isolation == "compat"
    said = story.said(step).splitlines()
    assert said[0].split() == ["0", "0", "4294967295"]
    told = [line for line in said[1:] if not line.startswith(("writable", "for root", "queues"))]
    assert len(told) == 8
    assert [line for line in told if " refused " not in line] == []
    assert said[-3:] == ["writable []", "for root only []", "queues 0"]
    assert {path: os.lstat(path).st_mode for path in before} == before
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern


def test_compat_names_all_that_is_weaker(bench: Bench, small: wire.Source) -> None:
    told = "; ".join(done(bench, small, isolation="compat").hello.weaker)
    for word in ("real root", "only root may read", "epoll watches", "real owners"):
        assert word in told
    assert "loopback" not in told


def test_real_root_has_no_power_over_its_network(bench: Bench, small: wire.Source) -> None:
    """Whoever owns the user namespace of a network may do anything to it: nobody's is root's."""
    program = (
        "import fcntl, socket, struct\n"
        "sock = socket.socket()\n"
        'for act in (lambda: fcntl.ioctl(sock, 0x8922, struct.pack("16si12x", b"lo", 1500)),\n'
        "            lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)):\n"
        "    try: print(act())\n"
        '    except PermissionError: print("refused")\n'
        "with socket.socket() as server:\n"
        '    server.bind(("127.0.0.1", 0)); server.listen()\n'
        '    socket.create_connection(server.getsockname()).close(); print("connected")\n'
    )
    step = bench.shell(f"exec python3 -I -c '{program}'")
    story = done(bench, small, step, isolation="compat")
    assert story.said(step).split() == ["refused", "refused", "connected"], story


def test_compat_leaves_the_same_layers_as_strict(bench: Bench, small: wire.Source) -> None:
    text = (
        "mkdir new; touch new/file; chown 1000:33 new/file; chmod 4755 usr/bin/tool\n"
        "rm -r etc/sub; mkdir etc/sub; ln etc/motd hard; setfattr -n user.a -v b etc/motd\n"
        "setcap cap_net_raw+ep usr/bin/tool; mv etc/hostname etc/name; ip link show lo"
    )
    told = []
    for mode in ("strict", "compat"):
        step = bench.shell(text)
        story = done(bench, small, step, isolation=mode)
        assert story.finished.outcome == "ok", (mode, story.said(step, "stderr"))
        assert "LOOPBACK,UP" in story.said(step)
        told.append(story.changes(step))
    assert told[0] == told[1]


def test_a_probe_tries_every_mode(bench: Bench) -> None:
    facts = bench.run(bench.job(kind="probe")).hello.facts
    assert facts["isolation-strict"] == facts["isolation-compat"] == "ok"
    assert facts["isolation-rootless"] == "the engine runs as root"
    older = bench.run(bench.job(kind="probe"), lacking=BEFORE_5_12).hello.facts
    assert older["isolation-strict"].startswith("mount_setattr: ")
    assert older["isolation-compat"] == "ok"


def test_no_capability_is_inherited(bench: Bench, small: wire.Source) -> None:
    for mode in ("strict", "compat"):
        step = bench.shell("grep -E 'Cap(Inh|Amb)' /proc/self/status")
        said = done(bench, small, step, isolation=mode).said(step)
        assert [int(line.split()[1], 16) for line in said.splitlines()] == [0, 0]


def test_the_devices_work_though_nobody_may_change_them(bench: Bench, small: wire.Source) -> None:
    step = bench.shell("echo x > /dev/null; head -c 3 /dev/zero | wc -c; ! chmod 600 /dev/null")
    assert done(bench, small, step).said(step) == "3\n"
    assert stat.S_IMODE(os.stat("/dev/null").st_mode) == 0o666
