"""Where a container engine may listen: the environment, docker's contexts, the usual sockets."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from containerdeploy.errors import UsageError
from containerdeploy.frozen import frozen

SCHEMES = ("unix://", "tcp://", "http://", "https://")


@frozen
class TlsFiles:
    """What a TLS connection to an engine needs; `verify` False takes any server."""

    ca: Path | None
    cert: Path | None
    key: Path | None
    verify: bool = True


@frozen
class Address:
    """An engine's URL, who named it, and the files for TLS, if it speaks that."""

    url: str
    origin: str
    tls: TlsFiles | None = None


def from_url(url: str, environment: Mapping[str, str]) -> Address:
    """Check a URL that the user gave; raise UsageError for one that can't be used."""
    if url.startswith("ssh://"):
        raise UsageError(
            f"cannot use the engine at '{url}' directly",
            hint="forward its socket: ssh -nNT -L /tmp/engine.sock:/var/run/docker.sock HOST, "
            "then --engine unix:///tmp/engine.sock",
        )
    if not url.startswith(SCHEMES) or url in SCHEMES:
        raise UsageError(
            f"not an engine: '{url}'",
            hint="use auto, docker, local, or a URL like unix:///run/podman/podman.sock",
        )
    return Address(url=url, origin="--engine", tls=_tls_from(url, environment))


def configured(environment: Mapping[str, str]) -> Address | None:
    """Find the engine that the user configured: DOCKER_HOST, else docker's current context."""
    if url := environment.get("DOCKER_HOST"):
        return Address(url=url, origin="DOCKER_HOST", tls=_tls_from(url, environment))
    folder = Path(environment.get("DOCKER_CONFIG") or _home(environment) / ".docker")
    name = environment.get("DOCKER_CONTEXT") or _read(folder / "config.json").get("currentContext")
    if not isinstance(name, str) or name in ("", "default"):
        return None
    return _from_context(folder / "contexts", name)


def usual(environment: Mapping[str, str]) -> list[Address]:
    """List the sockets that engines make by default and that are there, docker's first."""
    run = environment.get("XDG_RUNTIME_DIR")
    paths = [Path("/var/run/docker.sock")]
    paths += [Path(run) / "docker.sock"] if run else []
    paths += [Path("/run/podman/podman.sock")]
    paths += [Path(run) / "podman/podman.sock"] if run else []
    return [Address(url=f"unix://{path}", origin="its usual place") for path in paths if _is(path)]


def _is(path: Path) -> bool:
    try:
        return path.is_socket()
    except PermissionError:
        return False


def _home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME") or "/")


def _tls_from(url: str, environment: Mapping[str, str]) -> TlsFiles | None:
    """Follow the docker client: DOCKER_TLS_VERIFY switches TLS on, DOCKER_CERT_PATH has files."""
    if url.startswith("unix://") or not environment.get("DOCKER_TLS_VERIFY"):
        return None
    folder = Path(environment.get("DOCKER_CERT_PATH") or _home(environment) / ".docker")
    return _tls_in(folder, verify=True)


def _tls_in(folder: Path, *, verify: bool) -> TlsFiles:
    found = {name: folder / f"{name}.pem" for name in ("ca", "cert", "key")}
    there = {name: path if path.is_file() else None for name, path in found.items()}
    return TlsFiles(ca=there["ca"], cert=there["cert"], key=there["key"], verify=verify)


def _from_context(folder: Path, name: str) -> Address | None:
    """Read docker's own record of a context: a folder named by the name's digest."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    endpoints = _read(folder / "meta" / digest / "meta.json").get("Endpoints")
    endpoint = endpoints.get("docker") if isinstance(endpoints, dict) else None
    url = endpoint.get("Host") if isinstance(endpoint, dict) else None
    if not isinstance(endpoint, dict) or not isinstance(url, str) or not url:
        return None
    tls_folder = folder / "tls" / digest / "docker"
    tls = None
    if tls_folder.is_dir():
        tls = _tls_in(tls_folder, verify=not endpoint.get("SkipTLSVerify"))
    return Address(url=url, origin=f"docker context '{name}'", tls=tls)


def _read(path: Path) -> dict[str, object]:
    """Read a JSON object; whatever else is there counts as empty, as it isn't ours to judge."""
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
