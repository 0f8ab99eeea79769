"""A helper that lies: whatever it sends, the controller says so, soon, and in bounded memory."""

import json
import resource
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import run_story
from fake_engine import FakeEngine

from containerdeploy import wire
from containerdeploy.engine.base import Attached, ContainerId, ContainerSpec, StreamName
from containerdeploy.errors import ProtocolError
from containerdeploy.frozen import replace
from containerdeploy.helper.session import Order, Session

MIB = 1 << 20
PLANNED = run_story.deployment("prod", extensions=1)
JOB = run_story.job(PLANNED)
HELLO = run_story.hello(nonce="nonce")
Pieces = Iterator[tuple[StreamName, bytes]]


class Liar(FakeEngine):
    """An engine whose every container says what it is told to say."""

    def __init__(self, pieces: Callable[[], Pieces]) -> None:
        super().__init__(lambda *_: 0, images=["helper"])
        self._pieces = pieces

    def attach(self, container: ContainerId) -> Attached:
        return _Speech(self._pieces())


class _Speech:
    """What a container says, made piece by piece as it is read: nothing piles up here."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._closed = threading.Event()

    def read(self, timeout_s: float) -> tuple[StreamName, bytes] | None:
        return None if self._closed.is_set() else next(self._pieces, None)

    def write(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        self._closed.set()


class Heard:
    """What the rest of the controller got to hear."""

    def __init__(self) -> None:
        self.events: list[wire.Event] = []
        self.taken: list[wire.Artifact] = []


def converse(pieces: Callable[[], Pieces], heard: Heard | None = None) -> wire.Finished:
    heard = heard or Heard()
    order = Order(
        container=ContainerSpec(name="helper", image="helper", argv=["agent"]),
        job=JOB,
        nonce="nonce",
        hear=heard.events.append,
        take=lambda _, artifact: heard.taken.append(artifact),
    )
    return Session(Liar(pieces), order).run()


def lines(*said: wire.Event | bytes) -> Callable[[], Pieces]:
    data = [one if isinstance(one, bytes) else wire.encode(one) for one in said]
    return lambda: iter([("stdout", one) for one in data])


def refused(pieces: Callable[[], Pieces], heard: Heard | None = None) -> str:
    """Return the words of the refusal, which has to be short and harmless on a terminal."""
    with pytest.raises(ProtocolError) as caught:
        converse(pieces, heard)
    words = f"{caught.value.brief}: {caught.value.details}"
    assert len(words) < 20_000
    assert len(caught.value.brief) < 300
    return words


def raw(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def changed(event: wire.Event, **fields: object) -> bytes:
    """Return an event's line with some fields replaced, by whatever."""
    return raw(**{**json.loads(wire.encode(event)), **fields})


NO_EVENT = {
    "unknown-kind": raw(event="Reboot"),
    "no-kind": raw(step="x"),
    "kind-of-wrong-type": raw(event=["Hello"]),
    "job": raw(job={}),
    "not-json": b"hello world\n",
    "empty-line": b"\n",
    "array": b"[1,2]\n",
    "number": b"17\n",
    "bytes": bytes(range(128, 256)) + b"\n",
    "nul": b"\0\0\0\n",
    "deep": b"[" * 60_000 + b"\n",
    "deep-object": b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"\n",
    "extra-field": changed(HELLO, password="x"),
    "missing-field": raw(event="Hello", run=HELLO.run),
    "wrong-type": changed(HELLO, version="1"),
    "bool-for-int": changed(HELLO, version=True),
    "list-of-wrong-type": changed(HELLO, weaker=[1]),
    "mapping-of-wrong-type": changed(HELLO, facts={"a": {}}),
    "huge-int": changed(HELLO, version=1 << 4000),
    "many-digits": b'{"event":"Hello","version":' + b"9" * 50_000 + b"}\n",
    "unknown-isolation": changed(HELLO, isolation="none"),
    "terminal-escapes": b"\x1b]0;owned\x07\x1b[2J\n",
}


@pytest.mark.parametrize("name", NO_EVENT)
def test_a_line_that_is_no_event_is_refused(name: str) -> None:
    words = refused(lines(NO_EVENT[name]))
    assert "no event" in words
    assert "\x1b" not in words


LOG = wire.Log(step="prod:base", stream="stdout", text="x")
STARTED = run_story.started("prod:base", "base", "unpack")
AT_ODDS = {
    "nan": (HELLO, STARTED, changed(run_story.ended("prod:base"), wall_s=float("nan"))),
    "infinity": (HELLO, STARTED, changed(run_story.ended("prod:base"), wall_s=float("inf"))),
    "huge-float": (HELLO, STARTED, changed(run_story.ended("prod:base"), wall_s=1e300)),
    "below-zero": (HELLO, STARTED, run_story.ended("prod:base", wall_s=-1.0)),
    "huge-size": (HELLO, changed(run_story.artifact(), size_bytes=1 << 70)),
    "another-run": (run_story.hello(nonce="nonce", run="20250101T000000-ffffff"),),
    "another-version": (run_story.hello(nonce="nonce", version=99),),
    "no-hello": (STARTED,),
    "two-hellos": (HELLO, HELLO),
    "a-step-nobody-asked-for": (HELLO, run_story.started("prod:9", "configure", "x")),
    "a-deployment-nobody-asked-for": (HELLO, replace(STARTED, deployment="other")),
    "a-log-before-its-step": (HELLO, LOG),
    "ok-without-work": (HELLO, wire.Finished(outcome="ok")),
    "a-digest-that-is-none": (HELLO, run_story.artifact(sha256="../../etc/passwd")),
}


@pytest.mark.parametrize("name", AT_ODDS)
def test_a_story_at_odds_with_the_job_is_refused(name: str) -> None:
    heard = Heard()
    refused(lines(*AT_ODDS[name]), heard)
    assert heard.taken == []


NAMES = ["../x", "/etc/passwd", "a/b", "", ".", "..", "a\0b", "a\nb", "x" * 300, "\x1b[31m"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("field", ["name", "slot"])
def test_an_artifact_with_an_impossible_name_is_refused(name: str, field: str) -> None:
    heard = Heard()
    words = refused(lines(HELLO, run_story.artifact(**{field: name})), heard)
    assert heard.taken == []
    assert "\x1b" not in words


def test_a_stream_without_finished_is_a_failure_with_words_of_its_own() -> None:
    for said in ((), (HELLO,), (HELLO, STARTED, LOG)):
        assert "before it was finished" in refused(lines(*said))


def test_a_stream_that_ends_in_a_line_is_refused() -> None:
    assert "middle of a line" in refused(lines(HELLO, wire.encode(STARTED)[:-10]))


def test_nothing_after_finished_is_heard() -> None:
    heard = Heard()
    end = wire.Finished(outcome="failed", error="because")
    artifact = run_story.artifact()
    assert converse(lines(HELLO, end, artifact, b"rubbish\n"), heard) == end
    assert heard.events == [HELLO, end]
    assert heard.taken == []


def test_lines_may_come_in_pieces_of_any_size() -> None:
    end = wire.Finished(outcome="failed", error="because")
    data = wire.encode(HELLO) + wire.encode(end)
    for size in (1, 7, 4096):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert converse(lines(*pieces)) == end


def test_what_the_agents_stderr_said_last_is_told() -> None:
    def pieces() -> Pieces:
        yield "stderr", b"Traceback\n" + b"x" * MIB + b"\nMemoryError: too bad \xff\n"
        yield "stdout", b"rubbish\n"

    words = refused(pieces)
    assert words.endswith("MemoryError: too bad \\xff\n")


def grown_by(action: Callable[[], object]) -> int:
    """Return by how many bytes the peak of this process's memory grew."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    action()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


def test_a_hundred_megabytes_without_a_line_end_take_no_memory() -> None:
    def pieces() -> Pieces:
        yield "stdout", wire.encode(HELLO)
        for _ in range(100):
            yield "stdout", b"x" * MIB

    def attempt() -> None:
        assert "without a line's end" in refused(pieces)

    assert grown_by(attempt) < 16 * MIB


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_flood_after_a_failure_is_not_listened_to_for_long(stream: StreamName) -> None:
    def pieces() -> Pieces:
        yield "stdout", b"rubbish\n"
        while True:
            yield stream, b"x" * 1024

    started = time.monotonic()
    refused(pieces)
    assert time.monotonic() - started < 5


def test_a_gigabyte_of_stderr_takes_no_memory() -> None:
    def pieces() -> Pieces:
        piece = b"x" * MIB
        for _ in range(1024):
            yield "stderr", piece
        yield "stdout", b"rubbish\n"

    assert grown_by(lambda: refused(pieces)) < 16 * MIB


def test_a_million_log_lines_take_no_memory_of_the_session() -> None:
    piece = wire.encode(replace(LOG, text="y" * 100)) * 500

    def pieces() -> Pieces:
        yield "stdout", wire.encode(HELLO) + wire.encode(STARTED)
        for _ in range(100):
            yield "stdout", piece
        yield "stdout", b"rubbish\n"

    class Deaf(Heard):
        def __init__(self) -> None:
            super().__init__()
            self.events = _Counter()

    heard = Deaf()
    assert grown_by(lambda: refused(pieces, heard)) < 16 * MIB
    assert heard.events.count > 50_000


class _Counter(list[wire.Event]):
    count = 0

    def append(self, event: wire.Event) -> None:
        self.count += 1


def test_an_event_that_quotes_terminal_escapes_stays_on_one_line() -> None:
    words = refused(lines(changed(HELLO, run="\x1b[2J\nroot# ")))
    assert "\x1b" not in words
    assert "root# " not in words.split("\n")
