"""The command line's names and NAME.KEY=VALUE, held against the names that a cluster has."""

from collections.abc import Iterable, Mapping, Sequence

from containerdeploy.definition import Cluster
from containerdeploy.definition.cluster import COMPONENTS, check_setting_name
from containerdeploy.document import did_you_mean
from containerdeploy.errors import PlanError
from containerdeploy.plan.options import Options

Assignments = Mapping[str, Mapping[str, str]]
_ONLY_WRITTEN = ("can't be set here", "write it into the cluster, or give other --artifact's")


def split_words(words: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sort the words after CLUSTER into deployments' names and NAME.KEY=VALUE assignments."""
    all_words = tuple(words)
    names = tuple(word for word in all_words if "=" not in word)
    return names, tuple(word for word in all_words if "=" in word)


def read_arguments(cluster: Cluster, options: Options) -> Assignments:
    """Check selection and assignments; return values by deployment and key.

    Raises PlanError with everything that is wrong with either.
    """
    faults = list(_selection_faults(cluster, options))
    known = sorted({*cluster.deployment_names(), *cluster.subsystem_names()}, key=len, reverse=True)
    assignments: dict[str, dict[str, str]] = {}
    for word in options.assignments:
        found = split_assignment(word, known)
        if isinstance(found, str):
            faults.append(found)
        else:
            assignments.setdefault(found[0], {})[found[1]] = found[2]
    if faults:
        raise _error(faults)
    return assignments


def split_assignment(word: str, known: Sequence[str]) -> tuple[str, str, str] | str:
    """Split NAME.KEY=VALUE into its parts, or say what is wrong with it.

    A name may hold dots and be the beginning of another: `known` has the longest names first, and
    the first that fits wins; the value begins after the first `=` behind it.
    """
    for name in known:
        key, equals, value = word[len(name) + 1 :].partition("=")
        if word.startswith(name + ".") and equals and "." not in key:
            wrong = _ONLY_WRITTEN if key == COMPONENTS else check_setting_name(key)
            return _fault(word, *wrong) if wrong else (name, key, value)
    head, equals, _ = word.partition("=")
    name, dot, _ = head.rpartition(".")
    if not equals or not dot:
        return _fault(word, "is not NAME.KEY=VALUE", None)
    names = f"the deployments are: {', '.join(sorted(known))}" if known else None
    near = did_you_mean(_last(name), known) or names
    return _fault(word, f"there is no deployment {name!r}", near)


def _last(name: str) -> str:
    """Return what the definitions call what is shown as DEPLOYMENT/SUBSYSTEM."""
    return name.rpartition("/")[2]


def _selection_faults(cluster: Cluster, options: Options) -> Iterable[str]:
    known = cluster.deployment_names()
    subsystems = cluster.subsystem_names()
    for name in dict.fromkeys(options.deployments):
        if name in known:
            continue
        if _last(name) in subsystems:
            yield (
                f"{name!r} is a subsystem and can't be deployed by itself "
                "(deploy the system that holds it, or add a deployment of its own)"
            )
        else:
            hint = did_you_mean(name, known) or f"the deployments are: {', '.join(known)}"
            yield f"there is no deployment {name!r} in the cluster ({hint})"


def _fault(word: str, message: str, hint: str | None) -> str:
    shown = word.partition("=")[0] + "=…"  # the value may be a secret
    return f"{shown!r}: {message}" + (f" ({hint})" if hint else "")


def _error(faults: Sequence[str]) -> PlanError:
    if len(faults) == 1:
        return PlanError(faults[0])
    return PlanError(f"{len(faults)} problems in the arguments", details="\n".join(faults))
