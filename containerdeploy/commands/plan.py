"""plan: shows everything that would happen, as text or as JSON.

The JSON's keys are stable: keys may be added, none is renamed or removed while `format` is 1.

    format, verb, cluster, cluster_path, definitions, definitions_version, source_date_epoch,
    isolation, runtime, warnings, policy: [path of a file that holds],
    systems: [{name, image, image_id (null: no engine has it), deployments: [DEPLOYMENT]}]

    DEPLOYMENT: name, system, type, location, target (null: the write extension's own affair),
    source: {path, origin, sha256}, partial, components: [{name, path, origin, sha256}],
    parameters: [{name, value, origin, secret}],
    steps: [{kind, name, path, is_builtin, sha256, interpreter, network, hosts, timeout_s,
    idle_timeout_s, memory_bytes, pids, max_output_bytes, cpus, disk_bytes, tree, output, summary,
    loop_devices, limits_from: {limit: who set it}, writes (null: no contract), privileged_files}],
    subsystems: [DEPLOYMENT]

A deployment's steps are in the order of running: check, configure in the system's order, write;
its subsystems are written before the first configure. A partial deployment is made from its
components, laid over each other; its source is the first of them. Values of secret parameters are
`***`. A step's network is none, full or listed: then its hosts are those that it may reach.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from containerdeploy import places
from containerdeploy.document import shown
from containerdeploy.engine import Engine
from containerdeploy.engine.choose import open_engine
from containerdeploy.errors import EngineError
from containerdeploy.helper.admission import refuse_place
from containerdeploy.network import Network
from containerdeploy.plan import Parameter, Plan, PlannedDeployment, PlannedSource, PlannedStep
from containerdeploy.policy import LimitName

_FORMAT = 1
_AUTO = " (strict with an engine that runs as root, rootless with an ordinary user's)"
_HIDDEN = "***"


def image_ids(plan: Plan, engine: str) -> dict[str, str | None]:
    """Return the id of every image of the plan, None where no engine says it has it.

    Raises PlanError where an engine answers that, or whose images, the policy refuses.
    """
    names = {system.image for system in plan.systems}
    try:
        chosen = open_engine(engine, places.home())
    except EngineError:
        return dict.fromkeys(names)
    try:
        refuse_place(plan, chosen.engine)
        return {name: _image_id(chosen.engine, name) for name in names}
    finally:
        chosen.engine.close()


def _image_id(engine: Engine, name: str) -> str | None:
    try:
        return engine.image(name).id
    except EngineError:
        return None


def to_json(plan: Plan, ids: Mapping[str, str | None] | None = None) -> dict[str, Any]:
    """Return the plan as plain values for JSON; the module's docstring lists the keys."""
    ids = ids or {}
    return {
        "format": _FORMAT,
        "verb": plan.verb,
        "cluster": plan.cluster,
        "cluster_path": str(plan.cluster_path),
        "definitions": str(plan.definitions),
        "definitions_version": plan.definitions_version,
        "source_date_epoch": plan.source_date_epoch,
        "isolation": plan.isolation,
        "runtime": plan.runtime or None,
        "warnings": list(plan.warnings),
        "policy": [str(file.path) for file in plan.policy.files],
        "systems": [
            {
                "name": system.name,
                "image": system.image,
                "image_id": ids.get(system.image),
                "deployments": [_deployment(one) for one in system.deployments],
            }
            for system in plan.systems
        ],
    }


def to_json_text(plan: Plan, ids: Mapping[str, str | None] | None = None) -> str:
    """Return `to_json` as indented text."""
    return json.dumps(to_json(plan, ids), indent=2)


def to_text(plan: Plan, ids: Mapping[str, str | None] | None = None) -> str:
    """Return the plan for a person to read."""
    ids = ids or {}
    version = f" ({plan.definitions_version})" if plan.definitions_version else ""
    lines = [
        f"{plan.verb} the cluster {plan.cluster} ({shown(plan.cluster_path)})",
        f"definitions: {plan.definitions}{version}",
        f"isolation: {plan.isolation}{_AUTO if plan.isolation == 'auto' else ''}",
        *([f"runtime: {_printable(plan.runtime)}"] if plan.runtime else []),
        *(f"policy: {shown(file.path)}" for file in plan.policy.files),
        *(f"warning: {warning}" for warning in plan.warnings),
    ]
    for system in plan.systems:
        for one in system.deployments:
            known = f" ({found})" if (found := ids.get(system.image)) else ""
            lines += ["", f"[{system.name}][{one.name}]  image {system.image}{known}"]
            lines += ["  " + line for line in _lines(one)]
    return "\n".join(lines)


def _deployment(one: PlannedDeployment) -> dict[str, Any]:
    return {
        "name": one.name,
        "system": one.system,
        "type": one.type,
        "location": one.location,
        "target": str(one.target) if one.target else None,
        "source": _source(one.source),
        "partial": bool(one.components),
        "components": [{"name": part.name, **_source(part.source)} for part in one.components],
        "parameters": [
            {
                "name": parameter.name,
                "value": _HIDDEN if parameter.secret else parameter.value,
                "origin": parameter.origin,
                "secret": parameter.secret,
            }
            for parameter in one.parameters
        ],
        "steps": [_step(step) for step in one.steps],
        "subsystems": [_deployment(sub) for sub in one.subsystems],
    }


def _source(source: PlannedSource) -> dict[str, Any]:
    return {"path": str(source.path), "origin": source.origin, "sha256": source.sha256}


def _step(step: PlannedStep) -> dict[str, Any]:
    found = step.extension
    return {
        "kind": found.kind,
        "name": found.name,
        "path": str(found.path),
        "is_builtin": found.relative is None,
        "sha256": found.sha256,
        "interpreter": list(found.interpreter),
        "network": step.network.mode,
        "hosts": list(step.network.hosts),
        "timeout_s": step.timeout_s,
        "idle_timeout_s": step.idle_timeout_s,
        "memory_bytes": step.memory_bytes,
        "pids": step.pids,
        "max_output_bytes": step.max_output_bytes,
        "cpus": step.cpus,
        "disk_bytes": step.disk_bytes,
        "tree": found.sidecar.tree if found.kind == "write" else "writable",
        "output": found.sidecar.output if found.kind == "write" else None,
        "summary": found.sidecar.summary,
        "loop_devices": step.loop_devices,
        "limits_from": dict(step.limits_from),
        "writes": None if found.sidecar.writes is None else list(found.sidecar.writes),
        "privileged_files": list(found.sidecar.privileged_files),
    }


def _lines(one: PlannedDeployment) -> Iterator[str]:
    if one.components:
        yield "partial   components only, each laid over those before; nothing is configured"
    for part in one.components:
        yield f"component {part.name}: {_source_text(part.source)}"
    if not one.components:
        yield f"source    {_source_text(one.source)}"
    if one.check:
        yield f"check     {_step_text(one.check)}"
    for sub in one.subsystems:
        yield f"subsystem {sub.name}: {sub.system}"
        yield from ("  " + line for line in _lines(sub))
    for step in one.configure:
        yield f"configure {_step_text(step)}"
    yield f"write     {_step_text(one.write)}"
    yield f"to        {one.target or one.location}"
    yield from _parameter_lines(one.parameters)


def _source_text(source: PlannedSource) -> str:
    digest = f", sha256 {source.sha256}" if source.sha256 else ""
    return f"{source.path} (from {source.origin}{digest})"


def _step_text(step: PlannedStep) -> str:
    found = step.extension
    told = [*_limits_text(step)]
    if found.sidecar.writes is not None:
        told.append(f"writes {', '.join(found.sidecar.writes) or 'nothing'}")
    if step.loop_devices:
        told.append(f"granted: {step.loop_devices} loop devices")
    origin = "built-in" if found.relative is None else found.relative
    return f"{found.name}.{found.kind} ({', '.join([origin, _network_text(step.network), *told])})"


def _limits_text(step: PlannedStep) -> Iterator[str]:
    """Yield the limits that somebody set, each with who did."""
    limits: tuple[tuple[LimitName, float | None, str], ...] = (
        ("timeout", step.timeout_s, " s"),
        ("idle-timeout", step.idle_timeout_s, " s"),
        ("memory", step.memory_bytes, " bytes"),
        ("pids", step.pids, ""),
        ("max-output", step.max_output_bytes, " bytes"),
        ("cpu", step.cpus, ""),
        ("disk", step.disk_bytes, " bytes"),
    )
    for name, amount, unit in limits:
        if amount is not None:
            number = f"{amount:g}" if isinstance(amount, float) else str(amount)
            yield f"{name} {number}{unit} from {step.limits_from.get(name, 'the plan')}"


def _network_text(network: Network) -> str:
    words = {"none": "no network", "full": "network", "listed": f"network to {network} only"}
    return words[network.mode]


def _parameter_lines(parameters: tuple[Parameter, ...]) -> Iterator[str]:
    shown_values = [
        (parameter.name, _HIDDEN if parameter.secret else _printable(parameter.value))
        for parameter in parameters
    ]
    width = max((len(name) + len(value) for name, value in shown_values), default=0)
    for (name, value), parameter in zip(shown_values, parameters, strict=True):
        gap = " " * min(width - len(name) - len(value), 60)
        yield f"parameter {name}={value}{gap}  ({parameter.origin})"


def _printable(value: str) -> str:
    """Return a value as it is, or quoted where that would be misread on a terminal."""
    plain = value.isprintable() and value == value.strip() and value
    return value if plain else json.dumps(value)
