"""doctor: what this machine and engine offer, what follows, and what to do about it."""

from collections.abc import Iterator
from typing import Literal

from containerdeploy import deploy, images, places, wire
from containerdeploy.engine import Engine
from containerdeploy.engine.choose import open_engine
from containerdeploy.errors import DeployError, EngineError
from containerdeploy.frozen import frozen
from containerdeploy.helper import admission, sweep
from containerdeploy.planning import read_policy

LOW_BYTES = 2 << 30
State = Literal["ok", "degraded", "missing", "not here"]
_MODES = {
    "strict": "extensions run as ids that no account has (id-mapped layers, a user namespace)",
    "rootless": "extensions run as the user who starts the run, in a user namespace",
    "compat": "extensions run as real root without its capabilities; only with --isolation compat",
}
_NEEDED = (
    "overlayfs on id-mapped layers needs Linux 5.19, in a user namespace 5.11, and a store on "
    "ext4, xfs or btrfs; --isolation compat does without, for extensions that you trust"
)
_AS_ROOT = "run as root, or with a container engine that runs as root, for strict isolation"


@frozen
class Finding:
    """One line: what was looked at, how it is, what follows and what to do."""

    what: str
    state: State
    text: str
    advice: str = ""

    def __str__(self) -> str:
        advice = f"\n{'':22}→ {self.advice}" if self.advice else ""
        return f"{self.what:12} {self.state:8} {self.text}{advice}"


def run_doctor(engine: str, image: str | None) -> tuple[str, int]:
    """Return the findings as text, and the exit code: 0, or 3 when nothing can be deployed."""
    findings = list(_examine(engine, images.full_name(image or images.HELPER)))
    code = 3 if any(finding.state == "missing" for finding in findings) else 0
    return "\n".join(map(str, findings)), code


def _examine(choice: str, image: str) -> Iterator[Finding]:
    try:
        chosen = open_engine(choice, places.home())
    except EngineError as err:
        yield Finding(what="engine", state="missing", text=err.brief, advice=err.hint or "")
        return
    try:
        yield from _examine_engine(chosen.engine, chosen.why, image)
    finally:
        chosen.engine.close()


def _examine_engine(engine: Engine, why: str, image: str) -> Iterator[Finding]:
    info = engine.describe()
    try:
        admission.refuse(read_policy(), engine, {image: "doctor"}, info)
    except DeployError as err:
        yield Finding(what="policy", state="missing", text=f"{err.brief}: {err.details}")
        return
    yield Finding(what="engine", state="ok", text=why)
    yield Finding(what="version", state="ok", text=f"{info.version} (API {info.api_version})")
    yield Finding(what="kernel", state="ok", text=info.kernel)
    if info.runtimes:
        yield Finding(what="runtimes", state="ok", text=", ".join(info.runtimes))
    try:
        found = engine.image(image)
        yield Finding(what="image", state="ok", text=f"{image} ({found.id[:19]})")
        hello = sweep.probe(engine, image, places.store(), deploy.owner_label(None))
    except DeployError as err:
        text = f"{err.brief}: {err.details}" if err.details else err.brief
        yield Finding(what="helper", state="missing", text=text, advice=err.hint or "")
        return
    yield from _examine_helper(hello)


def _examine_helper(hello: wire.Hello) -> Iterator[Finding]:
    facts = hello.facts
    yield Finding(what="python", state="ok", text=f"{hello.python} in the helper")
    yield from _isolation(hello)
    yield _seccomp(facts.get("seccomp", ""))
    yield _cgroups(hello.limits)
    told = facts.get("store-free-bytes", "")
    free = int(told) if told.isascii() and told.isdigit() and len(told) < 20 else 0
    yield Finding(
        what="disk space",
        state="ok" if free > LOW_BYTES else "degraded",
        text=f"{free / (1 << 30):.1f} GiB free in the store",
        advice="" if free > LOW_BYTES else "make room: a source is unpacked there once",
    )


def _isolation(hello: wire.Hello) -> Iterator[Finding]:
    """Every mode as it was tried; the one that is used without a word has to work."""
    for mode, means in _MODES.items():
        answer = hello.facts.get(f"isolation-{mode}", "the agent did not try")
        text = f"{mode}: {means if answer == 'ok' else answer}"
        is_default = mode == hello.isolation
        state: State = "ok" if answer == "ok" else "missing" if is_default else "not here"
        advice = _NEEDED if is_default and state == "missing" else ""
        if is_default and mode != "strict" and state == "ok":
            state, advice = "degraded", _AS_ROOT
        yield Finding(what="isolation", state=state, text=text, advice=advice)


def _seccomp(mode: str) -> Finding:
    if mode == "2":
        return Finding(what="seccomp", state="ok", text="helper and extensions are filtered")
    text = "extensions are filtered, the helper is not"
    return Finding(what="seccomp", state="degraded", text=text)


def _cgroups(flavour: str) -> Finding:
    if flavour != "rlimits":
        text = f"{flavour}: memory and processes are limited per extension"
        return Finding(what="cgroups", state="ok", text=text)
    return Finding(
        what="cgroups",
        state="degraded",
        text="none to be had: limits hold for single processes only",
        advice="an engine that runs as root gives every helper a group of its own",
    )
