"""The thread that stands in a step's group before the step begins; groups are plain directories."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from containerdeploy.agent.launcher import Launcher


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    roots = [tmp_path / name for name in ("memory", "pids")]
    for root in roots:
        root.mkdir()
    one = Launcher(tuple(map(str, roots)))
    yield one
    one.close()


def test_every_claim_is_a_new_group_that_the_thread_has_entered(launcher: Launcher) -> None:
    first = launcher.claim()
    launcher.call(lambda: None)
    second = launcher.claim()
    launcher.call(lambda: None)
    assert len({*first, *second}) == 4
    assert all(Path(place, "tasks").read_text() == "0" for place in (*first, *second))


def test_what_is_called_runs_in_one_thread_beside_this_one(launcher: Launcher) -> None:
    threads = []
    for _ in range(2):
        launcher.claim()
        threads.append(launcher.call(threading.get_ident))
    assert threads[0] == threads[1] != threading.get_ident()


def test_a_call_that_fails_fails_here_and_the_next_one_works(launcher: Launcher) -> None:
    launcher.claim()
    with pytest.raises(ZeroDivisionError):
        launcher.call(lambda: 1 // 0)
    launcher.claim()
    assert launcher.call(lambda: "well") == "well"


def test_a_claimed_group_in_which_nothing_started_is_left(launcher: Launcher) -> None:
    first = launcher.claim()
    launcher.leave()
    launcher.leave()
    assert launcher.claim() != first


def test_a_group_that_cannot_be_made_is_an_error_at_every_claim(tmp_path: Path) -> None:
    launcher = Launcher((str(tmp_path / "missing"),))
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            launcher.claim()
    launcher.close()
