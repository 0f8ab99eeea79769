"""What to try after a step failed, from its outcome and from what it said last."""

import re

from containerdeploy.report import missing
from containerdeploy.result import DeploymentResult, StepResult

_NO_NETWORK = re.compile(
    "temporary failure in name resolution|could not resolve|couldn't resolve|unable to resolve|"
    "name or service not known|no address associated with hostname|nodename nor servname|"
    "network is unreachable|network is down|bad address '|unknown host",
    re.IGNORECASE,
)
_NO_LOOP = re.compile(
    r"losetup: cannot find an unused loop device|"
    r"\b(?:losetup|mount|umount): (?:command )?not found$|"
    r"\bmount: .*(?:permission denied|operation not permitted|must be superuser|loop device)",
    re.IGNORECASE | re.MULTILINE,
)
_BY_OUTCOME = {
    "timed out": "give it more time with --timeout, or with `timeout:` beside the extension's name "
    "in the system file",
    "idle": "it said nothing for too long; raise `idle-timeout:` beside the extension's name in "
    "the system file, or let it say something now and then",
    "out of memory": "give it more with `memory:` beside the extension's name in the system file, "
    "or free some on the engine's host",
    "too much output": "let it say less, or raise `max-output:` beside the extension's name in "
    "the system file",
    "out of disk": "let it write less (what it left is gone already), raise `disk:` beside the "
    "extension's name in the system file, or make room where the store and the results lie",
    "too many processes": "raise `pids:` beside the extension's name in the system file, or let it "
    "do less at once",
    "policy violation": "if it is meant to change that, add the paths to `writes:` in its sidecar, "
    "those of privileged files to `privileged-files:`; nothing of what it changed was kept",
    "killed": "the engine's host may be short of memory, or somebody ended it; look there, then "
    "run it again",
    "cannot start": "is its first line (`#!`) right, and is that interpreter in the helper image? "
    "name another image with --image or `image:` in the system file",
}
_BY_EXIT_CODE = {
    127: "a program that it calls is not in the helper image (its last lines name it); use an "
    "image that has it, with --image or `image:` in the system file",
    126: "a program that it calls can't be executed (its last lines name it); is it executable, "
    "and for this architecture?",
}
_READ = "read what the step said, then mend the parameter or the extension"
_DECLARE_NETWORK = (
    "extensions have no network unless they declare it: write `network: full`, or a "
    "list of hosts, beside the extension's name in the system file, or in its sidecar"
)
_LIST_HOSTS = (
    "it reaches only the hosts that its `network` lists: add what it needs there, in the system "
    "file or its sidecar (`containerdeploy show last` has every connection that was refused)"
)
_ASK_FOR_LOOP = (
    "extensions can't mount, but write extensions may be granted loop devices: ask with "
    "`--grant NAME=loop` or `grants: [loop]` in the sidecar; the operator's policy has to allow it"
)


def advise(deployment: DeploymentResult) -> list[str]:
    """Return what to try, the likeliest first."""
    step = deployment.failed_step
    hints = _for_step(step) if step else []
    if deployment.hint:
        hints.append(deployment.hint)
    if step and not hints:
        hints.append(_READ)
    return hints


def _for_step(step: StepResult) -> list[str]:
    hints = []
    is_cut_off = any(_NO_NETWORK.search(tail) for tail in step.tails.values())
    if step.traffic is not None and (is_cut_off or step.traffic.refused):
        hints.append(_LIST_HOSTS)
    elif is_cut_off:
        hints.append(_DECLARE_NETWORK)
    lacking = missing.hints(step.tails.values()) if step.outcome == "failed" else []
    if any(_NO_LOOP.search(tail) for tail in step.tails.values()):
        lacking.append(_ASK_FOR_LOOP)
    hints += lacking
    if step.outcome in _BY_OUTCOME:
        hints.append(_BY_OUTCOME[step.outcome])
    elif step.exit_code in _BY_EXIT_CODE and not lacking:
        hints.append(_BY_EXIT_CODE[step.exit_code])
    return hints
