"""The family of hostile extensions: one run of them beside a peaceful one, seen from outside."""

import hashlib
import os
import secrets
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any

from containerdeploy.frozen import replace
from containerdeploy.selftest import attacks, bait, census, controls, host_state, sample, scripted
from containerdeploy.selftest.finding import Finding, Verdict
from containerdeploy.selftest.ground import Definitions, Ground, Told

OUTSIDE = "seen from outside"
MOST_PROCESSES = 8
MOST_READ = 1 << 16
CHAIN = "scripts"
LOOKER = "looker"
# How much of what takes long: 5 for a hundred thousand files and a line of 100 MB.
ROUNDS_VARIABLE = "CONTAINERDEPLOY_SELFTEST_ROUNDS"


def attempt(ground: Ground) -> Iterator[Finding]:
    """Make all attacks in one run, with peaceful ones before, beside and after it."""
    host = host_state.look()
    word, secret = secrets.token_hex(12), secrets.token_hex(12)
    quiet = _peaceful(ground, "before", word)
    siege = ground.definitions("siege")
    with bait.laid() as baits:
        _lay(siege, _environment(ground, secret, baits), word)
        told = siege.deploy()
        taken = baits.taken()
    for finding in attacks.findings(told.texts.get("attacks", "")):
        yield _without_harmless(finding, ground)
    yield from (_scripted(one, told) for one in scripted.SCRIPTED)
    yield _no_processes_left(told)
    yield _not_believed(told)
    yield _outside("nobody came to sockets of this host", ", ".join(taken))
    changed = host_state.differences(host, host_state.look())
    yield _outside("the host is what it was", ", ".join(changed))
    yield _outside("no program of the tree was run", _planted(told))
    yield _outside("a hostile tree is delivered as it is", _misread(siege, secret))
    yield _outside("another system's result is what it was", _spoilt(siege, quiet))
    heard = [name for name, text in told.texts.items() if word in text and name != "looker"]
    yield _outside("another system's parameters are not seen", ", ".join(heard))
    again = _peaceful(ground, "after", word)
    yield _outside("the base that all share is what it was", "" if again == quiet else "it is not")
    yield _outside("nothing strange is in the store", census.strangers(ground))


def _environment(ground: Ground, secret: str, baits: bait.Bait) -> dict[str, str]:
    """What attacks are told: where to look for what is not theirs."""
    place = ground.directory / "secrets"
    place.mkdir()
    (place / "secret").write_text(secret, encoding="ascii")
    found = {"SECRET_PLACE": str(place), "BAIT_PORT": str(baits.port), "BAIT_NAME": baits.name}
    return {**found, "ROUNDS": os.environ.get(ROUNDS_VARIABLE, "1")}


def _without_harmless(finding: Finding, ground: Ground) -> Finding:
    """Where ids are not its own, an extension may do what only it suffers from."""
    why = controls.HARMLESS_BELOW_STRICT.get(finding.name, "")
    if finding.verdict != "got through" or not why or ground.hello.isolation == "strict":
        return finding
    return replace(finding, verdict="contained", evidence=f"harmless: {why}")


def _lay(siege: Definitions, environment: Mapping[str, str], word: str) -> None:
    """Give a system of its own to each script that doesn't end well, and one to all others."""
    for name, text in attacks.files().items():
        siege.extension(name, text)
    chain: list[str | Mapping[str, Any]] = []
    for one in scripted.SCRIPTED:
        use = {"name": one.name, **one.settings}
        if one.ends == ("ok",):
            chain += [use, LOOKER]
        else:
            siege.system(one.name, use, LOOKER)
    siege.system(CHAIN, *chain, deployments={CHAIN: environment})
    siege.system("attacks", "attacks", LOOKER, deployments={"attacks": environment})
    siege.system("peaceful", LOOKER, WORD=word)


def _peaceful(ground: Ground, name: str, word: str) -> str:
    """Deploy a peaceful system alone; return its digest."""
    definitions = ground.definitions(name)
    definitions.extension(f"{LOOKER}.configure", attacks.files()[f"{LOOKER}.configure"])
    definitions.system("peaceful", LOOKER, WORD=word)
    return _digest(definitions.deploy())


def _digest(told: Told) -> str:
    deployments = [one for system in told.result.systems for one in system.deployments]
    found = [one.artifacts for one in deployments if one.name == "peaceful"]
    return found[0][0].sha256 if found and found[0] else "no result"


def _scripted(one: scripted.Scripted, told: Told) -> Finding:
    ends, said = told.outcomes.get(one.name, []), told.texts.get(one.name, "")
    is_held = len(ends) == 1 and ends[0] in one.ends and one.says in said
    if one.never and one.never in said:
        is_held = False
    trouble = "" if is_held else f"it ended {', '.join(ends) or 'never'}: {said[-200:]!r}"
    return _finding(one.group, one.name, trouble, words=", ".join(ends))


def _no_processes_left(told: Told) -> Finding:
    """What the steps before left would be seen by those after them."""
    lines = told.texts.get(LOOKER, "").splitlines()
    counts = [int(line.split()[1]) for line in lines if line.startswith("processes: ")]
    trouble = "" if counts and max(counts) < MOST_PROCESSES else f"processes: {counts}"
    return _finding(scripted.AFTER, "no process is left when the next step begins", trouble)


def _not_believed(told: Told) -> Finding:
    """Forged events must have come as output, and not as events."""
    believed = [event for event in told.finished if event.hint == scripted.FORGED]
    was_said = any(f'"hint":"{scripted.FORGED}"' in text for text in told.texts.values())
    trouble = "" if was_said and not believed else f"said: {was_said}, believed: {believed}"
    return _finding(scripted.AGENT, "forged events are taken for output", trouble)


def _planted(told: Told) -> str:
    """Planted programs say a word, and only the planter itself may have called one."""
    words = [
        line
        for text in told.texts.values()
        for line in text.splitlines()
        if line.startswith("gotcha") and line != "gotcha by itself"
    ]
    return ", ".join(words)


def _misread(siege: Definitions, secret: str) -> str:
    """Look into the result of the tree that was made hard to read."""
    path = siege.out / f"{CHAIN}.tar"
    if not path.is_file():
        return "there is no result"
    expected = {f"./{name}": text for name, (_, text) in sample.FILES.items() if "etc/" in name}
    with tarfile.open(path) as archive:
        for member in archive:
            content = b""
            if member.isreg() and member.size < MOST_READ:
                taken = archive.extractfile(member)
                content = taken.read() if taken else b""
            if secret.encode() in content:
                return f"{member.name} holds what is none of its business"
            if expected.pop(member.name, content) != content:
                return f"{member.name} is not what it was"
    return f"{', '.join(expected)} is missing" if expected else ""


def _spoilt(siege: Definitions, quiet: str) -> str:
    """Compare the peaceful system of the siege with one that was alone on the engine."""
    path = siege.out / "peaceful.tar"
    if not path.is_file():
        return "there is none"
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return "" if digest == quiet else f"sha256 {digest}, alone it was {quiet}"


def _outside(name: str, trouble: str) -> Finding:
    return _finding(OUTSIDE, name, trouble)


def _finding(group: str, name: str, trouble: str, words: str = "") -> Finding:
    verdict: Verdict = "got through" if trouble else "contained"
    return Finding(
        family="extensions", group=group, name=name, verdict=verdict, evidence=trouble or words
    )
