"""What a hostile archive is: its bytes, what must become of it, and what harm it does elsewhere."""

from collections.abc import Callable
from typing import Literal

from containerdeploy import wire
from containerdeploy.frozen import frozen

# What an unpacker without protection lets it do.
Harm = Literal[
    "escapes",  # something beside the target is made, changed or given other rights
    "works",  # a device, a set-user-id program or a capability lies there, ready for use
    "hides",  # overlayfs takes it for a mark of its own
    "fills",  # it takes up more than it is worth
    "swallowed",  # it is damaged or ambiguous, and nobody is told
    "hangs",  # the unpacker never comes to an end
    "breaks",  # the unpacker itself fails with an error that is none of its own
]
# Python's tarfile without a filter, or GNU tar with -P, as root.
Naive = Literal["tarfile", "tar"]
Make = Callable[[], bytes]


@frozen
class Hostile:
    """An archive. It is unpacked as GNU tar does in an empty directory, or refused.

    `refused` is what the refusal says if it is a rule of ours, nothing where GNU tar's own end
    decides; `rootless` the same for who is no root of the host, where that differs. `harm` is what
    comes of it in the control, in the hands of `naive`; None with the reason in `why_no_harm`.
    `needs_root` says that only the host's root can make what does harm. Of the path `varies` GNU
    tar itself makes now this and now that: it knows a link's stand-in by its inode's number, which
    the next file may get.
    """

    name: str
    what: str
    make: Make
    compression: wire.Compression = "none"
    refused: str = ""
    rootless: str | None = None
    harm: Harm | None = None
    why_no_harm: str = ""
    naive: Naive = "tarfile"
    needs_root: bool = False
    varies: str = ""
    max_bytes: int = 32 << 20
    max_members: int = 5000


def hostile(make: Make, harm: Harm | None, why_no_harm: str = "", **rest: object) -> Hostile:
    """Call an archive by its function's name, and take its sentence from there."""
    values: dict[str, object] = {"harm": harm, "why_no_harm": why_no_harm, **rest}
    what = (make.__doc__ or "").rstrip(".")
    return Hostile(name=make.__name__, what=what, make=make, **values)  # type: ignore[arg-type]
