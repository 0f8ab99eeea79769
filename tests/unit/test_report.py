"""What a user sees of a run: every reporter, on files, on terminals, and where nobody reads."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_story import (
    changed,
    ended,
    failed_run,
    good_run,
    heard,
    hello,
    log,
    run_started,
    started,
    step,
)
from terminals import Terminal

from containerdeploy import wire
from containerdeploy.errors import UsageError
from containerdeploy.frozen import replace
from containerdeploy.report import EventsFile, ProgressKind, Several, choose, text
from containerdeploy.report.narrator import Narrator
from containerdeploy.result import (
    Happening,
    Ledger,
    RunFinished,
    RunHeader,
    RunRecord,
    RunResult,
    SystemFinished,
    SystemStarted,
    happening_from_json,
)

RECORD = Path("/nowhere/record")
HOSTILE = "\x1b[31mred\x1b]0;title\x07 \x9b2J \u202egnp.exe caf\udce9 \x08\x7f \x00"


def fold(happenings: Sequence[Happening]) -> RunResult:
    ledger = Ledger(clock=lambda: 0.0)
    for happening in happenings:
        ledger.take(happening)
    return ledger.results()


def report(happenings: Sequence[Happening], kind: ProgressKind = "plain") -> str:
    """What a file gets to hold."""
    stream = io.StringIO()
    reporter = choose(kind, stream)
    for happening in happenings:
        reporter.show(happening)
    reporter.close(fold(happenings))
    return stream.getvalue()


def on_terminal(happenings: Sequence[Happening], kind: ProgressKind) -> str:
    """What a terminal is sent."""
    with Terminal() as terminal:
        reporter = choose(kind, terminal.stream)
        for happening in happenings:
            reporter.show(happening)
        reporter.close(fold(happenings))
    return terminal.sent


def told(*events: wire.Event, terminal: bool = False) -> list[str]:
    narrator = Narrator(terminal=terminal, clock=lambda: 0.0)
    return [line for happening in heard(*events) for line in narrator.tell(happening)]


def test_plain_tells_each_step_with_its_place_its_time_and_its_changes() -> None:
    lines = report(good_run(RECORD)).splitlines()
    assert "[web][prod] base: started" in lines
    assert "[web][prod] base: done in 2.0 s" in lines
    assert "[web][prod] set-hostname.configure: setting it" in lines
    assert "[web][prod] set-hostname.configure: done in 0.25 s, 1 modified" in lines
    assert any(line.startswith("[web][prod] delivered /out/prod.tar (12.3 MB") for line in lines)


def test_the_summary_tells_where_the_result_lies_and_what_each_extension_changed() -> None:
    text = report(good_run(RECORD))
    assert "[web][prod] deployed in 3.2 s" in text
    assert "/out/prod.tar  12.3 MB, sha256 0123456789ab" in text
    assert "set-hostname  1 modified: /etc/hostname" in text
    assert "1 deployed, 0 failed, 0 not started" in text


def test_the_summary_tells_the_engine_the_mode_and_what_is_weaker() -> None:
    text = report(good_run(RECORD))
    assert "engine docker, isolation strict, limits cgroup-v2, kernel 6.18" in text
    assert "weaker: only one user id is mapped" in text


def test_many_changed_paths_are_few_and_a_number() -> None:
    paths = [f"etc/{n}" for n in range(15)]
    events = step("files", "configure", changed("files", *paths), changes={"added": 15})
    text = report([run_started(RECORD), *heard(*events)])
    assert "files  15 added: /etc/0, /etc/1, /etc/2 and 12 more" in text


def test_a_step_found_in_the_store_says_so() -> None:
    assert "[web][prod] base: done in 0.00 s, found in the store" in told(
        *step("base", "base", cached=True)
    )


def test_a_failure_tells_the_step_both_streams_the_log_and_what_to_try(tmp_path: Path) -> None:
    run = "20260102T030405-abc123abc"
    header = RunHeader(run=run, verb="deploy", cluster="x")
    said = [log("simple-network", "ERROR: bad address"), log("simple-network", "trace", "stderr")]
    with RunRecord(tmp_path, header) as record:
        happenings = failed_run(record.directory, *said)
        for happening in happenings:
            record.take(happening)
        text = report(happenings)
    _, _, end = text.partition("[web][prod] FAILED: simple-network.configure failed: exit code 1")
    assert "stdout, last lines:\n    ERROR: bad address\n" in end
    assert "stderr, last lines:\n    trace\n" in end
    assert f"whole log: {record.directory}/logs/web/prod/02-simple-network.log" in end
    assert "try: " in end
    assert "0 deployed, 1 failed, 1 skipped, 0 not started" in end


@pytest.mark.parametrize(
    ("outcome", "exit_code", "said", "hint"),
    [
        ("timed out", None, "", "--timeout"),
        ("timed out", None, "", "`timeout:`"),
        ("idle", None, "", "`idle-timeout:`"),
        ("out of memory", None, "", "`memory:`"),
        ("too much output", None, "", "`max-output:`"),
        ("out of disk", None, "", "`disk:`"),
        ("too many processes", 1, "", "`pids:`"),
        ("cannot start", None, "", "interpreter"),
        ("failed", 127, "sh: 1: lvm: not found", "not in the helper image"),
        ("failed", 126, "", "can't be executed"),
        ("failed", 1, "curl: (6) Could not resolve host: example.com", "`network: full`"),
        ("failed", 1, "Temporary failure in name resolution", "`network: full`"),
        ("failed", 127, "rawdisk.write: 6: losetup: not found", "--grant NAME=loop"),
        ("failed", 1, "losetup: cannot find an unused loop device: No such device", "grants:"),
        ("failed", 32, "mount: /var/tmp/m: mount failed: Operation not permitted.", "grants:"),
        ("failed", 1, "mount: only root can do that; must be superuser to use mount", "grants:"),
        ("failed", 1, "ERROR: no HOSTNAME", "read what the step said"),
    ],
)
def test_the_advice_fits_the_failure(
    outcome: wire.Outcome, exit_code: int, said: str, hint: str
) -> None:
    events = [log("simple-network", said)] if said else []
    text = report(failed_run(RECORD, *events, outcome=outcome, exit_code=exit_code))
    (line,) = [line for line in text.splitlines() if "try: " in line]
    assert hint in line


def test_an_engine_error_is_told_with_its_details_and_hint() -> None:
    end = SystemFinished(
        system="web", outcome="failed", brief="no image", details="asked x", hint="make image"
    )
    text = report([run_started(RECORD), SystemStarted(system="web", image="x"), end])
    assert "FAILED: no image\n  asked x\n  try: make image" in text


def test_the_error_of_a_system_whose_deployments_are_all_there_is_told_too() -> None:
    end = SystemFinished(system="web", outcome="failed", brief="the helper can't be removed")
    text = report([*good_run(RECORD)[:-2], end, RunFinished(exit_code=1)])
    assert "\n[web] the helper can't be removed\n" in text.partition("deployed in")[2]


def test_leftovers_and_warnings_are_told() -> None:
    happenings = [run_started(RECORD), RunFinished(exit_code=1, leftovers=("volume x",))]
    results = replace(fold(happenings), warnings=("the disk is full",))
    stream = io.StringIO()
    choose("plain", stream).close(results)
    assert "warning: left behind: volume x" in stream.getvalue()
    assert "warning: the disk is full" in stream.getvalue()


def test_what_a_helper_had_not_let_go_of_is_told_in_one_line() -> None:
    left = (wire.Left(kind="mount", name="/run/x\n"), wire.Left(kind="process", name="7 sleep"))
    happenings = [run_started(RECORD), *heard(hello(), wire.Finished(outcome="ok", left=left))]
    stream = io.StringIO()
    choose("plain", stream).close(fold([*happenings, RunFinished(exit_code=0)]))
    told_in = "warning: the helper of web had not let go of mount /run/x\\n, process 7 sleep\n"
    assert told_in in stream.getvalue()


def test_quiet_says_nothing_but_the_end() -> None:
    stream = io.StringIO()
    reporter = choose("quiet", stream)
    for happening in failed_run(RECORD):
        reporter.show(happening)
    assert stream.getvalue() == ""
    reporter.close(fold(failed_run(RECORD)))
    assert stream.getvalue().startswith("[web][prod] failed")
    assert "FAILED: simple-network" in stream.getvalue()


def test_json_is_one_object_for_each_happening_and_nothing_else() -> None:
    lines = report(good_run(RECORD), "json").splitlines()
    assert [happening_from_json(json.loads(line)) for line in lines] == good_run(RECORD)


def test_json_is_ascii_whatever_is_said() -> None:
    (line,) = report(heard(log("x", HOSTILE)), "json").splitlines()
    assert line.isascii()
    assert json.loads(line)["event"]["text"] == HOSTILE


def test_an_events_file_is_written_beside_the_report(tmp_path: Path) -> None:
    path, stream = tmp_path / "events", io.StringIO()
    reporters = Several([choose("quiet", stream), EventsFile(path)])
    for happening in good_run(RECORD):
        reporters.show(happening)
    reporters.close(fold(good_run(RECORD)))
    assert len(path.read_text().splitlines()) == len(good_run(RECORD))
    assert "1 deployed" in stream.getvalue()


def test_an_events_file_that_can_not_be_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="missing"):
        EventsFile(tmp_path / "missing" / "events")


def test_events_that_find_no_room_are_told_and_stop_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reporter = EventsFile(Path("/dev/full"))
    for happening in good_run(RECORD):
        reporter.show(happening)
    reporter.close(fold(good_run(RECORD)))
    told_in = "containerdeploy: not all events are in /dev/full"
    assert capsys.readouterr().err.startswith(f"{told_in}: [Errno 28] No space left")


def test_lines_in_pieces_are_joined() -> None:
    pieces = [log("x", "one ", partial=True), log("x", "line"), log("x", "two\nlines")]
    lines = told(*step("x", "configure", *pieces))[1:-1]
    start = "[web][prod] x.configure: "
    assert lines == [start + "one line", start + "two", start + "lines"]


def test_a_last_line_without_an_end_is_shown_when_the_step_ends() -> None:
    lines = told(*step("x", "configure", log("x", "Password:", partial=True)))
    assert lines[1] == "[web][prod] x.configure: Password:"


def test_an_endless_line_is_shown_whole_in_bounded_pieces() -> None:
    pieces = [log("x", f"{n:08}" * 1000, partial=True) for n in range(100)]
    lines = told(*step("x", "configure", *pieces))[1:-1]
    assert 10 <= len(lines) <= 20
    said = "".join(line.removeprefix("[web][prod] x.configure: ") for line in lines)
    assert said == "".join(f"{n:08}" * 1000 for n in range(100))


def test_streams_of_one_step_do_not_mix_in_a_line() -> None:
    pieces = [
        log("x", "out", partial=True),
        log("x", "err", "stderr", partial=True),
        log("x", "put"),
        log("x", "or", "stderr"),
    ]
    lines = told(*step("x", "configure", *pieces))[1:-1]
    assert [line.split(": ")[1] for line in lines] == ["output", "error"]


def test_long_progress_is_told_now_and_then() -> None:
    now = iter(range(100))
    narrator = Narrator(terminal=False, clock=lambda: float(next(now)))
    narrator.tell(heard(started("prod:base", "base", "unpack"))[0])
    event = wire.Progress(step="prod:base", done=50_000_000, total=200_000_000, unit="bytes")
    lines = [line for _ in range(20) for line in narrator.tell(heard(event)[0])]
    assert "[web][prod] base: 50.0 MB of 200.0 MB (25 %)" in lines
    assert len(lines) < 4


def test_a_file_gets_escapes_as_they_are_and_bad_bytes_as_hex() -> None:
    line = told(*step("x", "configure", log("x", HOSTILE)))[1]
    assert "\x1b[31m" in line and "\u202e" in line
    assert "caf\\xe9" in line


@pytest.mark.parametrize("kind", ["plain", "rich", "quiet", "auto"])
def test_nothing_that_is_said_acts_on_a_terminal(kind: ProgressKind) -> None:
    said = [log("simple-network", HOSTILE), log("simple-network", HOSTILE, "stderr")]
    sent = on_terminal(failed_run(RECORD, *said), kind)
    for part in ("\x1b[31mred", "\x1b]0;", "\x07", "\x9b", "\u202e", "\x08", "\x7f", "\x00"):
        assert part not in sent
    assert "\\x1b[31mred" in sent and "caf\\xe9" in sent


@pytest.mark.parametrize("is_terminal", [True, False])
def test_names_never_make_lines_of_their_own(is_terminal: bool) -> None:
    evil = "x\n[web][prod] all is well\x1b[2J\r"
    events = [
        hello(kernel=evil, weaker=(evil,)),
        started("s", "configure", evil, evil),
        wire.Changed(step="s", changes=(wire.Change(kind="added", path=evil),)),
        ended("s", "failed", detail=evil),
    ]
    narrator = Narrator(terminal=is_terminal, clock=lambda: 0.0)
    happenings = [run_started(RECORD, evil), *heard(*events)]
    lines = [line for happening in happenings for line in narrator.tell(happening)]
    lines += report(happenings).splitlines()
    assert not any("\n" in line or "\x1b" in line or "\r" in line for line in lines)
    assert not any(line.startswith("[web][prod] all is well") for line in lines)


def test_carriage_returns_do_not_overwrite_the_place() -> None:
    (line,) = told(*step("x", "configure", log("x", "10%\r20%\r")), terminal=True)[1:-1]
    assert line == "[web][prod] x.configure: 10%\\r20%"


@given(st.text() | st.text(alphabet=st.characters(categories=("Cc", "Cf", "Cs", "Zl", "Zp"))))
def test_shown_text_holds_no_control_but_tabs(said: str) -> None:
    shown = text.for_terminal(said)
    assert all(c == "\t" or c.isprintable() or ord(c) >= 0xA0 for c in shown)
    assert not re.search("[\x80-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", shown)
    assert "\t" not in text.word(said)


def test_rich_on_a_terminal_shows_rows_and_keeps_lines_above() -> None:
    sent = on_terminal(good_run(RECORD), "rich")
    assert "\x1b[?25l" in sent and "\x1b[?25h" in sent  # the cursor goes, and comes back
    assert "[web][prod] set-hostname.configure: setting it" in sent
    assert "1 deployed, 0 failed" in sent


def test_rich_never_makes_a_row_wider_than_the_terminal() -> None:
    long = "a-very-long-extension-name" * 4
    happenings = [*good_run(RECORD)[:3], *heard(started("prod:x", "base", long, long))]
    with Terminal(columns=50) as terminal:
        reporter = choose("rich", terminal.stream)
        for happening in happenings:
            reporter.show(happening)
        reporter.close(RunResult())
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\r", terminal.sent)
    rows = [row for row in re.split("[\r\n]", plain) if "…" in row]
    assert rows and all(len(row) <= 50 for row in rows)


def test_markup_in_a_log_is_text() -> None:
    said = log("simple-network", "[bold]x[/bold] :smile: [/nope]")
    assert "[bold]x[/bold] :smile: [/nope]" in on_terminal(failed_run(RECORD, said), "rich")


def test_rich_is_plain_where_there_is_no_terminal() -> None:
    assert report(good_run(RECORD), "rich") == report(good_run(RECORD), "plain")


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in on_terminal(good_run(RECORD), "auto")


def test_rich_is_imported_only_for_a_terminal() -> None:
    code = (
        "import sys; from containerdeploy.report import choose; choose('auto', sys.stdout);"
        "assert 'rich' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE)


@pytest.mark.parametrize("kind", ["plain", "json", "quiet"])
def test_a_reader_that_goes_away_does_not_stop_the_run(kind: ProgressKind) -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "w", encoding="utf-8") as stream:
        reporter = choose(kind, stream)
        for happening in good_run(RECORD):
            reporter.show(happening)
        reporter.close(fold(good_run(RECORD)))


def test_a_terminal_that_goes_away_does_not_stop_the_run() -> None:
    with Terminal() as terminal:
        reporter = choose("rich", terminal.stream)
        for number, happening in enumerate(good_run(RECORD)):
            if number == 5:
                terminal.hang_up()
            reporter.show(happening)
        reporter.close(fold(good_run(RECORD)))


def test_a_stream_without_unicode_gets_escapes() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    reporter = choose("plain", stream)
    for happening in heard(*step("x", "configure", log("x", "größe €"))):
        reporter.show(happening)
    assert b"gr\\xf6\\xdfe \\u20ac" in raw.getvalue()


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.0 kB"), (999_999, "1.0 MB"),
     (12_345_678, "12.3 MB"), (5 * 10**15, "5000.0 TB")],
)  # fmt: skip
def test_sizes_are_words(count: int, words: str) -> None:
    assert text.size(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.00 s"), (0.034, "0.03 s"), (12.34, "12.3 s"), (59.97, "1 min 00 s"),
     (245, "4 min 05 s"), (3720, "1 h 02 min")],
)  # fmt: skip
def test_times_are_words(seconds: float, words: str) -> None:
    assert text.duration(seconds) == words
