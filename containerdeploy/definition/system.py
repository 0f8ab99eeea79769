"""A system file's node to a System; Baserock's build fields are accepted and not used."""

import re
from pathlib import Path

from containerdeploy.definition.model import ExtensionUse, SourceSpec, System
from containerdeploy.document import Complaints, Fields, Node, Scalar
from containerdeploy.network import read_network

_BASEROCK = ("strata", "repo", "ref", "build-system", "build-depends", "products")
_OLD_BASEROCK = ("system-kind", "disk-size", "max-jobs", "chunks", "devices")
_SYSTEM = ("name", "kind", "arch", "description", "configuration-extensions", "source", "image")
_LIMITS = ("timeout", "idle-timeout", "memory", "pids", "max-output", "cpu", "disk")
_USE = ("name", "network", *_LIMITS)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def read_system(node: Node, path: Path) -> System:
    """Turn a system file's node into a System."""
    complaints = Complaints()
    fields = Fields(node, "a system", complaints)
    kind = fields.require("kind", "'system'")
    if isinstance(kind, Scalar) and kind.text != "system":
        complaints.add(kind.at, f"expected a system (kind: system), found kind {kind.text!r}")
        return System(name="", path=path, at=fields.at, problems=complaints.taken())
    fields.only((*_SYSTEM, *_BASEROCK, *_OLD_BASEROCK))
    name = fields.required_text("name", "the system's name")
    if "/" in name or "\0" in name:
        complaints.add(fields.entries["name"].value.at, f"{name!r} can't be a system's name")
    uses = fields.items("configuration-extensions", "extensions")
    return System(
        name=name,
        path=path,
        at=fields.at,
        arch=fields.text("arch") or "",
        image=fields.text("image"),
        image_at=image.at if (image := fields.node("image")) else None,
        extensions=tuple(use for item in uses if (use := _use(item, complaints))),
        source=_source(fields.node("source"), path.parent, complaints),
        problems=complaints.taken(),
    )


def _use(node: Node, complaints: Complaints) -> ExtensionUse | None:
    if isinstance(node, Scalar) and not node.is_null:
        return ExtensionUse(name=node.text, at=node.at)
    fields = Fields(node, "a configuration extension", complaints)
    fields.only(_USE)
    name = fields.required_text("name", "which extension to run")
    use = ExtensionUse(
        name=name,
        at=node.at,
        network=read_network(fields, complaints),
        timeout_s=fields.seconds("timeout"),
        idle_timeout_s=fields.seconds("idle-timeout"),
        memory_bytes=fields.size("memory"),
        pids=fields.count("pids"),
        max_output_bytes=fields.size("max-output"),
        cpus=fields.cpus("cpu"),
        disk_bytes=fields.size("disk"),
    )
    return use if name else None


def _source(node: Node | None, folder: Path, complaints: Complaints) -> SourceSpec | None:
    if node is None:
        return None
    fields = Fields(node, "'source'", complaints)
    fields.only(("tar", "sha256"))
    tar = fields.required_text("tar", "the path of an archive, relative to this file")
    sha256 = fields.text("sha256")
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        at = fields.entries["sha256"].value.at
        complaints.add(at, f"expected a SHA-256 of 64 hexadecimal digits, found {sha256[:70]!r}")
        sha256 = None
    if not tar or "\0" in tar:
        return None
    at = fields.entries["tar"].value.at
    return SourceSpec(tar=folder / tar, sha256=sha256.lower() if sha256 else None, at=at)
