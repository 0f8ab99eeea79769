"""The whole of a migration: plan, look, guess, write anew, prove, put in place, report."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from containerdeploy import definition
from containerdeploy.definition import Cluster
from containerdeploy.document import shown
from containerdeploy.frozen import frozen, replace
from containerdeploy.migration import place, proof, rewrite, survey
from containerdeploy.migration.guess import Guess, guess
from containerdeploy.migration.model import NewFile, Part, Remark, Report, Use
from containerdeploy.migration.sight import look
from containerdeploy.migration.systems import Needs, cluster_needs, part, secrets, system_needs
from containerdeploy.plan import Options, Plan
from containerdeploy.sidecar import read_help, read_sidecar


@frozen
class Order:
    """What to migrate, with which sources, and where to write; `cache` remembers digests."""

    cluster: Path
    definitions: Path | None
    options: Options
    output: Path | None = None
    force: bool = False
    cache: Path
    builtin: Path


def migrate(order: Order) -> Report:
    """Write a cluster's native form beside the old one, or nothing.

    Deployments that can't be planned are told of. Raises DefinitionError where none can be,
    UsageError where a file is in the way or can't be written, PlanError where the native form would
    plan as something else.
    """
    path = definition.find_cluster(order.cluster)
    root = definition.find_root(path, order.definitions)
    options = replace(order.options, output_dir=(order.options.output_dir or Path()).absolute())
    planned = survey.planned(path, root, options, order.builtin)
    old = planned.plans
    others = survey.other_plans(path, root, options, order.builtin)
    found = _study(definition.load(path, root), tuple(old.values()), others, order.cache)
    paths = rewrite.native_paths(found.cluster, found.needs, found.additions)
    files = _files(found, paths)
    native = proof.Native(cluster=paths[path], root=root, files=files, kept=tuple(paths))
    proof.prove(old, native, options, order.builtin, found.expected())
    moved = place.without_those_there([_moved(file, root, order.output) for file in files])
    if not order.force:
        place.refuse_existing(moved)
    place.put(moved, force=order.force)
    return Report(
        cluster=path,
        native=_moved_path(paths[path], root, order.output),
        files=tuple(file.path for file in moved),
        parts=tuple(_parts(found, root, planned.unplanned)),
    )


@frozen
class _Study:
    """What is known of a cluster: what its systems need, its secrets, why its image is `legacy`."""

    cluster: Cluster
    guesses: tuple[Guess, ...]
    needs: Mapping[Path, Needs]
    reasons: tuple[str, ...]
    hidden: tuple[str, ...]

    @property
    def additions(self) -> dict[str, str]:
        """The cluster's new keys."""
        image = {"image": "legacy"} if self.reasons else {}
        return image | ({"secrets": f"[{', '.join(self.hidden)}]"} if self.hidden else {})

    def expected(self) -> proof.Expected:
        needs = self.needs.values()
        return proof.Expected(
            networked=frozenset(one.use.path for one in self.guesses if one.network),
            digests={os.path.realpath(one.tar): one.sha256 for one in needs if one.tar},
            has_new_image=bool(self.reasons) or any(one.legacy for one in needs),
        )


def _study(
    cluster: Cluster, plans: tuple[Plan, ...], others: Iterable[Plan], cache: Path
) -> _Study:
    guesses = tuple(_guess(use) for use in survey.uses(plans, others))
    needs = system_needs(cluster, plans, guesses, cache)
    return _Study(
        cluster=cluster,
        guesses=guesses,
        needs=needs,
        reasons=cluster_needs(cluster, plans, guesses, needs),
        hidden=secrets(cluster, plans, guesses),
    )


def _guess(use: Use) -> Guess:
    sidecar = use.path.with_name(use.path.name + ".yaml")
    declared, _ = read_sidecar(sidecar, shown(sidecar))
    interpreter = use.runs_with[-1] if use.runs_with else ""
    return guess(use, look(use.path, interpreter), read_help(use.path), declared)


def _files(found: _Study, paths: Mapping[Path, Path]) -> list[NewFile]:
    files = [
        rewrite.system_file(one, paths[path])
        for path, one in found.needs.items()
        if paths[path] != path
    ]
    if paths[found.cluster.path] != found.cluster.path:
        files.append(rewrite.cluster_file(found.cluster, paths, found.additions))
    for one in found.guesses:
        path = one.use.path
        if not one.use.has_sidecar and (text := one.text()):
            files.append(NewFile(path=path.with_name(path.name + ".yaml"), text=text, beside=path))
    return files


def _parts(found: _Study, root: Path, unplanned: tuple[survey.Unplanned, ...]) -> Iterator[Part]:
    yield _cluster_part(found, root, unplanned)
    yield from (part(one, root) for one in found.needs.values())
    yield from (one.part() for one in found.guesses)


def _moved(file: NewFile, root: Path, output: Path | None) -> NewFile:
    return replace(file, path=_moved_path(file.path, root, output))


def _moved_path(path: Path, root: Path, output: Path | None) -> Path:
    """Return where a file goes with --output: to the same place below another root."""
    if output is None:
        return path
    inside = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
    return output.absolute() / inside


def _cluster_part(found: _Study, root: Path, unplanned: tuple[survey.Unplanned, ...]) -> Part:
    at = f"{shown(found.cluster.path)}:1"
    count = len(found.cluster.deployment_names())
    told = f"{count} deployment{'' if count == 1 else 's'}"
    remarks = [Remark(weight="found", at=at, text=told)]
    remarks += [
        Remark(weight="guessed", at=at, text=f"{name} is a secret") for name in found.hidden
    ]
    if found.reasons:
        text = f"image: legacy, for {'; '.join(found.reasons)}"
        remarks.append(Remark(weight="guessed", at=at, text=text))
    remarks += _unplanned(unplanned, at)
    name = os.path.relpath(found.cluster.path, root)
    return Part(kind="cluster", name=name, remarks=tuple(remarks))


def _unplanned(found: Iterable[survey.Unplanned], at: str) -> Iterator[Remark]:
    done = {"deploy": "deployed", "upgrade": "upgraded"}
    for one in found:
        for why in one.why:
            text = f"{one.name} can't be {done[one.verb]}: {why}"
            advice = "put it right in the old form, and migrate again with --force"
            yield Remark(weight="trouble", at=at, text=text, advice=advice)
