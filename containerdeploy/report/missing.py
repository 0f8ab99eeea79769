"""Names the program or Python module that a failed step missed, and who has it."""

import re
from collections.abc import Iterable, Iterator

from containerdeploy import images, wire

_NAME = r"(?P<name>[\w.+/@-]+)"
_PROGRAM = (
    rf"(?:^|[:\s]){_NAME}: (?:command )?not found$",  # dash, bash, busybox
    rf"\benv: .?{_NAME}.?: No such file or directory$",
    rf"\bfailed to (?:run|execute)(?: command)? .?{_NAME}.?: No such file or directory$",
)
# Python's subprocess tells a missing program as it tells a missing file, but for where it happens.
_FROM_PYTHON = re.compile(
    rf"in _execute_child\n(?:.*\n)*?.*No such file or directory(?:: '{_NAME}')?", re.MULTILINE
)
_MODULE = re.compile(r"^(?:ImportError|ModuleNotFoundError): No module named '?(?P<name>\w+)", re.M)
_ONLY_PYTHON_2 = re.compile(
    r"SyntaxError: (?:Missing parentheses in call to 'print'|multiple exception types must be)|"
    r"No module named '(?:ConfigParser|StringIO|cStringIO|urllib2|urlparse|Queue|commands)'"
)
_OWN = "or use an image that has it, with --image or `image:` in the system file"
_UNNAMED = (
    "a program that it starts is not in the helper image (its last words tell where it starts it): "
    "use an image that has it, with --image or `image:` in the system file"
)


def hints(tails: Iterable[str]) -> list[str]:
    """Return a hint for everything that the last words of a step show to be missing."""
    found = dict.fromkeys(hint for tail in tails for hint in _of(tail))
    return list(found)


def _of(tail: str) -> Iterator[str]:
    if _ONLY_PYTHON_2.search(tail):
        yield (
            "it is written for Python 2: run it with python2 (`#!/usr/bin/python2`) in the image "
            "legacy, with --image or `image:` in the system file"
        )
        return
    for pattern in _PROGRAM:
        for match in re.finditer(pattern, tail, re.MULTILINE):
            if match["name"] not in wire.LOOP_PROGRAMS:  # no image would help: see advice.py
                yield _program(match["name"])
    if started := _FROM_PYTHON.search(tail):
        yield _program(started["name"]) if started["name"] else _UNNAMED
    for match in _MODULE.finditer(tail):
        yield _module(match["name"])


def _program(name: str) -> str:
    if "/" in name and not name.startswith("/"):
        return f"there is no {name} in the definitions, which is where an extension starts"
    if images.having([name]):
        [package] = images.packages([name])
        return (
            f"the program {name} is not in the helper image; the image legacy has it: use "
            f"--image legacy or `image: legacy`, or an image with Debian's package {package}"
        )
    return (
        f"the program {name} is not in the helper image: use one that has it, with --image or "
        f"`image:` in the system file; `tools: [{name}]` in the sidecar looks for it first"
    )


def _module(name: str) -> str:
    if package := images.PYTHON_MODULES.get(name):
        return (
            f"the Python module {name} is not in the helper image; the image legacy has it, for "
            f"Python 2 and 3 (Debian's package for Python 3: {package})"
        )
    return f"the Python module {name} is not there: put it beside the extension, {_OWN}"
