"""The family of hostile archives: one helper unpacks them all, another one judges what came of it.

Each is unpacked as GNU tar does in an empty directory, or refused in one line; nothing lands beside
the bases, and a good archive after all of them is unpacked as ever.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from containerdeploy import deploy, wire
from containerdeploy.engine import ContainerSpec, Mount
from containerdeploy.frozen import replace
from containerdeploy.helper import spec
from containerdeploy.helper.session import Order, OtherHost, Session
from containerdeploy.selftest import inside
from containerdeploy.selftest.archives import catalogue, raw
from containerdeploy.selftest.archives.model import Hostile, hostile
from containerdeploy.selftest.finding import Finding, Verdict
from containerdeploy.selftest.ground import Ground

ALL_IN_ALL = "archives all in all"
JUDGE = """\
import sys
sys.path.insert(0, {place!r})
from containerdeploy.selftest.archives import {judge}
{judge}.main()
"""


def good() -> bytes:
    """A good archive after all of these."""
    return raw.archive(raw.directory(b"etc"), raw.file(b"etc/hostname"), raw.link(b"l", b"etc"))


def attempt(ground: Ground) -> Iterator[Finding]:
    """Have them all unpacked, and judge each."""
    directory = ground.directory / "archives"
    groups = {**catalogue.GROUPS, ALL_IN_ALL: [hostile(good, None, "it is good")]}
    sources = catalogue.lay(directory, [one for group in groups.values() for one in group])
    try:
        ended, trouble = _unpacked(ground, directory, sources)
    except OtherHost as err:
        yield _finding(ALL_IN_ALL, "every archive", "not tried", err.brief)
        return
    store, *told = _judged(ground, directory, "compare")
    by_name = {one["name"]: one for one in told}
    yield _judgement(ALL_IN_ALL, "the agent at its end", trouble)
    sample = hashlib.sha256(ground.source.read_bytes()).hexdigest()
    beside = _strangers(store, {sample, *(source.sha256 for source in sources.values())})
    yield _judgement(ALL_IN_ALL, "what lies in the store", beside)
    for group, archives in groups.items():
        for one in archives:
            end = ended.get(one.name)
            wrong = _wrong(one, end, by_name.get(one.name, {}), ground.hello.isolation)
            yield _judgement(group, one.name, wrong, end.detail if end else "")


def control(ground: Ground) -> Iterator[Finding]:
    """Let those that do harm loose on an unpacker without protection."""
    directory = ground.directory / "loose-archives"
    everything = [one for group in catalogue.GROUPS.values() for one in group]
    catalogue.lay(directory, [one for one in everything if one.harm is not None])
    told = {one["name"]: one for one in _judged(ground, directory, "harm")}
    for group, archives in catalogue.GROUPS.items():
        for one in archives:
            found = told.get(one.name, {"untried": one.why_no_harm or "the judge ended before it"})
            if "untried" in found:
                yield _finding(group, one.name, "not tried", found["untried"])
            else:
                yield _judgement(group, one.name, found["harm"])


def _unpacked(
    ground: Ground, directory: Path, sources: Mapping[str, wire.Source]
) -> tuple[Mapping[str, wire.StepFinished], str]:
    """Let an agent unpack all of them, one after the other; return how each ended.

    Then what is wrong with the agent's own end, if anything is: it is to say which failed first.
    """
    run, nonce = f"selftest-{secrets.token_hex(6)}", secrets.token_hex(16)
    (directory / "nonce").write_text(nonce, encoding="ascii")
    heard: list[wire.Event] = []
    deployments = tuple(
        wire.Deployment(name=name, source=source, metadata="{}\n")
        for name, source in sources.items()
    )
    order = Order(
        container=_with_sources(
            spec.bare(f"containerdeploy-{run}", ground.image, ground.store, _owner()), directory
        ),
        job=wire.Job(kind="deploy", run=run, deployments=deployments, keep_going=True),
        nonce=nonce,
        hear=heard.append,
        take=lambda container, artifact: None,
    )
    finished = Session(ground.engine, order).run()
    ends = {event.step: event for event in heard if isinstance(event, wire.StepFinished)}
    ended = {name: ends[step] for name in sources if (step := wire.base_step(name)) in ends}
    failed = [end.detail for end in ended.values() if end.outcome != "ok"]
    is_told = finished.outcome == "failed" and failed and failed[0] in finished.error
    return ended, "" if is_told else f"{finished.outcome}: {finished.error}"


def _owner() -> str:
    return deploy.owner_label(None)


def _with_sources(plain: ContainerSpec, directory: Path) -> ContainerSpec:
    places = {directory: wire.SOURCES, directory / "nonce": wire.NONCE}
    binds = [
        Mount(kind="bind", source=str(source), target=target, read_only=True)
        for source, target in places.items()
        if source.exists()
    ]
    empty = Mount(kind="tmpfs", target=wire.DEFINITIONS, size_bytes=1 << 20)
    return replace(plain, mounts=[*plain.mounts, *binds, empty])


def _judged(ground: Ground, directory: Path, judge: str) -> Sequence[dict[str, Any]]:
    """Run a judge in a helper; return the lines that it says."""
    argv = ("python3", "-I", "-S", "-c", JUDGE.format(place=wire.SOURCES, judge=judge))
    said = inside.run(
        ground.engine, ground.image, ground.store, argv, lambda it: _with_sources(it, directory)
    )
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def _strangers(store: Mapping[str, Any], known: Iterable[str]) -> str:
    """Say what is in the store beside the bases of what was to be unpacked."""
    bases = [name for name in store["bases"] if name.split("-")[0] not in known]
    return ", ".join([*store["beyond"], *store["tmp"], *bases])


def _wrong(
    one: Hostile, end: wire.StepFinished | None, told: Mapping[str, Any], isolation: str
) -> str:
    """Say what should not have been: nothing if the archive was unpacked or refused as it is due.

    An ordinary user's agent puts up with what can't be made without root, and tells of it.
    """
    if end is None:
        return "nobody knows how it ended"
    if "error" in told:
        return f"it can't be judged: {told['error']}"
    if end.outcome != "ok" and told.get("base"):
        return "it was refused, but there is a base"
    rule = one.rootless if isolation == "rootless" and one.rootless is not None else one.refused
    if rule:
        return _wrongly_refused(end, rule)
    if one.varies and end.outcome in ("ok", "failed"):
        return "; ".join(told.get("differences", [])) if told.get("tar") == 0 else ""
    if end.outcome == "ok":
        if told.get("tar") != 0 and not (isolation == "rootless" and told.get("tar") == 2):
            return f"it was taken, but GNU tar ends with {told.get('tar')}"
        return "; ".join(told.get("differences", ["there is no base"]))
    return "it was refused, but GNU tar takes it" if told.get("tar") == 0 else _words(end.detail)


def _wrongly_refused(end: wire.StepFinished, rule: str) -> str:
    if end.outcome != "failed":
        return f"it should have been refused: {end.outcome}"
    return _words(end.detail) or ("" if rule in end.detail else f"it doesn't say {rule}")


def _words(detail: str) -> str:
    """Say what is wrong with a refusal's words."""
    is_clear = detail and "\n" not in detail and "Traceback" not in detail
    return "" if is_clear else f"no clear words: {detail!r}"


def _judgement(group: str, name: str, wrong: str, evidence: str = "") -> Finding:
    return _finding(group, name, "got through" if wrong else "contained", wrong or evidence)


def _finding(group: str, name: str, verdict: Verdict, evidence: str) -> Finding:
    return Finding(family="archives", group=group, name=name, verdict=verdict, evidence=evidence)
