"""A gateway with a network of a test's own around it: names, addresses and servers that are bad.

Run as root below `unshare --net --mount` with a directory to write in: the network here is the
helper's, with addresses of its own; another one, beyond a wire, has the hosts; an extension's is
made for each scenario. Says what came of every scenario, as one JSON object.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from containerdeploy import syscalls
from containerdeploy.agent import filter as call_filter
from containerdeploy.gateway import connection, doors, forwarder, hosts, process
from containerdeploy.gateway.connection import Told

HERE, THERE, THERE6 = "10.99.0.1", "10.99.0.2", "fd99::2"
METADATA, METADATA6 = "169.254.169.254", "fd00:ec2::254"
PORT, OWN_PORT, COLLECTING, POURING = 80, 81, 82, 83
NAMES = {
    "good.example": [THERE],
    "six.example": [THERE6],
    "mixed.example": ["127.0.0.1", THERE],
    "late.example": ["10.99.0.77", THERE],
    "rebound.example": ["127.0.0.1"],
    "rebound6.example": ["::1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "zero.example": ["0.0.0.0"],
    "metadata.example": [METADATA],
    "metadata6.example": [METADATA6],
    "linklocal.example": ["169.254.7.7"],
    "own.example": [HERE],
    "own6.example": ["fd99::1"],
    "allcast.example": ["255.255.255.255"],
    "a.wild.example": [THERE],
    "b.a.wild.example": [THERE],
    "wild.example": [THERE],
    "xwild.example": [THERE],
    "bad.wild.example": ["127.0.0.1"],
    "unlisted.example": [THERE],
}
LISTED = (
    *(f"{name}:{PORT}" for name in NAMES if "wild" not in name and "unlisted" not in name),
    *(f"*.wild.example:{PORT}", f"slow.example:{PORT}", f"rebound.example:{OWN_PORT}"),
    *(f"{THERE}:{PORT}", f"[{THERE6}]:{PORT}", f"127.0.0.1:{OWN_PORT}"),
    *(f"{THERE}:{COLLECTING}", f"{THERE}:{POURING}", f"{THERE}:84"),
)
HEAD_S, IDLE_S = 0.5, 1.0
PATIENCE_S = 4.0
WORDS = b"GET / HTTP/1.0\r\n\r\n"
SCENARIOS: dict[str, Callable[[], Any]] = {}


def scenario(function: Callable[[], Any]) -> Callable[[], Any]:
    SCENARIOS[function.__name__] = function
    return function


def run(*argv: str) -> None:
    subprocess.run(argv, check=True)


def build(place: str) -> None:
    """Make the helper's network, the one beyond, and the names."""
    beyond = os.fork()
    if beyond == 0:
        be_beyond(place)
    ours = os.readlink("/proc/self/ns/net")
    while os.readlink(f"/proc/{beyond}/ns/net") == ours:
        time.sleep(0.01)
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "wire", "type", "veth", "peer", "name", "far", "netns", str(beyond))
    add("wire", f"{HERE}/24", "169.254.1.1/16", "fd99::1/64", "fd00:ec2::1/64")
    names = [f"{one} {name}\n" for name, found in NAMES.items() for one in found]
    resolver = f"nameserver {THERE}\noptions timeout:1 attempts:1\n"
    files = {"hosts": "".join(names), "resolv.conf": resolver, "nsswitch.conf": "hosts: files dns"}
    for name, text in files.items():
        with open(f"{place}/{name}", "w", encoding="ascii") as stream:
            stream.write(text)
        if os.path.exists(f"/etc/{name}"):
            run("mount", "--bind", f"{place}/{name}", f"/etc/{name}")
    for port in (PORT, OWN_PORT):
        threading.Thread(target=answer, args=(port, b"helper"), daemon=True).start()
    while fails(lambda: [reach(one, PORT) for one in (THERE, THERE6, METADATA, METADATA6)]):
        time.sleep(0.05)


def add(interface: str, *addresses: str) -> None:
    for address in addresses:
        at_once = ["nodad"] if ":" in address else []
        run("ip", "address", "add", address, "dev", interface, *at_once)
    run("ip", "link", "set", interface, "up")


def be_beyond(place: str) -> NoReturn:
    """Hold the other network and its servers. What is collected is written down; DNS is silent."""
    syscalls.set_pdeathsig(signal.SIGKILL)
    syscalls.unshare(syscalls.CLONE_NEWNET)
    while b"far:" not in read("/proc/self/net/dev"):
        time.sleep(0.01)
    run("ip", "link", "set", "lo", "up")
    add("far", f"{THERE}/24", f"{METADATA}/16", f"{THERE6}/64", f"{METADATA6}/64")
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind((THERE, 53))
    threading.Thread(target=collect, args=(f"{place}/collected",), daemon=True).start()
    threading.Thread(target=answer, args=(PORT, b"there"), daemon=True).start()
    pour()


def read(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def server(port: int) -> socket.socket:
    return socket.create_server(
        ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=256
    )


def answer(port: int, words: bytes) -> NoReturn:
    """Answer whatever comes first, then wait for the end."""
    listener = server(port)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=answer_one, args=(client, words), daemon=True).start()


def answer_one(client: socket.socket, words: bytes) -> None:
    with client, suppress(OSError):
        if client.recv(65536):
            client.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + words)


def collect(path: str) -> NoReturn:
    listener = server(COLLECTING)
    while True:
        client, _ = listener.accept()
        size = 0
        while data := client.recv(1 << 16):
            size += len(data)
        with open(path, "a", encoding="ascii") as stream:
            stream.write(f"{size}\n")


def pour() -> NoReturn:
    """Send without end to whoever comes."""
    listener = server(POURING)
    held = []
    while True:
        client, _ = listener.accept()
        held.append(client)
        threading.Thread(target=pour_to, args=(client,), daemon=True).start()


def pour_to(client: socket.socket) -> None:
    with suppress(OSError):
        while True:
            client.sendall(bytes(1 << 16))


def fails(action: Callable[[], object]) -> bool:
    try:
        action()
    except OSError:
        return True
    return False


def reach(host: str, port: int, words: bytes = WORDS) -> str:
    """Connect, say something, return all of the answer, or the first piece where it goes on."""
    with socket.create_connection((host, port), PATIENCE_S) as sock:
        sock.sendall(words)
        if port == POURING:
            return str(len(sock.recv(1)))
        sock.shutdown(socket.SHUT_WR)
        found = b""
        while data := sock.recv(65536):
            found += data
        return found.decode("latin-1")


def tried(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except OSError as err:
        return f"{type(err).__name__}: {err}"


def tunnel(target: str) -> str:
    """Ask the proxy for a tunnel; return what came through it, or the proxy's own words."""
    head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()
    return reach(doors.PROXY_AT, doors.PROXY_PORT, head + WORDS)


def door(name: str, port: int = PORT) -> str:
    """Connect as a program would that finds the name in /etc/hosts."""
    text = doors.hosts_file([hosts.parse(entry) for entry in LISTED])
    places = {name: at for at, name, *_ in map(str.split, text.splitlines())}
    return reach(places[name], port)


class Extension:
    """A program in a network namespace of its own, behind a gateway."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.result: Any = None
        self.totals: Any = None
        self.failed = ""

    def run(
        self,
        program: Callable[[], Any],
        meanwhile: Callable[[int], None] | None = None,
        listed: Sequence[str] = LISTED,
    ) -> "Extension":
        """Run a program; `meanwhile` gets the forwarder's id while it runs."""
        entries = tuple(hosts.parse(entry) for entry in listed)
        order = process.Order(hosts=entries, filter=call_filter.program(), becomes_nobody=True)
        with process.serving(order, self.told.append) as gateway:
            (forwarding,) = children()
            ours, theirs = socket.socketpair()
            pid = os.fork()
            if pid == 0:
                be_confined(gateway, theirs, program)
            theirs.close()
            if meanwhile is not None:
                meanwhile(forwarding)
            with ours, ours.makefile("rb") as stream:
                self.result = json.loads(stream.read() or b"null")
            os.waitpid(pid, 0)
            try:
                gateway.finish()
            except process.GatewayFailed as err:
                self.failed = str(err)
            self.totals = dict(gateway.totals)
        return self

    def everything(self) -> dict[str, Any]:
        told = [vars(one) for one in self.told]
        return {"result": self.result, "told": told, "totals": self.totals, "failed": self.failed}


def be_confined(gateway: process.Gateway, out: socket.socket, program: Callable[[], Any]) -> None:
    try:
        syscalls.set_pdeathsig(signal.SIGKILL)
        syscalls.unshare(syscalls.CLONE_NEWNET)
        syscalls.loopback_up()
        gateway.entrance.open()
        os.close(gateway.descriptor)
        out.sendall(json.dumps(tried(program)).encode())
    finally:
        os._exit(0)


def children() -> list[int]:
    """Our children but the network beyond."""
    path = f"/proc/self/task/{threading.get_native_id()}/children"
    return [pid for pid in map(int, read(path).split()) if pid not in BEYOND]


BEYOND: list[int] = []


@scenario
def where_the_names_lead() -> Any:
    """By a name's own door, and by the proxy."""

    def ways(name: str) -> list[str]:
        return [tried(lambda: door(name)), tried(lambda: tunnel(f"{name}:{PORT}"))]

    listed = [name for name in NAMES if f"{name}:{PORT}" in LISTED]
    return Extension().run(lambda: {name: ways(name) for name in listed}).everything()


@scenario
def without_a_gateway() -> Any:
    """What the same names and addresses lead to in the helper's own network."""
    return {
        name: tried(lambda name=name: reach(name, PORT))
        for name in NAMES
        if name not in ("allcast.example", "late.example", "linklocal.example")
    }


@scenario
def wildcards() -> Any:
    names = [name for name in NAMES if "wild" in name]
    return Extension().run(lambda: {one: tunnel(f"{one}:{PORT}") for one in names}).everything()


@scenario
def what_is_listed_as_an_address() -> Any:
    def program() -> Any:
        return {
            "four": reach(THERE, PORT),
            "six": tried(lambda: reach(THERE6, PORT)),
            "tunnel to six": tunnel(f"[{THERE6}]:{PORT}"),
            "the helper's": reach("127.0.0.1", OWN_PORT),
            "a name of it": tunnel(f"rebound.example:{OWN_PORT}"),
            "nobody there": tunnel(f"{THERE}:84"),
        }

    return Extension().run(program).everything()


@scenario
def what_is_not_listed() -> Any:
    def program() -> Any:
        direct = {
            f"{at}:{port}": tried(lambda at=at, port=port: reach(at, port))
            for at, port in ((THERE, OWN_PORT), (HERE, PORT), (METADATA, PORT), (METADATA6, PORT))
        }
        wanted = (f"{THERE}:{OWN_PORT}", f"{HERE}:{PORT}", f"{METADATA}:{PORT}")
        more = (f"[{METADATA6}]:{PORT}", f"unlisted.example:{PORT}", f"127.0.0.1:{PORT}")
        return direct, {one: tunnel(one) for one in (*wanted, *more)}

    return Extension().run(program).everything()


@scenario
def a_slow_name_holds_up_nobody() -> Any:
    def program() -> Any:
        slow = socket.create_connection((doors.PROXY_AT, doors.PROXY_PORT), PATIENCE_S)
        slow.sendall(f"CONNECT slow.example:{PORT} HTTP/1.1\r\n\r\n".encode())
        time.sleep(0.1)
        began = time.monotonic()
        answers = [door("good.example") for _ in range(5)]
        took = time.monotonic() - began
        slow.settimeout(10)
        return answers, took, slow.recv(100).decode()

    return Extension().run(program).everything()


@scenario
def more_than_at_a_time() -> Any:
    """Of too many, the rest waits until there is room."""

    def program() -> Any:
        most = forwarder.MAX_AT_A_TIME
        held = [socket.create_connection((THERE, PORT), PATIENCE_S) for _ in range(most)]
        late = socket.create_connection((THERE, PORT), PATIENCE_S)
        late.sendall(WORDS)
        late.settimeout(0.3)
        early = tried(lambda: late.recv(100).decode())
        held.pop().close()
        late.settimeout(PATIENCE_S)
        return early, late.recv(100).decode()

    return Extension().run(program).everything()


@scenario
def slow_heads() -> Any:
    def program() -> Any:
        began = time.monotonic()
        with socket.create_connection((doors.PROXY_AT, doors.PROXY_PORT), PATIENCE_S) as sock:
            sock.sendall(b"CONNECT good.example:80 HT")
            return sock.recv(1000).decode(), time.monotonic() - began

    return Extension().run(program).everything()


@scenario
def silence() -> Any:
    def program() -> Any:
        with socket.create_connection((THERE, COLLECTING), PATIENCE_S) as sock:
            began = time.monotonic()
            return len(sock.recv(10)), time.monotonic() - began

    return Extension().run(program).everything()


@scenario
def a_flood_of_refusals() -> Any:
    def program() -> Any:
        return sum("403" in tunnel("evil.example:80") for _ in range(1100))

    return Extension().run(program).everything()


@scenario
def sent_and_gone() -> Any:
    """What was sent right before the end still arrives."""

    def program() -> Any:
        for port in (COLLECTING, COLLECTING):
            sock = socket.create_connection((THERE, port), PATIENCE_S)
            sock.sendall(bytes(1 << 20))
            sock.close()
        return True

    return Extension().run(program).everything()


@scenario
def held_open_at_the_end() -> Any:
    """Neither a host that goes on sending nor one that never answers holds up the end."""

    def program() -> Any:
        for port in (POURING, COLLECTING, PORT):
            socket.create_connection((THERE, port), PATIENCE_S).detach()
        time.sleep(0.3)
        return time.monotonic()

    extension = Extension().run(program)
    return {**extension.everything(), "took": time.monotonic() - extension.result}


@scenario
def nobody_reads() -> Any:
    """Hosts that send without end to a program that doesn't read: memory stays bounded."""
    sizes: list[int] = []

    def program() -> Any:
        held = [socket.create_connection((THERE, POURING), PATIENCE_S) for _ in range(50)]
        time.sleep(0.7)
        return len(held)

    def watch(pid: int) -> None:
        for wait in (0.1, 0.5):
            time.sleep(wait)
            status = read(f"/proc/{pid}/status").decode()
            (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
            sizes.append(int(line.split()[1]))

    return {**Extension().run(program, watch).everything(), "kilobytes": sizes}


@scenario
def what_the_forwarder_holds() -> Any:
    seen: dict[str, Any] = {}

    def watch(pid: int) -> None:
        time.sleep(0.2)
        lines = dict(
            line.split(":\t", 1) for line in read(f"/proc/{pid}/status").decode().splitlines()
        )
        seen.update({name: lines[name] for name in ("Uid", "CapEff", "CapPrm", "NoNewPrivs")})
        seen["Seccomp"] = lines["Seccomp"]
        links = [os.readlink(f"/proc/{pid}/fd/{one}") for one in os.listdir(f"/proc/{pid}/fd")]
        seen["kinds"] = sorted({link.partition(":")[0] for link in links})

    Extension().run(lambda: time.sleep(0.4), watch)
    return seen


@scenario
def a_forwarder_that_dies() -> Any:
    def program() -> Any:
        first = reach(THERE, PORT)
        time.sleep(0.5)
        return first, tried(lambda: reach(THERE, PORT))

    def kill(pid: int) -> None:
        time.sleep(0.25)
        os.kill(pid, signal.SIGKILL)

    return Extension().run(program, kill).everything()


@scenario
def a_program_that_never_opens_its_doors() -> Any:
    entries = tuple(hosts.parse(entry) for entry in LISTED)
    order = process.Order(hosts=entries, filter=call_filter.program(), becomes_nobody=True)
    with process.serving(order, print) as gateway:
        gateway.finish()
    return dict(gateway.totals)


def main(place: str) -> None:
    connection.HEAD_S, connection.CONNECT_S, connection.IDLE_S = HEAD_S, HEAD_S, IDLE_S
    forwarder.TICK_S = 0.1
    build(place)
    BEYOND.extend(children())
    print(json.dumps({name: function() for name, function in SCENARIOS.items()}))


if __name__ == "__main__":
    main(sys.argv[1])
