"""What a Python program, of whichever version, reads from its environment, calls and imports."""

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Iterator, Sequence

from containerdeploy.frozen import frozen
from containerdeploy.migration.model import Call, Read

_PREFIX = re.compile(r"[A-Z][A-Z0-9_]*")
_BOOLEAN = re.compile(r"[\"'](?:True|False|true|false|yes|no)[\"']|bool", re.IGNORECASE)
_RUNS = re.compile(r"call|run|Popen|system|popen|\w*(?:check|run|exec|spawn)\w*")
_COMMAND = re.compile(r"cmd|command|argv|args")
_NEAR = 300
_LAYOUT = (tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT)


@frozen
class Word:
    """A token that is not layout; `value` is what a text in quotes means, else None."""

    text: str
    value: str | None
    line: int


@frozen
class Program:
    """A program's words, as far as they could be told apart (`stopped` is the line, or None)."""

    words: tuple[Word, ...]
    lines: tuple[str, ...]
    stopped: int | None = None

    def at(self, place: int) -> str:
        return self.words[place].text if 0 <= place < len(self.words) else ""

    def value(self, place: int) -> str | None:
        return self.words[place].value if 0 <= place < len(self.words) else None


def split(text: str) -> Program:
    """Tell a program's words apart; Python 3's rules do for Python 2 as well."""
    words, stopped = [], None
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type not in _LAYOUT:
                words.append(Word(text=token.string, value=_value(token), line=token.start[0]))
    except (tokenize.TokenError, SyntaxError):
        stopped = words[-1].line if words else 1
    return Program(words=tuple(words), lines=tuple(text.split("\n")), stopped=stopped)


def reads(program: Program, readers: Sequence[str] = ()) -> tuple[Read, ...]:
    """Return what a program takes from its environment.

    `readers` are functions whose first argument is a parameter's name.
    """
    names = {"environ", "env", *_other_names(program)}
    found: list[Read] = []
    for place in range(len(program.words)):
        if read := _read(program, place, names) or _called(program, place, readers):
            line = program.lines[read.line - 1][:_NEAR]
            is_boolean = read.is_boolean or bool(_BOOLEAN.search(line))
            found.append(Read(**{**vars(read), "is_boolean": is_boolean}))
    return (*_prefixes(program), *found)


def readers(program: Program) -> tuple[str, ...]:
    """Return the functions that look up their first argument in the environment."""
    names = {"environ", "env", *_other_names(program)}
    found, function, argument = [], "", ""
    for place, word in enumerate(program.words):
        if word.text == "def" and program.at(place + 2) == "(":
            function, argument = program.at(place + 1), program.at(place + 3)
            argument = program.at(place + 5) if argument == "self" else argument
        elif function and word.text == argument and _is_key(program, place, names):
            found.append(function)
    return tuple(dict.fromkeys(found))


def calls(program: Program) -> Iterator[Call]:
    """Yield the programs that are named where a command begins."""
    for place, word in enumerate(program.words):
        first = (word.value or "").split()[:1]
        if first and _begins_command(program, place):
            words = " ".join(line[:_NEAR] for line in program.lines[word.line - 1 : word.line + 3])
            yield Call(program=first[0], line=word.line, words=words)


def modules(program: Program) -> Iterator[tuple[str, int]]:
    """Yield the modules that a program imports, by their first name, with the line."""
    starts = [""] + [line.strip() for line in program.lines]
    for place, word in enumerate(program.words):
        if word.text not in ("import", "from") or not starts[word.line].startswith(word.text):
            continue
        if program.at(place + 1) not in (".", "..."):
            yield program.at(place + 1), word.line
        while word.text == "import" and (place := _next_import(program, place)):
            yield program.at(place), program.words[place].line


def whole(program: Program) -> int | None:
    """Return the line where a program goes through all of its environment, or None."""
    for place, word in enumerate(program.words):
        after = program.at(place + 1), program.at(place + 2)
        is_walk = after[0] == "." and after[1] in ("items", "iteritems", "keys", "iterkeys")
        if word.text == "environ" and (is_walk or after[0] in (")", ":")):
            return word.line
    return None


def docstring(program: Program) -> str:
    """Return the text that a program begins with, or nothing."""
    return (program.value(0) or "") if program.words else ""


def syntax_fault(text: str) -> tuple[int, str] | None:
    """Return the line and the reason where a text is no Python 3."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as err:
        return err.lineno or 1, err.msg
    except (ValueError, RecursionError, MemoryError) as err:
        return 1, str(err)
    return None


def _next_import(program: Program, place: int) -> int:
    """Return where the name after the next comma of `import a.b, c` is, or 0."""
    line = program.words[place].line
    place += 1
    while program.at(place) and program.words[place].line == line:
        if program.at(place) == ",":
            return place + 1
        place += 1
    return 0


def _begins_command(program: Program, place: int) -> bool:
    """Say whether a text is the first in a call that runs programs, or in a list called so."""
    if program.at(place - 1) == "[":
        place -= 1
        if program.at(place - 1) == "=":
            return bool(_COMMAND.search(program.at(place - 2)))
    return program.at(place - 1) == "(" and bool(_RUNS.fullmatch(program.at(place - 2)))


def _value(token: tokenize.TokenInfo) -> str | None:
    if token.type != tokenize.STRING:
        return None
    found = re.fullmatch(r"(?is)[bru]{0,2}('''|\"\"\"|'|\")(.*)\1", token.string)
    return found[2] if found else None


def _other_names(program: Program) -> Iterator[str]:
    """Yield what the environment is called besides: `env = os.environ.copy()` and its like."""
    for place, word in enumerate(program.words):
        if word.text == "=" and program.at(place + 3) == "environ":
            yield program.at(place - 1)


def _is_key(program: Program, place: int, names: set[str]) -> bool:
    """Say whether a word is what the environment is asked for."""
    before = [program.at(place - back) for back in (1, 2, 3, 4)]
    if before[0] == "[":
        return before[1] in names
    if before[0] == "(" and before[1] == "getenv":
        return True
    if before[0] == "(" and before[1] in ("get", "has_key", "pop") and before[2] == ".":
        return before[3] in names
    after = [program.at(place + step) for step in (1, 2, 3, 4, 5)]
    tested = after[1:] if after[0] == "not" else after
    return tested[0] == "in" and (tested[1] in names or tested[1:4:2] == ["os", "environ"])


def _read(program: Program, place: int, names: set[str]) -> Read | None:
    name = program.value(place)
    if not name or not name.replace("_", "a").isalnum() or not _is_key(program, place, names):
        return None
    is_index = program.at(place - 1) == "["
    if is_index and program.at(place + 2) == "=":
        return None
    is_asked = program.at(place - 1) == "(" and program.at(place + 1) == ","
    default = program.value(place + 2) if is_asked else None
    line = program.words[place].line
    return Read(name=name, line=line, is_needed=is_index, default=default)


def _called(program: Program, place: int, readers: Sequence[str]) -> Read | None:
    """Return what a call of a function that looks up parameters reads."""
    name, function = program.value(place), program.at(place - 2)
    if not name or program.at(place - 1) != "(" or function not in readers:
        return None
    is_defined = program.at(place - 3) == "def"
    if is_defined or not re.fullmatch(r"[A-Za-z_]\w*", name):
        return None
    return Read(name=name, line=program.words[place].line, is_boolean="bool" in function.lower())


def _prefixes(program: Program) -> Iterator[Read]:
    if not any(word.text == "environ" for word in program.words):
        return
    for place, word in enumerate(program.words):
        if word.text == "startswith" and _PREFIX.fullmatch(program.value(place + 2) or ""):
            yield Read(name=f"{program.value(place + 2)}*", line=word.line)
