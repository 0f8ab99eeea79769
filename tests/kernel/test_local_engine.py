"""The local engine's containers: what they see, what they may, and that nothing of them stays."""

import concurrent.futures
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from containerdeploy.engine.base import ContainerId, ContainerSpec, Mount
from containerdeploy.engine.local import LocalEngine
from containerdeploy.errors import EngineError, ImageMissing

pytestmark = [pytest.mark.kernel, pytest.mark.local]

CGROUPS = Path("/sys/fs/cgroup")
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "uts")
DATA = Mount(kind="anonymous", target="/data")
HOLD = "echo ready; exec cat > /dev/null"


@dataclass(frozen=True)
class Ended:
    code: int | None
    out: str
    err: str


class Bench:
    """An engine with a home of its own, and the few lines that every test needs."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.engine = LocalEngine(home)

    def spec(self, script: str, **changes: object) -> ContainerSpec:
        values: dict[str, object] = {"name": os.urandom(8).hex(), "image": "host", "keep": True}
        values["argv"] = ("/bin/sh", "-c", script)
        return ContainerSpec(**(values | changes))  # type: ignore[arg-type]

    @contextlib.contextmanager
    def running(self, script: str = HOLD, **changes: object) -> Iterator[ContainerId]:
        container = self.engine.create(self.spec(script, **changes))
        try:
            attached = self.engine.attach(container)
            try:
                self.engine.start(container)
                assert attached.read(20) == ("stdout", b"ready\n")
                yield container
            finally:
                attached.close()
        finally:
            self.engine.remove(container)

    def run(self, script: str, **changes: object) -> Ended:
        container = self.engine.create(self.spec(script, **changes))
        try:
            attached = self.engine.attach(container)
            try:
                self.engine.start(container)
                output = {"stdout": b"", "stderr": b""}
                while piece := attached.read(30):
                    output[piece[0]] += piece[1]
                code = self.engine.wait(container, 20)
            finally:
                attached.close()
        finally:
            self.engine.remove(container)
        return Ended(code, output["stdout"].decode(), output["stderr"].decode())

    def pid(self, name: str) -> int:
        """Return a process of the only container: `launcher` or `init`."""
        (path,) = self.home.glob(f"containers/*/{name}")
        return int(path.read_text().split()[0])

    def left(self) -> list[str]:
        """List what is there of containers: directories, groups, processes."""
        found = [str(path) for path in self.home.glob("containers/*")]
        found += [str(path) for path in self.home.glob("containers/.*")]
        for line in _command_lines():
            if str(self.home) in line:
                found.append(line)
        return found


def _command_lines() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_bytes().replace(b"\0", b" ").decode(errors="replace")


def _mounts(home: Path) -> list[str]:
    """List this namespace's mounts, but not what other engines and tests have under way."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    others = ("/run/", "/tmp/", "/var/")
    return [line for line in lines if str(home) in line or not line.split()[4].startswith(others)]


def groups_of(container: ContainerId) -> list[Path]:
    """Where it has groups; os.walk puts up with others' groups that go while it looks."""
    name = f"containerdeploy-{container}"
    return [Path(path, name) for path, names, _ in os.walk(CGROUPS) if name in names]


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An engine, and the promise that mounts, groups and directories are as before at the end."""
    bench = Bench(tmp_path / "home")
    mounts = _mounts(bench.home)
    yield bench
    bench.engine.close()
    assert bench.left() == []
    assert _mounts(bench.home) == mounts


needs_groups = pytest.mark.skipif(os.geteuid() != 0, reason="control groups need root here")


def test_nothing_of_the_host_is_seen_but_its_tools(bench: Bench) -> None:
    seen = set(bench.run("ls -A /").out.split())
    tools = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"}
    assert seen - tools == {"dev", "etc", "proc", "root", "run", "sys", "tmp", "var"}
    empty = bench.run("ls -A /root /run /sys /tmp /var/tmp").out.split()
    assert [word for word in empty if not word.startswith("/")] == []


def test_secrets_and_names_of_the_host_are_absent(bench: Bench) -> None:
    for path in ("/etc/shadow", "/etc/hostname", "/etc/machine-id", "/etc/resolv.conf", "/home"):
        assert bench.run(f"test -e {path}").code == 1
    assert bench.run("cat /etc/passwd").out.count("\n") == 2
    assert bench.run("uname -n").out == "localhost\n"


def test_dev_holds_harmless_devices_only(bench: Bench) -> None:
    seen = bench.run("ls /dev; echo x > /dev/null && head -c 1 /dev/zero | wc -c").out.split()
    assert seen == "fd full null random shm stderr stdin stdout urandom zero 1".split()


def test_root_and_tools_are_read_only(bench: Bench) -> None:
    for path in ("/planted", "/usr/planted", "/etc/planted", "/dev/planted", "/usr/bin/planted"):
        ended = bench.run(f"touch {path}", capabilities=["DAC_OVERRIDE"])
        assert ended.code == 1
        assert "Read-only" in ended.err


def test_every_namespace_is_its_own(bench: Bench) -> None:
    script = f"for name in {' '.join(NAMESPACES)}; do readlink /proc/self/ns/$name; done"
    inside = bench.run(script).out.split()
    assert len(inside) == len(NAMESPACES)
    assert not set(inside) & {os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES}


def test_the_network_is_shared_when_asked_for(bench: Bench) -> None:
    inside = bench.run("readlink /proc/self/ns/net", network=True).out.strip()
    assert inside == os.readlink("/proc/self/ns/net")
    assert bench.run("cut -d: -f1 /proc/net/dev | tail -n +3").out.split() == ["lo"]


def test_the_program_is_the_first_process_and_sees_no_other(bench: Bench) -> None:
    assert bench.run("echo $$ /proc/[0-9]*").out.split() == ["1", "/proc/1"]


def test_the_group_namespace_has_the_containers_own_groups_as_root(bench: Bench) -> None:
    lines = bench.run("cat /proc/self/cgroup").out.splitlines()
    assert {line.split(":", 2)[2] for line in lines if "memory" in line or "pids" in line} <= {"/"}


def test_capabilities_are_exact_and_privileges_can_not_grow(bench: Bench) -> None:
    status = bench.run("cat /proc/self/status", capabilities=["CHOWN", "SYS_ADMIN"]).out
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    for name, wanted in (("CapPrm", 1 | 1 << 21), ("CapEff", 1 | 1 << 21), ("CapInh", 0)):
        assert int(fields[name], 16) == wanted
    assert int(fields["CapBnd"], 16) == 1 | 1 << 21
    assert int(fields["CapAmb"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert fields["SigIgn"] == fields["SigBlk"] == "0000000000000000"


def test_an_unknown_capability_is_refused(bench: Bench) -> None:
    with pytest.raises(EngineError, match="CAP_CHOWN"):
        bench.engine.create(bench.spec("true", capabilities=["CAP_CHOWN"]))


def test_the_environment_is_exactly_what_was_given(bench: Bench) -> None:
    given = {"PATH": "/usr/bin:/bin", "EMPTY": "", "ODD": "a=b $c\n'd'"}
    text = bench.run(
        "cat /proc/self/environ", argv=("cat", "/proc/self/environ"), environment=given
    )
    assert dict(entry.split("=", 1) for entry in text.out.rstrip("\0").split("\0")) == given


def test_a_program_is_found_on_the_containers_path(bench: Bench) -> None:
    assert bench.run("", argv=("python3", "-I", "-c", "print(6*7)")).out == "42\n"


def test_a_missing_program_is_an_error_with_its_name(bench: Bench) -> None:
    with pytest.raises(EngineError, match="cannot start") as caught:
        bench.run("", argv=("no-such-program",))
    assert "no-such-program" in (caught.value.details or "")


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_exit_codes_come_through(bench: Bench, code: int) -> None:
    assert bench.run(f"exit {code}").code == code


def test_proc_can_not_be_used_against_the_host(bench: Bench) -> None:
    script = "echo x > /proc/sys/kernel/core_pattern || echo b > /proc/sysrq-trigger"
    assert bench.run(script, capabilities=["DAC_OVERRIDE", "SYS_ADMIN"]).code != 0


def test_no_descriptor_of_the_engine_is_inherited(bench: Bench) -> None:
    assert bench.run("", argv=("ls", "/proc/self/fd")).out.split() == ["0", "1", "2", "3"]


@needs_groups
def test_a_program_that_takes_too_much_memory_dies(bench: Bench) -> None:
    program = ("python3", "-I", "-c", "data = b'x' * (400 << 20); print('survived')")
    ended = bench.run("", argv=program, memory_bytes=64 << 20)
    assert (ended.code, ended.out) == (137, "")


def test_a_fork_bomb_stops_at_the_limit(bench: Bench) -> None:
    script = "i=0; while [ $i -lt 60 ]; do sleep 5 & i=$((i+1)); echo $i; done"
    assert bench.run("ulimit -u; true").code == 0
    ended = bench.run(script, pids=20)
    assert 5 < len(ended.out.split()) < 21


def test_what_runs_in_real_time_has_no_group_for_processors(bench: Bench) -> None:
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        pytest.skip("nobody may run in real time here")
    try:
        assert bench.run("true").code == 0
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@needs_groups
def test_cpu_time_is_limited(bench: Bench) -> None:
    with bench.running(cpus=0.5) as container:
        names = ("cpu.cfs_quota_us", "cpu.max")
        files = [group / name for group in groups_of(container) for name in names]
        quotas = [path.read_text().split()[0] for path in files if path.exists()]
    assert quotas == ["50000"]


def test_a_core_is_never_dumped(bench: Bench) -> None:
    assert bench.run("ulimit -Hc").out == "0\n"


def test_mounts_nest_and_no_link_leads_one_astray(bench: Bench) -> None:
    store = Mount(kind="volume", source="store", target="/store")
    bench.run("ln -s /usr /store/inner", mounts=[store])
    inner = Mount(kind="tmpfs", target="/store/inner/lib")
    container = bench.engine.create(bench.spec("true", mounts=[store, inner]))
    with pytest.raises(EngineError):
        bench.engine.start(container)
    bench.engine.remove(container)
    nested = Mount(kind="tmpfs", target="/store/deep/er", size_bytes=1 << 20)
    ended = bench.run(
        "touch /store/deep/er/x; stat -f -c %T /store/deep/er", mounts=[store, nested]
    )
    assert ended.out == "tmpfs\n"
    assert not (bench.home / "volumes/store/deep/er/x").exists()


def test_a_file_is_bound_as_a_file(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("content")
    mount = Mount(kind="bind", source=str(tmp_path / "given"), target="/in/file", read_only=True)
    assert bench.run("cat /in/file", mounts=[mount]).out == "content"
    assert bench.run("echo x > /in/file", mounts=[mount]).code != 0


def test_the_program_has_its_time_when_the_lease_ends(bench: Bench) -> None:
    script = "echo ready; cat > /dev/null; sleep 0.5; echo done > /data/done"
    volume = Mount(kind="volume", source="kept", target="/data")
    with bench.running(script, mounts=[volume], keep=False):
        pass
    # `remove` killed it; a controller that dies does not:
    assert _die_as_controller(bench, script, volume="kept")
    assert within(10, lambda: (bench.home / "volumes/kept/done").exists())
    within(10, lambda: bench.left() == [])
    assert bench.left() == []


CONTROLLER = """
import os, signal, sys
from pathlib import Path
from containerdeploy.engine.base import ContainerSpec, Mount
from containerdeploy.engine.local import LocalEngine
home, script, volume, moment = sys.argv[1:]
engine = LocalEngine(Path(home))
mounts = [Mount(kind="volume", source=volume, target="/data")] if volume else []
container = engine.create(ContainerSpec(name="orphan", image="host", mounts=mounts,
    argv=("/bin/sh", "-c", script), labels={"test": "orphan"}))
print(container, flush=True)
if moment == "created":
    os.kill(os.getpid(), signal.SIGKILL)
attached = engine.attach(container)
engine.start(container)
attached.read(20)
os.kill(os.getpid(), signal.SIGKILL)
"""


def _die_as_controller(
    bench: Bench, script: str, *, volume: str = "", moment: str = ""
) -> ContainerId:
    """Make a container in a process that is then killed; return its id."""
    argv = [sys.executable, "-c", CONTROLLER, str(bench.home), script, volume, moment]
    done = subprocess.run(argv, timeout=30, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("moment", ["created", "running"])
def test_a_killed_controller_leaves_nothing(bench: Bench, moment: str) -> None:
    container = _die_as_controller(bench, HOLD, moment=moment)
    assert within(10, lambda: bench.left() == [])
    assert groups_of(container) == []


def test_another_controller_lists_kills_and_removes(bench: Bench) -> None:
    other = LocalEngine(bench.home)
    with bench.running(labels={"run": "a=b"}) as container:
        (found,) = other.containers("run=a=b")
        assert (found.id, found.state) == (container, "running")
        assert other.containers("run=other") == []
        with pytest.raises(TimeoutError):
            other.wait(container, 0.1)
        other.kill(container)
        assert other.wait(container, 10) == 137
        assert other.containers("run")[0].state == "exited"
        other.remove(container)
        assert other.containers("run") == []


def test_a_name_taken_anew_is_not_touched_through_its_old_container(bench: Bench) -> None:
    old = bench.engine.create(bench.spec(HOLD, name="same"))
    other = LocalEngine(bench.home)
    other.remove(old)
    with bench.running(name="same") as new:
        assert new != old
        other.kill(old)
        other.remove(old)
        with pytest.raises(TimeoutError):
            bench.engine.wait(new, 0.1)


@pytest.mark.parametrize("victim", ["launcher", "init"])
def test_a_killed_process_of_the_container_leaves_nothing_after_remove(
    bench: Bench, victim: str
) -> None:
    with bench.running(mounts=[DATA]) as container:
        init = bench.pid("init")
        os.kill(bench.pid(victim), signal.SIGKILL)
        assert bench.engine.wait(container, 10) == 137
        assert within(10, lambda: not Path(f"/proc/{init}").exists())
    assert bench.left() == []
    assert groups_of(container) == []


def test_a_launcher_killed_before_the_start_leaves_nothing_after_remove(bench: Bench) -> None:
    container = bench.engine.create(bench.spec(HOLD, labels={"run": "x"}))
    os.kill(bench.pid("launcher"), signal.SIGKILL)
    assert bench.engine.wait(container, 10) == 137
    assert bench.engine.containers("run")[0].state == "dead"
    bench.engine.remove(container)
    assert bench.left() == []


@needs_groups
def test_nested_groups_go_too_when_the_launcher_was_killed(bench: Bench) -> None:
    script = (
        "mkdir /run/c && mount -t cgroup -o memory none /run/c 2>/dev/null"
        " || mount -t cgroup2 none /run/c; mkdir -p /run/c/a/b; sleep 60 & echo $! >"
        " /run/c/a/b/cgroup.procs; " + HOLD
    )
    run = Mount(kind="tmpfs", target="/run")
    with bench.running(script, mounts=[run], capabilities=["SYS_ADMIN"]) as container:
        assert any((group / "a/b").is_dir() for group in groups_of(container))
        os.kill(bench.pid("launcher"), signal.SIGKILL)
    assert groups_of(container) == []


def test_a_hostile_volume_is_removed_whole(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").write_text("x")
    script = (
        f"cd /data && ln -s {tmp_path}/outside link && mkdir .removed-1 && touch .removed-2/x;"
        'python3 -I -c "\nimport os\nfor _ in range(1500): os.mkdir(str(1)); os.chdir(str(1))\n'
        'os.chdir(\\"/data\\"); os.mkdir(\\"locked\\"); os.mkdir(\\"locked/in\\");'
        ' os.chmod(\\"locked\\", 0)"'
    )
    assert bench.run(script, mounts=[DATA]).code == 0
    assert (tmp_path / "outside/precious").exists()
    assert bench.left() == []


def test_a_volume_in_use_is_not_removed(bench: Bench) -> None:
    mount = Mount(kind="volume", source="store", target="/store")
    with bench.running(mounts=[mount]):
        with pytest.raises(EngineError, match="in use"):
            bench.engine.remove_volume("store")
    bench.engine.remove_volume("store")
    assert bench.engine.volumes("containerdeploy=store") == []


def test_twenty_containers_run_side_by_side(bench: Bench) -> None:
    barrier = threading.Barrier(20)

    def one(number: int) -> str:
        barrier.wait(30)
        return bench.run(f"echo {number}; sleep 0.2", mounts=[DATA]).out

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        assert list(pool.map(one, range(20))) == [f"{number}\n" for number in range(20)]


def test_only_the_hosts_own_tools_are_an_image(bench: Bench) -> None:
    image = bench.engine.image("containerdeploy-helper:latest")
    assert image.id == bench.engine.image("containerdeploy-legacy").id
    assert image.id == bench.engine.image("host").id == LocalEngine(bench.home).image("host").id
    assert bench.engine.image(image.id).id == image.id
    with pytest.raises(ImageMissing):
        bench.engine.image("debian:12")


def test_a_place_that_can_not_be_is_refused_in_words(bench: Bench) -> None:
    for target in ("/", "relative", "/a/../b"):
        with pytest.raises(EngineError, match="mounted"):
            bench.engine.create(bench.spec("", mounts=[Mount(kind="tmpfs", target=target)]))
    with pytest.raises(EngineError, match="no name"):
        bad = Mount(kind="volume", source="../up", target="/x")
        bench.engine.create(bench.spec("", mounts=[bad]))
