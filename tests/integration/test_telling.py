"""What is told of a run while it goes on and afterwards: progress, events, record."""

import json

from deploy_world import World

FAIL = '#!/bin/sh\necho "ERROR: the flux is not aligned"\nexit 3\n'
TAR = {"type": "tar", "location": "s.tar"}


def test_events_and_json_progress_are_the_same_lines(world: World) -> None:
    from containerdeploy.result import happening_from_json

    world.system("s", {"one": TAR})
    ended = world.deploy("--progress=json")
    assert ended.code == 0
    told = [json.loads(line) for line in ended.out.splitlines()]
    assert [without_time(one) for one in told] == [without_time(o) for o in ended.happenings]
    kinds = [type(happening_from_json(one)).__name__ for one in told]
    assert (kinds[0], kinds[-1]) == ("RunStarted", "RunFinished")


def without_time(one: object) -> dict[str, object]:
    assert isinstance(one, dict)
    return {key: value for key, value in one.items() if key != "at"}


def test_quiet_tells_the_results_only(world: World) -> None:
    world.system("s", {"one": TAR})
    lines = world.deploy("--progress=quiet").out.splitlines()
    assert lines[0].startswith("[s][one] deployed in ")
    assert lines[-1].startswith("1 deployed, 0 failed")
    assert len(lines) <= 4


def test_a_closed_pipe_ends_nothing_half_way(world: World) -> None:
    world.system("s", {"one": TAR})
    command = " ".join(world.argv("deploy")) + " | head -n1; exit ${PIPESTATUS[0]}"
    ran = world.site.run(["bash", "-c", command], world.directory)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("deploy test: 1 deployment")
    assert "Traceback" not in ran.stderr
    assert (world.out / "s.tar").exists()


def test_the_record_tells_what_happened(world: World) -> None:
    world.extension("fail.configure", FAIL)
    world.system("s", {"one": {**TAR, "KEY": "value", "SOME_TOKEN": "hunter2"}}, "fail")
    ended = world.deploy()
    run = ended.happenings[0]["run"]
    listed = world.command("runs")
    assert listed.code == 0
    assert any(run in line and "failed" in line for line in listed.out.splitlines())
    shown = world.command("show", run)
    assert shown.code == 0
    assert "fail.configure" in shown.out
    assert "hunter2" not in shown.out
    record = json.loads(world.command("show", "--json", run).out)
    (deployment,) = record["results"]["systems"][0]["deployments"]
    told = {step["id"]: step["outcome"] for step in deployment["steps"]}
    assert told == {step["step"]: step["outcome"] for step in ended.events("StepFinished")}
    log = world.command("show", run, "--log", "fail.configure")
    assert "ERROR: the flux is not aligned" in log.out
