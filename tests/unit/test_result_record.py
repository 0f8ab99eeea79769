"""A run's record: what is written, when, and what a full disk does to it."""

import errno
import json
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_story import RUN, good_run, heard, hello, log, run_started, started, step

from containerdeploy import wire
from containerdeploy.errors import UsageError
from containerdeploy.result import (
    DeploymentParameters,
    Happening,
    Ledger,
    RecordedParameter,
    RecordError,
    RunHeader,
    RunLock,
    RunRecord,
    find_run,
    happening_from_json,
    happening_to_json,
    is_live,
    list_runs,
    load_record,
    new_run_id,
    read_changes,
)
from containerdeploy.result.names import safe_name

SECRET = "correct horse"
PARAMETERS = (
    RecordedParameter(name="HOSTNAME", value="web1", origin="clusters/x.yaml:9:5"),
    RecordedParameter(name="ALIAS", value=f"key={SECRET}", origin="clusters/x.yaml:9:9"),
    RecordedParameter(name="API_KEY", value=SECRET, origin="--env API_KEY", secret=True),
    RecordedParameter(
        name="ROOT_PASSWORD", value="hunter2", origin="clusters/x.yaml:10:5", secret=True
    ),
)


def header(run: str = RUN) -> RunHeader:
    steps = [{"name": "set-hostname"}, {"name": "API_KEY", "value": SECRET}]
    return RunHeader(
        run=run,
        verb="deploy",
        cluster="clusters/x.yaml",
        engine={"flavour": "docker", "version": "20.10"},
        plan={"steps": steps, "ROOT_PASSWORD": "hunter2", "environment": {"API_KEY": SECRET}},
        parameters=(DeploymentParameters(system="web", deployment="prod", parameters=PARAMETERS),),
    )


def record(home: Path, happenings: Sequence[Happening], run: str = RUN, keep: int = 100) -> Path:
    """Record a whole run as the hall does."""
    ledger = Ledger()
    with RunRecord(home, header(run), keep=keep) as writer:
        for happening in happenings:
            ledger.take(happening)
            writer.take(happening)
        writer.finish(ledger.results())
    assert writer.warnings == ()
    return writer.directory


def test_a_record_tells_the_run_and_is_for_its_owner_only(tmp_path: Path) -> None:
    directory = record(tmp_path / "home", good_run(tmp_path))
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    read = load_record(directory)
    assert read.header.engine == {"flavour": "docker", "version": "20.10"}
    assert read.results and read.results.exit_code == 0
    ledger = Ledger(clock=lambda: 0.0)
    for happening in good_run(tmp_path):
        ledger.take(happening)
    assert read.results.systems == ledger.results().systems


def test_no_secret_is_recorded(tmp_path: Path) -> None:
    directory = record(tmp_path, good_run(tmp_path))
    text = (directory / "record.json").read_text()
    assert SECRET not in text and "hunter2" not in text
    assert "web1" in text and "API_KEY" in text


def test_the_record_is_there_and_live_from_the_start(tmp_path: Path) -> None:
    with RunRecord(tmp_path, header()) as writer:
        assert json.loads((writer.directory / "record.json").read_bytes())["header"]["run"] == RUN
        assert is_live(writer.directory)
        assert [run.state for run in list_runs(tmp_path)] == ["running"]
    assert not is_live(writer.directory)
    assert [run.state for run in list_runs(tmp_path)] == ["died"]


def test_logs_are_whole_and_are_the_bytes_that_were_said(tmp_path: Path) -> None:
    pieces = [log("x", "z" * 8000, partial=True) for _ in range(20)]
    events = step("x", "configure", *pieces, log("x", "end \udcff\x1b[0m"), log("x", "a\nb"))
    directory = record(tmp_path, [run_started(tmp_path), *heard(hello(), *events)])
    text = (directory / "logs/web/prod/01-x.log").read_bytes()
    assert text == b"z" * 160_000 + b"end \xff\x1b[0m\na\nb\n"


def test_lines_of_two_streams_do_not_run_into_each_other(tmp_path: Path) -> None:
    said = [log("x", "half", partial=True), log("x", "oops", "stderr"), log("x", "other half")]
    directory = record(tmp_path, heard(*step("x", "configure", *said)))
    text = (directory / "logs/web/prod/01-x.log").read_bytes()
    assert text == b"half\noops\nother half\n"


def test_log_names_never_lead_out_of_the_record(tmp_path: Path) -> None:
    hostile = started("s", "configure", "../../../evil", "..")
    said = wire.Log(step="s", stream="stdout", text="x")
    directory = record(tmp_path / "home", heard(hostile, said))
    (found,) = tmp_path.rglob("*.log")
    assert found.parent.parent == directory / "logs/web"


@given(st.text(max_size=300) | st.text(alphabet="\ud800\udcff./\0", max_size=5))
def test_safe_names_are_plain_file_names(name: str) -> None:
    safe = safe_name(name)
    assert 0 < len(safe) <= 100 and safe.isascii() and safe.isprintable()
    assert "/" not in safe and not safe.startswith(".")


@given(st.lists(st.text(max_size=200), min_size=2, max_size=2, unique=True))
def test_safe_names_of_different_names_differ(names: list[str]) -> None:
    assert safe_name(names[0]) != safe_name(names[1])


def test_events_come_back_as_they_went_in(tmp_path: Path) -> None:
    for happening in good_run(tmp_path):
        body = json.loads(json.dumps(happening_to_json(happening, 1.5)))
        assert body["at"] == 1.5
        assert happening_from_json(body) == happening


def test_an_event_that_is_long_when_written_out_is_recorded_all_the_same(tmp_path: Path) -> None:
    """A helper can leave out the fields that have defaults."""
    changes = '{"kind":"added","path":""},' * 2300
    line = f'{{"event":"Changed","step":"prod:x","changes":[{changes[:-1]}]}}\n'
    event = wire.decode(line.encode())
    with pytest.raises(wire.WireError):
        wire.encode(event)
    directory = record(tmp_path, heard(event))
    assert sum(1 for _ in read_changes(directory)) == 2300


def test_progress_is_recorded_once_a_second(tmp_path: Path) -> None:
    now = iter([0.0] + [n / 100 for n in range(100, 10_000)])
    with RunRecord(tmp_path, header(), clock=lambda: next(now)) as writer:
        for done in range(500):
            event = wire.Progress(step="s", done=done, total=500, unit="bytes")
            for happening in heard(event):
                writer.take(happening)
    count = len((writer.directory / "events.jsonl").read_bytes().splitlines())
    assert 4 <= count <= 7


def test_a_killed_run_is_read_from_its_events(tmp_path: Path) -> None:
    """The record of a controller that was killed ends in the middle of a line."""
    with RunRecord(tmp_path, header()) as writer:
        for happening in good_run(tmp_path)[:8]:
            writer.take(happening)
    with (writer.directory / "events.jsonl").open("ab") as file:
        file.write(b'{"happening":"He')
    results = load_record(writer.directory).results
    assert results and [s.label for s in results.systems[0].deployments[0].steps]
    assert results.systems[0].deployments[0].outcome == "interrupted"


def test_every_changed_path_is_in_the_events(tmp_path: Path) -> None:
    directory = record(tmp_path, good_run(tmp_path))
    ((system, name, change),) = read_changes(directory)
    assert (system, name, change.path) == ("web", "prod:set-hostname", "etc/hostname")


def run_ids(count: int) -> list[str]:
    return [f"202601{day:02}T000000-00000{day % 10}000" for day in range(1, count + 1)]


def test_the_oldest_records_go_and_a_live_one_stays(tmp_path: Path) -> None:
    first, *others = run_ids(6)
    with RunRecord(tmp_path, header(first)):
        for run in others:
            record(tmp_path, [], run, keep=3)
        left = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert left == [first, *others[-3:]]


def test_pruning_follows_no_link_and_touches_nothing_else(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    (runs / "notes").mkdir(parents=True)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    old, new = run_ids(2)
    record(tmp_path, [], old)
    (runs / old / "link").symlink_to(precious)
    record(tmp_path, [], new, keep=1)
    assert sorted(path.name for path in runs.iterdir()) == sorted([new, "notes"])
    assert (precious / "file").exists()


def test_run_ids_sort_by_time_and_are_unique() -> None:
    early = new_run_id(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert early.startswith("20260102T030405-")
    assert early < new_run_id(datetime(2026, 1, 2, 3, 4, 5, 1000, tzinfo=UTC))
    assert early < new_run_id(datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC))
    assert len({new_run_id() for _ in range(100)}) == 100


def test_a_lock_is_held_against_another_process_and_goes_with_its_holder(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from containerdeploy.result import RunLock\n"
        "with RunLock(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        assert is_live(tmp_path)
        holder.kill()
    assert not is_live(tmp_path)
    with RunLock(tmp_path):
        assert is_live(tmp_path)


@contextmanager
def no_file_over(size_bytes: int) -> Iterator[None]:
    """The kernel refuses longer files, as it does when a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_becomes_a_warning_and_the_run_goes_on(tmp_path: Path) -> None:
    flood = step("flood", "configure", *[log("flood", "z" * 8000)] * 100)
    ledger = Ledger()
    with no_file_over(128 * 1024), RunRecord(tmp_path, header()) as writer:
        for happening in [*good_run(tmp_path)[:4], *heard(*flood), *good_run(tmp_path)[4:]]:
            ledger.take(happening)
            writer.take(happening)
        writer.finish(ledger.results())
    assert len(writer.warnings) == 2
    assert all(os.strerror(errno.EFBIG) in warning for warning in writer.warnings)
    read = load_record(writer.directory)
    assert read.results and read.results.exit_code == 0
    assert read.warnings == writer.warnings


def test_a_home_that_can_not_be_made_becomes_a_warning(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with RunRecord(tmp_path / "home", header()) as writer:
        for happening in good_run(tmp_path):
            writer.take(happening)
        writer.finish(Ledger().results())
    assert any("could not be written" in warning for warning in writer.warnings)


def test_what_grows_of_a_record_leaves_room_on_its_disk(tmp_path: Path) -> None:
    ledger = Ledger()
    with RunRecord(tmp_path, header(), reserve=2.0) as writer:
        for happening in good_run(tmp_path):
            ledger.take(happening)
            writer.take(happening)
        writer.finish(ledger.results())
    assert len(writer.warnings) == 1
    assert os.strerror(errno.ENOSPC) in writer.warnings[0]
    assert not list(writer.directory.rglob("*.log"))
    assert load_record(writer.directory).results == ledger.results()


def test_last_and_the_start_of_an_id_find_a_run(tmp_path: Path) -> None:
    first, second = run_ids(2)
    for run in (first, second):
        record(tmp_path, [], run)
    assert find_run(tmp_path, "last").name == second
    assert find_run(tmp_path, "20260101").name == first
    assert find_run(tmp_path, second).name == second


@pytest.mark.parametrize("text", ["202601", "20260103", "", "last-one", "../runs"])
def test_an_ambiguous_or_unknown_run_names_those_that_are_near(tmp_path: Path, text: str) -> None:
    for run in run_ids(2):
        record(tmp_path, [], run)
    with pytest.raises(UsageError) as caught:
        find_run(tmp_path, text)
    assert run_ids(2)[0] in str(caught.value.details)


def test_no_run_at_all_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_run(tmp_path, "last")
    assert "no run has been recorded" in str(caught.value.hint)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"format": 1}', b"\xff", b'{"format": "x"}'])
def test_a_corrupt_record_is_a_clear_error(tmp_path: Path, data: bytes) -> None:
    directory = record(tmp_path, good_run(tmp_path))
    (directory / "record.json").write_bytes(data)
    with pytest.raises(RecordError, match=r"record\.json can't be read"):
        load_record(directory)
    (run,) = list_runs(tmp_path)
    assert run.state == "unreadable" and "record.json" in run.error


def test_corrupt_events_name_their_line(tmp_path: Path) -> None:
    directory = record(tmp_path, good_run(tmp_path))
    (directory / "events.jsonl").write_bytes(b'{"happening":"Heard","system":"x"}\n')
    with pytest.raises(RecordError, match=r"events\.jsonl:1"):
        list(read_changes(directory))


def test_fields_of_a_later_version_are_put_up_with(tmp_path: Path) -> None:
    directory = record(tmp_path, good_run(tmp_path))
    path = directory / "record.json"
    body = json.loads(path.read_bytes())
    body["novelty"] = body["results"]["novelty"] = 1
    path.write_text(json.dumps(body))
    assert load_record(directory).results
