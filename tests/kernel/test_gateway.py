"""A gateway among bad names, bad addresses and bad clients, in a network of the test's own."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from agent_bench import Bench, wait_until

from containerdeploy import wire

pytestmark = pytest.mark.kernel

WORLD = Path(__file__).parents[1] / "support" / "gateway_world.py"
ROOT = Path(__file__).parents[2]
OK = "HTTP/1.0 200 OK\r\n\r\n"
TUNNEL = "HTTP/1.1 200 Connection established\r\n\r\n"
GOOD = ("good.example", "six.example", "mixed.example", "late.example")
BAD = {
    "rebound.example": "leads to 127.0.0.1, a loopback address",
    "rebound6.example": "leads to ::1, a loopback address",
    "mapped.example": "leads to ::ffff:127.0.0.1, a loopback address",
    "zero.example": "leads to 0.0.0.0, an unspecified address",
    "metadata.example": "leads to 169.254.169.254, a link-local address",
    "metadata6.example": "leads to fd00:ec2::254, a metadata address",
    "linklocal.example": "leads to 169.254.7.7, a link-local address",
    "own.example": "leads to 10.99.0.1, an address of the helper's own",
    "own6.example": "leads to fd99::1, an address of the helper's own",
    "allcast.example": "leads to 255.255.255.255, no single host's address",
}
UNLISTED = "not among the hosts that this extension's network lists"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of every scenario."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for networks of its own")
    if not shutil.which("ip"):
        pytest.skip("needs the program ip (iproute2), for a wire between two networks")
    place = tmp_path_factory.mktemp("world")
    argv = ["unshare", "--net", "--mount", sys.executable, str(WORLD), str(place)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(argv, env=environment, capture_output=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr.decode()
    came: dict[str, Any] = json.loads(ran.stdout)
    return came | {"collected": (place / "collected").read_text().split()}


def refusals(scenario: dict[str, Any]) -> dict[str, str]:
    return {one["host"]: one["refused"] for one in scenario["told"] if one["refused"]}


@pytest.mark.parametrize("name", GOOD)
def test_a_listed_name_is_reached_by_its_door_and_by_the_proxy(
    world: dict[str, Any], name: str
) -> None:
    ways = world["where_the_names_lead"]["result"][name]
    assert ways == [f"{OK}there", f"{TUNNEL}{OK}there"]


@pytest.mark.parametrize(("name", "why"), BAD.items())
def test_a_listed_name_can_not_lead_to(world: dict[str, Any], name: str, why: str) -> None:
    by_door, by_proxy = world["where_the_names_lead"]["result"][name]
    assert "Error" in by_door
    assert "there" not in by_door + by_proxy
    assert "helper" not in by_door
    assert by_proxy.startswith("HTTP/1.1 403 ")
    assert refusals(world["where_the_names_lead"])[name] == why


def test_what_the_names_lead_to_is_there(world: dict[str, Any]) -> None:
    """The servers answer the helper itself: nothing but the gateway is in an extension's way."""
    without = world["without_a_gateway"]
    assert {name: one for name, one in without.items() if not one.startswith(OK)} == {}
    assert without["metadata.example"] == without["metadata6.example"] == f"{OK}there"
    for name in ("rebound.example", "mapped.example", "zero.example", "own.example"):
        assert without[name] == f"{OK}helper"


def test_of_several_addresses_only_good_ones_are_tried(world: dict[str, Any]) -> None:
    told = world["where_the_names_lead"]["told"]
    assert {one["address"] for one in told if one["host"] == "mixed.example"} == {"10.99.0.2"}


def test_a_wildcard_stands_for_the_names_below_it(world: dict[str, Any]) -> None:
    result = world["wildcards"]["result"]
    assert result["a.wild.example"] == result["b.a.wild.example"] == f"{TUNNEL}{OK}there"
    assert refusals(world["wildcards"]) == {
        "wild.example": UNLISTED,
        "xwild.example": UNLISTED,
        "bad.wild.example": "leads to 127.0.0.1, a loopback address",
    }


def test_a_listed_address_is_reached_as_it_is(world: dict[str, Any]) -> None:
    result = world["what_is_listed_as_an_address"]["result"]
    assert result["four"] == result["six"] == f"{OK}there"
    assert result["tunnel to six"] == f"{TUNNEL}{OK}there"


def test_an_address_of_the_helper_is_reached_where_it_is_listed_itself(
    world: dict[str, Any],
) -> None:
    result = world["what_is_listed_as_an_address"]["result"]
    assert result["the helper's"] == f"{OK}helper"
    assert result["a name of it"] == f"{TUNNEL}{OK}helper"


def test_nothing_that_is_not_listed_is_reached(world: dict[str, Any]) -> None:
    direct, tunnels = world["what_is_not_listed"]["result"]
    assert len(direct) == 4
    assert all("Error" in answer for answer in direct.values())
    assert len(tunnels) == 6
    assert all(answer.startswith("HTTP/1.1 403 ") for answer in tunnels.values())


def test_a_slow_name_holds_up_nobody(world: dict[str, Any]) -> None:
    answers, took, slow = world["a_slow_name_holds_up_nobody"]["result"]
    assert answers == [f"{OK}there"] * 5
    assert took < 1
    assert slow.startswith("HTTP/1.1 502 ")


def test_too_many_connections_wait_for_room(world: dict[str, Any]) -> None:
    early, late = world["more_than_at_a_time"]["result"]
    assert early == "TimeoutError: timed out"
    assert late == f"{OK}there"


def test_a_request_has_to_come_soon(world: dict[str, Any]) -> None:
    answer, took = world["slow_heads"]["result"]
    assert "no request within 0.5 s" in answer
    assert took > 0.4


def test_a_silent_connection_ends(world: dict[str, Any]) -> None:
    size, took = world["silence"]["result"]
    assert size == 0
    assert took > 0.9


def test_a_flood_is_told_in_part_and_counted_as_a_whole(world: dict[str, Any]) -> None:
    flood = world["a_flood_of_refusals"]
    assert len(flood["told"]) == 1000
    assert flood["totals"]["refused"] == flood["result"] == 1100


def test_what_was_sent_right_before_the_end_arrives(world: dict[str, Any]) -> None:
    assert world["sent_and_gone"]["totals"]["sent_bytes"] == 2 << 20
    assert world["collected"].count(str(1 << 20)) == 2


def test_nothing_holds_up_the_end(world: dict[str, Any]) -> None:
    assert world["held_open_at_the_end"]["took"] < 5
    assert world["held_open_at_the_end"]["totals"]["connections"] == 3
    assert world["a_program_that_never_opens_its_doors"]["connections"] == 0


def test_memory_is_bounded_where_nobody_reads(world: dict[str, Any]) -> None:
    """Fifty hosts that send without end: 64 KiB or two for each, and an orderly end."""
    scenario = world["nobody_reads"]
    assert scenario["totals"]["connections"] == 50
    first, last = scenario["kilobytes"]
    assert last - first < 50 * 128 * 2


def test_the_forwarder_holds_nothing(world: dict[str, Any]) -> None:
    held = world["what_the_forwarder_holds"]
    assert held["Uid"].split() == ["65534"] * 4
    assert int(held["CapEff"], 16) == int(held["CapPrm"], 16) == 0
    assert (held["NoNewPrivs"], held["Seccomp"]) == ("1", "2")
    assert held["kinds"] == ["pipe", "socket"]


def test_the_death_of_the_forwarder_is_told(world: dict[str, Any]) -> None:
    died = world["a_forwarder_that_dies"]
    first, second = died["result"]
    assert first == f"{OK}there"
    assert "ConnectionRefusedError" in second
    assert "what connects for the extension failed" in died["failed"]


def forwarders(agent: int) -> list[int]:
    """The agent's children, at any depth, that are nobody."""
    found, pids = [], [agent]
    while pids:
        pid = pids.pop()
        try:
            pids += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        if "\nUid:\t65534\t" in status:
            found.append(pid)
    return found


@pytest.fixture
def at_work(bench: Bench, small: wire.Source) -> tuple[wire.Step, Any]:
    """A running step with a listed network, and its agent."""
    script = "echo ready; sleep 1.5; cat /etc/resolv.conf"
    step = bench.shell(script, network="listed", hosts=("a.example:80",))
    agent = bench.start(bench.job(bench.deployment(small, configure=[step])))
    agent.wait_for(wire.Log, step=step.id, text="ready")
    return step, agent


def test_a_step_whose_forwarder_dies_fails(at_work: tuple[wire.Step, Any]) -> None:
    step, agent = at_work
    (pid,) = forwarders(agent.process.pid)
    os.kill(pid, signal.SIGKILL)
    story = agent.end()
    assert story.ending(step).outcome == "failed"
    assert "what connects for the extension failed" in story.ending(step).detail
    assert story.finished.outcome == "failed"


def test_the_forwarder_goes_with_the_step_and_with_the_agent(
    at_work: tuple[wire.Step, Any],
) -> None:
    _, agent = at_work
    (pid,) = forwarders(agent.process.pid)
    agent.kill()
    wait_until(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.parametrize("isolation", ["strict", "compat"])
def test_an_extension_has_doors_in_every_mode(
    bench: Bench, small: wire.Source, isolation: wire.Mode
) -> None:
    program = (
        "import socket\n"
        'sock = socket.create_connection(("127.0.77.1", 3128), 5)\n'
        'sock.sendall(b"CONNECT b.example:80 HTTP/1.1\\r\\n\\r\\n")\n'
        "print(sock.recv(12).decode())\n"
        'for host in ("a.example", "192.0.2.7", "2001:db8::7"):\n'
        "    socket.create_connection((host, 80), 5)\n"
    )
    hosts = ("a.example:80", "192.0.2.7:80", "[2001:db8::7]:80")
    step = bench.shell(f"exec python3 -I -c '{program}'", network="listed", hosts=hosts)
    job = bench.job(bench.deployment(small, configure=[step]), isolation=isolation)
    story = bench.run(job)
    assert story.finished.outcome == "ok", (story.finished, story.said(step, "stderr"))
    assert story.said(step) == "HTTP/1.1 403\n"
