"""What a shell script reads from its environment and calls; it is looked at, never run."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from containerdeploy.migration.model import Call, Read

_READ = re.compile(
    r"\$(?:(?P<bare>[A-Za-z_]\w*)"
    r"|\{[#!]?(?P<name>[A-Za-z_]\w*)(?:\[[^]]*\])?(?P<sign>:?[-+?=])?(?P<word>[^{}\n]*))"
)
_ASSIGNED = re.compile(
    r"(?:^|[;&|({`\s])(?P<name>[A-Za-z_]\w*)(?:\[[^]]*\])?\+?=(?!=)(?P<value>\"[^\"]*\"|\S*)"
    r"|\bfor\s+(?P<loop>[A-Za-z_]\w*)\b"
    r"|\b(?:read|local|declare|typeset)(?P<list>(?:[ \t]+-\w+)*(?:[ \t]+[A-Za-z_]\w*)+)",
    re.MULTILINE,
)
_NOUNSET = re.compile(
    r"^[ \t]*set\s(?:[^\n#]{0,200}\s)?(?:-\w*u|-o\s+nounset)|^#!\S+[^\n]{0,200}\s-\w*u",
    re.MULTILINE,
)
_LISTED = re.compile(
    r"(?:\benv\b|\bprintenv\b|\bset\s*\|)[^\n]{0,200}?\^\(?(?P<grep>[A-Z][A-Z0-9]*_[A-Z0-9_]*)"
    r"|\$\{!(?P<bash>[A-Z]\w*)[@*]\}"
    r"|\bcompgen\s+-[ve]\s+(?P<compgen>[A-Z]\w*)"
)
_BEFORE = r"(?:then|else|do|if|elif|while|until|exec|time|env|command|nice|sudo|xargs)\s"
_CALL = re.compile(
    rf"(?:^|[;&|({{`!]|\$\(|(?<![\w-]){_BEFORE})[ \t]*(?:[A-Za-z_]\w*=\S*[ \t]+)*(?!{_BEFORE})"
    r"(?P<call>(?:/[\w./-]+/)?[A-Za-z][\w.+-]*)(?![\w=])",
    re.MULTILINE,
)
_HEREDOC = re.compile(r"<<-?[ \t]*(?P<quote>['\"\\]?)(?P<end>[A-Za-z_]\w*)['\"]?")
_BOOLEAN = re.compile(r"[\"'\s=](?:True|False|true|false|yes|no)[\"'\s\])|]")
_NEAR = 300
_KEPT_FOR_SHELL = frozenset(
    "PATH HOME TMPDIR PWD OLDPWD IFS UPGRADE MORPH_LOG_FD LC_ALL LANG PYTHONPATH SHELL TERM USER "
    "PYTHONDONTWRITEBYTECODE SOURCE_DATE_EPOCH RANDOM SECONDS LINENO PPID UID EUID OPTARG OPTIND "
    "REPLY FUNCNAME PIPESTATUS COLUMNS LINES LOGNAME EDITOR HOSTTYPE MACHTYPE OSTYPE".split()
)


@dataclass
class _Views:
    """The script twice: with all that is expanded, and with all that is commands; rest blank."""

    text: str
    live: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    nested: list[str] = field(default_factory=lambda: ["code"])
    awaited: list[tuple[str, bool]] = field(default_factory=list)

    def look(self) -> None:
        self.live, self.code = list(self.text), list(self.text)
        at = 0
        while at < len(self.text):
            at = self._quoted(at) if self.nested[-1] == "quote" else self._plain(at)

    def _quoted(self, at: int) -> int:
        if self.text[at] == "\\":
            return self._blank(at, at + 2)
        if self.text[at] == '"':
            self.nested.pop()
        elif self.text.startswith("$(", at):
            self.nested.append("command")
            return at + 2
        else:
            self._blank(at, at + 1, live=False)
        return at + 1

    def _plain(self, at: int) -> int:
        sign = self.text[at]
        if sign == "\\":
            return self._blank(at, at + 2)
        if sign == "'":
            return self._blank(at + 1, self._after("'", at + 1))
        if sign == "#" and (at == 0 or self.text[at - 1] in " \t\n;&|("):
            return self._blank(at, self._end_of_line(at))
        if sign == "\n" and self.awaited:
            return self._bodies(at + 1)
        found = _HEREDOC.match(self.text, at) if sign == "<" else None
        if found and self.text[at - 1 : at] != "<":
            self.awaited.append((found["end"], bool(found["quote"])))
            return found.end()
        if sign in '"(':
            self.nested.append("quote" if sign == '"' else "command")
        elif sign == ")" and self.nested[-1] == "command":
            self.nested.pop()
        return at + 1

    def _bodies(self, at: int) -> int:
        """Blank the bodies of here-documents: all of it as code, and what is not expanded."""
        for end, is_quoted in self.awaited:
            found = re.compile(rf"^\t*{end}$", re.MULTILINE).search(self.text, at)
            stop = found.end() if found else len(self.text)
            self._blank(at, stop, live=is_quoted)
            at = stop
        self.awaited.clear()
        return at

    def _after(self, sign: str, at: int) -> int:
        found = self.text.find(sign, at)
        return len(self.text) if found < 0 else found + 1

    def _end_of_line(self, at: int) -> int:
        found = self.text.find("\n", at)
        return len(self.text) if found < 0 else found

    def _blank(self, start: int, stop: int, *, live: bool = True) -> int:
        for at in range(start, min(stop, len(self.text))):
            if self.text[at] != "\n":
                self.code[at] = " "
                if live:
                    self.live[at] = " "
        return stop


def reads(text: str) -> tuple[Read, ...]:
    """Return what a script takes from its environment, in order of appearance."""
    views = _Views(text)
    views.look()
    live = "".join(views.live)
    assigned = _assigned(live)
    is_strict = bool(_NOUNSET.search(text))
    listed = list(_listed(text))
    single = list(_single(text, live, assigned, is_strict=is_strict))
    return (*listed, *(one for one in single if not _is_listed(one, listed)))


def calls(text: str) -> tuple[Call, ...]:
    """Return the programs that a script calls, as far as they are named in it."""
    views = _Views(text)
    views.look()
    lines = _Lines(text)
    return tuple(
        Call(
            program=found["call"],
            line=lines.number(found.start("call")),
            words=lines.around(found.start("call")),
        )
        for found in _CALL.finditer("".join(views.code))
    )


def _single(text: str, live: str, assigned: dict[str, int], *, is_strict: bool) -> Iterator[Read]:
    lines = _Lines(text)
    for found in _READ.finditer(live):
        name = found["bare"] or found["name"]
        if name in _KEPT_FOR_SHELL or name.startswith("BASH"):
            continue
        if assigned.get(name, len(live)) < found.start():
            continue
        sign = (found["sign"] or "").lstrip(":")
        yield Read(
            name=name,
            line=lines.number(found.start()),
            is_needed=sign == "?" or (is_strict and not sign),
            default=found["word"] if sign in ("-", "=") and sign else None,
            is_sure=name.isupper() and (name not in assigned or sign in ("-", "=", "?")),
            is_boolean=bool(_BOOLEAN.search(lines.around(found.start()) + " ")),
        )


def _assigned(live: str) -> dict[str, int]:
    """Return where each variable first has a value of the script's own."""
    first: dict[str, int] = {}
    for found in _ASSIGNED.finditer(live):
        listed = (found["list"] or "").split()
        for name in (found["name"], found["loop"], *listed):
            if name and not name.startswith("-"):
                first.setdefault(name, found.end())
    return first


def _listed(text: str) -> Iterator[Read]:
    lines = _Lines(text)
    for found in _LISTED.finditer(text):
        prefix = found["grep"] or found["bash"] or found["compgen"]
        yield Read(name=f"{prefix}*", line=lines.number(found.start()))


def _is_listed(one: Read, listed: list[Read]) -> bool:
    return any(one.name == prefix.name[:-1] for prefix in listed)


class _Lines:
    """Where the lines of a text begin, to number a place without counting from the start."""

    def __init__(self, text: str) -> None:
        self._starts = [found.end() for found in re.finditer(r"^", text, re.MULTILINE)]
        self._text = text

    def number(self, at: int) -> int:
        return max(bisect_right(self._starts, at), 1)

    def around(self, at: int) -> str:
        """Return the line of a place, of a very long one the part that is near."""
        start = self._text.rfind("\n", max(0, at - _NEAR), at) + 1 or max(0, at - _NEAR)
        stop = self._text.find("\n", at, at + _NEAR)
        return self._text[start : at + _NEAR if stop < 0 else stop]
