"""The forwarder between a host that is listed and clients that send whatever they like."""

import json
import random
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from os import environ
from typing import Any

import pytest

from containerdeploy.gateway.body import Chunked
from containerdeploy.gateway.doors import Door
from containerdeploy.gateway.forwarder import Forwarder, Reports
from containerdeploy.gateway.hosts import Host, parse

ROUNDS = int(environ.get("CONTAINERDEPLOY_FUZZ_ROUNDS", "150"))
SEED = 20260607
PATIENCE_S = 20.0
SETTLED_S = 3.0
CHUNKED = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


class Upstream:
    """A host that answers each connection once, and keeps what it was sent."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.got: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def settle(self, number: int) -> None:
        """Wait until that many have been heard to their ends; not for what was cut off."""
        deadline = time.monotonic() + SETTLED_S
        while len(list(filter(None, self.got))) < number and time.monotonic() < deadline:
            time.sleep(0.005)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._take, args=(client,), daemon=True).start()

    def _take(self, client: socket.socket) -> None:
        pieces = [b""]
        with client, suppress(OSError):
            client.settimeout(PATIENCE_S)
            while piece := client.recv(65536):
                pieces.append(piece)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.got.append(b"".join(pieces))


class Served:
    """A running forwarder with a proxy and one door."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        host = parse(f"127.0.0.1:{upstream.port}")
        self._doors = [socket.create_server(("127.0.0.1", 0), backlog=128) for _ in range(2)]
        for door in self._doors:
            door.setblocking(False)
        listeners = {
            door: Door(address="127.0.0.1", port=1, host=whom)
            for door, whom in zip(self._doors, (None, host), strict=True)
        }
        self._line, theirs = socket.socketpair()
        self._theirs = theirs
        self.died: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(listeners, [host]), daemon=True)
        self._thread.start()

    def _run(self, listeners: dict[socket.socket, Door], hosts: Sequence[Host]) -> None:
        try:
            Forwarder(listeners, hosts, Reports(self._theirs.fileno())).run()
        except BaseException as err:
            self.died.append(err)
        self._theirs.close()

    def client(self, number: int = 0) -> socket.socket:
        return socket.create_connection(self._doors[number].getsockname(), PATIENCE_S)

    def end(self) -> list[dict[str, Any]]:
        """End it; return all that it told."""
        self._line.shutdown(socket.SHUT_WR)
        self._line.settimeout(PATIENCE_S)
        with self._line, self._line.makefile() as stream:
            told = [json.loads(line) for line in stream]
        self._thread.join(PATIENCE_S)
        for door in self._doors:
            door.close()
        assert self.died == []
        self.upstream.settle(sum(one["connection"]["sent_bytes"] > 0 for one in told[:-1]))
        return told


@contextmanager
def running() -> Iterator[Served]:
    upstream = Upstream()
    with upstream.listener:
        yield Served(upstream)


def answer(client: socket.socket, *pieces: bytes) -> bytes:
    with client:
        for piece in pieces:
            client.sendall(piece)
        client.shutdown(socket.SHUT_WR)
        found = b""
        with suppress(ConnectionResetError):
            while data := client.recv(65536):
                found += data
        return found


def test_a_request_goes_through_and_is_the_last_of_its_connection() -> None:
    with running() as served:
        port = served.upstream.port
        target = f"http://127.0.0.1:{port}/x".encode()
        first = b"POST " + target + b" HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
        assert answer(served.client(), first).endswith(b"ok")
        client = served.client()
        client.sendall(first)
        assert client.recv(1000)
        answer(client, b"GET http://evil.example/ HTTP/1.1\r\n\r\n")
        told = served.end()
    assert b"evil" not in b"".join(served.upstream.got)
    assert [one.endswith(b"Connection: close\r\n\r\nabc") for one in served.upstream.got] == [
        True
    ] * 2
    assert told[-1]["totals"]["connections"] == 2


@pytest.mark.parametrize("pieces", [1, 7, 50])
def test_a_request_may_come_in_pieces(pieces: int) -> None:
    with running() as served:
        port = served.upstream.port
        whole = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\nhello".encode()
        parts = [whole[start : start + pieces] for start in range(0, len(whole), pieces)]
        assert answer(served.client(), *parts).endswith(b"\r\n\r\nok")
        served.end()
    assert served.upstream.got == [b"hello"]


def test_who_sends_much_to_a_host_that_is_not_listed_hears_why() -> None:
    with running() as served:
        request = b"PUT http://evil.example/ HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n"
        assert answer(served.client(), request, bytes(3_000_000)).startswith(b"HTTP/1.1 403 ")
        told = served.end()
    assert told[-1]["totals"] == dict.fromkeys(told[-1]["totals"], 0) | {"refused": 1}


def test_two_requests_at_once_are_refused() -> None:
    with running() as served:
        target = f"http://127.0.0.1:{served.upstream.port}/".encode()
        both = b"GET " + target + b" HTTP/1.1\r\n\r\nGET http://evil.example/ HTTP/1.1\r\n\r\n"
        assert b"more than one request at once" in answer(served.client(), both)
        told = served.end()
    assert served.upstream.got == []
    assert told[0]["connection"]["refused"] == "more than one request at once"


def hostile(source: random.Random, port: int) -> bytes:
    """A good request with some of it replaced, and something behind it."""
    good = [
        f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        f"GET http://127.0.0.1:{port}/listed HTTP/1.1\r\nA: b\r\n\r\n",
        f"POST http://127.0.0.1:{port}/listed HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        f"POST http://127.0.0.1:{port}/listed HTTP/1.1\r\n{CHUNKED}",
    ]
    data = bytearray(source.choice(good).encode())
    for _ in range(source.choice((0, 0, 1, 3))):
        place = source.randrange(len(data))
        junk = (b"\r", b"\n", b"\0", b" ", b":", b"9", b"\r\n", b"\r\n\r\n", b"evil", b"\xff" * 99)
        data[place : place + source.randrange(4)] = source.choice(junk)
    if source.random() < 0.3:
        data += b"GET http://evil.example/second HTTP/1.1\r\n\r\n"
    return bytes(data)


def attack(served: Served, source: random.Random) -> None:
    """One client: what it says in pieces, and how it goes."""
    client = served.client(source.choice((0, 0, 0, 1)))
    data = hostile(source, served.upstream.port)
    with client, suppress(OSError):
        while data:
            size = source.choice((1, 5, 40, 5000))
            client.sendall(data[:size])
            data = data[size:]
        if source.random() < 0.5:
            client.shutdown(socket.SHUT_WR)
            client.recv(65536)
        if source.random() < 0.3:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def within(head: bytes, body: bytes) -> bool:
    """Whether no byte is beyond the body that the head announces."""
    if b"\r\nTransfer-Encoding: chunked" in head:
        return Chunked().take(body) == len(body)
    size = re.search(rb"\r\nContent-Length: ([0-9]+)", head)
    return len(body) <= (int(size[1]) if size else 0)


def test_whatever_clients_send_it_goes_on_and_one_connection_has_one_host() -> None:
    source = random.Random(SEED)
    with running() as served:
        for _ in range(ROUNDS):
            attack(served, source)
        assert answer(served.client(1), b"still there") == (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        )
        told = served.end()
    totals = told[-1]["totals"]
    assert totals["connections"] + totals["refused"] == ROUNDS + 1
    forwarded = [one for one in served.upstream.got if b"Connection: close\r\n\r\n" in one]
    assert len(forwarded) > ROUNDS / 10
    for one in forwarded:
        head, _, body = one.partition(b"\r\n\r\n")
        assert within(head, body), one
    whom = {
        (one["connection"]["host"], one["connection"]["port"])
        for one in told[:-1]
        if one["connection"]["sent_bytes"]
    }
    assert whom == {("127.0.0.1", served.upstream.port)}
