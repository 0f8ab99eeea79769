"""Holds the rooms to the table of who may import whom, and every module to the rules of size."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "containerdeploy"
# What runs in a helper as a program of its own, and is no room's code.
PROGRAMS = ("extensions", "attacks")
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent.name not in PROGRAMS)

# How every room makes its values.
EVERYWHERE = "frozen"
# A room may import itself, and of the others only these.
TABLE = {
    "__init__": set(),
    "frozen": set(),
    "errors": set(),
    "wire": set(),
    "syscall_numbers": set(),
    "syscalls": {"syscall_numbers"},
    "paths": set(),
    "harmless": set(),
    "gateway": {"wire", "syscalls"},
    "cache": set(),
    "agent": {"cache", "gateway", "wire", "syscalls", "syscall_numbers"},
    "places": set(),
    "images": set(),
    "programs": set(),
    "document": {"errors"},
    "policy": {"document", "network", "errors"},
    "sidecar": {"paths", "document", "network", "policy", "errors"},
    "extension": {"paths", "document", "sidecar", "errors"},
    "network": {"document"},
    "definition": {"paths", "document", "network", "errors"},
    "source": {"paths", "errors"},
    "engine": {"images", "programs", "errors", "syscalls", "syscall_numbers", "__init__"},
    "plan": {
        *("definition", "document", "extension", "images", "sidecar", "source", "errors"),
        *("network", "policy", "wire", "__init__"),
    },
    "planning": {
        *("definition", "document", "extension", "paths", "places", "plan", "policy", "source"),
        "errors",
    },
    "migration": {
        *("definition", "document", "extension", "images", "plan", "planning", "policy"),
        *("sidecar", "source", "errors"),
    },
    "conduct": {"wire", "errors"},
    "allowance": {"wire", "errors"},
    "result": {"wire", "errors"},
    "helper": {
        *("plan", "policy", "extension", "engine", "allowance", "conduct", "images", "programs"),
        *("result", "source", "wire", "errors"),
    },
    "deploy": {"plan", "helper", "engine", "result", "wire", "errors"},
    "report": {"harmless", "images", "result", "wire", "errors"},
    "selftest": {
        *("deploy", "engine", "helper", "images", "plan", "planning", "report", "result"),
        *("syscalls", "wire", "errors"),
    },
    "commands": {
        *("definition", "deploy", "document", "engine", "extension", "helper", "images"),
        *(
            "migration",
            "network",
            "places",
            "plan",
            "planning",
            "policy",
            "report",
            "result",
            "selftest",
            "sidecar",
            "source",
            "wire",
        ),
        *("errors", "__init__"),
    },
    "options": set(),
    "cli": {"harmless", "options", "commands", "errors", "planning", "places", "__init__"},
    "__main__": {"cli"},
}
STANDARD_LIBRARY_ONLY = {"wire", "syscalls", "syscall_numbers", "agent", "places", "errors"}
STANDARD_LIBRARY_ONLY |= {"cache", "gateway", "images", "programs"}
STANDARD_LIBRARY_ONLY |= {EVERYWHERE}
OUTSIDE = {"engine": {"docker", "requests", "tenacity", "urllib3"}, "document": {"yaml"}}
OUTSIDE |= {"report": {"rich"}, "cli": {"click"}, "options": {"click"}}
# Large only in lines: tables of numbers.
LONG = {"syscall_numbers.py"}


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else path.stem


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            base = node.module or ""
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def ours(path: Path) -> set[str]:
    """The rooms that a module imports; a name of the package itself counts as `__init__`."""
    rooms = set()
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "containerdeploy":
            continue
        is_room = len(parts) > 1 and parts[1] in TABLE
        rooms.add(parts[1] if is_room else "__init__")
    return rooms - {room(path), EVERYWHERE}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_room_imports_only_what_the_table_allows(path: Path) -> None:
    assert room(path) in TABLE, f"{room(path)} is not on the table"
    assert ours(path) <= TABLE[room(path)]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_third_party_code_stays_in_the_room_that_it_is_for(path: Path) -> None:
    outside = {name.split(".")[0] for name in imports(path)} - {"containerdeploy"}
    allowed = set() if room(path) in STANDARD_LIBRARY_ONLY else OUTSIDE.get(room(path), set())
    assert outside - set(sys.stdlib_module_names) <= allowed


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_says_what_it_is_for_and_stays_small(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "no sentence on what it is for"
    assert text.count("\n") <= 300 or path.name in LONG
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 40, f"{node.name} is too long"


def test_no_rooms_import_each_other_in_a_circle() -> None:
    edges = {name: set(needs) for name, needs in TABLE.items()}
    while free := {name for name, needs in edges.items() if not needs}:
        edges = {name: needs - free for name, needs in edges.items() if name not in free}
    assert not edges


def test_the_map_of_the_house_names_every_room() -> None:
    text = (PACKAGE / "__init__.py").read_text()
    for name in {room(path) for path in MODULES} - {"__init__", "extensions"}:
        assert name in text, f"{name} is not on the map"
