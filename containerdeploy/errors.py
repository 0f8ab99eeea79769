"""The errors that reach a user: what happened, the evidence, what to do now, and the exit code."""

from collections.abc import Sequence

from containerdeploy.frozen import frozen

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_ENGINE = 3
EXIT_INTERRUPTED = 130


class DeployError(Exception):
    """A failure with words for the user; every expected failure of the program is one.

    `brief` is one sentence that starts low and ends without a stop, `details` is the evidence (may
    have several lines), `hint` is what to do now.
    """

    exit_code = EXIT_FAILED

    def __init__(self, brief: str, *, details: str | None = None, hint: str | None = None) -> None:
        super().__init__(brief)
        self.brief = brief
        self.details = details
        self.hint = hint


class UsageError(DeployError):
    """The command line asks for something that makes no sense."""

    exit_code = EXIT_USAGE


@frozen
class Problem:
    """One complaint about a place in a file the user wrote; line and column count from 1."""

    path: str
    line: int
    column: int
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.path}:{self.line}:{self.column}: {self.message}{hint}"


def _by_place(problem: Problem) -> tuple[str, int, int, str]:
    return problem.path, problem.line, problem.column, problem.message


class DefinitionError(DeployError):
    """Definitions that can't be used: all problems found, each with its place."""

    exit_code = EXIT_USAGE

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(set(problems), key=_by_place))
        count = len(self.problems)
        super().__init__(
            f"{count} problem{'' if count == 1 else 's'} in the definitions",
            details="\n".join(map(str, self.problems)),
        )


class PlanError(DeployError):
    """Definitions that load but can't be carried out as asked."""

    exit_code = EXIT_USAGE


class SourceError(DeployError):
    """A system's source is missing, unreadable or not what its digest says."""

    exit_code = EXIT_FAILED


class EngineError(DeployError):
    """The container engine refused or failed; `transient` says whether asking again may help."""

    exit_code = EXIT_ENGINE

    def __init__(
        self,
        brief: str,
        *,
        details: str | None = None,
        hint: str | None = None,
        transient: bool = False,
    ) -> None:
        super().__init__(brief, details=details, hint=hint)
        self.transient = transient


class Stillborn(EngineError):
    """A container ended before its program began; another one may well live."""


class EngineUnreachable(EngineError):
    """Nothing answers where the engine should be."""


class ImageMissing(EngineError):
    """The engine does not have the helper image."""


class Unfit(EngineError):
    """The place that the engine gives a helper lacks what the run asks for; nothing was done."""


class ProtocolError(DeployError):
    """What came back from a helper is not what an agent says; treated as hostile."""


class Interrupted(DeployError):
    """The user stopped the run."""

    exit_code = EXIT_INTERRUPTED
