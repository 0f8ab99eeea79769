"""deploy and upgrade: plan, open the engine, run, show, say how it ended."""

import gc
import platform
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import containerdeploy
from containerdeploy import deploy, places, planning, report
from containerdeploy.commands import plan as plan_command
from containerdeploy.engine.choose import open_engine
from containerdeploy.frozen import frozen
from containerdeploy.plan import Options
from containerdeploy.result import RunResult

Progress = Literal["auto", "rich", "plain", "json", "quiet"]


@frozen
class Manner:
    """How to carry a plan out; `jobs` None means as many as there are processors."""

    engine: str = "auto"
    jobs: int | None = None
    fail_fast: bool = False
    progress: Progress = "auto"
    events: Path | None = None


def run_deploy(cluster: Path, definitions: Path | None, options: Options, manner: Manner) -> int:
    """Deploy and return the exit code; raises DeployError before anything has been started."""
    plan = planning.prepare(cluster, definitions, options)
    if options.output_dir is not None:
        options.output_dir.mkdir(parents=True, exist_ok=True)
    home = places.home()
    with ExitStack() as stack:
        chosen = open_engine(manner.engine, home)
        stack.callback(chosen.engine.close)
        reporters: list[report.Reporter] = [report.choose(manner.progress, sys.stdout)]
        if manner.events is not None:
            reporters.append(report.EventsFile(manner.events))
        settings = deploy.Settings(
            home=home,
            store=places.store(),
            jobs=manner.jobs or deploy.default_jobs(),
            fail_fast=manner.fail_fast,
            plan_json=plan_command.to_json(plan),
            versions={
                "containerdeploy": containerdeploy.__version__,
                "python": platform.python_version(),
                "definitions": plan.definitions_version,
            },
            why_engine=chosen.why,
        )
        result = RunResult()
        gc.enable()
        try:
            result = deploy.deploy(plan, chosen.engine, settings, reporters)
        finally:
            for reporter in reporters:
                reporter.close(result)
    return result.exit_code or 0
