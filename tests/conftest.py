"""What all tests share: engines or the reason why not, root file systems, state of their own.

A test that needs an engine carries its marker (docker, podman, local, kernel). Where the engine is
missing the test is skipped, or fails where CONTAINERDEPLOY_REQUIRE names the engine; the line
before pytest's last tells what could not be tested. The unit tests go first: engines may still be
starting (engines.py), and all other tests look at the whole machine.
"""

import functools
import hashlib
import os
import pwd
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from readable_product import readable_path
from sites import Person

from tests import announcement
from tests.debian import COMPRESSORS, DEBIAN_PACKAGES, IMAGES

ROOT = Path(__file__).resolve().parent.parent
WITHOUT_ENGINES = ("tests/unit/", "tests/test_architecture.py")
KINDS = ("docker", "podman", "local", "kernel")
NOT_TESTED = pytest.StashKey[dict[str, str]]()
MAKE_TIMEOUT_S = 900


def pytest_configure(config: pytest.Config) -> None:
    config.stash[NOT_TESTED] = {}
    # How long an example takes says more of the machine than of what is tested.
    patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("unhurried", patient)
    settings.load_profile("unhurried")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let go first what needs no engine; leave the benchmarks out unless `-m` asks for them."""
    items.sort(key=needs_engines)
    if "bench" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("bench")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def needs_engines(item: pytest.Item) -> bool:
    """Tell whether a test may look for a container engine, or be disturbed by one that starts."""
    return not item.nodeid.startswith(WITHOUT_ENGINES)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what can't run here, or fail it where it is required."""
    if needs_engines(item):
        announcement.await_engines()
    for kind in filter(item.get_closest_marker, KINDS):
        if reason := why_without(kind):
            give_up(item.config, kind, reason)


def pytest_sessionfinish() -> None:
    """Let the engines' set-up say its words before pytest's last line."""
    announcement.await_engines()


def give_up(config: pytest.Config, kind: str, reason: str) -> None:
    """Skip the current test for want of `kind`; fail where that is required."""
    if kind in required():
        pytest.fail(f"CONTAINERDEPLOY_REQUIRE names {kind}: {reason}", pytrace=False)
    config.stash[NOT_TESTED][kind] = reason
    pytest.skip(f"{kind}: {reason}")


def required() -> Sequence[str]:
    """List what may not be skipped; who requires `local` requires what it stands on too."""
    named = os.environ.get("CONTAINERDEPLOY_REQUIRE", "").replace(",", " ").split()
    return [*named, "kernel", "debian"] if "local" in named else named


@functools.cache
def why_without(kind: str) -> str | None:
    """Say why `kind` can't be tested here, or None where it can."""
    if kind in ("docker", "podman"):
        if os.environ.get(f"CONTAINERDEPLOY_TEST_{kind.upper()}"):
            return None
        reason = os.environ.get(f"CONTAINERDEPLOY_WITHOUT_{kind.upper()}")
        return reason or f"CONTAINERDEPLOY_TEST_{kind.upper()} is not set (make test sets it)"
    argv = ["unshare", "--user", "--map-root-user", "--mount", "true"]
    if os.geteuid() == 0 or subprocess.run(argv, capture_output=True, check=False).returncode == 0:
        return None
    return "an ordinary user can't make user namespaces on this machine"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Tell what was not tested in one line, right before pytest's last."""
    yield
    missing = terminalreporter.config.stash[NOT_TESTED]
    if missing:
        words = "; ".join(f"{kind} ({reason})" for kind, reason in sorted(missing.items()))
        terminalreporter.write_line(f"not tested: {words}", yellow=True)


@pytest.fixture(params=[pytest.param(k, marks=getattr(pytest.mark, k)) for k in KINDS[:3]])
def engine_url(request: pytest.FixtureRequest) -> str:
    """What `--engine` takes, once for each kind of engine: an address, or `local`."""
    return os.environ.get(f"CONTAINERDEPLOY_TEST_{request.param.upper()}") or request.param


@pytest.fixture(autouse=True)
def isolated_state(
    store_name: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Keep the product's state in a directory of the test's own, which it yields."""
    home = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("CONTAINERDEPLOY_HOME", str(home))
    monkeypatch.setenv("CONTAINERDEPLOY_STORE", store_name)
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def person(request: pytest.FixtureRequest) -> Iterator[Person]:
    """An ordinary account that can run the product, made where root runs the tests."""
    if os.geteuid() != 0 or not shutil.which("useradd"):
        pytest.skip("only root can make an ordinary account; `local` has been tested as one")
    name = f"cd{uuid.uuid4().hex[:8]}"
    subprocess.run(["useradd", "--no-create-home", "--shell=/bin/sh", name], check=True)
    try:
        entry = pwd.getpwnam(name)
        with readable_path() as path:
            one = Person(name=name, uid=entry.pw_uid, gid=entry.pw_gid, python_path=path)
            if one.python() is None:
                give_up(request.config, "local", "no Python 3.11 that an ordinary account can run")
            yield one
    finally:
        subprocess.run(["userdel", name], check=True)


@pytest.fixture(scope="session")
def store_name() -> Iterator[str]:
    """Name the store that all tests of this run share on an engine; it goes at the end."""
    name = f"containerdeploy-test-{uuid.uuid4().hex[:12]}"
    yield name
    for kind in ("DOCKER", "PODMAN"):
        if address := os.environ.get(f"CONTAINERDEPLOY_TEST_{kind}"):
            _remove_volume(address, name)


def _remove_volume(address: str, name: str) -> None:
    import docker
    from docker.errors import APIError, NotFound

    with docker.APIClient(base_url=address, timeout=60) as client:
        try:
            client.remove_volume(name, force=True)
        except NotFound:
            return
        except APIError as err:
            pytest.fail(f"the store {name} is left on {address}: {err}", pytrace=False)


@pytest.fixture(scope="session")
def sample_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample system's root file system, as tar.gz."""
    target = tmp_path_factory.mktemp("sample") / "sample.tar.gz"
    subprocess.run([sys.executable, IMAGES / "sample" / "make.py", target], check=True, timeout=180)
    return target


@pytest.fixture(scope="session")
def debian_root(request: pytest.FixtureRequest) -> Path:
    """A real Debian (or Ubuntu) root file system as plain tar, kept between runs."""
    recipe = hashlib.sha256((IMAGES / "rootfs.py").read_bytes() + DEBIAN_PACKAGES.encode())
    kept = _cache() / f"debian-{recipe.hexdigest()[:16]}.tar"
    if not kept.exists():
        for outdated in kept.parent.glob("debian-*"):
            outdated.unlink()
        argv = [sys.executable, str(IMAGES / "rootfs.py"), f"--include={DEBIAN_PACKAGES}"]
        ran = subprocess.run(
            [*argv, kept], capture_output=True, timeout=MAKE_TIMEOUT_S, check=False
        )
        if ran.returncode:
            give_up(request.config, "debian", ran.stderr.decode(errors="replace").strip())
    return kept


@pytest.fixture(scope="session")
def debian_root_gz(debian_root: Path) -> Path:
    return _compressed(debian_root, "gz")


@pytest.fixture(scope="session")
def debian_root_zst(debian_root: Path) -> Path:
    return _compressed(debian_root, "zst")


@pytest.fixture(scope="session")
def debian_root_xz(debian_root: Path) -> Path:
    return _compressed(debian_root, "xz")


def _compressed(plain: Path, suffix: str) -> Path:
    target = plain.with_name(f"{plain.name}.{suffix}")
    if not target.exists():
        unfinished = target.with_suffix(".part")
        with plain.open("rb") as given, unfinished.open("wb") as made:
            subprocess.run([*COMPRESSORS[suffix], "-c"], stdin=given, stdout=made, check=True)
        unfinished.replace(target)
    return target


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "containerdeploy"
