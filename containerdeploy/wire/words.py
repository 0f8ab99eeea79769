"""The words that fields of the messages may hold."""

from typing import Literal

Mode = Literal["strict", "rootless", "compat"]
WantedMode = Literal["auto", "strict", "rootless", "compat"]
Compression = Literal["none", "gz", "xz", "bz2", "zst"]
StepKind = Literal["base", "metadata", "check", "configure", "write"]
OutputKind = Literal["any", "file", "directory", "stream", "none"]
Network = Literal["none", "full", "listed"]
TreeAccess = Literal["read-only", "writable"]
Outcome = Literal[
    "ok",
    "failed",
    "timed out",
    "idle",
    "out of memory",
    "too much output",
    "out of disk",
    "too many processes",
    "policy violation",
    "killed",
    "cannot start",
    "skipped",
]
ChangeKind = Literal["added", "modified", "deleted", "mode", "owner", "xattr", "replaced"]
