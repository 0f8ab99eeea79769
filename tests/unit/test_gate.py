"""The gate: nobody unpacks before everybody has been checked, and few are at work at a time."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from containerdeploy.deploy.gate import Gate, Shut, Turn

PATIENCE_S = 10.0


@dataclass
class Story:
    """What the systems of a run did, in order; `most` is how many were at work at once."""

    told: list[str] = field(default_factory=list)
    most: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def work(self, what: str) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.told.append(what)
        threading.Event().wait(0.002)
        with self._lock:
            self._now -= 1


def run(gate: Gate, systems: int, act: Callable[[int, Turn], None]) -> dict[int, Exception]:
    """Take all systems through the gate, each on a thread of its own; return what they raised."""
    raised: dict[int, Exception] = {}

    def one(number: int) -> None:
        try:
            with gate.turn(number) as turn:
                act(number, turn)
        except Exception as err:
            raised[number] = err

    threads = [threading.Thread(target=one, args=[n], daemon=True) for n in range(systems)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads), "they wait for each other for ever"
    return raised


@pytest.mark.parametrize("places", [1, 2, 20])
def test_all_are_checked_before_any_goes_on_and_few_work_at_once(places: int) -> None:
    story = Story()

    def act(number: int, turn: Turn) -> None:
        story.work("check")
        turn.admit()
        story.work("unpack")

    assert not run(Gate(10, places), 10, act)
    assert story.told == ["check"] * 10 + ["unpack"] * 10
    assert story.most <= places


def test_with_one_place_they_go_in_order() -> None:
    story = Story()

    def act(number: int, turn: Turn) -> None:
        turn.admit()
        story.work(str(number))

    assert not run(Gate(5, 1), 5, act)
    assert story.told == list("01234")


@pytest.mark.parametrize("bad", range(4))
def test_one_that_is_refused_shuts_the_gate_for_all(bad: int) -> None:
    story = Story()

    def act(number: int, turn: Turn) -> None:
        if number == bad:
            raise ValueError("refused")
        turn.admit()
        story.work("unpack")

    raised = run(Gate(4, 2), 4, act)
    assert story.told == []
    assert {number for number, err in raised.items() if isinstance(err, Shut)} == {0, 1, 2, 3} - {
        bad
    }


def test_a_failure_after_the_gate_is_nobody_elses() -> None:
    story = Story()

    def act(number: int, turn: Turn) -> None:
        turn.admit()
        if number == 0:
            raise ValueError("broke")
        story.work("unpack")

    assert list(run(Gate(4, 1), 4, act)) == [0]
    assert story.told == ["unpack"] * 3


def test_a_gate_that_is_shut_sends_away_who_waits_and_who_comes() -> None:
    gate = Gate(2, 2)

    def act(number: int, turn: Turn) -> None:
        turn.admit()

    waiting = threading.Timer(0.05, gate.shut)
    waiting.start()
    raised = run(gate, 1, act)
    waiting.join()
    assert isinstance(raised[0], Shut)
    with pytest.raises(Shut), gate.turn(1):
        pass
