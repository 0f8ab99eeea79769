"""Durations, sizes and shares as people write them: 90s, 30m, 2h; 512M, 2G; 1.5."""

import re

LEAST_CPUS = 0.01  # less than the kernel can hold a group to
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(s|m|h|d)?")
_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:([KMGT])(?:i?B)?|B)?", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,6})?")
_BYTES = {None: 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def seconds(text: str) -> float | None:
    """Return a positive duration in seconds, or None where the text is none."""
    found = _DURATION.fullmatch(text.strip())
    value = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    return value if 0 < value < 1e9 else None


def size(text: str) -> int | None:
    """Return a positive size in bytes (K, M, G, T are powers of 1,024), or None."""
    found = _SIZE.fullmatch(text.strip())
    unit = found[2].upper() if found and found[2] else None
    value = int(float(found[1]) * _BYTES[unit]) if found and len(found[1]) < 16 else 0
    return value if 0 < value < 1 << 62 else None


def cpus(text: str) -> float | None:
    """Return a number of processors, whole or not, or None where the text is none."""
    found = _NUMBER.fullmatch(text.strip())
    value = float(found[0]) if found else 0.0
    return value if value >= LEAST_CPUS else None
