"""Where containerdeploy keeps what outlives a run: records, caches, the name of the store."""

import os
from collections.abc import Mapping
from pathlib import Path

HOME_VARIABLE = "CONTAINERDEPLOY_HOME"
POLICY_VARIABLE = "CONTAINERDEPLOY_POLICY"
OPERATORS_POLICY = Path("/etc/containerdeploy/policy.yaml")
STORE_VARIABLE = "CONTAINERDEPLOY_STORE"
DEFAULT_STORE = "containerdeploy-store"


def home(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the directory for records, caches and the local engine's store.

    $CONTAINERDEPLOY_HOME, else /var/lib/containerdeploy for root, else below the user's state
    directory (XDG base directory specification).
    """
    if chosen := environment.get(HOME_VARIABLE):
        return Path(chosen).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/containerdeploy")
    state = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return Path(state) / "containerdeploy"


def own_policy(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the user's own policy file, which need not exist; OPERATORS_POLICY holds beside it.

    $CONTAINERDEPLOY_POLICY, else below the user's configuration directory (XDG base directory
    specification); root's own is the operator's. No environment can move the operator's file away:
    what it says holds for everyone, and where it is missing a user is their own operator.
    """
    if chosen := environment.get(POLICY_VARIABLE):
        return Path(chosen).absolute()
    if os.geteuid() == 0:
        return None
    configuration = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(configuration) / "containerdeploy/policy.yaml"


def store(environment: Mapping[str, str] = os.environ) -> str:
    """Return the name of the engine's store volume: $CONTAINERDEPLOY_STORE or the usual one."""
    return environment.get(STORE_VARIABLE) or DEFAULT_STORE
