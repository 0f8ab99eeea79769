"""An extension reaches the hosts that its network lists, by each way, and nothing else."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import reachable
from deploy_world import Ended, World
from sites import Site

SCRIPT = Path(__file__).with_name("network_attacks.py")
# What gets through with the whole network, where the engine has what is attacked.
REAL = {"another_port", "another_port_by_ipv6", "datagrams"}
REAL_HERE = REAL | {"another_port_of_the_name", "abstract_socket"}  # on this host's own network


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A deploy of one system that may reach a server's two ports, and of one with all of it."""

    site: Site
    world: World
    ended: Ended
    server: reachable.Reachable
    reached: Sequence[tuple[str, str]]

    def told(self, name: str, kind: str) -> dict[str, Any]:
        """What an extension says of its uses or attacks, by their names."""
        step = self.step(name)
        events = [event for event in self.ended.events("Log") if event["step"] == step]
        lines = [line for event in events for line in event["text"].splitlines()]
        found = [json.loads(line) for line in lines if line.startswith(f'{{"{kind}"')]
        return {one[kind]: one for one in found}

    def step(self, name: str) -> str:
        (step,) = {e["step"] for e in self.ended.events("StepStarted") if e["name"] == name}
        return str(step)

    def connections(self) -> list[Mapping[str, Any]]:
        return self.ended.events("Connection")


@pytest.fixture(scope="module")
def attempt(site: Site, new_world: Callable[[str], World]) -> Iterator[Attempt]:
    if site.is_api and reachable.bridge(site) is None:
        pytest.skip("this engine runs without a bridge network")
    world = new_world("network")
    with reachable.serving(site) as server:
        ports = server.ports
        hosts = [f"{server.address}:{ports[name]}" for name in ("http", "echo")]
        hosts.append(f"localhost:{ports['other']}")
        values = {name.upper(): port for name, port in ports.items()}
        values |= {"ADDRESS": server.address, "type": "tar"}
        for name, network in (("listed", hosts), ("full", "full")):
            world.extension(f"{name}.configure", SCRIPT.read_text(), sidecar={"network": network})
            deployment = {**values, "NAME": name, "location": f"{name}.tar"}
            world.system(name, {name: deployment}, name)
        ended = world.deploy("--keep-going")
        reached = server.end()
        yield Attempt(site=site, world=world, ended=ended, server=server, reached=reached)


def test_what_is_listed_is_reached_by_every_way(attempt: Attempt) -> None:
    uses = {name: one["through"] for name, one in attempt.told("listed", "use").items()}
    assert uses == {
        "http_by_the_proxy_of_the_environment": "got /urllib",
        "plain_http": "got /plain, kept alive",
        "a_body_through_the_proxy": 100_000,
        "chunks_through_the_proxy": 5001,
        "a_tunnel": f"listed {attempt.server.address}:{attempt.server.ports['echo']}",
        "a_megabyte_there_and_back": True,
        "many_at_a_time": [40, 1],
    }, attempt.ended


def test_nothing_else_is_reached(attempt: Attempt) -> None:
    attacks = attempt.told("listed", "attack")
    assert len(attacks) == SCRIPT.read_text().count("\n@attack\n") >= 15, attempt.ended
    assert {name: one for name, one in attacks.items() if one["through"]} == {}
    came = [(port, words) for port, words in attempt.reached if port not in ("http", "echo")]
    assert [one for one in came if "listed" in one[1] or "HTTP" in one[1]] == []
    odd = ("/odd", "/first", "/second")
    assert [one for one in attempt.reached if one[0] == "http" and one[1].startswith(odd)] == []


def test_the_attacks_are_real(attempt: Attempt) -> None:
    """With the whole network the same attacks reach what stands there."""
    attacks = attempt.told("full", "attack")
    expected = REAL if attempt.site.is_api else REAL_HERE
    assert expected <= {name for name, one in attacks.items() if one["through"]}, attempt.ended
    assert {"other", "udp"} <= {port for port, words in attempt.reached if "full" in words}


def test_every_connection_is_told_with_its_bytes(attempt: Attempt) -> None:
    (finished,) = [
        one for one in attempt.ended.events("StepFinished") if one["step"] == attempt.step("listed")
    ]
    told = attempt.connections()
    made = [one for one in told if not one["refused"]]
    assert finished["traffic"] == {
        "connections": len(made),
        "refused": len(told) - len(made),
        "sent_bytes": sum(one["sent_bytes"] for one in told),
        "received_bytes": sum(one["received_bytes"] for one in told),
    }
    exact = (attempt.server.address, attempt.server.ports["echo"], 1 << 20, 1 << 20)
    names = ("host", "port", "sent_bytes", "received_bytes")
    assert exact in [tuple(one[name] for name in names) for one in made]
    refused = {(one["host"], one["port"]): one["refused"] for one in told if one["refused"]}
    assert "not among" in refused[attempt.server.address, attempt.server.ports["other"]]
    assert "a loopback address" in refused["localhost", attempt.server.ports["other"]]


def test_the_record_shows_them(attempt: Attempt) -> None:
    shown = attempt.world.command("show", "last").out
    whom = f"{attempt.server.address}:{attempt.server.ports['echo']}"
    assert f"{whom}, 1.0 MB sent, 1.0 MB received" in shown
    assert f"{whom}, 1.0 MB" not in attempt.ended.out
    assert "listed.configure: " in attempt.ended.out
    found = json.loads(attempt.world.command("show", "last", "--json").out)
    steps = [
        step
        for system in found["results"]["systems"]
        for deployment in system["deployments"]
        for step in deployment["steps"]
        if step["name"] == "listed"
    ]
    assert len(steps[0]["connections"]) == len(attempt.connections())


def test_both_systems_are_deployed(attempt: Attempt) -> None:
    assert attempt.ended.code == 0, attempt.ended
