"""Reads policy files, each complaint with its place; refuses those that others could have written.

# /etc/containerdeploy/policy.yaml
engines: {allow: [docker], deny: ["tcp://*"]}
extensions: {allow: [built-in, /srv/definitions/extensions], require-writes: true}
limits: {timeout: {default: 10m, max: 1h}}
grants:
  loop:
    - sha256: 3f786850e387550fdab836ed7e6dc881de23001b27bb1f8bb2a2a0e5d0d5a3c7
    - path: /srv/definitions/extensions/rawdisk.write
      devices: 8
"""

import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from containerdeploy import document
from containerdeploy.document import Complaints, Fields, Node, Place, Scalar, describe
from containerdeploy.errors import UsageError
from containerdeploy.policy import words
from containerdeploy.policy.judge import is_below
from containerdeploy.policy.model import (
    GRANTS,
    LIMITS,
    LOOP_DEVICES,
    Ceiling,
    CeilingName,
    Devices,
    LimitName,
    LimitRule,
    Policy,
    PolicyFile,
    Rule,
    Rules,
)

_SECTIONS = (
    *("engines", "images", "sources", "networks", "isolation", "extensions", "grants", "limits"),
)
_CEILINGS = ("max-size", "max-expansion", "max-members")
_DIGEST = re.compile(r"[0-9a-f]{64}")
Fault = Callable[[str], str | None]


def load(operator: Path, own: Path | None, given: Path | None, definitions: Path | None) -> Policy:
    """Read all that holds: the operator's file, the user's own, and the one given with --policy.

    The first two need not be there. Raises UsageError with everything that is wrong in a file.
    """
    paths = dict.fromkeys(path.absolute() for path in (operator, own, given) if path is not None)
    found = {path: read_policy(path, definitions) for path in paths}
    if given is not None and found[given.absolute()] is None:
        raise UsageError(f"--policy {str(given)!r}: there is no such file")
    files = tuple(file for file in found.values() if file is not None)
    has_operator = found[operator.absolute()] is not None
    return Policy(ground=operator if has_operator or own is None else own, files=files)


def read_policy(path: Path, definitions: Path | None) -> PolicyFile | None:
    """Read a policy file; None where there is none, and an empty one says nothing.

    Raises UsageError for one that others could have written, and with all that is wrong in it.
    """
    if definitions is not None and is_below(path, definitions):
        raise UsageError(
            f"the policy {path} lies in the definitions, which it is there to judge",
            hint="keep it where only the operator of this machine writes",
        )
    try:
        found = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise UsageError(f"the policy {path} is a link that leads nowhere") from None
        return None
    except OSError as err:
        raise UsageError(f"the policy {path} can't be read", details=str(err)) from err
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"the policy {path} is no regular file")
    if found.st_uid not in (0, os.geteuid()) or stat.S_IMODE(found.st_mode) & 0o022:
        raise UsageError(
            f"the policy {path} could have been written by others",
            details=f"mode {stat.S_IMODE(found.st_mode):04o}, owner {found.st_uid}",
            hint="let it belong to root or to you, and run chmod go-w on it",
        )
    return PolicyFile(path=path) if _says_nothing(path) else _parsed(path)


def _says_nothing(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return all(line.strip()[:1] in ("", "#") for line in file)
    except OSError as err:
        raise UsageError(f"the policy {path} can't be read", details=str(err)) from err


def _parsed(path: Path) -> PolicyFile:
    node, problems = document.read(path, document.shown(path))
    complaints = Complaints()
    complaints.extend(problems)
    file = _file(path, node, complaints) if node is not None else PolicyFile(path=path)
    if complaints.problems:
        lines = "\n".join(map(str, complaints.taken()))
        raise UsageError(f"the policy {path} can't be used", details=lines)
    return file


def _file(path: Path, node: Node, complaints: Complaints) -> PolicyFile:
    fields = Fields(node, "a policy", complaints)
    fields.only(_SECTIONS)

    def section(name: str, fault: Fault, *more: str) -> Rules:
        below = _below(fields, name, complaints)
        return _rules(below, name, fault, more, complaints) if below else Rules()

    grants = _below(fields, "grants", complaints)
    loop, not_loop = _grants(grants, complaints)
    return PolicyFile(
        path=path,
        engines=section("engines", words.engine_fault),
        images=section("images", words.image_fault),
        sources=section("sources", words.source_fault, *_CEILINGS),
        networks=section("networks", words.network_fault),
        isolation=section("isolation", words.isolation_fault),
        extensions=section("extensions", words.extension_fault, "require-writes"),
        loop=loop,
        not_loop=not_loop,
        loop_at=grants.entries["loop"].key.at if grants and "loop" in grants.entries else None,
        limits=_limits(_below(fields, "limits", complaints), complaints),
        ceilings=_ceilings(_below(fields, "sources", complaints)),
        require_writes=_require_writes(_below(fields, "extensions", complaints)),
    )


def _below(fields: Fields, name: str, complaints: Complaints) -> Fields | None:
    node = fields.node(name)
    return Fields(node, f"{name!r}", complaints) if node is not None else None


def _rules(
    below: Fields, name: str, fault: Fault, more: tuple[str, ...], complaints: Complaints
) -> Rules:
    below.only(("allow", "deny", *more))
    allow = below.entries.get("allow")
    return Rules(
        allow=_words(below, "allow", fault, complaints) if allow else None,
        deny=_words(below, "deny", fault, complaints),
        at=allow.key.at if allow else below.at,
    )


def _words(below: Fields, name: str, fault: Fault, complaints: Complaints) -> tuple[Rule, ...]:
    rules = []
    for item in below.items(name, "words"):
        wrong = fault(item.text) if isinstance(item, Scalar) else "is no word"
        if isinstance(item, Scalar) and "\0" in item.text:
            wrong = "has a NUL in it"
        if not isinstance(item, Scalar) or wrong:
            is_split = not isinstance(item, Scalar) and "sha256" in describe(item)
            hint = "write sha256:DIGEST without a space" if is_split else None
            complaints.add(item.at, f"{describe(item)} {wrong}", hint)
            continue
        rules.append(Rule(text=item.text, at=item.at))
    return tuple(rules)


def _grants(
    below: Fields | None, complaints: Complaints
) -> tuple[tuple[Devices, ...] | None, tuple[Devices, ...]]:
    """Read who may have loop devices: a list of rules, or `allow` and `deny` with one each."""
    if below is None:
        return None, ()
    below.only(GRANTS)
    node = below.node("loop")
    if not isinstance(node, document.MappingNode):
        items = below.items("loop", "extensions")
        return tuple(_devices(item, complaints) for item in items), ()
    fields = Fields(node, "'loop'", complaints)
    fields.only(("allow", "deny"))
    allow, deny = (
        tuple(_devices(item, complaints) for item in fields.items(name, "extensions"))
        for name in ("allow", "deny")
    )
    return allow if "allow" in fields.entries else None, deny


def _devices(node: Node, complaints: Complaints) -> Devices:
    fields = Fields(node, "a rule", complaints)
    fields.only(("sha256", "path", "devices"))
    sha256, path = fields.text("sha256"), fields.text("path")
    if (sha256 is None) == (path is None):
        complaints.add(fields.at, "a rule needs either 'sha256' or 'path' of an extension")
    if sha256 is not None and not _DIGEST.fullmatch(sha256):
        complaints.add(fields.at, f"{sha256!r} is no SHA-256: 64 digits from 0 to 9 and a to f")
    if path is not None and ("\0" in path or not Path(path).is_absolute()):
        complaints.add(fields.at, f"the path {path!r} is not absolute")
    return Devices(
        sha256=sha256,
        path=Path(path) if path is not None else None,
        devices=fields.count("devices") or LOOP_DEVICES,
        at=node.at,
    )


def _limits(below: Fields | None, complaints: Complaints) -> Mapping[LimitName, LimitRule]:
    if below is None:
        return {}
    below.only(LIMITS)
    return {
        name: _limit(name, Fields(node, f"the limit {name!r}", complaints), complaints)
        for name in LIMITS
        if (node := below.node(name)) is not None
    }


def _limit(name: LimitName, fields: Fields, complaints: Complaints) -> LimitRule:
    fields.only(("default", "max"))
    read: Callable[[str], float | None] = {
        "timeout": fields.seconds,
        "idle-timeout": fields.seconds,
        "memory": fields.size,
        "pids": fields.count,
        "max-output": fields.size,
        "cpu": fields.cpus,
        "disk": fields.size,
    }[name]
    default, most = read("default"), read("max")
    if default is not None and most is not None and default > most:
        at = fields.entries["default"].value.at
        complaints.add(at, f"the default of {name!r} is more than its max")
    places = {key: entry.value.at for key, entry in fields.entries.items()}
    nowhere = Place(path="")
    return LimitRule(
        default=default,
        most=most,
        default_at=places.get("default", nowhere),
        most_at=places.get("max", nowhere),
    )


def _ceilings(below: Fields | None) -> Mapping[CeilingName, Ceiling]:
    if below is None:
        return {}
    said: dict[CeilingName, int | None] = {
        "max-size": below.size("max-size"),
        "max-expansion": below.count("max-expansion"),
        "max-members": below.count("max-members"),
    }
    return {
        name: Ceiling(most=value, at=below.entries[name].value.at)
        for name, value in said.items()
        if value is not None
    }


def _require_writes(below: Fields | None) -> Place | None:
    if below is None or not below.boolean("require-writes"):
        return None
    return below.entries["require-writes"].value.at
