"""Trees are removed whole, also where several do it at the same time."""

import multiprocessing
import os
from multiprocessing import synchronize
from pathlib import Path

from containerdeploy.agent import trees

ROUNDS = 20


def test_whoever_removes_a_tree_with_others_comes_back_when_all_of_it_is_gone(
    tmp_path: Path,
) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    for number in range(ROUNDS):
        for path in (f"{number}/{a}/{b}/{c}" for a in range(6) for b in range(5) for c in "pq"):
            (tmp_path / path).mkdir(parents=True)
            (tmp_path / path / "file").touch()
    others = [context.Process(target=remove_all, args=(tmp_path, barrier)) for _ in range(2)]
    for one in others:
        one.start()
    remove_all(tmp_path, barrier)
    for one in others:
        one.join()
    assert [one.exitcode for one in others] == [0, 0]
    assert os.listdir(tmp_path) == []


def remove_all(place: Path, barrier: synchronize.Barrier) -> None:
    """Remove the trees one by one, each together with the others."""
    parent = trees.open_directory(str(place))
    for number in range(ROUNDS):
        barrier.wait(30)
        trees.remove(parent, str(number))
        assert not (place / str(number)).exists(), "it came back before all was removed"
    os.close(parent)
