"""Run ids and the file names of a record, safe whatever a deployment or a step is called."""

import hashlib
import re
import secrets
from datetime import UTC, datetime
from urllib.parse import quote

from containerdeploy import wire

RUN_ID = re.compile(r"\d{8}T\d{6}-[0-9a-f]{9}")
_MAX_NAME = 100


def new_run_id(now: datetime | None = None) -> str:
    """Return an id that sorts by time and that no other run has: 20260102T030405-1a21b3c4d.

    The first three digits after the second are parts of it, the others chance.
    """
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    part = moment.microsecond * 0x1000 // 1_000_000
    return f"{moment:%Y%m%dT%H%M%S}-{part:03x}{secrets.token_hex(3)}"


def safe_name(name: str) -> str:
    """Return a plain file name for any text; different texts give different names."""
    quoted = quote(name, safe="@+,=:", errors="surrogateescape") if _is_bytes(name) else ascii(name)
    if quoted.startswith((".", "'")) or not quoted:
        quoted = "%" + quote(quoted, safe="")
    if len(quoted) <= _MAX_NAME:
        return quoted
    digest = hashlib.sha256(quoted.encode("ascii")).hexdigest()[:16]
    return f"{quoted[: _MAX_NAME - 17]}-{digest}"


def log_name(system: str, event: wire.StepStarted, number: int) -> str:
    """Return where a step's whole log lies, relative to the record; steps count from 1."""
    own = event.kind in ("base", "metadata")
    step = safe_name(event.kind if own else event.name)
    return f"logs/{safe_name(system)}/{safe_name(event.deployment)}/{number:02}-{step}.log"


def to_bytes(text: str) -> bytes:
    """Return the bytes that a text of the wire stood for; what never was bytes is escaped."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def _is_bytes(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True
