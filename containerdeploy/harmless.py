"""Text that can't act on a terminal, nor look like other text: what would is shown as its code."""

import re

# What moves the cursor or asks the terminal for something, and line ends of every kind.
_CONTROLS = "\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029"
# What isn't seen, or turns what is seen around (UAX #9); soft hyphens, joiners, tags, fillers.
_UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Lone surrogates stand for bytes that are no UTF-8 (PEP 383).
_SURROGATES = "\ud800-\udfff"
# What is drawn over the character before: a few are a letter, many cover the lines around.
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u06d6-\u06dc\u0e31"
    "\u0e34-\u0e3a\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u302a-\u302d\u3099"
    "\u309a\ufe00-\ufe0f\ufe20-\ufe2f"
)
MOST_MARKS = 4
_TOO_MANY = f"(?<=[{_MARKS}]{{{MOST_MARKS}}})[{_MARKS}]"
_ACTIVE = re.compile(f"[{_CONTROLS}{_UNSEEN}{_SURROGATES}]|{_TOO_MANY}")


def line(text: str) -> str:
    """Return a text as part of one line; tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return _ACTIVE.sub(escaped, text)


def lines(text: str) -> str:
    """Return a text of several lines; tabs and line feeds stay."""
    return "\n".join(map(line, text.split("\n")))


def escaped(match: re.Match[str]) -> str:
    """Return what was matched, one character, as Python would write it in a string."""
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    named = {0x0A: "\\n", 0x0D: "\\r"}.get(code)
    if named is None and code < 0x100:
        return f"\\x{code:02x}"
    return named or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
