"""Opens the engine that the user asked for, or finds one, and says which and why."""

import os
from pathlib import Path

from containerdeploy.engine import docker_address
from containerdeploy.engine.base import Engine
from containerdeploy.engine.docker_address import Address
from containerdeploy.errors import EngineError
from containerdeploy.frozen import frozen

AUTO_PING_S = 2
PING_S = 10


@frozen
class Chosen:
    """An open engine and a short sentence on how it came to be the one."""

    engine: Engine
    why: str


def open_engine(choice: str, home: Path) -> Chosen:
    """Open the engine `choice` names: auto, docker, local or a URL.

    `home` is where the local engine keeps what it stores. Raises EngineUnreachable when the engine
    that was asked for doesn't answer, UsageError for a choice that is none.
    """
    match choice:
        case "auto":
            return _open_auto(home)
        case "docker":
            return _open_docker()
        case "local":
            return Chosen(engine=_local(home), why="local, as asked")
        case _:
            address = docker_address.from_url(choice, os.environ)
            return _open_at(address, ping_s=PING_S)


def _open_auto(home: Path) -> Chosen:
    """Take the first engine that answers quickly, else local."""
    failures: list[str] = []
    for address in _candidates():
        try:
            return _open_at(address, ping_s=AUTO_PING_S)
        except EngineError as err:
            failures.append(f"{address.url} ({address.origin}) does not answer: {err.details}")
    reason = "; ".join(failures) or "no container engine found on this machine"
    return Chosen(engine=_local(home), why=f"local: {reason}")


def _open_docker() -> Chosen:
    """Take the first that answers of those configured; report the first failure otherwise."""
    default = Address(url="unix:///var/run/docker.sock", origin="its usual place")
    first: EngineError | None = None
    for address in _candidates() or [default]:
        try:
            return _open_at(address, ping_s=PING_S)
        except EngineError as err:
            first = first or err
    assert first is not None
    raise first


def _candidates() -> list[Address]:
    """List what to try: what the user configured and nothing else, or the usual sockets."""
    chosen = docker_address.configured(os.environ)
    return [chosen] if chosen else docker_address.usual(os.environ)


def _open_at(address: Address, *, ping_s: int) -> Chosen:
    from containerdeploy.engine.docker import DockerEngine

    docker_address.from_url(address.url, os.environ)
    engine = DockerEngine(address.url, tls=address.tls, ping_s=ping_s)
    return Chosen(engine=engine, why=f"{engine.flavour} at {address.url} ({address.origin})")


def _local(home: Path) -> Engine:
    from containerdeploy.engine.local import LocalEngine

    return LocalEngine(home)
