"""What `git describe` says of the definitions, without trusting the repository's settings."""

import os
import subprocess
from pathlib import Path

_TIMEOUT_S = 5.0
# Nothing that a repository's own configuration names is run: no hooks, no monitor, no transport.
_QUIET = (
    "safe.directory=*",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "protocol.allow=never",
)


def describe_version(root: Path) -> str:
    """Return `git describe` of the definitions root, or "" where it is no git checkout.

    `-dirty` follows a changed checkout, but only where the checkout is the caller's own: looking
    for changes runs the filters that a repository configures.
    """
    mark = root / ".git"
    try:
        is_own = mark.stat().st_uid == os.geteuid()
    except OSError:
        return ""
    argv = ["git", *(word for item in _QUIET for word in ("-c", item))]
    argv += ["-C", str(root), "describe", "--always", *(["--dirty"] if is_own else [])]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            env=_environment(),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""


def _environment() -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LC_ALL": "C",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
