"""Compiles a seccomp profile (the OCI runtime's JSON) to a BPF program for this machine.

Calls of any other architecture, x32 included, are refused. Names that this machine's kernel tables
lack are left out, as libseccomp does. A rule with arguments goes before one without for its call.
"""

import errno
import functools
import json
import os
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from containerdeploy.syscall_numbers import NUMBERS

_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
_X32_BIT = 0x40000000
_ACTIONS = {
    "SCMP_ACT_KILL": 0,
    "SCMP_ACT_KILL_THREAD": 0,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_EQUAL, _GREATER, _AT_LEAST = 0x15, 0x25, 0x35
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_MAX_INSTRUCTIONS = 4096

Instruction = tuple[int, int, int, int]
Rule = tuple[Sequence[Mapping[str, Any]], int]
FAIL = -1  # a jump's target: the end of the rule that it is in


@functools.lru_cache(maxsize=16)
def compile_profile(text: str, capabilities: frozenset[str]) -> bytes:
    """Return an array of struct sock_filter; raise ValueError with words for what is wrong.

    `capabilities` (without CAP_) decide which rules with `includes` and `excludes` count.
    """
    machine = os.uname().machine
    if machine not in _AUDIT:
        raise ValueError(f"no system call filter for {machine}")
    try:
        profile = json.loads(text)
        default = _action(profile, "defaultAction", "defaultErrnoRet")
        plain, conditional = _rules(profile, machine, capabilities)
        code = [*_preamble(_AUDIT[machine], default), *_cases(conditional, plain, default)]
        code += _runs(plain, conditional, default)
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as err:
        raise ValueError(f"not a seccomp profile: {type(err).__name__}: {err}") from err
    if len(code) > _MAX_INSTRUCTIONS:
        raise ValueError(f"a seccomp profile of {len(code)} instructions; at most 4096 may be")
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def _action(owner: Mapping[str, Any], key: str, error_key: str) -> int:
    action = _ACTIONS.get(owner[key])
    if action is None:
        raise ValueError(f"unknown action {owner[key]!r} in a seccomp profile")
    if owner[key] in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        error = owner.get(error_key)
        action |= errno.EPERM if error is None else int(error)
    return action


def _rules(
    profile: Mapping[str, Any], machine: str, capabilities: frozenset[str]
) -> tuple[dict[int, int], dict[int, list[Rule]]]:
    """Return number → action for rules without arguments, number → rules for those with."""
    plain: dict[int, int] = {}
    conditional: dict[int, list[Rule]] = {}
    for entry in profile.get("syscalls") or ():
        if not _counts(entry, machine, capabilities):
            continue
        action = _action(entry, "action", "errnoRet")
        for name in entry.get("names") or [entry["name"]]:
            number = NUMBERS[machine].get(name)
            if number is None:
                continue
            if entry.get("args"):
                conditional.setdefault(number, []).append((entry["args"], action))
            else:
                plain.setdefault(number, action)
    return plain, conditional


def _counts(entry: Mapping[str, Any], machine: str, capabilities: frozenset[str]) -> bool:
    includes, excludes = entry.get("includes") or {}, entry.get("excludes") or {}
    held = {f"CAP_{name}" for name in capabilities}
    names = {_NAMES[machine], machine}
    return (
        held.issuperset(includes.get("caps") or ())
        and not held.intersection(excludes.get("caps") or ())
        and (not includes.get("arches") or bool(names.intersection(includes["arches"])))
        and not names.intersection(excludes.get("arches") or ())
        and _kernel_is_at_least(includes.get("minKernel"))
    )


def _kernel_is_at_least(version: str | None) -> bool:
    if not version:
        return True
    running = os.uname().release.split("-")[0].split(".")
    return [int(part) for part in running[:2]] >= [int(part) for part in version.split(".")[:2]]


def _preamble(audit: int, default: int) -> list[Instruction]:
    """Refuse foreign architectures; leave the call's number in the accumulator."""
    refused = _ACTIONS["SCMP_ACT_ERRNO"] | errno.ENOSYS
    if default == _ACTIONS["SCMP_ACT_KILL_PROCESS"]:
        refused = default
    return [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, audit),
        (_RETURN, 0, 0, refused),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, refused),
    ]


def _runs(
    plain: Mapping[int, int], conditional: Mapping[int, object], default: int
) -> list[Instruction]:
    """Return one test for each run of numbers with one action, in ascending order."""
    code: list[Instruction] = []
    numbers = sorted(plain.keys() - conditional.keys())
    start = 0
    for index, number in enumerate(numbers):
        following = numbers[index + 1] if index + 1 < len(numbers) else None
        if following == number + 1 and plain[following] == plain[number]:
            continue
        first = numbers[start]
        code += [(_GREATER, 3, 0, number), (_AT_LEAST, 0, 1, first)]
        code += [(_RETURN, 0, 0, plain[number]), (_RETURN, 0, 0, default)]
        start = index + 1
    return [*code, (_RETURN, 0, 0, default)]


def _cases(
    conditional: Mapping[int, Sequence[Rule]], plain: Mapping[int, int], default: int
) -> list[Instruction]:
    code: list[Instruction] = []
    for number, rules in conditional.items():
        body: list[Instruction] = []
        for conditions, action in rules:
            body += _rule(conditions, action)
        body.append((_RETURN, 0, 0, plain.get(number, default)))
        if len(body) > 255:
            raise ValueError(f"too many conditions on system call {number} in a seccomp profile")
        code += [(_EQUAL, 0, len(body), number), *body]
    return code


def _rule(conditions: Sequence[Mapping[str, Any]], action: int) -> list[Instruction]:
    """Return code that ends in `action` when all conditions hold, else falls out at its end."""
    code: list[Instruction] = []
    for condition in conditions:
        code += _condition(condition)
    code.append((_RETURN, 0, 0, action))
    return [
        (operation, *(len(code) - at - 1 if jump == FAIL else jump for jump in jumps), value)  # type: ignore[misc]
        for at, (operation, *jumps, value) in enumerate(code)
    ]


def _condition(condition: Mapping[str, Any]) -> list[Instruction]:
    """Return code that falls through when the condition holds, else jumps to FAIL.

    An argument has 64 bits, BPF's words 32: high words are compared first.
    """
    low_at = _ARGUMENTS + 8 * int(condition["index"])
    high, low = divmod(int(condition.get("value", 0)) & 0xFFFFFFFFFFFFFFFF, 1 << 32)
    load_high, load_low = (_LOAD, 0, 0, low_at + 4), (_LOAD, 0, 0, low_at)
    match condition["op"]:
        case "SCMP_CMP_EQ":
            return [load_high, (_EQUAL, 0, FAIL, high), load_low, (_EQUAL, 0, FAIL, low)]
        case "SCMP_CMP_NE":
            return [load_high, (_EQUAL, 0, 2, high), load_low, (_EQUAL, FAIL, 0, low)]
        case "SCMP_CMP_MASKED_EQ":
            return _masked(load_high, load_low, (high, low), int(condition.get("valueTwo", 0)))
        case "SCMP_CMP_GT":
            return _ordered(load_high, load_low, (high, low), (_GREATER, 0, FAIL))
        case "SCMP_CMP_GE":
            return _ordered(load_high, load_low, (high, low), (_AT_LEAST, 0, FAIL))
        case "SCMP_CMP_LT":
            return _ordered(load_high, load_low, (high, low), (_AT_LEAST, FAIL, 0))
        case "SCMP_CMP_LE":
            return _ordered(load_high, load_low, (high, low), (_GREATER, FAIL, 0))
        case other:
            raise ValueError(f"unknown operator {other!r} in a seccomp profile")


def _masked(
    load_high: Instruction, load_low: Instruction, mask: tuple[int, int], wanted: int
) -> list[Instruction]:
    high, low = divmod(wanted & 0xFFFFFFFFFFFFFFFF, 1 << 32)
    return [
        load_high,
        (_AND, 0, 0, mask[0]),
        (_EQUAL, 0, FAIL, high),
        load_low,
        (_AND, 0, 0, mask[1]),
        (_EQUAL, 0, FAIL, low),
    ]


def _ordered(
    load_high: Instruction,
    load_low: Instruction,
    value: tuple[int, int],
    low_test: tuple[int, int, int],
) -> list[Instruction]:
    """Compare high words, then low words where those are equal."""
    operation, held, failed = low_test
    wants_greater = held == 0
    decided = (_GREATER, 3, 0, value[0]) if wants_greater else (_GREATER, FAIL, 0, value[0])
    unequal = (_EQUAL, 0, FAIL, value[0]) if wants_greater else (_EQUAL, 0, 2, value[0])
    return [load_high, decided, unequal, load_low, (operation, held, failed, value[1])]
