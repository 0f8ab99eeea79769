"""Text that would act on a terminal, hide, or cover its neighbours is shown as its code."""

import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerdeploy import harmless


@pytest.mark.parametrize(
    "text",
    ["plain", "tab\tstop", "größe", "日本語", "ไทย", "שלום", "e\u0301", "a\u0323\u0302", "🙂", ""],
)
def test_what_people_write_stays(text: str) -> None:
    assert harmless.line(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b2J", "\\x9b2J"),
        ("a\r\nb", "a\\r\\nb"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("pay\u200bpal", "pay\\u200bpal"),
        ("\U000e0041", "\\U000e0041"),
        ("caf\udce9", "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("\ufeff\u00ad\u2066", "\\ufeff\\xad\\u2066"),
    ],
)
def test_what_acts_or_hides_is_shown_as_its_code(text: str, shown: str) -> None:
    assert harmless.line(text) == shown


def test_no_character_is_buried_under_marks() -> None:
    shown = harmless.line("a" + "\u0301" * 1000)
    assert shown.count("\u0301") == harmless.MOST_MARKS


@given(st.text(st.characters(), max_size=60))
def test_nothing_that_is_shown_controls_anything(text: str) -> None:
    shown = harmless.line(text).replace("\t", "")
    assert not any(unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") for one in shown)


def test_lines_stay_lines() -> None:
    assert harmless.lines("a\x07\nb\n") == "a\\x07\nb\n"


HOSTILE = "\x1b]0;owned\x07\u202e\u200b\ud800"


@pytest.mark.parametrize("verb", ["validate", "plan"])
def test_definitions_with_escapes_in_their_names_are_told_without(
    tmp_path: Path, verb: str
) -> None:
    name = HOSTILE.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    cluster = tmp_path / f"{name}.yaml"
    cluster.write_text(
        'name: "\\e]0;owned\\a"\nkind: cluster\nsystems: [{morph: "\\u202e\\e[2J"}]\n'
    )
    argv = [sys.executable, "-m", "containerdeploy", verb, cluster]
    ran = subprocess.run(argv, capture_output=True, cwd=tmp_path, check=False, timeout=60)
    assert ran.returncode == 2
    said = ran.stderr.decode()
    assert "\\x1b]0;owned" in said
    assert harmless.lines(said) == said
    assert "Traceback" not in said
