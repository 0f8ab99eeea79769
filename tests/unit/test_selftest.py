"""What the self-test tells of its findings, and the exit code that they have."""

import json

import pytest

from containerdeploy import selftest, wire
from containerdeploy.commands.selftest import run_isolation
from containerdeploy.selftest import Finding, Matrix
from containerdeploy.selftest.finding import Verdict


def matrix(*verdicts: Verdict, weakened: bool = False) -> Matrix:
    hello = wire.Hello(
        version=wire.VERSION,
        run="run",
        nonce="",
        python="3.11",
        kernel="6.1",
        isolation="rootless",
        limits="rlimits",
        weaker=("no control group for memory",),
    )
    findings = [
        Finding(
            family="extensions",
            group="the host",
            name=f"attack_{number}",
            verdict=verdict,
            evidence="\x1b[2Jowned",
        )
        for number, verdict in enumerate(verdicts)
    ]
    return Matrix(engine="local", hello=hello, findings=findings, weakened=weakened)


def ran(
    monkeypatch: pytest.MonkeyPatch, found: Matrix, *, as_json: bool = False
) -> tuple[str, int]:
    monkeypatch.setattr(selftest, "attack", lambda *_, **__: found)
    return run_isolation("local", None, "auto", only=(), as_json=as_json, control=found.weakened)


def test_whatever_gets_through_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    text, code = ran(monkeypatch, matrix("contained", "got through", "not tried"))
    assert code == 1
    assert "  [ ok ] attack 0" in text
    assert "  [OPEN] attack 1" in text
    assert "  [skip] attack 2" in text
    assert text.endswith("3 attacks, 1 contained, 1 could not be tried, 1 GOT THROUGH")


def test_where_nothing_gets_through_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    text, code = ran(monkeypatch, matrix("contained", "contained"))
    assert code == 0
    assert text.endswith("2 attacks, 2 contained, none got through")


def test_the_control_is_meant_to_let_attacks_through(monkeypatch: pytest.MonkeyPatch) -> None:
    text, code = ran(monkeypatch, matrix("got through", weakened=True))
    assert code == 0
    assert "WITHOUT the confinement" in text


def test_the_place_is_told_and_no_evidence_acts_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text, _ = ran(monkeypatch, matrix("contained"))
    assert "isolation  rootless, limits by rlimits" in text
    assert "weaker: no control group for memory" in text
    assert "owned" in text
    assert "\x1b" not in text


def test_json_has_it_all_and_the_same_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    text, code = ran(monkeypatch, matrix("contained", "got through"), as_json=True)
    told = json.loads(text)
    assert code == 1
    assert told["counts"] == {"contained": 1, "got through": 1, "not tried": 0}
    assert (told["isolation"], told["weaker"]) == ("rootless", ["no control group for memory"])
    assert told["findings"][1]["name"] == "attack_1"
