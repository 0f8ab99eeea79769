"""Arguments and options that several verbs share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
DIRECTORY = click.Path(path_type=Path, file_okay=False)
ENGINE = click.option(
    "--engine", default="auto", show_default=True, metavar="auto|docker|local|URL"
)
IMAGE = click.option("--image", help="The helper image.")
ARTIFACTS = click.option(
    "--artifacts",
    "artifacts_dir",
    type=DIRECTORY,
    help="Where sources lie, called as their systems.",
)
POLICY = click.option(
    "--policy",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A policy file that holds too; it can only tighten.",
)
ISOLATION = click.option(
    "--isolation",
    type=click.Choice(["auto", "strict", "rootless", "compat"]),
    default="auto",
    show_default=True,
    help="The mode that extensions are held in, or nothing is done.",
)
_HOLDING = (
    ISOLATION,
    click.option("--runtime", metavar="NAME", help="One of the engine's runtimes: runsc, kata …"),
    click.option("--timeout", "timeout_s", type=float, help="Seconds for each extension."),
)
WHAT = (
    *("words", "artifacts", "artifacts_dir", "names", "partial", "grants", "output_dir", "image"),
    *("timeout_s", "isolation", "runtime", "policy"),
)


def what(command: Command) -> Command:
    """Arguments and options that say what to deploy."""
    for decorate in (
        click.argument("words", nargs=-1, metavar="[DEPLOYMENT]... [NAME.KEY=VALUE]..."),
        click.argument("cluster", type=click.Path(path_type=Path)),
        click.option("--definitions", type=DIRECTORY, help="The root of the definitions."),
        click.option(
            "--artifact",
            "artifacts",
            multiple=True,
            metavar="NAME=PATH",
            help="A system's source; with --partial a component's.",
        ),
        ARTIFACTS,
        click.option(
            "--env", "names", multiple=True, metavar="NAME", help="Take NAME from the environment."
        ),
        click.option(
            "--partial", is_flag=True, help="Deploy partial-deploy-components, unconfigured."
        ),
        POLICY,
        click.option(
            "--grant",
            "grants",
            multiple=True,
            metavar="NAME=loop",
            help="Ask for loop devices for an extension.",
        ),
        click.option("--output-dir", type=DIRECTORY, help="Where relative locations begin."),
        click.option(
            "--image", help="The helper image, instead of the systems' own; `legacy` has Python 2."
        ),
        *_HOLDING,
    ):
        command = decorate(command)
    return command


def how(command: Command) -> Command:
    """Options that say how to carry it out."""
    for decorate in (
        ENGINE,
        click.option("--jobs", type=click.IntRange(1), help="Systems side by side."),
        click.option(
            "--fail-fast/--keep-going", default=False, help="Stop at the first failure, or go on."
        ),
        click.option(
            "--progress",
            type=click.Choice(["auto", "rich", "plain", "json", "quiet"]),
            default="auto",
            show_default=True,
        ),
        click.option(
            "--events",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Write every event to a file, as JSON lines.",
        ),
    ):
        command = decorate(command)
    return command
