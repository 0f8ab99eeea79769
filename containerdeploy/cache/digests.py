"""One way to digest values: SHA-256 over their only form as JSON."""

import json
import sys
from typing import Any


def sha256() -> Any:
    """Return a new digest without loading OpenSSL, which takes longer than all else here."""
    return __import__("_sha2" if sys.version_info >= (3, 12) else "_sha256").sha256()


def of(*values: object) -> str:
    """Return the SHA-256 of plain values, as hexadecimal digits.

    Equal values give equal digits and others don't: JSON tells them apart, and where one ends.
    """
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    digest = sha256()
    digest.update(text.encode("ascii"))
    return str(digest.hexdigest())
