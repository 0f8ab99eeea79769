"""The command line's words to the planner's options."""

from collections.abc import Mapping
from pathlib import Path

from containerdeploy.errors import UsageError
from containerdeploy.plan import Isolation, Options, Verb
from containerdeploy.planning import chosen_environment

EPOCH = "SOURCE_DATE_EPOCH"


def options(
    verb: Verb,
    environment: Mapping[str, str],
    *,
    words: tuple[str, ...],
    artifacts: tuple[str, ...],
    artifacts_dir: Path | None,
    names: tuple[str, ...],
    partial: bool,
    grants: tuple[str, ...],
    output_dir: Path | None,
    image: str | None,
    timeout_s: float | None,
    isolation: Isolation,
    runtime: str | None,
    policy: Path | None = None,
) -> Options:
    """Sort the words: one with `=` assigns, any other names a deployment."""
    if timeout_s is not None and not timeout_s > 0:
        raise UsageError(f"--timeout {timeout_s:g}: seconds must be more than 0")
    return Options(
        verb=verb,
        deployments=tuple(word for word in words if "=" not in word),
        assignments=tuple(word for word in words if "=" in word),
        env=chosen_environment(names, environment),
        artifacts=artifacts,
        artifacts_dir=artifacts_dir,
        partial=partial,
        grants=grants,
        policy=policy,
        output_dir=output_dir,
        image=image,
        timeout_s=timeout_s,
        isolation=isolation,
        runtime=runtime or "",
        source_date_epoch=_epoch(environment),
    )


def _epoch(environment: Mapping[str, str]) -> int | None:
    """Read SOURCE_DATE_EPOCH (reproducible-builds.org), seconds since 1970."""
    text = environment.get(EPOCH)
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise UsageError(f"{EPOCH}={text!r}: not a number of seconds since 1970")
    return int(text)
