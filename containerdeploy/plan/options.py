"""What planning starts from besides the definitions: the caller's options, and what was found."""

from collections.abc import Mapping
from pathlib import Path

from containerdeploy.errors import Problem
from containerdeploy.extension import Extension, ExtensionKind, Fault
from containerdeploy.frozen import NOTHING, frozen
from containerdeploy.plan.model import Isolation, Verb
from containerdeploy.policy import Policy
from containerdeploy.source import Located, NotFound


@frozen
class Options:
    """What the command line asked for.

    `assignments` are the words NAME.KEY=VALUE, `artifacts` the words SYSTEM=PATH, `env` the values
    of the names given with --env, `grants` the words NAME=loop. With `partial` only components are
    deployed, and `artifacts` are the words COMPONENT=PATH. `policy` is a file that can only tighten
    what the operator's and the user's own allow. `output_dir` is where relative locations
    begin, None the current directory.
    """

    verb: Verb = "deploy"
    deployments: tuple[str, ...] = ()
    assignments: tuple[str, ...] = ()
    env: Mapping[str, str] = NOTHING
    artifacts: tuple[str, ...] = ()
    artifacts_dir: Path | None = None
    output_dir: Path | None = None
    partial: bool = False
    grants: tuple[str, ...] = ()
    policy: Path | None = None
    image: str | None = None
    timeout_s: float | None = None
    source_date_epoch: int | None = None
    isolation: Isolation = "auto"
    runtime: str = ""

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.deployments)


@frozen
class Catalogue:
    """What was found on disk for a cluster.

    Extensions by name and kind (a check by its write extension's name), sources by the path of
    their system's file, components by name; `problems` are those of sidecars.
    """

    extensions: Mapping[tuple[str, ExtensionKind], Extension | Fault]
    sources: Mapping[Path, Located | NotFound]
    components: Mapping[str, Located | NotFound] = NOTHING
    problems: tuple[Problem, ...] = ()
    definitions_version: str = ""
    policy: Policy = Policy(ground=Path("policy.yaml"))
