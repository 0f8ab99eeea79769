"""A cluster file's node to a Cluster; the system files that it names are not read here."""

import re
from pathlib import Path

from containerdeploy.definition.model import Cluster, Components, Deployment, Setting, SystemEntry
from containerdeploy.document import (
    Complaints,
    Fields,
    Node,
    Scalar,
    as_text,
    describe,
    did_you_mean,
    flaws,
)
from containerdeploy.frozen import replace

PLACES = ("type", "location", "upgrade-type", "upgrade-location")
COMPONENTS = "partial-deploy-components"
_CLUSTER = ("name", "kind", "description", "systems", "image", "secrets", "repo", "ref")
_ENTRY = ("morph", "deploy-defaults", "deploy", "subsystems", "repo", "ref")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read_cluster(node: Node, path: Path, root: Path) -> Cluster:
    """Turn a cluster file's node into a Cluster, with the problems of every part in that part."""
    complaints = Complaints()
    fields = Fields(node, "a cluster", complaints)
    kind = fields.require("kind", "'cluster'")
    if isinstance(kind, Scalar) and kind.text != "cluster":
        complaints.add(kind.at, f"expected a cluster (kind: cluster), found kind {kind.text!r}")
        return Cluster(name="", path=path, root=root, problems=complaints.taken())
    fields.only(_CLUSTER)
    fields.require("systems", "a list of the systems to deploy")
    items = fields.items("systems", "systems")
    return Cluster(
        name=fields.required_text("name", "the cluster's name"),
        path=path,
        root=root,
        image=fields.text("image"),
        image_at=image.at if (image := fields.node("image")) else None,
        secrets=fields.texts("secrets", "parameter names"),
        entries=_unique(tuple(_entry(item, "a system") for item in items)),
        problems=complaints.taken(),
    )


def check_setting_name(name: str) -> tuple[str, str | None] | None:
    """Return what is wrong with a key of a deployment and a hint, or None."""
    if name in PLACES or (_NAME.fullmatch(name) and (name.isupper() or not _near(name, 0.8))):
        return None
    hint = _near(name, 0.6)
    if hint is not None and _NAME.fullmatch(name.replace("-", "_")):
        return f"unknown key {name!r} in a deployment", hint
    return (
        f"{name!r} can't be a parameter's name",
        "use letters, digits and '_', not beginning with a digit",
    )


def _near(name: str, cutoff: float) -> str | None:
    return did_you_mean(name, (*PLACES, COMPONENTS), cutoff=cutoff)


def _entry(node: Node, what: str) -> SystemEntry:
    complaints = Complaints()
    fields = Fields(node, what, complaints)
    fields.only(_ENTRY)
    morph = fields.required_text("morph", "the path of a system file")
    deploy = fields.require("deploy", "a mapping of names to where and how to deploy")
    defaults, components = _settings(
        fields.node("deploy-defaults"), "'deploy-defaults'", complaints
    )
    deployments = () if deploy is None else _deployments(deploy, complaints)
    at = fields.entries["morph"].value.at if morph else fields.at
    return SystemEntry(
        morph=morph,
        at=at,
        defaults=defaults,
        components=components,
        deployments=deployments,
        subsystems=tuple(
            _entry(item, "a subsystem") for item in fields.items("subsystems", "systems")
        ),
        problems=complaints.taken(),
    )


def _deployments(node: Node, complaints: Complaints) -> tuple[Deployment, ...]:
    fields = Fields(node, "'deploy'", complaints)
    return tuple(
        _deployment(entry.key, entry.value, complaints) for entry in fields.entries.values()
    )


def _deployment(key: Scalar, value: Node, outer: Complaints) -> Deployment:
    own = Complaints()
    if not key.text or "\0" in key.text or "/" in key.text or key.text != key.text.strip():
        outer.add(key.at, f"{key.text!r} can't be a deployment's name", "use a word without '/'")
    node = None if isinstance(value, Scalar) and value.is_null else value
    settings, components = _settings(node, f"the deployment {key.text!r}", own)
    return Deployment(
        name=key.text, at=key.at, settings=settings, components=components, problems=own.taken()
    )


def _settings(
    node: Node | None, what: str, complaints: Complaints
) -> tuple[tuple[Setting, ...], Components | None]:
    """Read the keys of a deployment or of its defaults; return settings and partial components."""
    if node is None:
        return (), None
    fields = Fields(node, what, complaints)
    settings = []
    for name, entry in fields.entries.items():
        if name == COMPONENTS:
            continue
        complaints.extend(flaws(entry.value))
        if wrong := check_setting_name(name):
            complaints.add(entry.key.at, *wrong)
        elif name in PLACES and not _is_word(entry.value):
            message = f"{name!r} in {what} has to be text; found {describe(entry.value)}"
            complaints.add(entry.value.at, message)
        else:
            settings.append(_setting(name, entry.value, complaints))
    return tuple(settings), _components(fields)


def _components(fields: Fields) -> Components | None:
    """Read a list of names, or one text of them."""
    entry = fields.entries.get(COMPONENTS)
    if entry is None:
        return None
    if _is_word(entry.value):
        names = tuple(as_text(entry.value).split())
    else:
        names = fields.texts(COMPONENTS, "component names")
    return Components(names=names, at=entry.value.at)


def _setting(name: str, value: Node, complaints: Complaints) -> Setting:
    text = value.text if name in PLACES and isinstance(value, Scalar) else as_text(value)
    if "\0" in text:
        complaints.add(value.at, f"the value of {name!r} holds a NUL, which no extension can get")
    return Setting(name=name, text=text, at=value.at)


def _is_word(node: Node) -> bool:
    return isinstance(node, Scalar) and not node.is_null


def _unique(entries: tuple[SystemEntry, ...]) -> tuple[SystemEntry, ...]:
    """Give every deployment whose name was used before a problem that says so."""
    first: dict[str, Deployment] = {}

    def checked(one: Deployment) -> Deployment:
        before = first.setdefault(one.name, one)
        if before is one:
            return one
        hint = f"first used in line {before.at.line}; every deployment needs a name of its own"
        problem = one.at.problem(f"duplicate deployment name {one.name!r}", hint)
        return replace(one, problems=(*one.problems, problem))

    def renewed(entry: SystemEntry) -> SystemEntry:
        deployments = tuple(checked(one) for one in entry.deployments)
        subsystems = tuple(renewed(sub) for sub in entry.subsystems)
        return replace(entry, deployments=deployments, subsystems=subsystems)

    return tuple(renewed(entry) for entry in entries)
