"""Words for a reader: text that can't act on a terminal, sizes, times, counts of changes."""

import re
from collections.abc import Mapping

from containerdeploy import harmless, wire

# What is no byte sequence of UTF-8 came over the wire as lone surrogates.
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNITS = ("kB", "MB", "GB", "TB")


def for_file(text: str) -> str:
    """Return log text as a file gets it: whole, with bytes that are not UTF-8 as \\xNN."""
    return _SURROGATE.sub(harmless.escaped, text)


def for_terminal(text: str) -> str:
    """Return log text with all that would act on a terminal made visible; tabs stay."""
    return harmless.line(text.removesuffix("\r"))


def word(text: object) -> str:
    """Return a name or a path as part of one line, wherever it is shown; never acts, never wraps.

    Only a helper's log text may hold what it likes, in a file.
    """
    return harmless.line(str(text)).replace("\t", "\\t")


def size(count: int) -> str:
    """Return a number of bytes in words: `512 bytes`, `12.3 MB`."""
    if count < 1000:
        return f"{count} byte{'' if count == 1 else 's'}"
    value = float(count)
    for unit in _UNITS:
        value /= 1000
        if value < 999.95 or unit == _UNITS[-1]:
            break
    return f"{value:.1f} {unit}"


def duration(seconds: float) -> str:
    """Return a length of time in words: `0.03 s`, `12.3 s`, `4 min 05 s`, `1 h 02 min`."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def counts(changes: Mapping[str, int]) -> str:
    """Return how much changed: `1 modified, 3 added`, or `nothing changed`."""
    told = [f"{count} {_told(kind)}" for kind, count in changes.items() if count]
    return ", ".join(told) or "nothing changed"


def change(item: wire.Change) -> str:
    """Return one changed path with what happened to it."""
    sizes = ""
    if item.size_before is not None and item.size_after is not None:
        sizes = f" ({item.size_before} to {size(item.size_after)})"
    elif item.size_after is not None:
        sizes = f" ({size(item.size_after)})"
    detail = f" ({word(item.detail)})" if item.detail else ""
    return f"{_told(item.kind):<13} {word(tree_path(item.path))}{sizes}{detail}"


def traffic(item: wire.Traffic) -> str:
    """Return how much went over a listed network: `2 connections, 1 refused, 1.2 kB sent, …`."""
    number = f"{item.connections} connection{'' if item.connections == 1 else 's'}"
    refused = [f"{item.refused} refused"] if item.refused else []
    amounts = [f"{size(item.sent_bytes)} sent", f"{size(item.received_bytes)} received"]
    return ", ".join([number, *refused, *amounts])


def connection(item: wire.Connection) -> str:
    """Return one connection: whom it was to, and what came of it."""
    host = f"[{item.host}]" if ":" in item.host else item.host
    whom = word(f"{host}:{item.port}" if item.host else "no host")
    at = f" ({word(item.address)})" if item.address not in ("", item.host) else ""
    if item.refused:
        return f"{whom}{at} refused: {word(item.refused)}"
    return f"{whom}{at}, {size(item.sent_bytes)} sent, {size(item.received_bytes)} received"


def image(name: str) -> str:
    """Return an image's name, or the start of its id."""
    return word(name[: len("sha256:") + 12] if name.startswith("sha256:") else name)


def tree_path(path: str) -> str:
    """Return a path of the tree as the deployed system will see it."""
    return "/" + path.removeprefix("./").lstrip("/")


def _told(kind: str) -> str:
    changed = kind in ("mode", "owner", "xattr")
    return f"{kind} changed" if changed else word(kind)
