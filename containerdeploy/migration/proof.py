"""Proves that the native form plans as the old one does, in a mirror of the definitions."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from containerdeploy import images
from containerdeploy.errors import DeployError, PlanError
from containerdeploy.frozen import frozen, replace
from containerdeploy.migration import survey
from containerdeploy.migration.model import NewFile
from containerdeploy.plan import Options, Plan, PlannedDeployment, PlannedStep, Verb
from containerdeploy.policy import Devices, Policy, PolicyFile

MAX_SHOWN = 20
_PARAMETER = "parameter "


@frozen
class Expected:
    """What may be another than before: extensions that get the network, digests that are known."""

    networked: frozenset[Path] = frozenset()
    digests: Mapping[str, str]
    has_new_image: bool = False


@frozen
class Native:
    """The native form: its cluster, the files that are new, and those that stay as they are."""

    cluster: Path
    root: Path
    files: Sequence[NewFile]
    kept: Sequence[Path]


class Differs(PlanError):
    """The native form would not do what the old one does; nothing has been written."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(
            "the native form would not do the same, so nothing was written",
            details="\n".join(lines[:MAX_SHOWN]),
            hint="write what differs without an anchor or an alias, then try again",
        )


@frozen
class Mirror:
    """A directory in which every path of the definitions exists below another root."""

    top: Path

    def of(self, path: Path) -> Path:
        return self.top / str(path).lstrip("/")

    def fill(self, kept: Iterable[Path], sources: Iterable[Path], files: Sequence[NewFile]) -> None:
        """Put files there as they are, links to sources, then what is new."""
        for path in dict.fromkeys(kept):
            if path.is_file():
                copy = self._place(path)
                copy.write_bytes(path.read_bytes())
                copy.chmod(path.stat().st_mode & 0o777 | 0o600)
        for path in dict.fromkeys(sources):
            place = self._place(path)
            if not os.path.lexists(place):
                place.symlink_to(path)
        for file in files:
            self._place(file.path).write_text(file.text, encoding="utf-8", newline="")

    def _place(self, path: Path) -> Path:
        place = self.of(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        return place


def prove(
    old: Mapping[Verb, Plan],
    native: Native,
    options: Options,
    builtin: Path,
    expected: Expected,
) -> None:
    """Plan the native cluster file and raise Differs where that is not what the old plans say."""
    options = replace(options, artifacts=(), artifacts_dir=None)
    with tempfile.TemporaryDirectory(prefix="containerdeploy-migrate-") as top:
        mirror = Mirror(top=Path(top).resolve())
        kept = (*native.kept, *_read_by(tuple(old.values()), native.root))
        mirror.fill(kept, _sources(old.values()), native.files)
        cluster, root = mirror.of(native.cluster), mirror.of(native.root)
        try:
            new = survey.planned(cluster, root, options, builtin, _policy(old.values())).plans
        except DeployError as err:
            told = (err.details or err.brief).replace(os.path.relpath(mirror.top), "")
            raise Differs(told.replace(str(mirror.top), "").splitlines()) from err
        lines = [line for verb in old for line in _differences(old[verb], new.get(verb), expected)]
    if lines:
        raise Differs(lines)


def _policy(plans: Iterable[Plan]) -> Policy:
    """Return a policy that allows what the old form is allowed; paths are others in a mirror."""
    steps = (step for one in survey.every(plans) for step in survey.steps(one))
    granted = {step.extension.sha256: step.loop_devices for step in steps if step.loop_devices}
    rules = (Devices(sha256=sha256, devices=count) for sha256, count in granted.items())
    file = PolicyFile(path=Path(), loop=tuple(rules))
    return Policy(ground=file.path, files=(file,))


def _read_by(plans: Sequence[Plan], root: Path) -> Iterator[Path]:
    """Yield the files that planning reads, without clusters and systems that are made anew."""
    yield root / "VERSION"
    for plan in plans:
        yield plan.cluster_path
    for one in survey.every(plans):
        for step in survey.steps(one):
            if step.extension.relative is not None:
                path = step.extension.path
                yield path
                yield path.with_name(path.name + ".yaml")


def _sources(plans: Iterable[Plan]) -> Iterator[Path]:
    for one in survey.every(plans):
        if one.source.path != Path():
            yield Path(os.path.normpath(one.source.path))


def _differences(old: Plan, new: Plan | None, expected: Expected) -> Iterator[str]:
    before = _facts(old, expected)
    after = _facts(new, Expected(digests={})) if new else {}
    for name in sorted(before.keys() | after.keys()):
        for fact in sorted(before.get(name, {}).keys() | after.get(name, {}).keys()):
            was, now = (facts.get(name, {}).get(fact) for facts in (before, after))
            is_image = fact == "image" and expected.has_new_image and now == images.LEGACY
            if was != now and not is_image:
                yield f"{name}: {fact} {_change(fact, was, now)}"


def _facts(plan: Plan, expected: Expected) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for system in plan.systems:
        for top in system.deployments:
            for one in survey.flat(top):
                found[one.name] = {"image": system.image, **_of_deployment(one, expected)}
    return found


def _of_deployment(one: PlannedDeployment, expected: Expected) -> dict[str, str]:
    path = "" if one.source.path == Path() else os.path.realpath(one.source.path)
    steps = {
        f"step {number}": _of_step(step, expected)
        for number, step in enumerate(survey.steps(one), 1)
    }
    return {
        "system": one.system,
        "source": path,
        "sha256": expected.digests.get(path) or one.source.sha256 or "",
        "type": one.type,
        "location": one.location,
        "target": str(one.target),
        "subsystems": " ".join(sub.name for sub in one.subsystems),
        **{f"{_PARAMETER}{held.name}": held.value for held in one.parameters},
        **steps,
    }


def _of_step(step: PlannedStep, expected: Expected) -> str:
    found = step.extension
    limits = (step.timeout_s, step.idle_timeout_s, step.memory_bytes, step.pids, step.cpus)
    network = "full" if found.path in expected.networked else step.network
    where = found.relative or f"built-in {found.name}"
    words = (where, found.kind, found.sha256, found.interpreter, network, limits)
    return " ".join(map(str, (*words, step.max_output_bytes, step.disk_bytes, step.loop_devices)))


def _change(fact: str, was: str | None, now: str | None) -> str:
    """Say what changed; a parameter's value may be a secret."""
    if was is None or now is None:
        return f"would be {'new' if was is None else 'missing'}"
    return "would be another" if fact.startswith(_PARAMETER) else f"was {was!r}, would be {now!r}"
