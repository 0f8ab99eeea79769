"""What an extension says of itself in NAME.KIND.yaml, read with a place for every complaint."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from containerdeploy import document, paths
from containerdeploy.document import Complaints, Fields, MappingNode, Node, Scalar, as_text
from containerdeploy.errors import Problem
from containerdeploy.frozen import NOTHING, frozen
from containerdeploy.network import Network, read_network
from containerdeploy.policy import GRANTS, Grant

OptionType = Literal["string", "boolean", "integer", "path", "paths"]
_TYPES: tuple[OptionType, ...] = ("string", "boolean", "integer", "path", "paths")
_OPTION = ("type", "required", "default", "help", "secret")
_LIMITS = ("timeout", "idle-timeout", "memory", "pids", "max-output", "cpu", "disk")
_SIDECAR = ("summary", "help", "options", "reads", "writes", "tools", "network", *_LIMITS)
_MORE = ("privileged-files", "grants", "tree", "output", "upgrade", "cache")
_OPTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\*?")
_BOOLEANS = frozenset(["yes", "no", "true", "false", "1", "0"])
_INTEGER = re.compile(r"[-+]?[0-9]+")


@frozen
class Option:
    """A parameter that a sidecar declares; a name that ends in `*` stands for a prefix."""

    name: str
    type: OptionType = "string"
    required: bool = False
    default: str | None = None
    help: str = ""
    secret: bool = False

    def covers(self, name: str) -> bool:
        """Say whether a parameter is this option."""
        return name.startswith(self.name[:-1]) if self.name.endswith("*") else name == self.name

    def fault(self, value: str) -> str | None:
        """Return what the option's type expects where the value is not that, else None.

        An empty value stands for none and is left to the extension.
        """
        if self.type == "boolean" and value and value.lower() not in _BOOLEANS:
            return "yes or no (also true, false, 1, 0)"
        if self.type == "integer" and value and not _INTEGER.fullmatch(value):
            return "a whole number"
        return None


@frozen
class Sidecar:
    """What an extension says of itself in NAME.KIND.yaml; the defaults hold where there is none.

    `writes` are the paths of the tree that it may change, None where it doesn't say;
    `privileged_files` those below which it may leave setuid, setgid or capable files.
    """

    summary: str = ""
    help: str = ""
    options: Mapping[str, Option] = NOTHING
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] | None = None
    privileged_files: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    network: Network | None = None
    timeout_s: float | None = None
    idle_timeout_s: float | None = None
    memory_bytes: int | None = None
    pids: int | None = None
    max_output_bytes: int | None = None
    cpus: float | None = None
    disk_bytes: int | None = None
    grants: tuple[Grant, ...] = ()
    tree: Literal["read-only", "writable"] = "read-only"
    output: Literal["any", "file", "directory", "stream", "none"] = "any"
    upgrade: bool | None = None


def read_sidecar(path: Path, shown: str) -> tuple[Sidecar, tuple[Problem, ...]]:
    """Read a sidecar file; where there is none, the defaults. Problems come beside it."""
    if not paths.is_there(path):
        return Sidecar(), ()
    node, problems = document.read(path, shown)
    if node is None:
        return Sidecar(), problems
    complaints = Complaints()
    sidecar = _sidecar(node, complaints)
    return sidecar, complaints.taken()


def read_help(path: Path) -> str:
    """Return what the file beside an extension, NAME.KIND.help, says: its `help`, or all of it."""
    beside = path.with_name(path.name + ".help")
    try:
        data = beside.read_bytes()[: 1 << 20]
    except OSError:
        return ""
    node, _ = document.parse(data, document.shown(beside))
    if isinstance(node, MappingNode) and "help" in node.entries:
        value = node.entries["help"].value
        return value.text if isinstance(value, Scalar) else ""
    return data.decode(errors="replace")


def _sidecar(node: Node, complaints: Complaints) -> Sidecar:
    fields = Fields(node, "a sidecar", complaints)
    fields.only((*_SIDECAR, *_MORE))
    fields.boolean("cache")
    options = fields.whole("options")
    return Sidecar(
        summary=(fields.text("summary") or "").strip(),
        help=fields.text("help") or "",
        options=_options(options, complaints) if options else {},
        reads=fields.texts("reads", "paths"),
        writes=_tree_paths(fields, "writes", complaints),
        privileged_files=_privileged_files(fields, complaints),
        tools=fields.texts("tools", "programs' names"),
        network=read_network(fields, complaints),
        timeout_s=fields.seconds("timeout"),
        idle_timeout_s=fields.seconds("idle-timeout"),
        memory_bytes=fields.size("memory"),
        pids=fields.count("pids"),
        max_output_bytes=fields.size("max-output"),
        cpus=fields.cpus("cpu"),
        disk_bytes=fields.size("disk"),
        grants=_grants(fields, complaints),
        tree=fields.choice("tree", ("read-only", "writable")) or "read-only",
        output=fields.choice("output", ("any", "file", "directory", "stream", "none")) or "any",
        upgrade=fields.boolean("upgrade"),
    )


def _tree_paths(fields: Fields, name: str, complaints: Complaints) -> tuple[str, ...] | None:
    """Read a list of absolute paths of the tree; None where there is none."""
    if fields.node(name) is None:
        return None
    words = fields.texts(name, "absolute paths of the tree")
    for word in words:
        names = word.rstrip("/").split("/")[1:]
        if not word.startswith("/") or "\0" in word or {"", ".", ".."} & {*names}:
            hint = "write it from the tree's root, as in /etc/hosts"
            complaints.add(fields.entries[name].value.at, f"{word!r} in {name!r} is no path", hint)
    return words


def _privileged_files(fields: Fields, complaints: Complaints) -> tuple[str, ...]:
    paths = _tree_paths(fields, "privileged-files", complaints)
    if paths is not None and fields.node("writes") is None:
        at = fields.entries["privileged-files"].key.at
        complaints.add(at, "'privileged-files' means nothing without 'writes'")
    return paths or ()


def _grants(fields: Fields, complaints: Complaints) -> tuple[Grant, ...]:
    words = fields.texts("grants", "privileges")
    for word in words:
        if word not in GRANTS:
            hint = f"there are: {', '.join(GRANTS)}"
            complaints.add(fields.entries["grants"].value.at, f"unknown privilege {word!r}", hint)
    return tuple(grant for grant in GRANTS if grant in words)


def _options(node: Node, complaints: Complaints) -> dict[str, Option]:
    if not isinstance(node, MappingNode):
        Fields(node, "'options'", complaints)
        return {}
    options = {}
    for name, entry in node.entries.items():
        if not _OPTION_NAME.fullmatch(name):
            hint = "a name, or the beginning of names followed by '*'"
            complaints.add(entry.key.at, f"{name!r} can't be an option's name", hint)
        options[name] = _option(name, entry.value, complaints)
    return options


def _option(name: str, node: Node, complaints: Complaints) -> Option:
    if isinstance(node, Scalar) and node.is_null:
        return Option(name=name)
    fields = Fields(node, f"the option {name!r}", complaints)
    fields.only(_OPTION)
    default = fields.node("default")
    option = Option(
        name=name,
        type=fields.choice("type", _TYPES) or "string",
        required=fields.boolean("required") or False,
        default=as_text(default) if default else None,
        help=(fields.text("help") or "").strip(),
        secret=fields.boolean("secret") or False,
    )
    if default and (wrong := _wrong_default(option)):
        complaints.add(default.at, f"the default of {name!r} {wrong}")
    return option


def _wrong_default(option: Option) -> str | None:
    if option.required:
        return "is never used: the option is required"
    if option.name.endswith("*"):
        return "has no name to be set for"
    expected = option.fault(option.default or "")
    return f"has to be {expected}" if expected else None
