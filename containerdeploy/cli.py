"""The front door: the verbs, and how errors are told."""

import gc
import os
import sys
from pathlib import Path
from typing import Any, Literal, NoReturn

import click

from containerdeploy import __version__, harmless
from containerdeploy.errors import EXIT_INTERRUPTED, DeployError
from containerdeploy.options import DIRECTORY, ENGINE, IMAGE, ISOLATION, WHAT, how, what

Verb = Literal["deploy", "upgrade"]
Isolation = Literal["auto", "strict", "rootless", "compat"]

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def main() -> NoReturn:
    """Run the command line and exit with its documented code."""
    gc.disable()  # loading modules makes no garbage; run_deploy, which lives long, turns it on
    try:
        code = cli.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException as err:
        err.show()
        sys.exit(err.exit_code)
    except DeployError as err:
        _tell(err)
        sys.exit(err.exit_code)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(EXIT_INTERRUPTED)


def _tell(err: DeployError) -> None:
    click.echo(f"containerdeploy: {harmless.line(err.brief)}", err=True)
    for line in (err.details or "").splitlines():
        click.echo(f"  {harmless.line(line)}", err=True)
    if err.hint:
        click.echo(f"  try: {harmless.line(err.hint)}", err=True)


def _say(text: str) -> None:
    """Print what may quote definitions and helpers: nothing in it acts on a terminal."""
    click.echo(harmless.lines(text))


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, message="containerdeploy %(version)s")
def cli() -> None:
    """Deploy systems: configure a root file system in isolation, write it where it can run.

    Exit codes: 0 all is deployed, 1 a deployment failed, 2 definitions or usage, 3 the engine,
    130 interrupted.
    """


def _options(verb: Verb, given: dict[str, Any]) -> Any:
    """Build the planner's options from the shared arguments, which are taken out of `given`."""
    from containerdeploy.commands.words import options

    return options(verb, os.environ, **{name: given.pop(name) for name in WHAT})


def _deploy(verb: Verb, cluster: Path, definitions: Path | None, given: dict[str, Any]) -> int:
    from containerdeploy.commands.deploy import Manner, run_deploy

    options = _options(verb, given)
    return run_deploy(cluster, definitions, options, Manner(**given))


@cli.command()
@what
@how
def deploy(cluster: Path, definitions: Path | None, **given: Any) -> int:
    """Deploy the systems of CLUSTER, or the named deployments of it."""
    return _deploy("deploy", cluster, definitions, given)


@cli.command()
@what
@how
def upgrade(cluster: Path, definitions: Path | None, **given: Any) -> int:
    """Upgrade what CLUSTER deployed before (upgrade-type, upgrade-location)."""
    return _deploy("upgrade", cluster, definitions, given)


@cli.command()
@what
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--upgrade", "verb", flag_value="upgrade", help="What `upgrade` would do.")
@ENGINE
def plan(
    cluster: Path,
    definitions: Path | None,
    as_json: bool,
    verb: Verb | None,
    engine: str,
    **given: Any,
) -> None:
    """Show all that a deploy would do; nothing is started."""
    from containerdeploy import planning
    from containerdeploy.commands import plan as command

    planned = planning.prepare(cluster, definitions, _options(verb or "deploy", given))
    ids = command.image_ids(planned, engine)
    _say(command.to_json_text(planned, ids) if as_json else command.to_text(planned, ids))


@cli.command()
@what
@click.option("--upgrade", "verb", flag_value="upgrade", help="Whether `upgrade` could be done.")
def validate(cluster: Path, definitions: Path | None, verb: Verb | None, **given: Any) -> None:
    """Check CLUSTER and everything that it names."""
    from containerdeploy.commands.validate import run_validate

    _say(run_validate(cluster, definitions, _options(verb or "deploy", given)))


@cli.command()
@click.argument("cluster", type=click.Path(path_type=Path))
@click.option("--definitions", type=DIRECTORY, help="The root of the definitions.")
@click.option("--artifact", "artifacts", multiple=True, metavar="NAME=PATH", help="A source.")
@click.option(
    "--artifacts",
    "artifacts_dir",
    type=DIRECTORY,
    help="Where sources lie, called as their systems.",
)
@click.option("--output", type=DIRECTORY, help="Write below this directory, not beside the old.")
@click.option("--force", is_flag=True, help="Replace files of the native form that are there.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def migrate(cluster: Path, definitions: Path | None, **given: Any) -> None:
    """Write the native form of CLUSTER and its systems, sidecars for its extensions, a report."""
    from containerdeploy.commands.migrate import run_migrate

    _say(run_migrate(cluster, definitions, **given))


@cli.command("help-extensions")
@click.argument("name", required=False)
@click.option("--definitions", type=DIRECTORY, help="The root of the definitions.")
def help_extensions(name: str | None, definitions: Path | None) -> None:
    """List the extensions, or show the manual of one."""
    from containerdeploy.commands.help_extensions import run_help_extensions

    _say(run_help_extensions(name, definitions))


@cli.command()
@ENGINE
@IMAGE
def doctor(engine: str, image: str | None) -> int:
    """Tell what this machine and engine offer, and what to do about what is missing."""
    from containerdeploy.commands.doctor import run_doctor

    text, code = run_doctor(engine, image)
    _say(text)
    return code


@cli.command()
@ENGINE
@IMAGE
def cleanup(engine: str, image: str | None) -> None:
    """Remove what dead runs left behind; live runs keep what is theirs."""
    from containerdeploy.commands.cleanup import run_cleanup

    _say(run_cleanup(engine, image))


@cli.group()
def selftest() -> None:
    """Try for real what the product promises, on this machine and engine."""


@selftest.command()
@ENGINE
@IMAGE
@ISOLATION
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--control", is_flag=True, help="Attack WITHOUT the confinement: shows which attacks are real."
)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(["extensions", "artifacts", "archives", "resources"]),
    help="Only these attacks; may be said more than once.",
)
def isolation(
    engine: str,
    image: str | None,
    isolation: Isolation,
    only: tuple[str, ...],
    as_json: bool,
    control: bool,
) -> int:
    """Make every known attack on the isolation; exit 1 if anything gets through."""
    from containerdeploy.commands.selftest import run_isolation

    text, code = run_isolation(
        engine, image, isolation, only=only, as_json=as_json, control=control
    )
    _say(text)
    return code


@cli.group()
def store() -> None:
    """Look after the store: the sources that the engine has unpacked."""


@store.command("verify")
@ENGINE
@IMAGE
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def store_verify(engine: str, image: str | None, as_json: bool) -> int:
    """Compare what was unpacked with what was recorded of it; drop what is damaged."""
    from containerdeploy.commands.store import run_verify

    return run_verify(engine, image, as_json=as_json, say=_say)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def runs(as_json: bool) -> int:
    """List the runs that there are records of, the newest first."""
    from containerdeploy import places
    from containerdeploy.commands.runs import runs as command

    return command(places.home(), sys.stdout, as_json=as_json)


@cli.command()
@click.argument("run", default="last")
@click.option("--changes", is_flag=True, help="Every path that the steps changed.")
@click.option("--log", metavar="STEP", help="The whole log of a step.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(run: str, changes: bool, log: str | None, as_json: bool) -> int:
    """Show the record of RUN: its id, the start of it, or `last`."""
    from containerdeploy import places
    from containerdeploy.commands.show import show as command

    home = places.home()
    return command(home, run, sys.stdout, changes=changes, log=log, as_json=as_json)
