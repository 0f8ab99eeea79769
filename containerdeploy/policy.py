"""The operator's policy: which extensions may have a privilege that they ask for; default none.

# /etc/containerdeploy/policy.yaml
grants:
  loop:
    - sha256: 3f786850e387550fdab836ed7e6dc881de23001b27bb1f8bb2a2a0e5d0d5a3c7
    - path: /srv/definitions/extensions/rawdisk.write
      devices: 8
"""

import os
import re
import stat
from pathlib import Path
from typing import Literal

from containerdeploy import document
from containerdeploy.document import Complaints, Fields, Node
from containerdeploy.errors import UsageError
from containerdeploy.frozen import frozen

Grant = Literal["loop"]
GRANTS: tuple[Grant, ...] = ("loop",)
LOOP_DEVICES = 4
_DIGEST = re.compile(r"[0-9a-f]{64}")


@frozen
class Rule:
    """An extension, by the digest of its bytes or by its path, and how many devices it may have."""

    sha256: str | None = None
    path: Path | None = None
    devices: int = LOOP_DEVICES


@frozen
class Policy:
    """What a policy file allows; one that isn't there allows nothing."""

    path: Path
    loop: tuple[Rule, ...] = ()

    def loop_devices(self, sha256: str, path: Path) -> int:
        """Return how many loop devices an extension may have at a time, 0 for none."""
        fits = (rule for rule in self.loop if rule.sha256 == sha256 or _is_same(rule.path, path))
        return max((rule.devices for rule in fits), default=0)


def read_policy(path: Path, definitions: Path) -> Policy:
    """Read a policy file; raise UsageError for one that others could have written.

    An empty one allows nothing. Raises UsageError with everything that is wrong in it, too.
    """
    if path.resolve().is_relative_to(definitions.resolve()):
        raise UsageError(
            f"the policy {path} lies in the definitions, which it is there to judge",
            hint="keep it where only the operator of this machine writes",
        )
    try:
        found = path.stat()
    except FileNotFoundError:
        return Policy(path=path)
    except OSError as err:
        raise UsageError(f"the policy {path} can't be read", details=str(err)) from err
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"the policy {path} is no regular file")
    if found.st_uid not in (0, os.geteuid()) or stat.S_IMODE(found.st_mode) & 0o022:
        raise UsageError(
            f"the policy {path} could have been written by others",
            details=f"mode {stat.S_IMODE(found.st_mode):04o}, owner {found.st_uid}",
            hint="let it belong to root or to you, and run chmod go-w on it",
        )
    return Policy(path=path) if _says_nothing(path) else _parsed(path)


def _says_nothing(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        return all(line.strip()[:1] in ("", "#") for line in file)


def _parsed(path: Path) -> Policy:
    node, problems = document.read(path, document.shown(path))
    complaints = Complaints()
    complaints.extend(problems)
    rules = _grants(node, complaints) if node is not None else ()
    if complaints.problems:
        lines = "\n".join(map(str, complaints.taken()))
        raise UsageError(f"the policy {path} can't be used", details=lines)
    return Policy(path=path, loop=rules)


def _grants(node: Node, complaints: Complaints) -> tuple[Rule, ...]:
    fields = Fields(node, "a policy", complaints)
    fields.only(("grants",))
    grants = fields.node("grants")
    if grants is None:
        return ()
    below = Fields(grants, "'grants'", complaints)
    below.only(GRANTS)
    return tuple(_rule(item, complaints) for item in below.items("loop", "extensions"))


def _rule(node: Node, complaints: Complaints) -> Rule:
    fields = Fields(node, "a rule", complaints)
    fields.only(("sha256", "path", "devices"))
    sha256, path = fields.text("sha256"), fields.text("path")
    if (sha256 is None) == (path is None):
        complaints.add(fields.at, "a rule needs either 'sha256' or 'path' of an extension")
    if sha256 is not None and not _DIGEST.fullmatch(sha256):
        complaints.add(fields.at, f"{sha256!r} is no SHA-256: 64 digits from 0 to 9 and a to f")
    if path is not None and not Path(path).is_absolute():
        complaints.add(fields.at, f"the path {path!r} is not absolute")
    return Rule(
        sha256=sha256,
        path=Path(path) if path is not None else None,
        devices=fields.count("devices") or LOOP_DEVICES,
    )


def _is_same(allowed: Path | None, path: Path) -> bool:
    return allowed is not None and allowed.resolve() == path.resolve()
