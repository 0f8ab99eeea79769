"""The family of hogs: extensions that use up what others need, beside one that wants little."""

from collections.abc import Iterator, Mapping

from containerdeploy import wire
from containerdeploy.frozen import frozen
from containerdeploy.selftest import attacks
from containerdeploy.selftest.finding import Finding, Verdict
from containerdeploy.selftest.ground import Ground, Told

HOG = "hog"
NEIGHBOUR = "#!/bin/sh\nfor n in 1 2 3 4 5; do echo $n >> $1/etc/motd; sleep 0.2; done\n"
Limits = Mapping[str, str | int]
# One short set for all: a hog takes three times as much, of one thing.
LIMITS: Limits = {
    "timeout": "1m",
    "memory": "64M",
    "pids": 64,
    "disk": "8M",
    "max-output": "1M",
}
NO_LIMITS: Limits = {"timeout": "1h", "pids": 4096, "max-output": "1G"}
Ends = tuple[wire.Outcome, ...]


@frozen
class Resource:
    """What is used up, by which attacks, and how a step that does it has to end.

    `group` names the control group that it takes: an agent without one says so in every run.
    """

    name: str
    attacks: tuple[str, ...]
    ends: Ends
    group: str = ""


RESOURCES = (
    Resource(
        name="memory",
        attacks=("anonymous_memory",),
        ends=("out of memory", "failed"),
    ),
    Resource(
        name="memory",
        attacks=(
            *("page_tables", "files_in_memory", "files_of_no_file_system"),
            *("buffers_of_sockets", "memory_of_many_processes"),
        ),
        ends=("out of memory",),
        group="memory",
    ),
    Resource(
        name="processes",
        attacks=("processes", "threads"),
        ends=("too many processes", "failed"),
    ),
    Resource(
        name="the disk",
        attacks=(
            *("large_file", "reserved_file", "file_without_a_name", "many_files"),
            *("moving_directory", "file_that_is_only_mapped", "file_of_one_thread"),
            *("file_on_its_way_through_a_socket", "file_in_a_connection_that_nobody_takes"),
            "file_of_threads_without_their_first",
        ),
        ends=("out of disk",),
    ),
    Resource(
        name="the record of what is said",
        attacks=("output", "one_endless_line", "log"),
        ends=("too much output",),
    ),
    Resource(name="time", attacks=("silence", "time_of_all_processors"), ends=("idle",)),
    Resource(
        name="time",
        attacks=("share_of_the_processors",),
        ends=("failed",),
        group="processors",
    ),
    Resource(name="time", attacks=("talkative_idling",), ends=("timed out",)),
)
# These need their time: they run beside the others, with limits of their own.
SLOW: Mapping[str, Limits] = {
    "silence": {"idle-timeout": "1s"},
    "time_of_all_processors": {"idle-timeout": "1s"},
    "talkative_idling": {"timeout": "1s"},
    "share_of_the_processors": {"cpu": "0.1"},
}


def attempt(ground: Ground) -> Iterator[Finding]:
    """Let everything be used up side by side, within limits, and see who notices."""
    told = _deploy(ground, "hogs", LIMITS, SLOW)
    for resource, name in _attacks(ground):
        ended = told.ends(name)
        is_held = len(ended) == 1 and ended[0].outcome in resource.ends
        words = "; ".join(f"{one.outcome}: {one.detail}" for one in ended) or "it never ran"
        yield _finding(resource, name, "contained" if is_held else "got through", words)
    ended = told.ends("neighbour")
    is_well = [one.outcome for one in ended] == ["ok"]
    yield Finding(
        family="resources",
        group="seen from outside",
        name="another system does not notice the hogs",
        verdict="contained" if is_well else "got through",
        evidence="" if is_well else str([f"{one.outcome}: {one.detail}" for one in ended]),
    )


def control(ground: Ground) -> Iterator[Finding]:
    """The same hogs with limits that they don't reach: what ends well is a hog for real."""
    told = _deploy(ground, "free-hogs", NO_LIMITS, {})
    for resource, name in _attacks(ground):
        ended = told.ends(name)
        is_real = [one.outcome for one in ended] == ["ok"]
        words = "; ".join(f"{one.outcome}: {one.detail}" for one in ended)
        yield _finding(resource, name, "got through" if is_real else "contained", words)


def _attacks(ground: Ground) -> Iterator[tuple[Resource, str]]:
    """Leave out what an agent says of itself that it can't hold."""
    for resource in RESOURCES:
        words = f"no control group for {resource.group}:"
        if not any(line.startswith(words) for line in ground.hello.weaker):
            yield from ((resource, name) for name in resource.attacks)


def _deploy(ground: Ground, where: str, limits: Limits, more: Mapping[str, Limits]) -> Told:
    definitions = ground.definitions(where)
    definitions.extension("hog.configure", attacks.files()["hog.configure"])
    definitions.extension("neighbour.configure", NEIGHBOUR)
    names = [name for _, name in _attacks(ground)]
    quick = [name for name in names if name not in SLOW]
    for system, members in ("quick", quick), *((name, [name]) for name in SLOW):
        deployments = {name: {"ATTACK": name} for name in members}
        use = {"name": HOG, **limits, **more.get(system, {})}
        definitions.system(system, use, deployments=deployments)
    definitions.system("neighbour", "neighbour")
    return definitions.deploy(jobs=2 + len(SLOW))


def _finding(resource: Resource, name: str, verdict: Verdict, evidence: str) -> Finding:
    return Finding(
        family="resources", group=resource.name, name=name, verdict=verdict, evidence=evidence
    )
