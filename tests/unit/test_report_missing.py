"""What a failed step says is missing is recognised, and nothing else is."""

import shutil
import subprocess
import sys

import pytest

from containerdeploy.report import missing

PYTHON_3 = "import subprocess; subprocess.run(['no-such-program'])"
PYTHON_2 = """\
  File "/usr/lib/python2.7/subprocess.py", line 1047, in _execute_child
    raise child_exception
OSError: [Errno 2] No such file or directory
"""


def said(*argv: str) -> str:
    """What a real program says when it fails."""
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    return ran.stdout + ran.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ("sh", "-c", "no-such-program --option"),
        ("bash", "-c", "no-such-program --option"),
        ("env", "no-such-program"),
        ("timeout", "5", "no-such-program"),
        (sys.executable, "-c", PYTHON_3),
    ],
)
def test_a_missing_program_is_named_whoever_says_so(argv: tuple[str, ...]) -> None:
    if not shutil.which(argv[0]):
        pytest.skip(f"there is no {argv[0]}")
    [hint] = missing.hints([said(*argv)])
    assert "the program no-such-program is not in the helper image" in hint
    assert "tools: [no-such-program]" in hint


def test_a_missing_module_is_named() -> None:
    [hint] = missing.hints([said(sys.executable, "-c", "import no_such_module.part")])
    assert "the Python module no_such_module is not there" in hint


@pytest.mark.parametrize(
    ("tail", "hint"),
    [
        ("x.configure: 4: mkimage: not found", "the image legacy has it"),
        ("/x.write: line 9: btrfs: command not found", "package btrfs-progs"),
        ("ImportError: No module named yaml", "for Python 2 and 3"),
        ("ImportError: No module named jinja2.ext", "python3-jinja2"),
        ("sh: 1: tools/mine: not found", "no tools/mine in the definitions"),
        ("ModuleNotFoundError: No module named 'ConfigParser'", "written for Python 2"),
        ("SyntaxError: Missing parentheses in call to 'print'. Did you", "written for Python 2"),
        (PYTHON_2, "a program that it starts is not in the helper image"),
    ],
)
def test_what_has_it_is_told(tail: str, hint: str) -> None:
    [told] = missing.hints([tail])
    assert hint in told


@pytest.mark.parametrize(
    "tail",
    [
        "ERROR: the flux is not aligned",
        "FileNotFoundError: [Errno 2] No such file or directory: '/tree/etc/passwd'",
        "cp: cannot stat 'x': No such file or directory",
        "the host example was not found",
    ],
)
def test_other_failures_are_not_taken_for_missing_programs(tail: str) -> None:
    assert missing.hints([tail]) == []


def test_what_both_streams_say_is_told_once() -> None:
    assert len(missing.hints(["sh: 1: mkimage: not found", "sh: 1: mkimage: not found"])) == 1
