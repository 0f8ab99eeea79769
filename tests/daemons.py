"""Container engines of the tests' own: a Docker daemon and a Podman service that leave no trace.

Each has a network namespace of its own, so that neither touches the interfaces and firewall rules
of an engine that this machine runs already, and keeps everything else below one directory.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
from docker.errors import DockerException

from tests import leftovers

CGROUP = "containerdeploy-tests"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 40.0
CONTAINERS_CONF = """\
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
[network]
network_backend = "netavark"
network_config_dir = "{directory}/networks"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
"""


class DidNotStart(Exception):
    """A daemon ended or stayed silent; the text holds its last words."""


@contextmanager
def docker_daemon(directory: Path) -> Iterator[str]:
    """Run a dockerd below `directory`, which may hold what another left; yield its address."""
    name = f"{CGROUP}-{os.getpid()}"
    config = directory / "daemon.json"
    config.write_text("{}")
    argv = ["dockerd", f"--config-file={config}", f"--host=unix://{directory}/docker.sock"]
    argv += [f"--data-root={directory}/data", f"--exec-root={directory}/exec"]
    argv += [f"--pidfile={directory}/pid", f"--cgroup-parent=/{name}"]
    argv += ["--exec-opt=native.cgroupdriver=cgroupfs", "--userland-proxy=false"]
    argv += ["--iptables=false", "--ip-forward=false", "--ip-masq=false"]
    argv += [f"--containerd-namespace={name}", f"--containerd-plugins-namespace={name}-plugins"]
    try:
        with _running(argv, directory, directory / "docker.sock") as address:
            yield address
    finally:
        _await_end_of_containerd(directory)
        leftovers.remove_cgroups(name)


def _await_end_of_containerd(directory: Path) -> None:
    """Wait for what dockerd took with it; the next one would take it, unreaped, for alive."""
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for path in directory.glob("exec/containerd/containerd.pid"):
        while Path("/proc", path.read_text()).exists() and time.monotonic() < deadline:
            time.sleep(0.1)


@contextmanager
def podman_service(directory: Path) -> Iterator[str]:
    """Run Podman's API service below `directory`; yield its address."""
    config = directory / "containers.conf"
    config.write_text(CONTAINERS_CONF.format(directory=directory))
    (directory / "tmp").mkdir()
    argv = ["env", f"CONTAINERS_CONF={config}", f"TMPDIR={directory}/tmp"]
    argv += ["podman", f"--root={directory}/root", f"--runroot={directory}/run"]
    argv += [f"--tmpdir={directory}/libpod", "system", "service", "--time=0"]
    socket = directory / "podman.sock"
    with _running([*argv, f"unix://{socket}"], directory, socket) as address:
        yield address


@contextmanager
def _running(argv: Sequence[str], directory: Path, socket: Path) -> Iterator[str]:
    socket.unlink(missing_ok=True)
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["unshare", "--net", *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=leftovers.die_with_parent(signal.SIGTERM),
        )
    try:
        _wait_until_it_answers(f"unix://{socket}", process, log)
        yield f"unix://{socket}"
    finally:
        _stop(process)


def _wait_until_it_answers(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not answers(address):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = " | ".join(log.read_text(errors="replace").splitlines()[-5:])
            raise DidNotStart(f"nothing answers at {address}; last words: {tail}")
        time.sleep(0.1)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT_S)
    process.kill()
    process.wait()


def answers(address: str) -> str | None:
    """Ask who serves at `address`: "docker", "podman", or None where nobody does."""
    path = address.removeprefix("unix://")
    if path != address and not os.path.exists(path):
        return None
    try:
        client = docker.APIClient(base_url=address, timeout=5)
        with client:
            return "podman" if "Podman" in json.dumps(client.version()) else "docker"
    except (DockerException, OSError):
        return None
