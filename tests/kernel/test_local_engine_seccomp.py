"""Seccomp profiles as the local engine compiles them, enforced by this kernel."""

import errno
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from containerdeploy.engine.runtime_seccomp import compile_profile

pytestmark = pytest.mark.kernel

ALLOW, REFUSE = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
HIGH = 1 << 33
# Seeks to each offset in a process under the filter and tells what came of it.
SEEK = """
import os, sys
from containerdeploy import syscalls
program, offsets = bytes.fromhex(sys.argv[1]), [int(word) for word in sys.argv[2:]]
file = os.open("/proc/self/exe", os.O_RDONLY)
syscalls.set_no_new_privs()
syscalls.seccomp_load(program)
for offset in offsets:
    try:
        print(0 if os.lseek(file, offset, 0) == offset else "?", end=" ")
    except OSError as err:
        print(err.errno, end=" ")
"""


def profile(*rules: Mapping[str, Any], default: str = ALLOW) -> str:
    return json.dumps({"defaultAction": default, "syscalls": list(rules)})


def seek(text: str, *offsets: int, capabilities: Sequence[str] = ()) -> list[int]:
    program = compile_profile(text, frozenset(capabilities))
    argv = [sys.executable, "-c", SEEK, program.hex(), *map(str, offsets)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


def rule(*arguments: Mapping[str, Any], error: int | None = None) -> Mapping[str, Any]:
    return {"names": ["lseek"], "action": REFUSE, "errnoRet": error, "args": list(arguments)}


def offset_is(operator: str, value: int, second: int = 0) -> Mapping[str, Any]:
    return {"index": 1, "op": f"SCMP_CMP_{operator}", "value": value, "valueTwo": second}


@pytest.mark.parametrize(
    ("operator", "refused", "allowed"),
    [
        ("EQ", (HIGH + 5,), (5, HIGH, HIGH + 6, 2 * HIGH + 5)),
        ("NE", (5, HIGH, 2 * HIGH + 5), (HIGH + 5,)),
        ("GT", (HIGH + 6, 2 * HIGH), (HIGH + 5, HIGH, 7)),
        ("GE", (HIGH + 5, 2 * HIGH), (HIGH + 4, HIGH, 7)),
        ("LT", (HIGH + 4, 7), (HIGH + 5, 2 * HIGH)),
        ("LE", (HIGH + 5, HIGH + 4, 7), (HIGH + 6, 2 * HIGH)),
    ],
)
def test_arguments_are_compared_in_all_64_bits(
    operator: str, refused: tuple[int, ...], allowed: tuple[int, ...]
) -> None:
    text = profile(rule(offset_is(operator, HIGH + 5)))
    answers = seek(text, *refused, *allowed)
    assert answers == [errno.EPERM] * len(refused) + [0] * len(allowed)


def test_an_argument_is_masked_before_it_is_compared() -> None:
    text = profile(rule(offset_is("MASKED_EQ", HIGH | 1, HIGH)))
    assert seek(text, HIGH, HIGH + 2, HIGH + 1, 2) == [errno.EPERM, errno.EPERM, 0, 0]


def test_all_conditions_of_a_rule_must_hold_and_any_rule_may() -> None:
    both = rule(offset_is("GT", 10), offset_is("LT", 20), error=errno.EDOM)
    other = rule(offset_is("EQ", 50), error=errno.EXDEV)
    assert seek(profile(both, other), 10, 15, 20, 50) == [0, errno.EDOM, 0, errno.EXDEV]


def test_rules_count_by_capability_architecture_and_kernel() -> None:
    refusing = {"names": ["lseek"], "action": REFUSE, "errnoRet": errno.EDOM}
    admin = {**refusing, "includes": {"caps": ["CAP_SYS_ADMIN"]}}
    assert seek(profile(admin), 1) == [0]
    assert seek(profile(admin), 1, capabilities=["SYS_ADMIN"]) == [errno.EDOM]
    assert seek(profile({**refusing, "includes": {"arches": ["s390x"]}}), 1) == [0]
    assert seek(profile({**refusing, "includes": {"minKernel": "99.0"}}), 1) == [0]
    assert seek(profile({**refusing, "excludes": {"caps": ["CAP_SYS_ADMIN"]}}), 1) == [errno.EDOM]


def test_calls_the_tables_do_not_know_are_left_out() -> None:
    text = profile({"names": ["no_such_call", "lseek"], "action": REFUSE})
    assert seek(text, 1) == [errno.EPERM]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"defaultAction": "SCMP_ACT_WISH"}', profile(rule({"op": "SCMP"}))]
)
def test_what_is_no_profile_is_an_error_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"seccomp profile"):
        compile_profile(text, frozenset())


def test_a_call_of_another_architecture_is_refused() -> None:
    """The x32 calls of x86_64 are the same architecture with a bit set in the number."""
    program = compile_profile(profile(), frozenset())
    script = (
        "import ctypes, os, sys\n"
        "from containerdeploy import syscalls\n"
        "syscalls.set_no_new_privs(); syscalls.seccomp_load(bytes.fromhex(sys.argv[1]))\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.syscall(ctypes.c_long(0x40000000 + 39)), ctypes.get_errno())"
    )
    argv = [sys.executable, "-c", script, program.hex()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.split() == ["-1", str(errno.ENOSYS)]
