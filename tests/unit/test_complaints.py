"""tar's words tell what can be put up with from what can't, whatever names are among them."""

import pytest

from containerdeploy.agent.complaints import Complaints

PARTING = "tar: Exiting with failure status due to previous errors\n"
DEVICE = "/usr/bin/tar: dev/null: Cannot mknod: Operation not permitted\n"
OWNER = "tar: x: Cannot change ownership to uid 5, gid 7: Invalid argument\n"


def harmless(text: str, *, rootless: bool = True) -> bool:
    complaints = Complaints(rootless=rootless)
    for first in range(0, len(text), 7):
        complaints.hear(text[first : first + 7])
    return complaints.are_harmless


@pytest.mark.parametrize("text", [DEVICE, OWNER * 3000, DEVICE + OWNER])
def test_what_an_ordinary_user_cannot_have_is_put_up_with(text: str) -> None:
    leading = "tar: Removing leading `/' from member names\n"
    assert harmless(leading + text + PARTING)
    assert not harmless(leading + text + PARTING, rootless=False)


def test_warnings_among_losses_change_nothing() -> None:
    attribute = "Cannot set 'security.ima' extended attribute for file 'x': Operation not permitted"
    warnings = ["Removing leading `../' from hard link targets", f"setxattrat: {attribute}"]
    warnings += ["x: implausibly old time stamp 1901-12-13", "A lone zero block at 7"]
    assert harmless("".join(f"tar: {line}\n" for line in warnings) + DEVICE + PARTING)


@pytest.mark.parametrize(
    "line",
    [
        "tar: x: Cannot open: File exists",
        "tar: dev/null: Cannot mknod: Operation not permitted: Cannot open: File exists",
        "tar: Child returned status 2",
        "tar: Unexpected EOF in archive",
        "tar: x: Cannot mknod: No space left on device",
        "zstd: error 70",
        "x" * 100_000,
    ],
)
def test_anything_else_counts_wherever_it_stands(line: str) -> None:
    assert not harmless(f"{line}\n{DEVICE * 2000}{PARTING}")
    assert not harmless(f"{DEVICE * 2000}{line}\n{PARTING}")


def test_a_bad_end_without_a_word_is_not_harmless() -> None:
    assert not harmless("")
    assert not harmless(PARTING)
