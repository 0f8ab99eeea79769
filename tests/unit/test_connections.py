"""What is told of connections on its way to the record: believed, masked, bounded, shown."""

from pathlib import Path

import pytest
from run_story import deployment, heard, hello, job, run_started, started, step

from containerdeploy import wire
from containerdeploy.conduct import Conduct
from containerdeploy.errors import ProtocolError
from containerdeploy.frozen import replace
from containerdeploy.report import advice, text
from containerdeploy.result import DeploymentResult, Heard, Ledger, StepResult, ledger
from containerdeploy.result.masking import MASK, Masking

STEP = "prod:check"
MADE = wire.Connection(
    step=STEP, host="a.org", port=443, address="10.0.0.7", sent_bytes=1200, received_bytes=1
)
REFUSED = wire.Connection(step=STEP, host="b.org", port=80, refused="not among them")


def told(*events: wire.Event, network: wire.Network = "listed") -> Conduct:
    """Give these to a Conduct, in a check that has that network."""
    planned = deployment("prod")
    assert planned.check is not None
    check = replace(planned.check, network=network, hosts=("a.org:443",))
    conduct = Conduct(job(replace(planned, check=check)))
    for event in (hello(), started(STEP, "check", check.name), *events):
        conduct.check(event)
    return conduct


def test_connections_of_a_listed_network_are_believed() -> None:
    told(MADE, REFUSED)


@pytest.mark.parametrize("network", ["none", "full"])
def test_another_network_has_none_to_tell(network: wire.Network) -> None:
    with pytest.raises(ProtocolError, match="no list"):
        told(MADE, network=network)


@pytest.mark.parametrize(
    "odd",
    [
        *({"port": -1}, {"port": 65536}, {"sent_bytes": -1}, {"received_bytes": -5}),
        *({"host": "a\x1b[2J"}, {"refused": "a\nb"}, {"address": "x" * 256}, {"step": "prod:1"}),
    ],
)
def test_what_no_honest_agent_says_is_refused(odd: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        told(replace(MADE, **odd))


def test_a_thousand_are_told_and_no_more() -> None:
    told(*[MADE] * wire.MAX_CONNECTIONS)
    with pytest.raises(ProtocolError, match="too many"):
        told(*[MADE] * (wire.MAX_CONNECTIONS + 1))


def test_sums_below_zero_are_refused() -> None:
    odd = wire.Traffic(connections=1, sent_bytes=-1)
    with pytest.raises(ProtocolError):
        told(wire.StepFinished(step=STEP, outcome="ok", traffic=odd))


def test_a_secret_that_is_asked_for_is_masked() -> None:
    happening = Heard(system="web", event=replace(REFUSED, host="geheim42.evil.org"))
    (masked,) = Masking(["geheim42"]).take(happening)
    assert isinstance(masked, Heard)
    assert isinstance(masked.event, wire.Connection)
    assert masked.event.host == f"{MASK}.evil.org"


def test_a_run_keeps_a_bounded_number() -> None:
    events = [replace(MADE, step="prod:x")] * (ledger.MAX_CONNECTIONS + 10)
    kept = Ledger()
    for happening in [
        run_started(Path("/record")),
        *heard(hello(), *step("x", "configure", *events)),
    ]:
        kept.take(happening)
    (found,) = kept.results().systems[0].deployments[0].steps
    assert len(found.connections) == ledger.MAX_CONNECTIONS


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        (MADE, "a.org:443 (10.0.0.7), 1.2 kB sent, 1 byte received"),
        (REFUSED, "b.org:80 refused: not among them"),
        (replace(MADE, host="::1", address="::1"), "[::1]:443, 1.2 kB sent, 1 byte received"),
        (replace(REFUSED, host="", port=0), "no host refused: not among them"),
    ],
)
def test_a_connection_is_one_line(connection: wire.Connection, words: str) -> None:
    assert text.connection(connection) == words


def test_the_sums_are_one_line() -> None:
    assert text.traffic(wire.Traffic(connections=1)) == (
        "1 connection, 0 bytes sent, 0 bytes received"
    )
    assert text.traffic(wire.Traffic(connections=2, refused=3)).startswith(
        "2 connections, 3 refused, "
    )


@pytest.mark.parametrize(
    ("traffic", "said", "hint"),
    [
        (wire.Traffic(refused=1), "exit 1", "hosts that its `network` lists"),
        (wire.Traffic(), "Could not resolve host: x", "hosts that its `network` lists"),
        (wire.Traffic(connections=1), "exit 1", "read what the step said"),
        (None, "Could not resolve host: x", "`network: full`"),
    ],
)
def test_a_step_that_failed_for_want_of_a_host_is_told_where_to_list_it(
    traffic: wire.Traffic | None, said: str, hint: str
) -> None:
    failed = StepResult(
        id="x",
        kind="configure",
        name="x",
        outcome="failed",
        tails={"stderr": said},
        traffic=traffic,
    )
    deployment = DeploymentResult(name="prod", outcome="failed", steps=(failed,))
    assert hint in advice.advise(deployment)[0]
