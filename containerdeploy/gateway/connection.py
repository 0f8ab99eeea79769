"""One connection, from its door to its host: what it is for, whether it may, and the bytes.

Nothing here waits: the forwarder says when a socket is ready, and asks what to wait for next.
"""

import errno
import os
import select
import socket
from collections.abc import Callable, Sequence

from containerdeploy.frozen import frozen
from containerdeploy.gateway import addresses, request
from containerdeploy.gateway.body import Body, Chunked, Sized
from containerdeploy.gateway.hosts import Host, address, covers

BUFFER = 64 * 1024
HEAD_S = 10.0
LOOKUP_S = 30.0
CONNECT_S = 15.0  # to one of several addresses
IDLE_S = 900.0
READ, WRITE = select.POLLIN, select.POLLOUT
_REASONS = {400: "Bad Request", 403: "Forbidden", 502: "Bad Gateway", 503: "Service Unavailable"}
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
LookUp = Callable[[Host], bool]


@frozen
class Told:
    """What is told of a connection once it is over; `refused` says why it got nowhere."""

    host: str
    port: int
    address: str
    sent_bytes: int
    received_bytes: int
    refused: str


class Connection:
    """A client that came in at a door; `host` is None where it is the proxy's."""

    def __init__(
        self, client: socket.socket, host: Host | None, hosts: Sequence[Host], now: float
    ) -> None:
        self.client = client
        self.upstream: socket.socket | None = None
        self.deadline = now + (HEAD_S if host is None else LOOKUP_S)
        self.is_over = False
        self._hosts = hosts
        self._is_proxied = host is None
        self._wanted = host
        self._request: request.Request | None = None
        self._body: Body | None = None  # None: all that comes is for the host
        self._head = bytearray()
        self._addresses: list[str] = []
        self._address = ""
        self._is_open = False
        self._to_upstream = bytearray()
        self._to_client = bytearray()
        self._client_ended = self._upstream_ended = False
        self._sent = self._received = 0
        self._refused = ""

    def begin(self, look_up: LookUp) -> None:
        """Start at once where the door says whom it is for."""
        if self._wanted is not None:
            self._ask_for(self._wanted, look_up)

    def interest(self) -> tuple[int, int]:
        """Return what to wait for on the client's side and on the host's."""
        client = WRITE if self._to_client else 0
        is_asking = self._is_proxied and self._wanted is None
        may_say = self._is_open or is_asking or self._refused != ""
        if may_say and not self._client_ended and len(self._to_upstream) < BUFFER:
            client |= READ
        if not self._is_open:
            return client, WRITE if self.upstream else 0
        upstream = WRITE if self._to_upstream else 0
        if not self._upstream_ended and len(self._to_client) < BUFFER:
            upstream |= READ
        return client, upstream

    def on_client(self, events: int, now: float, look_up: LookUp) -> None:
        """Go on, now that the client's socket is ready."""
        if events & READ:
            self._hear_client(now, look_up)
        if events & WRITE and self._to_client and not self.is_over:
            self._flush(self.client, self._to_client)
            self.deadline = now + IDLE_S if self._is_open else self.deadline
        self._settle()

    def on_upstream(self, events: int, now: float) -> None:
        """Go on, now that the host's socket is ready."""
        if not self._is_open:
            self._on_connected(now)
            return
        assert self.upstream is not None
        self.deadline = now + IDLE_S
        if events & READ:
            data = self.upstream.recv(BUFFER)
            self._received += len(data)
            self._to_client += data
            self._upstream_ended = not data
        if events & WRITE and self._to_upstream:
            self._sent += self._flush(self.upstream, self._to_upstream)
        self._settle()

    def on_addresses(self, found: Sequence[str], why_none: str, now: float) -> None:
        """Take what the name was resolved to: what is judged here is what is connected to."""
        faults = {one: self._fault(one) for one in found}
        self._addresses = [one for one, fault in faults.items() if fault is None]
        if self._addresses:
            self.deadline = now + CONNECT_S
            self._connect_next("")
        elif found:
            self.refuse(f"leads to {found[0]}, {faults[found[0]]}", 403)
        else:
            self.refuse(why_none, 502)

    def on_deadline(self, now: float) -> None:
        """End what takes too long, or try the next address."""
        if self._is_open or self._refused:
            self.is_over = True
            return
        self.deadline = now + CONNECT_S
        if self._wanted is None:
            self.refuse(f"no request within {HEAD_S:g} s", 400)
        elif self.upstream is None:
            self.refuse(f"not resolved within {LOOKUP_S:g} s", 502)
        else:
            self._connect_next("no answer")

    def refuse(self, why: str, status: int) -> None:
        """Say no: to a proxy's client in words, to another by hanging up.

        What the client still says is thrown away until it ends: were it left unread, the kernel
        would take the words back.
        """
        self._refused = self._refused or why
        self._wanted = self._wanted or Host(name="", port=0)
        if not self._is_proxied or self._is_open:
            self.is_over = True
            return
        text = f"containerdeploy: {self._whom()}{why}\n"
        self._to_client += (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}"
        ).encode("ascii", "replace")
        self._to_upstream.clear()
        self._upstream_ended = True

    @property
    def is_drained(self) -> bool:
        """Whether all that the client will ever say has been passed on."""
        return self._refused != "" or (self._client_ended and not self._to_upstream)

    def told(self) -> Told:
        wanted = self._wanted or Host(name="", port=0)
        return Told(
            host=wanted.name,
            port=wanted.port,
            address=self._address,
            sent_bytes=self._sent,
            received_bytes=self._received,
            refused=self._refused,
        )

    def close(self) -> None:
        for one in (self.client, self.upstream):
            if one is not None:
                one.close()

    def _whom(self) -> str:
        return f"{self._wanted}: " if self._wanted and self._wanted.name else ""

    def _fault(self, text: str) -> str | None:
        if self._wanted and Host(name=address(text) or text, port=self._wanted.port) in self._hosts:
            return None
        try:
            return addresses.fault(text)
        except OSError as err:
            return f"not to be reached: {err.strerror}"

    def _hear_client(self, now: float, look_up: LookUp) -> None:
        data = self.client.recv(BUFFER)
        if not data:
            self._client_ended = True
            self.is_over = not self._is_open and not self._to_client
        elif self._refused:
            return
        elif self._is_open:
            self.deadline = now + IDLE_S
            self._take(data)
        else:
            self._hear_head(data, now, look_up)

    def _hear_head(self, data: bytes, now: float, look_up: LookUp) -> None:
        self._head += data
        end = self._head.find(request.END)
        if end < 0 and len(self._head) <= request.MAX_HEAD:
            return
        end += len(request.END)
        if not len(request.END) <= end <= request.MAX_HEAD:
            self.refuse(f"a request with a head of more than {request.MAX_HEAD} bytes", 400)
            return
        try:
            self._take_request(request.parse(bytes(self._head[:end])))
            self._take(bytes(self._head[end:]))
        except request.BadRequest as err:
            self.refuse(str(err), 400)
            return
        self.deadline = now + LOOKUP_S
        if self._request is not None and not self._refused:
            self._ask_for(self._request.host, look_up)

    def _take_request(self, asked: request.Request) -> None:
        self._request = asked
        self._to_upstream += asked.head
        if not asked.is_tunnel:
            self._body = Chunked() if asked.size is None else Sized(asked.size)

    def _take(self, data: bytes) -> None:
        """Take what is for the host; a connection to the proxy carries one request, no more."""
        try:
            size = self._body.take(data) if self._body else len(data)
        except request.BadRequest as err:
            self.refuse(str(err), 400)
            return
        self._to_upstream += data[:size]
        if size < len(data) and self._is_open:
            self.is_over = True
        elif size < len(data):
            self.refuse("more than one request at once", 400)

    def _ask_for(self, host: Host, look_up: LookUp) -> None:
        self._wanted = host
        if not covers(self._hosts, host):
            self.refuse("not among the hosts that this extension's network lists", 403)
        elif address(host.name) is not None:
            self._addresses = [host.name]
            self._connect_next("")
        elif not look_up(host):
            self.refuse("too many names are being looked up", 503)

    def _connect_next(self, why_not: str) -> None:
        """Try the next address; refuse when none is left."""
        if self.upstream is not None:
            self.upstream.close()
            self.upstream = None
        if not self._addresses:
            self.refuse(f"not to be reached: {why_not}", 502)
            return
        assert self._wanted is not None
        self._address = self._addresses.pop(0)
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
        try:
            self.upstream = socket.socket(family, kind)
            code = self.upstream.connect_ex((self._address, self._wanted.port))
        except OSError as err:
            code = err.errno or errno.EIO
        if code not in (0, errno.EINPROGRESS):
            self._connect_next(os.strerror(code))

    def _on_connected(self, now: float) -> None:
        assert self.upstream is not None
        code = self.upstream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._connect_next(os.strerror(code))
            return
        self._is_open = True
        self.deadline = now + IDLE_S
        if self._request is not None and self._request.is_tunnel:
            self._to_client += _ESTABLISHED

    @staticmethod
    def _flush(to: socket.socket, data: bytearray) -> int:
        sent = to.send(data)
        del data[:sent]
        return sent

    def _settle(self) -> None:
        """Pass on an end once all before it has been passed on."""
        if self._client_ended and not self._to_upstream and self.upstream and self._is_open:
            self._end(self.upstream)
        if self._upstream_ended and not self._to_client:
            self._end(self.client)
            is_answered = self._body is not None and not self._refused
            self.is_over |= is_answered or (self._client_ended and not self._to_upstream)

    @staticmethod
    def _end(of: socket.socket) -> None:
        try:
            of.shutdown(socket.SHUT_WR)
        except OSError as err:
            if err.errno != errno.ENOTCONN:
                raise
