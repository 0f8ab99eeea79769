"""Trees are removed whole, also where several do it at the same time."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from containerdeploy.agent import trees


def test_removers_that_meet_in_one_tree_leave_nothing_of_it(tmp_path: Path) -> None:
    parent = trees.open_directory(str(tmp_path))
    try:
        with ThreadPoolExecutor(4) as pool:
            for round_ in range(20):
                for path in (
                    f"{round_}/{a}/{b}/{c}" for a in range(5) for b in "xyz" for c in "pq"
                ):
                    (tmp_path / path).mkdir(parents=True)
                    (tmp_path / path / "file").touch()
                removals = [pool.submit(trees.remove, parent, str(round_)) for _ in range(4)]
                assert [one.result() for one in removals] == [None] * 4
                assert os.listdir(parent) == []
    finally:
        os.close(parent)
