"""Looks at an extension's text, in whichever language, and says what was seen."""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from containerdeploy.frozen import replace
from containerdeploy.migration import python, shell
from containerdeploy.migration.model import Oddity, Read, Sight

MAX_BYTES = 256 << 10
_SHELLS = frozenset(["sh", "bash", "dash", "ksh", "zsh"])
_PYTHON_2 = frozenset(["python", "python2", "python2.6", "python2.7"])
_OTHERS = re.compile(
    r"ENV\{['\"]?(?P<perl>\w+)|ENV\[['\"](?P<ruby>\w+)"
    r"|lookup\(\s*['\"]env['\"]\s*,\s*['\"](?P<ansible>\w+)|ansible_env\.(?P<fact>\w+)"
)
_MODULES = {
    2: frozenset(
        "ConfigParser StringIO cStringIO cPickle urllib2 httplib Queue HTMLParser Cookie commands "
        "urlparse __builtin__ copy_reg xmlrpclib SimpleHTTPServer BaseHTTPServer sets md5 sha "
        "yaml jinja2 markupsafe _yaml".split()
    ),
    3: frozenset(["jinja2", "markupsafe"]),
}
_NETWORK_MODULES = frozenset(
    "urllib2 httplib requests paramiko ftplib smtplib xmlrpclib telnetlib novaclient".split()
)
_SECRET_NAME = re.compile(r"PASS(?:W|PHRASE)|SECRET|TOKEN|PRIVATE|CREDENTIAL|API_?KEY|(?:^|_)PSK")
_SECRET_USE = re.compile(r"chpasswd|openssl passwd|mkpasswd|\bcrypt\b|sshpass|usermod\s+-p|getpass")
_WRITES = re.compile(
    r">[ \t]*\"?\$\{?1\}?\"?/"
    r"|(?:mkdir|install|touch|rm)\b[^\n|;]{0,200}\s\"?\$\{?1\}?\"?/"
)
_NEAR = 300


def look(path: Path, interpreter: str) -> Sight:
    """Read the extension at `path`, which `interpreter` (a path or name, "" for none) runs."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    name = interpreter.rpartition("/")[2]
    if not interpreter or b"\0" in data:
        return _compiled()
    text = data.decode(errors="replace").replace("\r\n", "\n")
    if name in _SHELLS:
        seen = _shell(text, name)
    elif name in _PYTHON_2 or name.startswith("python3"):
        seen = _python(text, path.parent, 2 if name in _PYTHON_2 else 3)
    else:
        seen = _other(text, name)
    if len(data) > MAX_BYTES:
        told = f"is larger than {MAX_BYTES} bytes: the rest of it was not looked at"
        seen = replace(seen, oddities=(*seen.oddities, _unread(told)))
    lines = text.split("\n")
    marked = tuple(replace(one, is_secret=is_secret(one, lines)) for one in seen.reads)
    return replace(seen, reads=marked)


def names_secret(name: str) -> bool:
    """Say whether a name speaks of a secret; deploy itself takes fewer names for one."""
    return bool(_SECRET_NAME.search(name.upper()))


def is_secret(read: Read, lines: Sequence[str]) -> bool:
    """Say whether a parameter's name, or the line that reads it, speaks of a secret."""
    here = lines[read.line - 1][:_NEAR] if not read.path and read.line <= len(lines) else ""
    return names_secret(read.name) or bool(_SECRET_USE.search(here))


def _compiled() -> Sight:
    told = "is a compiled program: what it reads and calls can't be seen"
    advice = "write its options into the sidecar, make sure that the image has its libraries"
    oddity = Oddity(line=1, text=told, advice=advice, is_grave=False)
    return Sight(language="compiled", oddities=(oddity,))


def _shell(text: str, name: str) -> Sight:
    writes = _WRITES.search(text)
    return Sight(
        language=name,
        summary=_first_comment(text),
        reads=shell.reads(text),
        calls=shell.calls(text),
        changes_tree=text.count("\n", 0, writes.start()) + 1 if writes else None,
    )


def _python(text: str, folder: Path, version: int) -> Sight:
    program = python.split(text)
    beside = dict(_beside(program, folder))
    readers = [name for one in beside.values() for name in python.readers(one)]
    own = python.reads(program, (*readers, *python.readers(program)))
    others = tuple(
        replace(read, path=str(path), is_needed=False)
        for path, one in beside.items()
        for read in python.reads(one)
    )
    imported = dict(reversed([*python.modules(program)]))
    return Sight(
        language=f"Python {version}",
        summary=_first_line(python.docstring(program)) or _first_comment(text),
        reads=(*own, *others),
        calls=tuple(python.calls(program)),
        needs_network=next((imported[one] for one in imported if one in _NETWORK_MODULES), None),
        oddities=(
            *_syntax(text, program, version),
            *_walk(program, own),
            *_missing_modules(imported, folder, version),
        ),
    )


def _other(text: str, name: str) -> Sight:
    reads = tuple(
        Read(name=next(filter(None, found.groups())), line=text.count("\n", 0, found.start()) + 1)
        for found in _OTHERS.finditer(text)
    )
    told = f"is a program for {name}: only a part of what it does can be seen"
    oddities = () if name == "perl" else (_unread(told),)
    return Sight(language=name, summary=_first_comment(text), reads=reads, oddities=oddities)


def _unread(told: str) -> Oddity:
    return Oddity(line=1, text=told, advice="look at it yourself", is_grave=False)


def _beside(program: python.Program, folder: Path) -> Iterator[tuple[Path, python.Program]]:
    """Yield the imported modules that lie beside an extension, where PYTHONPATH points."""
    for name, _ in python.modules(program):
        path = folder / f"{name}.py"
        if path.is_file() and path.stat().st_size <= MAX_BYTES:
            yield path, python.split(path.read_bytes().decode(errors="replace"))


def _syntax(text: str, program: python.Program, version: int) -> Iterator[Oddity]:
    fault = python.syntax_fault(text)
    if fault and version == 3:
        told = f"is no Python 3: {fault[1]}"
        yield Oddity(line=fault[0], text=told, advice="let its first line say python2, or port it")
    if program.stopped is not None:
        yield replace(_unread("could be read up to here only"), line=program.stopped)


def _walk(program: python.Program, reads: Sequence[Read]) -> Iterator[Oddity]:
    line = python.whole(program)
    if line is not None and not any(read.name.endswith("*") for read in reads):
        told = "goes through all parameters, so some that it uses may not be listed"
        yield Oddity(
            line=line, text=told, advice="add them to the sidecar's options", is_grave=False
        )


def _missing_modules(imported: dict[str, int], folder: Path, version: int) -> Iterator[Oddity]:
    for name, line in imported.items():
        is_beside = (folder / f"{name}.py").is_file() or (folder / name).is_dir()
        if name in _MODULES[version] or name in sys.stdlib_module_names or is_beside:
            continue
        told = f"imports {name}, which no image of containerdeploy has"
        advice = f"put {name}.py beside it (PYTHONPATH is its folder), or name an image with it"
        yield Oddity(line=line, text=told, advice=advice)


def _first_comment(text: str) -> str:
    """Return the first sentence of the comment below the first line, if it is no licence."""
    words: list[str] = []
    for line in text.split("\n")[1:]:
        if not line.startswith("#") or not line.strip("# -*"):
            if words or (line.strip() and not line.startswith("#")):
                break
            continue
        words.append(line.strip("# ").strip())
    told = " ".join(words)
    is_licence = re.search(r"copyright|licen[cs]e|coding[:=]", told, re.IGNORECASE)
    return "" if is_licence else _first_line(told)


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    first = lines[0].strip() if lines else ""
    sentence = re.split(r"(?<=[.;])\s", first)[0]
    return sentence.strip(" .;")[:120]
