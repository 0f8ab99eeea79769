"""All hostile archives, by what they are about, and how they are laid out for a helper."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from containerdeploy import wire
from containerdeploy.frozen import as_mapping
from containerdeploy.selftest.archives import (
    bombs,
    framing,
    links,
    names,
    nodes,
    overrides,
    paths,
    sparse,
)
from containerdeploy.selftest.archives.model import Hostile

GROUPS: Mapping[str, Sequence[Hostile]] = {
    "paths": paths.ARCHIVES,
    "links": links.ARCHIVES,
    "devices, rights and marks": nodes.ARCHIVES,
    "names": names.ARCHIVES,
    "headers that say something else": overrides.ARCHIVES,
    "files with holes": sparse.ARCHIVES,
    "what becomes large": bombs.ARCHIVES,
    "beginning and end": framing.ARCHIVES,
}
# What the judges need of the product, inside a helper.
CODE = ("syscalls.py", "syscall_numbers.py")
JUDGES = tuple(f"selftest/archives/{name}.py" for name in ("compare", "harm", "described"))


def lay(directory: Path, archives: Sequence[Hostile]) -> Mapping[str, wire.Source]:
    """Write archives, their list and the judges; return where a helper finds the archives."""
    directory.mkdir()
    listed, sources = [], {}
    for number, one in enumerate(archives):
        data = one.make()
        digest = hashlib.sha256(data).hexdigest()
        (directory / str(number)).write_bytes(data)
        sources[one.name] = wire.Source(
            path=f"{wire.SOURCES}/{number}",
            sha256=digest,
            size_bytes=len(data),
            compression=one.compression,
            max_bytes=one.max_bytes,
            max_members=one.max_members,
        )
        said = {key: value for key, value in as_mapping(one).items() if key != "make"}
        listed.append({**said, "file": str(number), "sha256": digest})
    (directory / "list.json").write_text(json.dumps(listed), encoding="ascii")
    _lay_code(directory / "containerdeploy")
    return sources


def _lay_code(directory: Path) -> None:
    package = resources.files("containerdeploy")
    inner = directory / "selftest" / "archives"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent, directory):
        (folder / "__init__.py").touch()
    for name in (*CODE, *JUDGES):
        text = package.joinpath(name).read_text(encoding="utf-8")
        (directory / name).write_text(text, encoding="utf-8")
