"""Runs a command (the tests) with a Docker Engine and a Podman service at hand.

An engine that answers is taken. Where none does, and this is root's Debian or Ubuntu, the packages
are installed and private engines started, which are gone when the command ends:

    python -m tests.engines python -m pytest

The command runs while the engines start and get their images, which takes minutes on a machine
that has none; announcement.py is how it learns of them.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests import announcement, daemons, leftovers

ROOT = Path(__file__).resolve().parent.parent
STARTERS = {"docker": daemons.docker_daemon, "podman": daemons.podman_service}
IMAGES = ("helper", "legacy")
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOP_TIMEOUT_S = 30.0
SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"
# A program, or the path of a file, that tells whether a package is there: the package.
PACKAGES = {
    "docker": {"dockerd": "docker.io", "runc": "runc", "iptables": "iptables"},
    "podman": {
        "podman": "podman",
        "runc": "runc",
        "conmon": "conmon",
        "iptables": "iptables",
        "/usr/lib/podman/netavark": "netavark",
    },
    "tools": {
        "/usr/lib/python3/dist-packages/jinja2/__init__.py": "python3-jinja2",
        "busybox": "busybox-static",
        "bzip2": "bzip2",
        "getcap": "libcap2-bin",
        "getfacl": "acl",
        "getfattr": "attr",
        "igzip": "isal",
        "mkfs.btrfs": "btrfs-progs",
        "mkfs.ext4": "e2fsprogs",
        "mmdebstrap": "mmdebstrap",
        "newuidmap": "uidmap",
        "pigz": "pigz",
        "rsync": "rsync",
        "ssh": "openssh-client",
        "xz": "xz-utils",
        "zstd": "zstd",
    },
}


class Unavailable(Exception):
    """An engine that can't be had; the text says why, for the closing line."""


def main(argv: Sequence[str]) -> int:
    """Run `argv` with engines; return its exit code, or 130 when interrupted."""
    os.environ["PATH"] += SBIN
    for number in STOPPING:
        signal.signal(number, _interrupt)
    leftovers.adopt_orphans()
    try:
        return _run(argv, _required())
    except KeyboardInterrupt:
        return 130


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _required() -> frozenset[str]:
    return frozenset(os.environ.get("CONTAINERDEPLOY_REQUIRE", "").replace(",", " ").split())


def _run(argv: Sequence[str], required: frozenset[str]) -> int:
    """Run the command, and set up the engines beside it; return its exit code."""
    running = _find_running()
    wanted = frozenset(STARTERS) if not running else required & set(STARTERS)
    if can_install():
        _install({name: PACKAGES[name] for name in ("tools", *sorted(wanted - set(running)))})
    with ExitStack() as stack:
        directory = stack.enter_context(leftovers.own_directory())
        announced = directory / "engines.json"
        process = _start_command(argv, announced)
        try:
            announcement.announce(announced, _set_up(running, wanted, directory, stack))
            code = leftovers.wait_reaping(process.pid)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            leftovers.wait_reaping(process.pid, timeout_s=STOP_TIMEOUT_S)
            raise
        finally:
            _leave_in_peace()
        return 1 if code is None else code


def _start_command(argv: Sequence[str], announced: Path) -> "subprocess.Popen[bytes]":
    """Start it in a process group of its own, so that ^C reaches it once, through us."""
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        env={**os.environ, announcement.VARIABLE: str(announced)},
        process_group=0,
        preexec_fn=leftovers.die_with_parent(signal.SIGKILL),
    )


def _set_up(
    running: Mapping[str, str], wanted: frozenset[str], directory: Path, stack: ExitStack
) -> Mapping[str, str]:
    """Have every engine with its images; return the variables that tell the tests about them."""
    environment = {}
    for flavour in STARTERS:
        try:
            address = running.get(flavour) or _start(flavour, flavour in wanted, directory, stack)
            _build_images(address)
            environment[f"CONTAINERDEPLOY_TEST_{flavour.upper()}"] = address
        except Unavailable as err:
            say(f"{flavour}: {err}")
            environment[f"CONTAINERDEPLOY_WITHOUT_{flavour.upper()}"] = str(err)
    return environment


def _leave_in_peace() -> None:
    """Let nothing interrupt the cleaning up."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def _find_running() -> dict[str, str]:
    """Look where engines usually answer, what the caller names first."""
    names = ("CONTAINERDEPLOY_TEST_DOCKER", "CONTAINERDEPLOY_TEST_PODMAN", "DOCKER_HOST")
    own = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    sockets = ("/var/run/docker.sock", f"{own}/docker.sock", "/run/podman/podman.sock")
    usual = [f"unix://{path}" for path in (*sockets, f"{own}/podman/podman.sock")]
    found: dict[str, str] = {}
    for address in filter(None, [*map(os.environ.get, names), *usual]):
        if flavour := daemons.answers(address):
            found.setdefault(flavour, address)
    return found


def can_install() -> bool:
    """Tell whether packages can be installed and engines started: root on Debian or Ubuntu."""
    return os.geteuid() == 0 and bool(shutil.which("apt-get"))


def _start(flavour: str, is_wanted: bool, directory: Path, stack: ExitStack) -> str:
    if not is_wanted:
        raise Unavailable("none answers, and another engine does")
    if not can_install():
        raise Unavailable("none answers, and only root on Debian or Ubuntu can start one")
    say(f"starting a private {flavour}")
    own = directory / flavour
    own.mkdir()
    try:
        return stack.enter_context(STARTERS[flavour](own))
    except (daemons.DidNotStart, OSError) as err:
        raise Unavailable(f"none answers, and none could be started: {err}") from err


def _build_images(address: str) -> None:
    for image in IMAGES:
        argv = [sys.executable, str(ROOT / "images" / "build.py"), f"--engine={address}", image]
        ran = subprocess.run(argv, stdin=subprocess.DEVNULL, check=False)
        if ran.returncode:
            raise Unavailable(f"its {image} image could not be built")


def _is_there(thing: str) -> bool:
    return bool(shutil.which(thing)) or (thing.startswith("/") and Path(thing).exists())


def _install(groups: Mapping[str, Mapping[str, str]]) -> None:
    """Install what is missing; a failure shows when the thing is used."""
    programs = {program: package for group in groups.values() for program, package in group.items()}
    missing = sorted({name for thing, name in programs.items() if not _is_there(thing)})
    if not missing:
        return
    say(f"installing {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _services_not_started():
        for argv in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
            ran = subprocess.run(
                ["apt-get", "--quiet=2", *argv],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                text=True,
                check=False,
            )
            if ran.returncode:
                say(f"apt-get {argv[0]} failed: {' | '.join(ran.stdout.splitlines()[-5:])}")


@contextmanager
def _services_not_started() -> Iterator[None]:
    """Keep packages from starting their services, the way that Debian's policy provides."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    try:
        policy.chmod(0o755)
        yield
    finally:
        policy.unlink()


def say(text: str) -> None:
    """Tell whoever watches, at once."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
