"""The local engine for an ordinary user: with one id, and with a full range of them."""

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import containerdeploy

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.local,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes an ordinary user of its own, as root"),
]

ACCOUNT = f"cdtest{os.getpid()}"
NO_ACCOUNT = 64321
CAPABILITIES = "CHOWN DAC_OVERRIDE FOWNER MKNOD SETGID SETPCAP SETUID SYS_ADMIN SYS_CHROOT".split()
# Runs one container and prints what became of it; the engine's own Python, not the container's.
PROGRAM = """
import io, json, sys, tarfile
from pathlib import Path
from containerdeploy.engine.base import ContainerSpec, Mount
from containerdeploy.engine.local import LocalEngine
from containerdeploy.errors import EngineError

home, wanted = Path(sys.argv[1]), json.loads(sys.argv[2])
engine = LocalEngine(home)
mounts = [Mount(kind="anonymous", target="/data"), Mount(kind="volume", source="v", target="/v")]
spec = ContainerSpec(name="one", image="host", keep=True, mounts=mounts,
    **{"argv": ("/bin/sh", "-c", wanted.pop("script")), **wanted})
container = engine.create(spec)
buffer = io.BytesIO()
with tarfile.open(fileobj=buffer, mode="w") as archive:
    member = tarfile.TarInfo("sent/file")
    member.uid, member.gid, member.size = 7, 8, 3
    archive.addfile(member, io.BytesIO(b"abc"))
engine.put(container, "/data", [buffer.getvalue()])
attached = engine.attach(container)
engine.start(container)
output = {"stdout": b"", "stderr": b""}
while piece := attached.read(30):
    output[piece[0]] += piece[1]
attached.close()
code = engine.wait(container, 20)
fetched = io.BytesIO(b"".join(engine.fetch(container, "/data")))
with tarfile.open(fileobj=fetched) as archive:
    owners = {one.name: [one.uid, one.gid] for one in archive}
engine.remove(container)
engine.remove_volume("v")
left = [str(path) for path in home.rglob("*") if path.parent != home]
print(json.dumps({"code": code, "out": output["stdout"].decode(), "owners": owners,
    "err": output["stderr"].decode(), "left": left, "rootless": engine.describe().rootless}))
"""


@dataclass(frozen=True)
class User:
    """An ordinary user, their directory, and how many ids their containers should have."""

    uid: int
    gid: int
    home: Path
    ids: int

    def run(self, script: str, **changes: object) -> dict[str, object]:
        wanted = {"script": script, "capabilities": CAPABILITIES, **changes}
        argv = [_python(self), "-c", PROGRAM, str(self.home / "engine"), json.dumps(wanted)]
        done = subprocess.run(
            argv,
            user=self.uid,
            group=self.gid,
            extra_groups=[],
            env={"PYTHONPATH": str(self.home), "PATH": os.environ["PATH"]},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, object] = json.loads(done.stdout)
        return found


def _python(user: User) -> str:
    """Return a Python that this user can run; the tests' own may lie in root's home."""
    check = ("-c", "import sys; sys.exit(sys.version_info < (3, 11))")
    for python in (sys.executable, "/usr/bin/python3"):
        with contextlib.suppress(PermissionError):
            argv = [python, *check]
            subprocess.run(argv, user=user.uid, group=user.gid, cwd="/", check=True)
            return python
    pytest.skip("no Python 3.11 that an ordinary user may run")


@pytest.fixture(params=["one id", "full range"])
def user(request: pytest.FixtureRequest) -> Iterator[User]:
    """Yield an ordinary user, who is gone afterwards with all that is theirs."""
    has_range = request.param == "full range"
    if has_range and not (shutil.which("useradd") and shutil.which("newuidmap")):
        pytest.skip("no useradd or newuidmap (package uidmap)")
    uid, gid = _add_account() if has_range else (NO_ACCOUNT, NO_ACCOUNT)
    home = Path("/tmp") / f"containerdeploy-test-{os.getpid()}-{uid}"
    home.mkdir(mode=0o755)
    package = Path(containerdeploy.__file__).parent
    shutil.copytree(package, home / "containerdeploy", ignore=shutil.ignore_patterns("__pycache__"))
    os.chown(home, uid, gid)
    try:
        yield User(uid=uid, gid=gid, home=home, ids=65536 if has_range else 1)
    finally:
        shutil.rmtree(home)
        if has_range:
            subprocess.run(["userdel", ACCOUNT], check=True, capture_output=True)


def _add_account() -> tuple[int, int]:
    """Add an account; useradd gives it subordinate ids where login.defs says so, else we do."""
    subprocess.run(["useradd", "--no-create-home", ACCOUNT], check=True, capture_output=True)
    if ACCOUNT not in Path("/etc/subuid").read_text():
        ranges = ["--add-subuids", "900000-965535", "--add-subgids", "900000-965535"]
        subprocess.run(["usermod", *ranges, ACCOUNT], check=True, capture_output=True)
    entry = pwd.getpwnam(ACCOUNT)
    return entry.pw_uid, entry.pw_gid


def test_an_ordinary_user_is_root_inside_with_the_ids_they_have(user: User) -> None:
    found = user.run("id -u; cat /proc/self/uid_map")
    assert found["code"] == 0, found
    own, *extents = str(found["out"]).split()
    assert own == "0"
    assert sum(map(int, extents[2::3])) == user.ids
    assert found["rootless"] is True
    assert found["left"] == []


def test_capabilities_and_privileges_are_cut_as_for_root(user: User) -> None:
    status = str(user.run("cat /proc/self/status", capabilities=["CHOWN"])["out"])
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 1
    assert fields["NoNewPrivs"] == "1"


def test_the_host_is_as_invisible_as_for_root(user: User) -> None:
    found = user.run("uname -n; ls -A /; test -e /etc/shadow || echo absent; touch /usr/x")
    words = str(found["out"]).split()
    assert words[0] == "localhost"
    assert words[-1] == "absent"
    assert not {"home", "opt", "mnt", "srv", "work"} & set(words)
    assert "Read-only" in str(found["err"])


def test_owners_come_and_go_as_far_as_there_are_ids(user: User) -> None:
    script = (
        "mkdir -p /data/d/e && touch /data/d/e/f && chown -R 33:44 /data/d; chmod 0 /data/d/e; :"
    )
    found = user.run(script)
    sent, made = ([7, 8], [33, 44]) if user.ids > 1 else ([0, 0], [0, 0])
    owners = found["owners"]
    assert isinstance(owners, dict)
    assert (owners["./sent/file"], owners["./d/e/f"]) == (sent, made)
    assert found["left"] == []


def test_a_fresh_proc_can_be_mounted_further_inside(user: User) -> None:
    """What a helper's agent does for every extension."""
    script = "unshare --pid --fork --mount sh -c 'mount -t proc proc /proc && ls -d /proc/[0-9]*'"
    assert "/proc/1" in str(user.run(script)["out"])


def test_processes_are_limited_without_control_groups(user: User) -> None:
    script = "i=0; while [ $i -lt 60 ]; do sleep 3 & i=$((i+1)); echo $i; done"
    count = len(str(user.run(script, pids=20)["out"]).split())
    assert 5 < count < 21
