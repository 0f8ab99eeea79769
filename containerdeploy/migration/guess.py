"""From what was seen of an extension to its sidecar, and what the report says of both."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from containerdeploy import images
from containerdeploy.document import plain, shown
from containerdeploy.frozen import frozen, replace
from containerdeploy.migration import demands
from containerdeploy.migration.model import Oddity, Part, Read, Remark, Sight, Use, Weight
from containerdeploy.sidecar import Option, Sidecar

# What every extension gets without anybody's parameter.
_NO_PARAMETERS = frozenset(
    "UPGRADE TMPDIR MORPH_LOG_FD PATH HOME PWD LC_ALL LANG PYTHONPATH PYTHONDONTWRITEBYTECODE "
    "SOURCE_DATE_EPOCH SHELL USER TERM".split()
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\*?")
_MAX_USERS = 4
_HEADER = "# Guessed by containerdeploy migrate from what the extension was seen to do.\n"
# Asking for it in earnest would stop every plan until the operator's policy allows it.
_ASKS = "grants: []  # it mounts through loop devices: [loop], once the operator's policy allows it"


@frozen
class Guess:
    """What an extension's sidecar would say, by key, and the remarks on it.

    `options` are the options and the remarks on each; `legacy` says why the image has to be
    `legacy`, or is empty.
    """

    use: Use
    summary: str = ""
    options: tuple[Option, ...] = ()
    tools: tuple[str, ...] = ()
    network: bool = False
    tree: bool = False
    loop: bool = False
    legacy: str = ""
    remarks: tuple[Remark, ...] = ()

    def text(self) -> str:
        """Return the sidecar's text, or nothing where there is nothing to say."""
        lines = [f"summary: {plain(self.summary)}"] if self.summary else []
        if self.options:
            lines += ["options:", *(f"  {one.name}: {_facts(one)}" for one in self.options)]
        lines += [f"tools: [{', '.join(self.tools)}]"] if self.tools else []
        lines += ["network: full"] if self.network else []
        lines += ["tree: writable"] if self.tree else []
        lines += [_ASKS] if self.loop else []
        return _HEADER + "\n".join(lines) + "\n" if lines else ""

    def part(self) -> Part:
        return Part(kind="extension", name=self.use.relative, remarks=self.remarks)


def guess(use: Use, sight: Sight, manual: str, declared: Sidecar) -> Guess:
    """Decide what the sidecar says; `manual` is the help beside it, `declared` its own sidecar."""
    summary = manual.strip().partition("\n")[0].strip() or sight.summary
    chosen = [_option(name, reads, use) for name, reads in _by_name(sight, use).items()]
    tools = declared.tools if use.has_sidecar else _legacy_tools(sight)
    network = demands.network(sight.calls)
    line = network.line if network else sight.needs_network
    is_write = use.kind == "write"
    made = Guess(
        use=use,
        summary=_printable(summary),
        options=tuple(option for option, _ in chosen),
        tools=tools,
        network=line is not None,
        tree=is_write and sight.changes_tree is not None,
        loop=demands.loop(sight.calls) is not None,
        legacy=_legacy(use, tools),
    )
    remarks = [*_what(use, sight), *(remark for _, told in chosen for remark in told)]
    remarks += _tools(use, sight, tools)
    if line is not None:
        what = network.program if network else "a module for it"
        remarks.append(_remark(use, "guessed", line, f"needs the network: uses {what}"))
    if made.tree:
        at = sight.changes_tree or 1
        remarks.append(_remark(use, "guessed", at, "changes the tree that it writes"))
    remarks += [
        _trouble(use, oddity) for oddity in _oddities(sight, has_grant="loop" in declared.grants)
    ]
    if use.has_sidecar:
        told = _remark(use, "found", 1, "has a sidecar already, which stays as it is")
        keep = [one for one in remarks if one.weight == "trouble"]
        return replace(made, options=(), network=False, tree=False, remarks=(told, *keep))
    return replace(made, remarks=tuple(remarks))


def _printable(text: str) -> str:
    return "".join(c for c in text.replace("\N{REPLACEMENT CHARACTER}", "?") if c.isprintable())


def _by_name(sight: Sight, use: Use) -> dict[str, list[Read]]:
    """Return the reads of each parameter: what can be nothing else, and what is given one."""
    given = frozenset[str]().union(*(one.names() for one in use.given))
    found: dict[str, list[Read]] = {}
    for read in sight.reads:
        is_name = _NAME.fullmatch(read.name) and read.name not in _NO_PARAMETERS
        if is_name and (read.is_sure or read.name in given):
            found.setdefault(read.name, []).append(read)
    return found


def _option(name: str, reads: Sequence[Read], use: Use) -> tuple[Option, list[Remark]]:
    first = reads[0]
    where = _where(use, first)
    values = [value for one in use.given if (value := one.get(name)) is not None]
    lacking = [one.deployment for one in use.given if one.get(name) is None]
    is_needed = all(read.is_needed for read in reads) and not name.endswith("*")
    default = next((read.default for read in reads if read.default), None)
    boolean = Option(name=name, type="boolean")
    is_boolean = (
        any(read.is_boolean for read in reads)
        and any(values)
        and not any(boolean.fault(value) for value in values)
    )
    option = Option(
        name=name,
        type="boolean" if is_boolean else "string",
        required=is_needed and not lacking,
        help=f"without it: {default}" if default and default.isprintable() else "",
        secret=any(read.is_secret for read in reads),
    )
    remarks = [Remark(weight="guessed", at=where, text=f"reads {name}{_told(option)}")]
    if is_needed and lacking:
        text = f"reads {name} without a default, but {lacking[0]!r} does not give it"
        remarks.append(Remark(weight="guessed", at=where, text=f"{text}: not marked as required"))
    return option, remarks


def _facts(option: Option) -> str:
    facts = [f"type: {option.type}"] if option.type != "string" else []
    facts += ["required: true"] if option.required else []
    facts += ["secret: true"] if option.secret else []
    facts += [f"help: {plain(option.help)}"] if option.help else []
    return "{" + ", ".join(facts) + "}"


def _told(option: Option) -> str:
    facts: list[str] = [option.type] if option.type != "string" else []
    facts += ["required"] if option.required else []
    facts += ["secret"] if option.secret else []
    facts += [option.help] if option.help else []
    return f" ({', '.join(facts)})" if facts else ""


def _legacy_tools(sight: Sight) -> tuple[str, ...]:
    return tuple(name for name in demands.tools(sight.calls) if images.having([name]))


def _legacy(use: Use, tools: Sequence[str]) -> str:
    wanted = [name for name in (*use.runs_with, *tools) if images.having([name])]
    return f"{use.relative} needs {', '.join(wanted)}" if wanted else ""


def _what(use: Use, sight: Sight) -> Iterator[Remark]:
    users = list(dict.fromkeys(one.deployment for one in use.given))
    more = f" and {len(users) - _MAX_USERS} more" if len(users) > _MAX_USERS else ""
    told = f"a {use.kind} extension ({sight.language}) of {', '.join(users[:_MAX_USERS])}{more}"
    yield _remark(use, "found", 1, told)
    for name in use.runs_with:
        if images.having([name]):
            yield _remark(use, "found", 1, f"runs with {name}, which only the image legacy has")


def _tools(use: Use, sight: Sight, tools: Sequence[str]) -> Iterator[Remark]:
    lines = demands.tools(sight.calls)
    for name in tools:
        text = f"calls {name}, which the image legacy has"
        yield _remark(use, "guessed", lines.get(name, 1), text)


def _oddities(sight: Sight, *, has_grant: bool) -> Iterator[Oddity]:
    yield from sight.oddities
    yield from demands.nowhere(sight.calls)
    yield from demands.refused(sight.calls)
    if not has_grant and (call := demands.loop(sight.calls)):
        advice = "write 'grants: [loop]' into its sidecar; the operator's policy has to allow it"
        yield Oddity(line=call.line, text="mounts through a loop device", advice=advice)


def _trouble(use: Use, oddity: Oddity) -> Remark:
    at = f"{shown(use.path)}:{oddity.line}"
    weight: Weight = "trouble" if oddity.is_grave else "guessed"
    return Remark(weight=weight, at=at, text=oddity.text, advice=oddity.advice)


def _remark(use: Use, weight: Weight, line: int, text: str) -> Remark:
    return Remark(weight=weight, at=f"{shown(use.path)}:{line}", text=text)


def _where(use: Use, read: Read) -> str:
    return f"{shown(Path(read.path) if read.path else use.path)}:{read.line}"
