"""A server that a site's helpers can reach, and what has reached it.

It stands where the engine is: on the bridge of an API's engine, else on this host's loopback. Run
as a script it is the server itself: it says its ports in a line of JSON, then what comes, as
`[port's name, the first words]`.
"""

import ipaddress
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

from sites import Site

WORDS = 100
NAMES = ("http", "echo", "other", "udp")


@dataclass(frozen=True, kw_only=True)
class Reachable:
    """The server: `http` and `echo` are for listing, `other` and `udp` for attacks."""

    address: str
    ports: Mapping[str, int]
    _process: "subprocess.Popen[str]"

    def end(self) -> list[tuple[str, str]]:
        """End it; return all that has come, as (port's name, the first words)."""
        self._process.terminate()
        out, _ = self._process.communicate(timeout=30)
        return [(name, words) for name, words in map(json.loads, out.splitlines())]


@contextmanager
def serving(site: Site) -> Iterator[Reachable]:
    """Run the server where helpers of the site can reach it."""
    argv = [sys.executable, __file__]
    if site.is_api:
        argv = ["nsenter", f"--net=/proc/{_daemon(site)}/ns/net", *argv]
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(__file__)}
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ports = json.loads(process.stdout.readline())
            yield Reachable(address=_address(site), ports=ports, _process=process)
        finally:
            process.terminate()


def _daemon(site: Site) -> int:
    """Ask the kernel who listens on the engine's socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(site.engine.removeprefix("unix://"))
        found = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int(struct.unpack("3i", found)[0])


def bridge(site: Site) -> Mapping[str, str] | None:
    """Return the engine's usual network: its Subnet and, where that was said, its Gateway."""
    with site.client() as client:
        for one in client.networks():
            if one["Name"] in ("bridge", "podman"):
                found: Mapping[str, str] = one["IPAM"]["Config"][0]
                return found
    return None


def _address(site: Site) -> str:
    if not site.is_api:
        return "127.0.0.1"
    found = bridge(site)
    assert found is not None
    first = next(ipaddress.ip_network(found["Subnet"]).hosts())
    return found.get("Gateway") or str(first)


def _tell(name: str, words: bytes) -> None:
    line = json.dumps([name, words[:WORDS].decode("latin-1")]) + "\n"
    os.write(1, line.encode())


class _Http(BaseHTTPRequestHandler):
    """Answers with what it was sent; says so of every request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"got " + self.path.encode())

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            self._answer(b"".join(self._chunks()))
        else:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, body: bytes) -> None:
        _tell("http", f"{self.path} {self.headers.get('Host')}".encode())
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""


def _listening(port: int = 0) -> socket.socket:
    return socket.create_server(("0.0.0.0", port), backlog=256)


def _echo(name: str, listener: socket.socket) -> None:
    while True:
        client, _ = listener.accept()
        threading.Thread(target=_echo_to, args=(name, client), daemon=True).start()


def _echo_to(name: str, client: socket.socket) -> None:
    is_first = True
    with client, suppress(OSError):
        while data := client.recv(65536):
            if is_first:
                _tell(name, data)
            is_first = False
            client.sendall(data)


def _main() -> None:
    http: HTTPServer = ThreadingHTTPServer(("0.0.0.0", 0), _Http)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("0.0.0.0", 0))
    echo, other = _listening(), _listening()
    ports = [http.server_port, *(one.getsockname()[1] for one in (echo, other, udp))]
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0containerdeploy-test-{ports[2]}")
    abstract.listen()
    os.write(1, json.dumps(dict(zip(NAMES, ports, strict=True))).encode() + b"\n")
    for name, listener in (("echo", echo), ("other", other), ("abstract", abstract)):
        threading.Thread(target=_echo, args=(name, listener), daemon=True).start()
    threading.Thread(target=http.serve_forever, daemon=True).start()
    while True:
        data, peer = udp.recvfrom(2048)
        _tell("udp", data)
        udp.sendto(data, peer)


if __name__ == "__main__":
    _main()
