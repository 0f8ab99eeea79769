"""What agents that were killed left in the store is swept, and nothing of those that live."""

import fcntl

import pytest
from agent_bench import Bench

pytestmark = pytest.mark.kernel


def test_lock_files_that_nobody_holds_are_swept(bench: Bench) -> None:
    locks = bench.store / "locks"
    locks.mkdir()
    (locks / "dead").touch()
    with (locks / "live").open("w") as live:
        fcntl.flock(live, fcntl.LOCK_EX)
        story = bench.run(bench.job(kind="sweep"))
        assert story.finished.outcome == "ok", story.stderr
        assert [path.name for path in locks.iterdir()] == ["live"]
