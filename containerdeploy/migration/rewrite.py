"""The native text of a cluster and its systems: the old text, changed where it has to be."""

import os
from collections.abc import Mapping
from pathlib import Path

from containerdeploy import document
from containerdeploy.definition import Cluster, SystemEntry
from containerdeploy.document import Edits, MappingNode, Node, plain
from containerdeploy.errors import DefinitionError, UsageError
from containerdeploy.migration.model import NewFile
from containerdeploy.migration.survey import entries
from containerdeploy.migration.systems import Needs

_NATIVE = (".yaml", ".yml")


def native_paths(
    cluster: Cluster, needs: Mapping[Path, Needs], additions: Mapping[str, str]
) -> dict[Path, Path]:
    """Return the native file of every system and of the cluster, by the old one.

    `x.morph` becomes `x.yaml`. What is native already stays itself, unless it has to change.
    """
    chosen: dict[Path, Path] = {}
    for path, need in needs.items():
        _choose(chosen, path, has_to_change=need.is_change)
    is_other = any(old != new for old, new in chosen.items())
    _choose(chosen, cluster.path, has_to_change=is_other or bool(additions))
    return chosen


def _choose(chosen: dict[Path, Path], path: Path, *, has_to_change: bool) -> None:
    is_native = path.suffix in _NATIVE
    stem = path.stem if is_native or path.suffix == ".morph" else path.name
    new = path.with_name(f"{stem}.{'migrated.' if is_native else ''}yaml")
    if is_native and not has_to_change:
        new = path
    elif new in chosen.values():
        new = path.with_name(f"{path.name}.yaml")
    chosen[path] = new


def system_file(needs: Needs, new: Path) -> NewFile:
    """Return a system's native form."""
    path = needs.system.path
    text, node, bom = _read(path)
    edits = Edits(text)
    before = _key(node, "configuration-extensions", "strata")
    if needs.legacy:
        edits.insert(before, "image", "legacy")
    if needs.tar is not None:
        tar = _relative(needs.tar, new.parent)
        held = node.entries.get("source")
        if held is not None and isinstance(held.value, MappingNode):
            _renew(edits, held.value, {"tar": tar, "sha256": needs.sha256})
        else:
            flow = f"{{tar: {plain(tar)}, sha256: {plain(needs.sha256)}}}"
            edits.insert(before, "source", flow)
    return NewFile(path=new, text=bom + edits.text(), beside=path)


def cluster_file(
    cluster: Cluster, paths: Mapping[Path, Path], additions: Mapping[str, str]
) -> NewFile:
    """Return the cluster's native form: it names the native systems; `additions` are new keys."""
    text, node, bom = _read(cluster.path)
    edits = Edits(text)
    for entry in entries(cluster):
        if name := native_name(entry, paths):
            edits.replace(entry.at, name)
    for key, written in additions.items():
        edits.insert(_key(node, "systems"), key, written)
    return NewFile(path=paths[cluster.path], text=bom + edits.text(), beside=cluster.path)


def native_name(entry: SystemEntry, paths: Mapping[Path, Path]) -> str | None:
    """Return what an entry's `morph` has to say from now on, or None where it says so already."""
    if entry.system is None or paths[entry.system.path] == entry.system.path:
        return None
    folder = entry.morph.rpartition("/")[0]
    name = paths[entry.system.path].name
    return f"{folder}/{name}" if folder else name


def _read(path: Path) -> tuple[str, MappingNode, str]:
    """Return a file's text without its byte order mark, its node, and that mark."""
    data = path.read_bytes()
    node, problems = document.parse(data, document.shown(path))
    if not isinstance(node, MappingNode):
        raise DefinitionError(problems)
    text = data.decode("utf-8-sig")
    return text, node, "" if data.decode() == text else "\N{ZERO WIDTH NO-BREAK SPACE}"


def _key(node: MappingNode, *names: str) -> document.Place:
    """Return the place of the first of these keys, else of the last key that is written here."""
    own = {name: entry for name, entry in node.entries.items() if not entry.is_merged}
    named = [own[name].key.at for name in names if name in own]
    return [*named, *(entry.key.at for entry in reversed(own.values()))][0]


def _renew(edits: Edits, source: Node, values: Mapping[str, str]) -> None:
    held = source.entries if isinstance(source, MappingNode) else {}
    for name, value in values.items():
        if name in held:
            edits.replace(held[name].value.at, value)
        else:
            edits.insert(held["tar"].key.at, name, value)


def _relative(path: Path, folder: Path) -> str:
    """Return a source's path as a system's file gives it; far away ones stay absolute."""
    relative = os.path.relpath(path, folder)
    chosen = str(path) if relative.count("../") > 3 else relative
    try:
        chosen.encode()
    except UnicodeEncodeError as err:
        hint = "rename it, or make a link to it"
        raise UsageError(
            f"the source {str(path)!r} has a name that is no UTF-8", hint=hint
        ) from err
    return chosen
