"""The wire: what goes in comes out, and whatever else comes in is a WireError and nothing else."""

import json
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerdeploy import frozen, wire
from containerdeploy.frozen import replace

# Lone surrogates stand for bytes that are no UTF-8 (PEP 383).
texts = st.text(st.characters(), max_size=40)
st.register_type_strategy(str, texts)
# The wire refuses numbers that are no finite seconds or bytes.
st.register_type_strategy(float, st.floats(-1e14, 1e14, allow_nan=False))
st.register_type_strategy(int, st.integers(-(1 << 62), 1 << 62))
KINDS = typing.get_args(wire.Event)
NESTING = {wire.Deployment, wire.Job}
VALUES = [*vars(wire.upkeep).values(), *vars(wire.job).values(), *vars(wire.events).values()]
for kind in (k for k in VALUES if frozen.is_frozen_kind(k) and k not in NESTING):
    hints = typing.get_type_hints(kind)
    st.register_type_strategy(kind, st.builds(kind, **{n: st.from_type(hints[n]) for n in hints}))
events = st.one_of([st.from_type(kind) for kind in KINDS])
steps = st.from_type(wire.Step)
leaves = st.builds(
    wire.Deployment,
    name=texts,
    source=st.from_type(wire.Source),
    metadata=texts,
    check=st.none() | steps,
    configure=st.lists(steps, max_size=2).map(tuple),
    write=st.none() | steps,
    output=st.none() | st.from_type(wire.Output),
    subsystems=st.just(()),
)
jobs = st.builds(
    wire.Job,
    kind=st.sampled_from(["deploy", "probe", "sweep", "verify"]),
    run=texts,
    system=texts,
    deployments=st.lists(leaves, max_size=2).map(tuple),
    source_date_epoch=st.none() | st.integers(0, 1 << 40),
    hold=st.booleans(),
    keep_going=st.booleans(),
    version=st.just(wire.VERSION),
)


def line(**body):
    return json.dumps(body).encode() + b"\n"


@given(events)
def test_every_event_comes_back_as_it_was(event):
    encoded = wire.encode(event)
    assert wire.decode(encoded) == event
    assert encoded.isascii()
    assert encoded.count(b"\n") == 1


@given(jobs)
def test_every_job_comes_back_as_it_was(job):
    assert wire.decode_job(wire.encode(job)) == job


@given(leaves, leaves)
def test_subsystems_nest(parent, child):
    nested = replace(parent, subsystems=(child,))
    job = wire.Job(kind="deploy", run="r", deployments=(nested,))
    assert wire.decode_job(wire.encode(job)) == job


def test_bytes_that_are_no_utf8_survive():
    text = b"caf\xe9\n".decode("utf-8", "surrogateescape")
    event = wire.decode(wire.encode(wire.Log(step="s", stream="stdout", text=text)))
    assert event.text.encode("utf-8", "surrogateescape") == b"caf\xe9\n"


def attempt(data):
    """Decode as either side would; only WireError may come of it."""
    for decode in (wire.decode, wire.decode_job):
        try:
            decode(data)
        except wire.WireError as err:
            assert len(str(err)) < 1000


@given(st.binary(max_size=300))
def test_any_bytes_give_a_message_or_a_wire_error(data):
    attempt(data)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
names = st.sampled_from([kind.__name__ for kind in KINDS])


@given(names, st.data())
def test_any_values_in_an_event_give_a_message_or_a_wire_error(name, data):
    kind = getattr(wire, name)
    fields = list(frozen.names(kind))
    body = data.draw(st.fixed_dictionaries(dict.fromkeys(fields, anything)))
    attempt(json.dumps({"kind": name, **body}).encode())


@given(anything)
def test_any_job_gives_a_job_or_a_wire_error(value):
    attempt(json.dumps({"job": value}).encode())


@given(events, st.data())
def test_a_mutilated_event_gives_a_message_or_a_wire_error(event, data):
    encoded = bytearray(wire.encode(event))
    position = data.draw(st.integers(0, len(encoded) - 1))
    encoded[position] = data.draw(st.integers(0, 255))
    attempt(bytes(encoded))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"\xff",
        b"{}",
        b'{"kind": null}',
        b'{"kind": []}',
        b'{"kind": "Shutdown"}',
        b'{"kind": "Job"}',
        b'{"kind": "Finished"}',
        b'{"kind": "Finished", "outcome": "fine"}',
        b'{"kind": "Finished", "outcome": "ok", "more": 1}',
        b'{"kind": "Progress", "step": "s", "done": true, "total": 1, "unit": "bytes"}',
        b'{"kind": "Progress", "step": "s", "done": 1e3, "total": 1, "unit": "bytes"}',
        b'{"kind": "StepFinished", "step": "s", "outcome": "ok", "wall_s": NaN}',
        b'{"kind": "StepFinished", "step": "s", "outcome": "ok", "wall_s": Infinity}',
        b'{"kind": "Changed", "step": "s", "changes": {}}',
        b'{"kind": "Changed", "step": "s", "changes": [1]}',
        b'{"job": []}',
        b'{"job": {"version": 99}}',
        b'{"job": {"version": 2}}',
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"kind": "Progress", "step": "s", "total": 1, "unit": "bytes", "done": '
        + b"9" * 5000
        + b"}",
    ],
)
def test_a_malformed_line_is_a_wire_error(data):
    with pytest.raises(wire.WireError):
        wire.decode(data)
    with pytest.raises(wire.WireError):
        wire.decode_job(data)


def test_a_line_over_the_bound_is_refused_unread():
    with pytest.raises(wire.WireError, match="more than"):
        wire.decode(b"x" * (wire.MAX_LINE + 1))


def test_an_event_over_the_bound_is_not_sent():
    event = wire.Log(step="s", stream="log", text="x" * wire.MAX_LINE)
    with pytest.raises(wire.WireError, match="is over"):
        wire.encode(event)


def fits_one_line(character):
    text = character * wire.TEXT_PER_LINE
    event = wire.Log(step="s" * 200, stream="stdout", text=text)
    assert wire.decode(wire.encode(event)).text == text


@pytest.mark.parametrize("character", ["a", "\x00", "\xe9", "\udcff", "\uffff"])
def test_a_piece_of_text_of_the_agreed_length_always_fits(character):
    fits_one_line(character)


def test_a_piece_of_emoji_of_the_agreed_length_fits():
    fits_one_line("\U0001f600")


def test_a_job_of_another_version_names_both():
    with pytest.raises(wire.WireError, match=f"speaks version 99, the agent {wire.VERSION}"):
        wire.decode_job(line(job={"version": 99, "kind": "probe", "run": "r"}))
