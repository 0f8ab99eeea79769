"""Reads a cluster file and the files of those systems that are wanted."""

from pathlib import Path

from containerdeploy import document
from containerdeploy.definition.cluster import read_cluster
from containerdeploy.definition.model import Cluster, System, SystemEntry
from containerdeploy.definition.root import find_system, format_warning, leaves, near_system
from containerdeploy.definition.system import read_system
from containerdeploy.errors import DefinitionError, Problem
from containerdeploy.frozen import replace


def load(path: Path, root: Path, *, names: frozenset[str] = frozenset()) -> Cluster:
    """Read the cluster file and the systems of which `names` selects a deployment (none: all).

    Raises DefinitionError where the cluster file is no YAML. Everything else that is wrong is in
    the result: see Cluster.problems_for.
    """
    node, problems = document.read(path, document.shown(path))
    if node is None:
        raise DefinitionError(problems)
    cluster = read_cluster(node, path, root)
    reader = _Systems(root)
    chosen = cluster.chosen(names)
    entries = tuple(reader.fill(one) if one in chosen else one for one in cluster.entries)
    warning = format_warning(root)
    return replace(cluster, entries=entries, warnings=(warning,) if warning else ())


class _Systems:
    """Reads every system file once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[Path, System] = {}

    def fill(self, entry: SystemEntry) -> SystemEntry:
        """Return the entry with its system and those of its subsystems."""
        subsystems = tuple(self.fill(sub) for sub in entry.subsystems)
        entry = replace(entry, subsystems=subsystems)
        if not entry.morph:
            return entry
        path = None if leaves(entry.morph) else find_system(self._root, entry.morph)
        if path is not None:
            return replace(entry, system=self._system(path))
        return replace(entry, problems=(*entry.problems, self._missing(entry)))

    def _missing(self, entry: SystemEntry) -> Problem:
        if leaves(entry.morph):
            message = f"the system {entry.morph!r} lies outside of the definitions"
            return entry.at.problem(
                message, f"use a path that begins at {document.shown(self._root)}"
            )
        hint = near_system(self._root, entry.morph)
        message = f"there is no system file {entry.morph!r} in {document.shown(self._root)}"
        return entry.at.problem(message, hint)

    def _system(self, path: Path) -> System:
        if path not in self._read:
            self._read[path] = _read(path)
        return self._read[path]


def _read(path: Path) -> System:
    node, problems = document.read(path, document.shown(path))
    if node is None:
        at = document.Place(path=document.shown(path))
        return System(name="", path=path, at=at, problems=problems)
    return read_system(node, path)
