"""Makes the attacks as root of a container in which they can succeed; for comparison only.

Somebody stands in for the agent there: a process beside, with a file, sockets, shared memory and an
environment of its own. The order (JSON, the only argument) names the attacks that get the host's
/proc and /sys in place of the container's, and the scripts that are run after all others.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import tools
from tools import ATTACKS, MS_BIND, MS_REC, mount
from trying import announce, attempt, group, tell

BAIT = "bait"
PATIENCE_S = 5
SETTLE_S = 0.4


def main(order: dict[str, Any]) -> None:
    port, scripts = order["port"], order["scripts"]
    os.environ |= {"BAIT_NAME": BAIT, "BAIT_PORT": str(port), "ROUNDS": "1"}
    os.environ |= {"SECRET_PLACE": "/tmp", "PYTHONPATH": "/definitions"}
    announce({**{name: group(name) for name in ATTACKS}, **dict.fromkeys(scripts, "scripts")})
    bystander = stand_in(port)
    os.set_inheritable(os.open("/definitions", os.O_RDONLY), True)
    with suppress(OSError):
        lay_overlay("/tmp/layers")
    with_host = [name for name in ATTACKS if name in order["with-host"]]
    for name in (name for name in ATTACKS if name not in with_host):
        attempt([name], alone if name in order["in-own-network"] else None)
        if not tools.is_alive(bystander):
            os.waitpid(bystander, 0)
            bystander = stand_in(port)
    for name in scripts:
        tell({"attack": name, "through": run(name) or None})
    for name in ("proc", "sys", "dev"):
        mount(f"/host/{name}", f"/{name}", None, MS_BIND | MS_REC)
    attempt(with_host)


def alone() -> None:
    tools.unshare(tools.NEWNET)


def stand_in(port: int) -> int:
    """Start the bystander; return when all that is its own is in place."""
    ready, write = os.pipe()
    child = os.fork()
    if child:
        os.read(ready, 1)
        return child
    os.setsid()
    kept = open("/tmp/of-the-agent", "w")
    abstract, named = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0{BAIT}")
    with suppress(FileNotFoundError):
        os.unlink("/run/agent.sock")
    named.bind("/run/agent.sock")
    kept_open = (kept, abstract, named, socket.create_server(("127.0.0.1", port)))
    for one in (abstract, named):
        one.listen()
    tools.libc.shmget(4711, 4096, 0o1600)
    os.write(write, b"r")
    while kept_open:
        signal.pause()
    return 0


def lay_overlay(place: str) -> None:
    """Have an overlay whose layers can be reached, as the agent has."""
    for name in ("lower", "upper", "work", "merged"):
        os.makedirs(f"{place}/{name}")
    options = f"lowerdir={place}/lower,upperdir={place}/upper,workdir={place}/work"
    for more in ("", ",userxattr"):
        with suppress(OSError):
            mount("overlay", f"{place}/merged", "overlay", 0, options + more)
            return


def run(name: str) -> list[str]:
    """Run a script as an extension beside a process that it shouldn't reach; say what it did."""
    path = f"/tmp/{name}"
    with open(f"/definitions/{name}.configure") as stream:
        script = stream.read()
    with subprocess.Popen(["sleep", "999"], start_new_session=True) as other:
        with open(path, "w") as stream:
            stream.write(script.replace(" 1;", f" {other.pid};"))
        os.chmod(path, 0o755)
        before = processes()
        with open(f"{path}.out", "wb+") as said:
            found = judged(path, said.fileno(), before)
        if other.poll() is not None:
            found.append("another process was killed")
        for pid in {*processes() - before, other.pid}:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    return found


def judged(path: str, said: int, before: set[int]) -> list[str]:
    argv, found = [path, "/tree"], []
    with subprocess.Popen(argv, stdout=said, stderr=said, start_new_session=True) as child:
        with suppress(subprocess.TimeoutExpired):
            child.wait(PATIENCE_S)
        spoken = os.fstat(said).st_size
        time.sleep(SETTLE_S)
        if os.fstat(said).st_size > spoken:
            found.append("it spoke after its end")
        if more := processes() - before - {child.pid}:
            found.append(f"{len(more)} processes live on")
        if child.poll() is None:
            found.append("it can't be stopped")
            child.kill()
    return found


def processes() -> set[int]:
    """Return what lives, the dead that nobody asked for left out."""
    seen = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return {pid for pid in seen if tools.is_alive(pid)}


main(json.loads(sys.argv[1]))
