"""The record of what housekeeping took out of the store."""

from pathlib import Path

from containerdeploy import cache
from containerdeploy.cache import evicted

OVER = cache.Evicted(kind="layer", id="a1", when=5.0, why="store over 20 GB", size_bytes=7)
OLD = cache.Evicted(kind="base", id="b1", when=6.0, why="not used for 30 days")


def test_the_last_time_counts_and_what_is_no_record_is_passed_over(tmp_path: Path) -> None:
    again = cache.Evicted(kind="layer", id="a1", when=9.0, why="not used for 30 days")
    lines = [evicted.as_line(item) for item in (OVER, OLD, again)]
    noise = [b'{"kind": "layer"}\n', b"[]\n", b"\xff\n", b'{"id": 3, "when": 1}\n', lines[0][:20]]
    (tmp_path / cache.EVICTED).write_bytes(b"".join([*lines, *noise]))
    assert cache.read_evicted(str(tmp_path)) == {"a1": again, "b1": OLD}


def test_a_store_that_nothing_was_taken_out_of_has_no_record(tmp_path: Path) -> None:
    assert cache.read_evicted(str(tmp_path)) == {}
