"""Lines from a helper, whatever they are: an event, or a refusal in our own words."""

import json
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fuzzing
import pytest
import run_story
from hypothesis import strategies as st

from containerdeploy import wire
from containerdeploy.allowance import Allowance
from containerdeploy.conduct import Conduct
from containerdeploy.errors import ProtocolError
from containerdeploy.frozen import names
from containerdeploy.helper.stream import EventStream
from containerdeploy.report.narrator import Narrator
from containerdeploy.report.summary import summarise
from containerdeploy.result import (
    Heard,
    Ledger,
    RunHeader,
    RunRecord,
    happening_to_json,
    load_record,
)

JOB = run_story.job(run_story.deployment("prod", extensions=1))
KINDS = typing.get_args(wire.Event)
STEPS = ("prod:base", "prod:metadata", "prod:check", "prod:0", "prod:write")
# Words that mean something somewhere, and some that act on a terminal.
WORDS = st.sampled_from(
    [
        *(
            "prod",
            "slot-prod",
            "out.tar",
            JOB.run,
            "ext-0",
            "tar",
            "check",
            "configure",
            "write",
            "base",
        ),
        *(
            "ok",
            "failed",
            "killed",
            "stdout",
            "agent",
            "bytes",
            "added",
            "strict",
            "file",
            "stream",
        ),
        *("", ".", "..", "a/b", "\x1b[2J", "\u202e", "\udcff", "\ud800", "\0", "x" * 300),
        *STEPS,
    ]
) | st.text(st.characters(), max_size=8)
NUMBERS = st.sampled_from([0, 1, -1, 1 << 31, 1 << 63, 1 << 70, 0.5, -0.0, 1e14, 1e300]) | (
    st.integers() | st.floats()
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


def _fields(kind: Any) -> st.SearchStrategy[dict[str, Any]]:
    """An event of a kind, its fields likely to be what they should be."""
    hints = typing.get_type_hints(kind)
    likely = {name: _value(name, hints[name]) for name in names(kind)}
    body = st.fixed_dictionaries({}, optional=likely)
    return body.map(lambda fields: {"event": kind.__name__, **fields})


def _value(name: str, hint: Any) -> st.SearchStrategy[Any]:
    known: dict[str, st.SearchStrategy[Any]] = {
        "step": st.sampled_from(STEPS),
        "deployment": st.just("prod"),
        "run": st.just(JOB.run),
        "version": st.just(wire.VERSION),
        "slot": st.just("slot-prod"),
        "changes": st.lists(ANYTHING, max_size=3) | st.dictionaries(WORDS, NUMBERS, max_size=3),
    }
    plain = {str: WORDS, int: st.integers(0, 9), float: st.floats(0, 9), bool: st.booleans()}
    if name in known:
        usual = known[name]
    elif choices := [one for one in typing.get_args(hint) if isinstance(one, str)]:
        usual = st.sampled_from(choices)
    else:
        usual = plain.get(hint, ANYTHING)
    return usual | usual | usual | ANYTHING


events = st.one_of([_fields(kind) for kind in KINDS])
SAID = (
    run_story.hello(),
    *run_story.step("check", "check"),
    *run_story.step("base", "base", wire.Progress(step="prod:base", done=1, total=2, unit="bytes")),
    *run_story.step("metadata", "metadata"),
    run_story.started("prod:0", "configure", "ext-0"),
    run_story.log("0", "a piece", partial=True),
    run_story.log("0", " and its end"),
    run_story.changed("0", "etc/x"),
    run_story.ended("prod:0", changes={"modified": 1}),
    run_story.started("prod:write", "write", "tar"),
    run_story.artifact(),
    run_story.ended("prod:write"),
    wire.Finished(outcome="ok"),
)
LINES = [wire.encode(event) for event in SAID]
lines = st.one_of(
    fuzzing.mutated(LINES, [b"{", b"[" * 50, b'"', b"\\ud800", b"1e999", b"null", b"\n", b"\xff"]),
    (events | ANYTHING).map(lambda body: json.dumps(body).encode() + b"\n"),
    st.binary(max_size=100),
    st.integers(900, 1100).map(lambda depth: _deep(depth)),
)


def _deep(depth: int) -> bytes:
    """Nested about as deeply as Python's own parser goes."""
    return b'{"event":"Hello","run":' + b"[" * depth + b"]" * depth + b"}\n"


def conversations() -> st.SearchStrategy[bytes]:
    """A whole run as it should be, of which some lines are lost, doubled or strange."""
    strange = events.map(lambda body: json.dumps(body).encode() + b"\n")
    after = st.lists(st.sampled_from(LINES) | strange | lines, max_size=3)
    fates = st.dictionaries(st.integers(0, len(LINES) - 1), st.tuples(st.booleans(), after))
    return fates.map(_told)


def _told(fates: Mapping[int, tuple[bool, Sequence[bytes]]]) -> bytes:
    """Each line or nothing, and what comes after it."""
    said: list[bytes] = []
    for number, line in enumerate(LINES):
        is_lost, after = fates.get(number, (False, ()))
        said += [*([] if is_lost else [line]), *after]
    return b"".join(said)


def _decode(data: bytes) -> None:
    for decode in (wire.decode, wire.decode_job):
        try:
            decode(data)
        except wire.WireError as err:
            assert len(str(err)) < 1000


def test_a_line_is_an_event_or_a_wire_error() -> None:
    fuzzing.fuzz("wire", lines, _decode)


@pytest.mark.parametrize("data", fuzzing.kept("wire"))
def test_no_line_that_once_failed_fails_again(data: bytes) -> None:
    _decode(data)


class _Said:
    """An attached stream that says its bytes in pieces of 60."""

    def __init__(self, data: bytes) -> None:
        self._pieces = [data[at : at + 60] for at in range(0, len(data), 60)][::-1]

    def read(self, timeout_s: float) -> tuple[typing.Literal["stdout"], bytes] | None:
        return ("stdout", self._pieces.pop()) if self._pieces else None

    def write(self, data: bytes) -> None:
        """Nobody listens."""

    def close(self) -> None:
        """There is nothing to close."""


def _listen(data: bytes, home: Path) -> None:
    """Take a conversation through all that looks at a helper's events, then read the record."""
    header = RunHeader(run=run_story.RUN, verb="deploy", cluster="c")
    ledger, narrator = Ledger(), Narrator(terminal=True)
    conduct, allowance = Conduct(JOB), Allowance(JOB)
    with RunRecord(home, header) as record:
        try:
            for event, size_bytes in EventStream(_Said(data), lambda: 1.0):
                conduct.check(event)
                allowance.spend(event, size_bytes)
                happening = Heard(system="devel", event=event)
                ledger.take(happening)
                record.take(happening)
                _harmless(narrator.tell(happening))
                json.dumps(happening_to_json(happening, 0.0))
            conduct.check_ended()
        except ProtocolError as err:
            assert len(err.brief) < 300
        _harmless(summarise(ledger.results(), terminal=True))
        record.finish(ledger.results())
    assert record.warnings == ()
    load_record(record.directory)


def _harmless(said: list[str]) -> None:
    assert all(line.isprintable() or "\t" in line for line in said), said


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def _fresh(home: Path) -> Path:
    """A home of its own for each conversation: a run's record is made once."""
    place = home / str(len(list(home.iterdir())))
    place.mkdir()
    return place


def test_a_conversation_is_told_or_refused(home: Path) -> None:
    fuzzing.fuzz("conversation", conversations(), lambda data: _listen(data, _fresh(home)))


@pytest.mark.parametrize("data", fuzzing.kept("conversation"))
def test_no_conversation_that_once_failed_fails_again(data: bytes, home: Path) -> None:
    _listen(data, home)
