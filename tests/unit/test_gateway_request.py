"""The head of a proxy request: what is plain is understood, and nothing else is."""

import random
from os import environ

import pytest

from containerdeploy.gateway import request
from containerdeploy.gateway.body import Chunked, Sized
from containerdeploy.gateway.hosts import Host, covers, parse
from containerdeploy.gateway.request import BadRequest

ROUNDS = int(environ.get("CONTAINERDEPLOY_FUZZ_ROUNDS", "2000"))
SEED = 20260606


def head(first, *fields):
    return "\r\n".join([first, *fields, "", ""]).encode("latin-1")


def test_a_tunnel():
    asked = request.parse(head("CONNECT Example.ORG:443 HTTP/1.1", "Host: example.org:443"))
    assert (asked.host, asked.is_tunnel) == (Host(name="example.org", port=443), True)


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("a.org:443", "a.org:443"),
        ("10.0.0.1:1", "10.0.0.1:1"),
        ("[2001:DB8:0::1]:443", "[2001:db8::1]:443"),
        ("_x.a-b.org:65535", "_x.a-b.org:65535"),
    ],
)
def test_a_host_is_understood_in_one_form(target, host):
    assert str(request.parse(head(f"CONNECT {target} HTTP/1.1")).host) == host


def test_a_request_goes_on_as_the_hosts_own_and_the_last_of_its_connection():
    asked = request.parse(
        head(
            "GET http://a.org/x?y=http://z HTTP/1.1",
            *("Host: A.org", "Accept: */*", "Connection: keep-alive, X-Hop", "X-Hop: 1"),
            *("Proxy-Authorization: secret", "Proxy-Connection: keep-alive", "Upgrade: h2c"),
        )
    )
    expected = (
        "GET /x?y=http://z HTTP/1.1\r\nHost: a.org\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
    assert asked.head.decode() == expected
    assert asked.size == 0


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("http://a.org", "GET / HTTP/1.1\r\nHost: a.org\r\n"),
        ("HTTP://a.org:8080?q", "GET /?q HTTP/1.1\r\nHost: a.org:8080\r\n"),
        ("http://a.org:80/", "GET / HTTP/1.1\r\nHost: a.org\r\n"),
        ("http://[::1]:80/", "GET / HTTP/1.1\r\nHost: [::1]\r\n"),
    ],
)
def test_a_target_becomes_a_path_and_a_host(target, line):
    assert request.parse(head(f"GET {target} HTTP/1.1")).head.decode().startswith(line)


HOSTS = """
    a.org a.org: a.org:0 a.org:65536 a.org:080 a.org:+80 a.org:8o a.org.:80 .a.org:80 a..org:80
    -a.org:80 a-:80 a@b.org:80 a:b@c.org:80 a%2eorg:80 a.org/:80 a.org#:80 a.org?:80 a\\b:80
    2130706433:80 0x7f000001:80 017700000001:80 127.1:80 0x7f.1:80 0177.0.0.1:80 1.2.3.04:80
    1.2.3.4.5:80 1.2.3.256:80 a.0x7f:80 ::1:80 [::1:80 ::1]:80 [::1%lo]:80 [1.2.3.4]:80 [a.org]:80
    [::g]:80 *:80 *.a.org:80 :80 [v1.x]:80 a,b.org:80 a;b:80
""".split()
TARGETS = [f"CONNECT {host} HTTP/1.1" for host in HOSTS if host != "a.org"]
HEADS = [
    *TARGETS,
    *(f"GET http://{host}/ HTTP/1.1" for host in HOSTS if host[5:6] not in ("", "/", "?")),
    *("CONNECT a.org HTTP/1.1", "CONNECT http://a.org:80 HTTP/1.1", "CONNECT a.org:80/ HTTP/1.1"),
    *("GET / HTTP/1.1", "GET //a.org/ HTTP/1.1", "GET https://a.org/ HTTP/1.1", "GET * HTTP/1.1"),
    *("GET ftp://a.org/ HTTP/1.1", "GET http:/a.org/ HTTP/1.1", "GET http:///x HTTP/1.1"),
    *("GET http://a.org/#x HTTP/1.1", "GET http://a.org/ HTTP/2.0", "GET http://a.org/ HTTP/1.10"),
    *("GET http://a.org/", "GET  http://a.org/ HTTP/1.1", " GET http://a.org/ HTTP/1.1"),
    *("GET http://a.org/ HTTP/1.1 ", "GET\thttp://a.org/ HTTP/1.1", "G ET http://a.org/ HTTP/1.1"),
    *("GET http://a.org/ x HTTP/1.1", "GET http://a.org/\x00 HTTP/1.1", "", "\xff"),
    *("GET http://a.org/\xe9 HTTP/1.1", "GET http://a.org/ HTTP/1.1\r", "GET http://a.org/\nX"),
]


@pytest.mark.parametrize("first", HEADS)
def test_a_first_line_that_is_not_plain_is_refused(first):
    with pytest.raises(BadRequest):
        request.parse(head(first))


FIELDS = [
    ("Host: b.org",),
    ("Host: a.org", "host: a.org"),
    ("Host: a.org:81",),
    ("Host:",),
    ("Host: a.org, b.org",),
    ("Content-Length: 1", "Content-Length: 1"),
    ("Content-Length: 1", "content-length: 2"),
    ("Content-Length: +1",),
    ("Content-Length: 0x1",),
    ("Content-Length: 1, 1",),
    ("Content-Length:",),
    ("Content-Length: -1",),
    ("Content-Length: 9999999999999999999",),
    ("Content-Length: 1", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding: gzip, chunked",),
    ("Transfer-Encoding: identity",),
    ("Transfer-Encoding: \x0bchunked",),
    ("Transfer-Encoding : chunked",),
    ("Transfer_Encoding: x", " chunked"),
    ("Connection: content-length", "Content-Length: 1"),
    ("Connection: x, Transfer-Encoding", "Transfer-Encoding: chunked"),
    ("Connection: Host",),
    ("X: a\x00b",),
    ("X: a\rb",),
    ("X: a\nContent-Length: 5",),
    ("no colon",),
    (": no name",),
    ("",),
    ("\tfolded: 1",),
    *[tuple(f"X{number}: 1" for number in range(101))],
]


@pytest.mark.parametrize("fields", FIELDS)
def test_fields_that_are_not_plain_are_refused(fields):
    with pytest.raises(BadRequest):
        request.parse(head("POST http://a.org/ HTTP/1.1", *fields))


def test_an_old_client_can_send_no_chunks():
    with pytest.raises(BadRequest):
        request.parse(head("POST http://a.org/ HTTP/1.0", "Transfer-Encoding: chunked"))


@pytest.mark.parametrize("field", ["Content-Length: 3", "Transfer-Encoding: chunked"])
def test_a_tunnel_has_no_body(field):
    with pytest.raises(BadRequest):
        request.parse(head("CONNECT a.org:443 HTTP/1.1", field))


def test_a_body_ends_where_its_size_says():
    body = Sized(5)
    assert (body.take(b"abc"), body.is_over) == (3, False)
    assert (body.take(b"defg"), body.is_over) == (2, True)


CHUNKS = b"5;a=b\r\nabc\r\n\r\n1\r\nx\r\n00\r\n\r\n"


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 100])
def test_chunks_end_at_the_last_however_they_come(piece):
    body, taken = Chunked(), 0
    data = CHUNKS + b"GET http://b.org/ HTTP/1.1\r\n\r\n"
    for start in range(0, len(data), piece):
        taken += body.take(data[start : start + piece])
    assert (taken, body.is_over) == (len(CHUNKS), True)


@pytest.mark.parametrize(
    "data",
    [
        *(b"x\r\n", b"\r\n", b"5\nabcde\r\n", b"-1\r\n", b"0x5\r\n", b" 5\r\n", b"5 5\r\n"),
        *(b"1\r\nab", b"1\r\na\nb", b"0\r\nX: y\r\n\r\n", b"0\r\n\n", b"1;\x00\r\n", b"5" * 300),
        *(b"f" * 16 + b"\r\n", b"5\r\r\n"),
    ],
)
@pytest.mark.parametrize("piece", [1, 1000])
def test_chunks_that_are_not_plain_are_refused(data, piece):
    body = Chunked()
    with pytest.raises(BadRequest):
        for start in range(0, len(data), piece):
            body.take(data[start : start + piece])


def test_whatever_comes_is_understood_as_plain_or_refused():
    """Mutations of good heads: never another error, never a host that is not written plainly."""
    source = random.Random(SEED)
    good = head("POST http://a.org:81/x HTTP/1.1", "Host: a.org:81", "Content-Length: 3", "A: b")
    for _ in range(ROUNDS):
        data = bytearray(good)
        for _ in range(source.randrange(1, 6)):
            place = source.randrange(len(data) - 4)
            data[place : place + source.randrange(3)] = source.choice(
                [b"\r", b"\n", b"\0", b" ", b":", b"/", b"@", b"a.org", b"\r\n", b"%", b"[", b"."]
            )
        try:
            asked = request.parse(bytes(data[:-4]) + request.END)
        except BadRequest:
            continue
        assert parse(str(asked.host)) == asked.host
        start, *fields = asked.head.split(b"\r\n")
        assert start.count(b" ") == 2
        assert sum(field.lower().startswith(b"host:") for field in fields) == 1
        assert asked.head.endswith(request.END)
        assert asked.head.count(request.END) == 1


@pytest.mark.parametrize(
    ("entry", "wanted", "is_covered"),
    [
        ("a.org:80", "a.org:80", True),
        ("a.org:80", "a.org:81", False),
        ("a.org:80", "b.a.org:80", False),
        ("*.a.org:80", "b.a.org:80", True),
        ("*.a.org:80", "a.org:80", False),
        ("*.a.org:80", "xa.org:80", False),
        ("*.0.0.1:80", "127.0.0.1:80", False),
        ("[::1]:80", "[::1]:80", True),
        ("1.2.3.4:80", "1.2.3.4:80", True),
        ("a.org:80", "*.a.org:80", False),
    ],
)
def test_the_list_covers_what_it_names(entry, wanted, is_covered):
    assert covers([parse(entry)], parse(wanted)) == is_covered
