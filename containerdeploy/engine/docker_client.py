"""The docker SDK, behind one door: every call has a deadline and fails with words of ours.

Importing this module imports the SDK; only DockerEngine's constructor does.
"""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import docker
import docker.errors
import docker.tls
import requests
import urllib3.exceptions
from docker.transport.unixconn import UnixHTTPAdapter, UnixHTTPConnection, UnixHTTPConnectionPool

from containerdeploy.engine import docker_errors
from containerdeploy.engine.docker_address import TlsFiles
from containerdeploy.errors import EngineError
from containerdeploy.frozen import frozen

T = TypeVar("T")
LEAST_API = "1.41"  # the first with private cgroup namespaces
POOL_CONNECTIONS = 64
_GREETING = "greeting it"
_PIECE_BYTES = 1024 * 1024


@frozen
class Hijacked:
    """A connection that is no longer HTTP, and the response that keeps it alive."""

    sock: socket.socket
    release: Callable[[], None]


class Client:
    """One engine's API, from any thread; `version` is its answer to the first question."""

    def __init__(self, url: str, *, tls: TlsFiles | None, ping_s: int, call_s: int) -> None:
        self.url = url
        self._call_s = call_s
        with _worded(_GREETING, url):
            self.version = _greet(url, tls, ping_s)
            api_version = _api_version(self.version, url)
            self._api = _open(url, tls=tls, version=api_version, timeout_s=call_s)

    def ask(self, doing: str, question: Callable[[docker.APIClient], T]) -> T:
        """Return the answer to one `question`; raise EngineError when there is none."""
        with self._worded(doing):
            return question(self._api)

    def attach(self, container: str) -> Hijacked:
        """Take over the connection of an attach to all three streams of `container`."""
        with self._worded("attaching to the container"):
            response = self._api.post(
                self._path(container, "attach"),
                params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1},
                headers={"Connection": "Upgrade", "Upgrade": "tcp"},
                stream=True,
                timeout=self._call_s,
            )
            _must_be_good(response, "attaching to the container")
        sock = getattr(response.raw.connection, "sock", None)
        if response.status_code != 101 or sock is None:
            response.close()
            details = f"HTTP status {response.status_code} for attach, not 101"
            raise EngineError("the engine does not hand over the streams", details=details)
        return Hijacked(sock=sock, release=response.close)

    def archive(self, container: str, path: str) -> Iterator[bytes]:
        """Stream `path` of `container` as a tar; the first byte is awaited here, not later."""
        doing = f"reading {path}"
        with self._worded(doing):
            response = self._api.get(
                self._path(container, "archive"),
                params={"path": path},
                stream=True,
                timeout=self._call_s,
            )
            _must_be_good(response, doing)
        return self._pieces(response, doing)

    def close(self) -> None:
        self._api.close()

    def _pieces(self, response: requests.Response, doing: str) -> Iterator[bytes]:
        with response, self._worded(doing):
            yield from response.iter_content(_PIECE_BYTES)

    def _path(self, container: str, verb: str) -> str:
        api = self._api
        return f"{api.base_url}/v{api.api_version}/containers/{quote(container, safe='')}/{verb}"

    def _worded(self, doing: str) -> AbstractContextManager[None]:
        return _worded(doing, self.url)


class _OnePool(UnixHTTPAdapter):
    """One pool for all calls: the SDK has one per URL, 25 at most, and closes those in use."""

    def __init__(self, url: str, timeout_s: int) -> None:
        super().__init__(url.replace("unix://", "http+unix://", 1), timeout_s)
        self._pool = _Pool(url, self.socket_path, timeout_s, maxsize=POOL_CONNECTIONS)

    def get_connection(
        self, url: str | bytes, proxies: Mapping[str, str] | None = None
    ) -> UnixHTTPConnectionPool:
        return self._pool

    def close(self) -> None:
        self._pool.close()
        super().close()


class _Pool(UnixHTTPConnectionPool):
    def _new_conn(self) -> UnixHTTPConnection:  # type: ignore[override]
        return _Connection(self.base_url, self.socket_path, self.timeout)  # type: ignore[arg-type]


class _Connection(UnixHTTPConnection):
    """The SDK's own leaves its socket open when nothing answers."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.unix_socket)


def _greet(url: str, tls: TlsFiles | None, timeout_s: int) -> Mapping[str, Any]:
    """Ask for the version, which is also the ping; any version of the API answers that."""
    api = _open(url, tls=tls, version=LEAST_API, timeout_s=timeout_s)
    try:
        answer: Any = api.version(api_version=False)
        return answer if isinstance(answer, dict) else {}
    finally:
        api.close()


def _api_version(version: Mapping[str, Any], url: str) -> str:
    """Read the version to speak; raise EngineError for a stranger or one that is too old."""
    text = str(version.get("ApiVersion"))
    numbers = [int(part) for part in text.split(".") if part.isdecimal()]
    if len(numbers) != 2:
        raise docker_errors.unreachable(url, ValueError("what answers speaks another protocol"))
    if numbers < [int(part) for part in LEAST_API.split(".")]:
        details = f"it speaks API {text}, containerdeploy needs {LEAST_API} or newer"
        raise EngineError(
            "the engine is too old", details=details, hint="use Docker 20.10 or newer"
        )
    return text


def _open(url: str, *, tls: TlsFiles | None, version: str, timeout_s: int) -> docker.APIClient:
    config = (
        docker.tls.TLSConfig(
            client_cert=(str(tls.cert), str(tls.key)) if tls.cert and tls.key else None,
            ca_cert=str(tls.ca) if tls.ca else None,
            verify=tls.verify,
        )
        if tls
        else False
    )
    api = docker.APIClient(url, version=version, timeout=timeout_s, tls=config)
    if url.startswith("unix:"):
        api.trust_env = False  # there is no proxy to look for, at every call
        api.mount("http+docker://", _OnePool(url, timeout_s))
        return api
    for scheme in ("http://", "https://"):
        api.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=POOL_CONNECTIONS))
    return api


def _must_be_good(response: requests.Response, doing: str) -> None:
    if response.status_code >= 400:
        with response:
            raise docker_errors.refused(response.status_code, _message(response), doing)


def _message(response: requests.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return response.text[:4096].strip() or str(response.reason)


@contextmanager
def _worded(doing: str, url: str) -> Iterator[None]:
    try:
        yield
    except docker.errors.APIError as err:
        if err.response is None:
            raise docker_errors.lost(doing, err) from err
        raise docker_errors.refused(
            err.response.status_code, _message(err.response), doing
        ) from err
    except (docker.errors.DockerException, requests.RequestException) as err:
        raise _broken(doing, url, err) from err
    except (urllib3.exceptions.HTTPError, OSError) as err:
        raise _broken(doing, url, err) from err


def _broken(doing: str, url: str, err: BaseException) -> EngineError:
    """Tell apart: nothing there, no answer in time, a connection that broke."""
    causes = list(_causes(err))
    for cause in causes if doing != _GREETING else ():
        if isinstance(cause, (TimeoutError, urllib3.exceptions.TimeoutError, requests.Timeout)):
            return docker_errors.no_answer(doing, cause)
    for cause in causes:
        if isinstance(cause, (FileNotFoundError, PermissionError, ConnectionRefusedError)):
            return docker_errors.unreachable(url, cause)
    if doing == _GREETING:
        return docker_errors.unreachable(url, causes[-1])
    return docker_errors.lost(doing, causes[-1])


def _causes(err: BaseException | None) -> Iterator[BaseException]:
    """Walk from an error down to what began it; the libraries nest causes in args as well."""
    seen: set[int] = set()
    while err is not None and id(err) not in seen:
        seen.add(id(err))
        yield err
        nested = next((arg for arg in err.args if isinstance(arg, BaseException)), None)
        err = nested or err.__cause__ or err.__context__
