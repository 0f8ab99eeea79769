"""A proxy before an engine's socket that breaks connections where a test wants it."""

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path

# From a request and its answer so far: how much of the answer still gets through, None for all.
Cut = Callable[[bytes, bytes], int | None]


def after_request(pattern: str, *, times: int = 1) -> Cut:
    """Cut when the answer to a request that matches comes, so that it is lost, `times` times."""
    left = [times]

    def cut(request: bytes, answer: bytes) -> int | None:
        if left[0] and re.match(pattern.encode(), request):
            left[0] -= 1
            return 0
        return None

    return cut


def inside_answer(pattern: str, marker: bytes) -> Cut:
    """Cut right before `marker` in the answer to a request that matches."""

    def cut(request: bytes, answer: bytes) -> int | None:
        if re.match(pattern.encode(), request) and marker in answer:
            return answer.index(marker)
        return None

    return cut


class CuttingProxy:
    """Passes connections on until `cut` says to break one; on TCP where it gets no `path`."""

    def __init__(self, path: Path | None, engine_path: str, cut: Cut) -> None:
        self.cuts = 0
        self._engine_path = engine_path
        self._cut = cut
        self._listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self._listener.bind(str(path) if path else ("127.0.0.1", 0))
        self._listener.listen(64)
        self.url = f"unix://{path}" if path else f"tcp://127.0.0.1:{self._port()}"
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._pairs: list[_Pair] = []

    def __enter__(self) -> "CuttingProxy":
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        for pair in self._pairs:
            pair.stop()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(self._engine_path)
                self._pairs.append(_Pair(self, client, engine))

    def _port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def where_to_cut(self, request: bytes, answer: bytes) -> int | None:
        """Ask the test's rule, and count."""
        place = self._cut(request, answer)
        self.cuts += place is not None
        return place


class _Pair:
    """One connection: the last request's start, and all of the answer to it."""

    def __init__(self, proxy: CuttingProxy, client: socket.socket, engine: socket.socket) -> None:
        self._proxy, self._client, self._engine = proxy, client, engine
        self._request = b""
        self._answer = b""
        targets = (self._to_engine, self._to_client)
        self._threads = [threading.Thread(target=target, daemon=True) for target in targets]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Break both connections and let go of them."""
        self._break()
        for thread in self._threads:
            thread.join()
        self._client.close()
        self._engine.close()

    def _to_engine(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._client.recv(65536):
                if re.match(rb"(GET|POST|PUT|DELETE) /", data):
                    self._request, self._answer = data, b""
                self._engine.sendall(data)
        self._break()

    def _to_client(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._engine.recv(65536):
                sent = len(self._answer)
                self._answer += data
                place = self._proxy.where_to_cut(self._request, self._answer)
                self._client.sendall(self._answer[sent:place])
                if place is not None:
                    break
        self._break()

    def _break(self) -> None:
        for sock in (self._client, self._engine):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
