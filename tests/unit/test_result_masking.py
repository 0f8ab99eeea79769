"""Secret values never leave the hall, however a log is cut into pieces."""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence

import pytest
from run_story import heard

from containerdeploy import wire
from containerdeploy.result import Happening, Heard, Masking, SystemFinished

SECRET = "open sesame"
KEY = "-----BEGIN KEY-----\nMIIEogIBAAKC\nqw==\n-----END KEY-----\n"


def log(text: str, *, partial: bool = False, stream: str = "stdout") -> wire.Log:
    return wire.Log(step="s", stream=stream, text=text, partial=partial)  # type: ignore[arg-type]


def told(secrets: Iterable[str], *events: wire.Event) -> list[Happening]:
    masking = Masking(secrets)
    return [one for happening in heard(*events) for one in masking.take(happening)]


def said(happenings: Sequence[Happening], stream: str = "stdout") -> str:
    logs = [one.event for one in happenings if isinstance(one, Heard)]
    mine = [one for one in logs if isinstance(one, wire.Log) and one.stream == stream]
    return "".join(one.text + ("" if one.partial else "\n") for one in mine)


def pieces(text: str, size: int) -> list[wire.Event]:
    return [log(text[i : i + size], partial=True) for i in range(0, len(text), size)]


END = wire.StepFinished(step="s", outcome="ok")


@pytest.mark.parametrize("size", range(1, 20))
def test_a_secret_is_masked_wherever_the_log_is_cut(size: int) -> None:
    text = f"the word is {SECRET}, again: {SECRET}{SECRET}. open ses"
    found = said(told([SECRET], *pieces(text, size), END))
    assert found == "the word is (secret), again: (secret)(secret). open ses"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_secret_of_several_lines_is_masked_whole_and_line_by_line(size: int) -> None:
    text = f"[{KEY}]\n> MIIEogIBAAKC\n"
    found = said(told([KEY], *pieces(text, size), END))
    assert found == "[(secret)\n]\n> (secret)\n"


def test_lines_in_events_of_their_own_are_one_text() -> None:
    found = told([KEY], *(log(line) for line in KEY.splitlines()), END)
    assert "qw==" not in said(found)
    assert said(found) == "(secret)\n"


def test_secrets_that_overlap_or_begin_alike_leave_nothing() -> None:
    secrets = ["abcdef", "abcdefghi", "efghijkl"]
    for size in range(1, 14):
        assert said(told(secrets, *pieces("-abcdefghijkl-abcdef-", size), END)) == (
            "-(secret)-(secret)-"
        )


def test_streams_do_not_run_into_each_other() -> None:
    events = [log("open ", partial=True), log("sesame", stream="stderr"), log("door"), END]
    found = told([SECRET], *events)
    assert said(found) == "open door\n"
    assert said(found, "stderr") == "sesame\n"


def test_what_is_held_back_comes_before_the_end_of_its_step_or_system() -> None:
    step = told([SECRET], log("open s", partial=True), END)
    assert [type(one.event) for one in step if isinstance(one, Heard)] == [
        wire.Log,
        wire.StepFinished,
    ]
    masking = Masking([SECRET])
    assert not list(masking.take(*heard(log("open s", partial=True))))
    end = list(masking.take(SystemFinished(system="web", outcome="failed")))
    assert said(end) == "open s"
    assert isinstance(end[-1], SystemFinished)


NASTY = 'it\'s a "pa\\ss" wörd'
PRINTERS = [
    [sys.executable, "-c", "import json, os; print(json.dumps([os.environ['P']]))"],
    [sys.executable, "-c", "import os; print([os.environ['P']], [os.environb[b'P']])"],
    ["bash", "-xc", ': "$P"'],
    [sys.executable, "-c", "import os, shlex; print(shlex.quote(os.environ['P']))"],
]


@pytest.mark.parametrize("argv", PRINTERS, ids=["JSON", "Python", "bash", "shlex"])
def test_a_secret_between_quotes_is_masked_as_programs_print_it(argv: list[str]) -> None:
    if not shutil.which(argv[0]):
        pytest.skip(f"there is no {argv[0]}")
    environment = {"P": NASTY, "LC_ALL": "C.UTF-8"}
    ran = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    printed = ran.stdout + ran.stderr
    assert NASTY not in printed, "it is printed in another form"
    found = said(told([NASTY], log(printed), END))
    assert "(secret)" in found and '"pa' not in found


def test_short_values_stay_for_they_stand_everywhere() -> None:
    assert said(told(["yes", "12345"], log("yes, 12345"))) == "yes, 12345\n"


def test_a_run_without_secrets_is_told_as_it_comes() -> None:
    happenings = heard(log("a", partial=True), END)
    masking = Masking([])
    assert [one for h in happenings for one in masking.take(h)] == happenings


def test_errors_paths_and_details_are_masked_too() -> None:
    change = wire.Change(kind="added", path=f"etc/{SECRET}", detail=f"-> {SECRET}")
    events = [
        wire.Changed(step="s", changes=(change,)),
        wire.StepFinished(step="s", outcome="failed", detail=f"no {SECRET}"),
        wire.Finished(outcome="failed", error=f"no {SECRET}", hint=f"use {SECRET}"),
    ]
    assert SECRET not in str(told([SECRET], *events))
    end = SystemFinished(system="web", outcome="failed", brief=SECRET, details=SECRET, hint=SECRET)
    assert SECRET not in str(list(Masking([SECRET]).take(end)))
