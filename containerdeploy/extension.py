"""Finds extensions and reads their sidecars; runs none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

ExtensionKind = Literal["configure", "check", "write"]


@dataclass(frozen=True, kw_only=True)
class Option:
    """A parameter that a sidecar declares; a name that ends in `*` stands for a prefix."""

    name: str
    type: Literal["string", "boolean", "integer", "path", "paths"] = "string"
    required: bool = False
    default: str | None = None
    help: str = ""
    secret: bool = False


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """What an extension says of itself in NAME.KIND.yaml; the defaults hold where there is none."""

    summary: str = ""
    help: str = ""
    options: Mapping[str, Option] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    network: Literal["none", "full"] | None = None
    timeout_s: float | None = None
    idle_timeout_s: float | None = None
    memory_bytes: int | None = None
    pids: int | None = None
    max_output_bytes: int | None = None
    tree: Literal["read-only", "writable"] = "read-only"
    output: Literal["any", "file", "directory", "stream", "none"] = "any"
    upgrade: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Extension:
    """An executable that was found.

    `interpreter` is the argv prefix to run it with when it has no run bit (from its `#!` line),
    empty when it is run itself. `relative` is its path below the definitions root, or None for a
    built-in one. `sha256` is the digest of its bytes.
    """

    name: str
    kind: ExtensionKind
    path: Path
    relative: str | None
    interpreter: tuple[str, ...]
    sidecar: Sidecar
    sha256: str
