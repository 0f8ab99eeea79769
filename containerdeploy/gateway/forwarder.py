"""The loop: all connections of a step, their bounds, and what is told of them."""

import json
import os
import select
import socket
import time
from collections.abc import Iterator, Mapping, Sequence

from containerdeploy.frozen import as_mapping, frozen
from containerdeploy.gateway.connection import READ, WRITE, Connection, LookUp
from containerdeploy.gateway.doors import Door
from containerdeploy.gateway.hosts import Host
from containerdeploy.gateway.lookup import Lookups
from containerdeploy.wire import MAX_CONNECTIONS

MAX_AT_A_TIME = 64
TICK_S = 1.0
DRAIN_S = 2.0


class Reports:
    """Lines of JSON to the agent, which may be slow: they wait here, and are bounded in number.

    After MAX_CONNECTIONS only totals go on; these are the last line.
    """

    def __init__(self, line: int) -> None:
        self.line = line
        self.waiting = bytearray()
        self._told = 0
        self._totals = dict.fromkeys(("connections", "refused", "sent_bytes", "received_bytes"), 0)
        os.set_blocking(line, False)

    def tell(self, connection: Connection) -> None:
        told = connection.told()
        self._totals["refused" if told.refused else "connections"] += 1
        self._totals["sent_bytes"] += told.sent_bytes
        self._totals["received_bytes"] += told.received_bytes
        self._told += 1
        if self._told <= MAX_CONNECTIONS:
            self._add({"connection": as_mapping(told)})

    def flush(self) -> None:
        """Write what the pipe takes."""
        try:
            del self.waiting[: os.write(self.line, self.waiting)]
        except BlockingIOError:
            return

    def finish(self) -> None:
        """Write the rest, however long that takes."""
        self._add({"totals": self._totals})
        os.set_blocking(self.line, True)
        while self.waiting:
            self.flush()

    def _add(self, body: Mapping[str, object]) -> None:
        self.waiting += json.dumps(body).encode("ascii") + b"\n"


@frozen
class _Waiting:
    """What is waited for: events on a socket of a connection."""

    connection: Connection
    socket: socket.socket
    events: int


class Forwarder:
    """Serves the doors of one step until the agent hangs up its end of the line."""

    def __init__(
        self,
        listeners: Mapping[socket.socket, Door],
        hosts: Sequence[Host],
        reports: Reports,
    ) -> None:
        self._listeners = listeners
        self._hosts = hosts
        self._reports = reports
        self._lookups = Lookups()
        self._connections: dict[int, Connection] = {}
        self._accepted = 0
        self._ends_at = 0.0

    def run(self) -> None:
        """Pass on until the end of the step; tell of every connection.

        What a program had sent before it ended still goes out, for DRAIN_S at most.
        """
        while True:
            waiting = [one for each in self._connections.values() for one in _waited_for(each)]
            ready = self._poll(waiting)
            now = time.monotonic()
            news = ready.get(self._reports.line, 0)
            if news & ~WRITE and not self._ends_at:
                self._ends_at = now + DRAIN_S
            for one in waiting:
                if events := ready.get(one.socket.fileno(), 0):
                    self._go_on(one, events, now)
            if self._lookups.descriptor in ready:
                self._take_addresses(now)
            if news:
                self._reports.flush()
            for listener in self._listeners:
                if listener.fileno() in ready:
                    self._accept(listener, now)
            self._bury(now)
            if self._ends_at and (now > self._ends_at or self._is_drained(ready)):
                break
        for connection in self._connections.values():
            connection.close()
            self._reports.tell(connection)
        self._reports.finish()

    def _poll(self, waiting: Sequence[_Waiting]) -> dict[int, int]:
        """Wait; return what is ready, by descriptor.

        The poll is made anew each time: it can't hold what has been closed.
        """
        poll = select.poll()
        poll.register(self._lookups.descriptor, READ)
        told = WRITE if self._reports.waiting else 0
        if events := told if self._ends_at else READ | told:
            poll.register(self._reports.line, events)
        if len(self._connections) < MAX_AT_A_TIME:
            for listener in self._listeners:
                poll.register(listener, READ)
        for one in waiting:
            poll.register(one.socket, one.events)
        return dict(poll.poll(TICK_S * 1000))

    def _is_drained(self, ready: Mapping[int, int]) -> bool:
        """Whether nothing that was sent is still here; nobody is there to send more."""
        is_nobody_new = not any(listener.fileno() in ready for listener in self._listeners)
        return is_nobody_new and all(one.is_drained for one in self._connections.values())

    def _go_on(self, one: _Waiting, events: int, now: float) -> None:
        """Let a connection go on; where one side hung up, it is over."""
        connection, asked = one.connection, one.events
        happened = asked if events & ~asked else events  # an error shows when it is touched
        if connection.is_over or one.socket not in (connection.client, connection.upstream):
            return
        try:
            if one.socket is connection.client:
                connection.on_client(happened, now, self._lookup_for(connection))
            else:
                connection.on_upstream(happened, now)
        except OSError:
            connection.is_over = True

    def _lookup_for(self, connection: Connection) -> LookUp:
        numbers = [number for number, one in self._connections.items() if one is connection]
        return lambda host: self._lookups.start(numbers[0], host)

    def _take_addresses(self, now: float) -> None:
        for number, addresses, why_none in self._lookups.finished():
            if (connection := self._connections.get(number)) and not connection.is_over:
                connection.on_addresses(addresses, why_none, now)

    def _accept(self, listener: socket.socket, now: float) -> None:
        """Take one client; the others wait, at the latest until there is room."""
        try:
            client, _ = listener.accept()
        except OSError:
            return  # it has gone again
        client.setblocking(False)
        connection = Connection(client, self._listeners[listener].host, self._hosts, now)
        self._accepted += 1
        self._connections[self._accepted] = connection
        connection.begin(self._lookup_for(connection))

    def _bury(self, now: float) -> None:
        for number, connection in list(self._connections.items()):
            if now > connection.deadline and not connection.is_over:
                connection.on_deadline(now)
            if connection.is_over:
                connection.close()
                self._reports.tell(connection)
                del self._connections[number]


def _waited_for(connection: Connection) -> Iterator[_Waiting]:
    on_client, on_upstream = connection.interest()
    if on_client:
        yield _Waiting(connection=connection, socket=connection.client, events=on_client)
    if on_upstream and connection.upstream is not None:
        yield _Waiting(connection=connection, socket=connection.upstream, events=on_upstream)
