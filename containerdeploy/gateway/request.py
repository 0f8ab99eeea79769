"""The head of a proxy request, read strictly: what two readers could understand in two ways is
refused (RFC 9112, 3 and 6.3).
"""

import re
from collections.abc import Sequence

from containerdeploy.frozen import frozen
from containerdeploy.gateway.hosts import Host, address

MAX_HEAD = 16 * 1024
MAX_FIELDS = 100
END = b"\r\n\r\n"
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_LINE = re.compile(rf"({_TOKEN}) ([\x21-\x7e]+) HTTP/1\.([01])")
_FIELD = re.compile(rf"({_TOKEN}):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::([1-9][0-9]{0,4}))?")
_ABSOLUTE = re.compile(r"[Hh][Tt][Tt][Pp]://([^/?#]+)(/[^#]*|\?[^#]*)?")
_PLAIN_PORT = 80
# Between client and proxy only (RFC 9110, 7.6.1).
_HOP = frozenset(
    "connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer "
    "upgrade http2-settings".split()
)
_FRAMING = frozenset(["host", "content-length", "transfer-encoding"])


class BadRequest(Exception):
    """A request that is not plain; the text says what is odd about it."""


@frozen
class Request:
    """What a client asks the proxy for.

    A tunnel has no head to pass on. `size` is the body's, None for one in chunks.
    """

    host: Host
    is_tunnel: bool
    head: bytes = b""
    size: int | None = 0


def parse(data: bytes) -> Request:
    """Read a head, up to and with its empty line; raise BadRequest."""
    text = data[: -len(END)].decode("latin-1")
    first, *rest = text.split("\r\n")
    line = _LINE.fullmatch(first)
    if not line:
        raise BadRequest("a request line that is not plain")
    method, target, minor = line.groups()
    fields = _fields(rest)
    size = _body_size(fields, is_old=minor == "0")
    if method == "CONNECT":
        host = authority(target, None)
        _check_host(fields, host, host.port)
        if size != 0:
            raise BadRequest("a tunnel with a body")
        return Request(host=host, is_tunnel=True)
    host, path = _absolute(target)
    _check_host(fields, host, _PLAIN_PORT)
    start = f"{method} {path} HTTP/1.{minor}\r\nHost: {_shown(host)}\r\n"
    kept = "".join(f"{name}: {value}\r\n" for name, value in _end_to_end(fields))
    head = f"{start}{kept}Connection: close\r\n\r\n".encode("latin-1")
    return Request(host=host, is_tunnel=False, head=head, size=size)


def authority(text: str, default_port: int | None) -> Host:
    """Read `name:port`; names in lower case, addresses in one form. Raises BadRequest."""
    found = _AUTHORITY.fullmatch(text)
    if not found or not (found[2] or default_port):
        raise BadRequest("a host that is not plain")
    port = int(found[2] or default_port or 0)
    name = found[1].lower()
    known = address(name.removeprefix("[").removesuffix("]"))
    is_address = known is not None and (":" in known) == name.startswith("[")
    is_name = len(name) <= 253 and _NAME.fullmatch(name) and not _NUMBER.fullmatch(name)
    if port > 65535 or not (is_address or is_name):
        raise BadRequest("a host that is not plain")
    return Host(name=known or name, port=port)


def _absolute(target: str) -> tuple[Host, str]:
    found = _ABSOLUTE.fullmatch(target)
    if not found:
        raise BadRequest("no http:// address (others are reached with CONNECT)")
    path = found[2] or "/"
    return authority(found[1], _PLAIN_PORT), path if path.startswith("/") else f"/{path}"


def _fields(lines: Sequence[str]) -> list[tuple[str, str]]:
    if len(lines) > MAX_FIELDS:
        raise BadRequest(f"more than {MAX_FIELDS} header fields")
    found = [_FIELD.fullmatch(line) for line in lines]
    if not all(found):
        raise BadRequest("a header field that is not plain")
    return [(one[1], one[2].strip(" \t")) for one in found if one]


def _values(fields: Sequence[tuple[str, str]], name: str) -> list[str]:
    return [value for field, value in fields if field.lower() == name]


def _check_host(fields: Sequence[tuple[str, str]], host: Host, default_port: int) -> None:
    told = _values(fields, "host")
    if len(told) > 1 or any(authority(one, default_port) != host for one in told):
        raise BadRequest("a Host field that is not the request's host")


def _body_size(fields: Sequence[tuple[str, str]], *, is_old: bool) -> int | None:
    sizes, codings = _values(fields, "content-length"), _values(fields, "transfer-encoding")
    if codings:
        if sizes or is_old or [one.lower() for one in codings] != ["chunked"]:
            raise BadRequest("a body of unclear length")
        return None
    if len(sizes) > 1 or not all(re.fullmatch(r"[0-9]{1,18}", one, re.ASCII) for one in sizes):
        raise BadRequest("a body of unclear length")
    return int(sizes[0]) if sizes else 0


def _end_to_end(fields: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    named = ",".join(_values(fields, "connection")).lower().split(",")
    dropped = _HOP | {word.strip() for word in named}
    if dropped & _FRAMING:
        raise BadRequest("a Connection field that takes the body's length away")
    return [one for one in fields if one[0].lower() not in dropped | {"host"}]


def _shown(host: Host) -> str:
    return str(host) if host.port != _PLAIN_PORT else str(host).removesuffix(f":{_PLAIN_PORT}")
