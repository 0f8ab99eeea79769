"""The family of hostile extensions: one run of them beside a peaceful one, seen from outside."""

import hashlib
import secrets
from collections.abc import Iterator

from containerdeploy import wire
from containerdeploy.frozen import replace
from containerdeploy.selftest import attacks, bait, census, controls, host_state, scripted
from containerdeploy.selftest.finding import Finding, Verdict
from containerdeploy.selftest.ground import Definitions, Ground, Told

OUTSIDE = "seen from outside"
MOST_PROCESSES = 8
MOST_PIDS = 256


def attempt(ground: Ground) -> Iterator[Finding]:
    """Make all attacks in one run, with peaceful ones before, beside and after it."""
    host = host_state.look()
    word = secrets.token_hex(12)
    quiet = _peaceful(ground, "before", word)
    siege = ground.definitions("siege")
    with bait.laid() as baits:
        _lay(siege, word, baits)
        told = siege.deploy()
        taken = baits.taken()
    yield _outside("nobody came to sockets of this host", ", ".join(taken))
    for finding in attacks.findings(told.texts.get("attacks", "")):
        yield _without_harmless(finding, ground)
    yield from (_scripted(one, told) for one in scripted.SCRIPTED)
    yield _no_processes_left(told)
    yield _not_believed(told)
    changed = host_state.differences(host, host_state.look())
    yield _outside("the host is what it was", ", ".join(changed))
    yield _outside("another system's result is what it was", _spoilt(siege, quiet))
    heard = [name for name, text in told.texts.items() if word in text and name != "peaceful"]
    yield _outside("another system's parameters are not seen", ", ".join(heard))
    again = _peaceful(ground, "after", word)
    yield _outside("the base that all share is what it was", "" if again == quiet else "it is not")
    yield _outside("nothing strange is in the store", census.strangers(ground))


def _without_harmless(finding: Finding, ground: Ground) -> Finding:
    """An ordinary user's extension may do what only it suffers from."""
    why = controls.HARMLESS_FOR_A_USER.get(finding.name, "")
    if finding.verdict != "got through" or not why or ground.hello.isolation != "rootless":
        return finding
    return replace(finding, verdict="contained", evidence=f"harmless: {why}")


def _lay(siege: Definitions, word: str, baits: bait.Bait) -> None:
    for name, text in attacks.files().items():
        siege.extension(name, text)
    siege.extension("looker.configure", scripted.LOOKER)
    for one in scripted.SCRIPTED:
        siege.extension(f"{one.name}.configure", one.script)
        siege.system(one.name, {"name": one.name, "pids": MOST_PIDS}, "looker")
    siege.system("attacks", "attacks", "looker", BAIT_PORT=str(baits.port), BAIT_NAME=baits.name)
    siege.system("peaceful", "looker", WORD=word)


def _peaceful(ground: Ground, name: str, word: str) -> str:
    """Deploy a peaceful system alone; return its digest."""
    definitions = ground.definitions(name)
    definitions.extension("looker.configure", scripted.LOOKER)
    definitions.system("peaceful", "looker", WORD=word)
    return _digest(definitions.deploy())


def _digest(told: Told) -> str:
    deployments = [one for system in told.result.systems for one in system.deployments]
    found = [one.artifacts for one in deployments if one.name == "peaceful"]
    return found[0][0].sha256 if found and found[0] else "no result"


def _scripted(one: scripted.Scripted, told: Told) -> Finding:
    ends = told.outcomes(one.name, one.name)
    said = told.texts.get(one.name, "")
    is_held = len(ends) == 1 and ends[0] in one.ends and one.says in said
    return _finding(one.group, one.name, "" if is_held else f"it ended {ends}: {said[-200:]!r}")


def _no_processes_left(told: Told) -> Finding:
    """What the steps before left would be seen by those after them."""
    lines = [line for text in told.texts.values() for line in text.splitlines()]
    counts = [int(line.split()[1]) for line in lines if line.startswith("processes: ")]
    trouble = "" if counts and max(counts) < MOST_PROCESSES else f"processes: {counts}"
    return _finding(scripted.LEFT, "no process is left when the next step begins", trouble)


def _not_believed(told: Told) -> Finding:
    """Forged events must have come as output, and not as events."""
    ends = [event for _, event in told.events if isinstance(event, wire.Finished)]
    believed = [event for event in ends if event.hint == scripted.FORGED]
    was_said = any(f'"hint":"{scripted.FORGED}"' in text for text in told.texts.values())
    trouble = "" if was_said and not believed else f"said: {was_said}, believed: {believed}"
    return _finding(scripted.AGENT, "forged events are taken for output", trouble)


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


def _finding(group: str, name: str, trouble: str) -> Finding:
    verdict: Verdict = "got through" if trouble else "contained"
    return Finding(family="extensions", group=group, name=name, verdict=verdict, evidence=trouble)
