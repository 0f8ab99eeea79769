"""What an engine object makes of connections that break, and of controllers that die."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from cutting_proxy import CuttingProxy, after_request, inside_answer
from subject import LABEL, Subject, read_until

from containerdeploy.engine.docker import DockerEngine
from containerdeploy.errors import EngineError, EngineUnreachable

CLIENT = """
import sys, time
from containerdeploy.engine.docker import DockerEngine
engine = DockerEngine(sys.argv[1])
attached = engine.attach(sys.argv[2])
engine.start(sys.argv[2])
print("started", flush=True)
time.sleep(60)
"""


def path_of(api: Subject) -> str:
    return api.url.removeprefix("unix://")


def test_a_lost_answer_to_create_is_looked_up(api: Subject, tmp_path: Path) -> None:
    cut = after_request("POST .*/containers/create")
    with CuttingProxy(tmp_path / "s", path_of(api), cut) as proxy:
        engine = DockerEngine(proxy.url)
        container = engine.create(api.spec("hold"))
        engine.close()
    assert proxy.cuts == 1
    assert [one.id for one in api.engine.containers(f"{LABEL}={api.test}")] == [container]


def test_lost_answers_to_start_and_remove_do_no_harm(api: Subject, tmp_path: Path) -> None:
    cut = after_request("POST .*/start|DELETE", times=2)
    with CuttingProxy(tmp_path / "s", path_of(api), cut) as proxy:
        engine = DockerEngine(proxy.url)
        container = engine.create(api.spec("hold"))
        attached = engine.attach(container)
        engine.start(container)
        read_until(attached, 6)
        attached.close()
        engine.remove(container)
        engine.close()
    assert proxy.cuts >= 1
    assert not api.engine.containers(f"{LABEL}={api.test}")


def test_an_attachment_that_breaks_inside_a_frame_is_an_error(api: Subject, tmp_path: Path) -> None:
    cut = inside_answer("POST .*/attach", b"to stdout")
    with CuttingProxy(tmp_path / "s", path_of(api), cut) as proxy:
        engine = DockerEngine(proxy.url)
        container = engine.create(api.spec("printf 'first '; printf 'to stdout'; sleep 1"))
        attached = engine.attach(container)
        engine.start(container)
        with pytest.raises(EngineError, match="broke"):
            while attached.read(10):
                pass
        attached.close()
        engine.close()


def test_an_engine_answers_on_tcp_as_well(api: Subject) -> None:
    with CuttingProxy(None, path_of(api), after_request("never")) as proxy:
        engine = DockerEngine(proxy.url)
        over_tcp = Subject(kind=api.kind, engine=engine, image=api.image, test=api.test)
        with over_tcp.running("echo") as (_, attached):
            attached.write(b"there and back")
            assert read_until(attached, 14)["stdout"] == b"there and back"
        engine.close()


def test_an_engine_that_went_away_is_unreachable(api: Subject, tmp_path: Path) -> None:
    with CuttingProxy(tmp_path / "s", path_of(api), after_request("never")) as proxy:
        engine = DockerEngine(proxy.url)
    (tmp_path / "s").unlink()
    with pytest.raises(EngineUnreachable, match=str(tmp_path)):
        engine.containers(LABEL)
    engine.close()


def test_a_container_ends_when_its_controller_is_killed(api: Subject) -> None:
    container = api.engine.create(api.spec("hold", keep=True))
    command = [sys.executable, "-c", CLIENT, api.url, container]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as client:
        assert client.stdout
        assert client.stdout.readline() == b"started\n"
        assert [one.state for one in api.engine.containers(f"{LABEL}={api.test}")] == ["running"]
        client.kill()
        began = time.monotonic()
        assert api.engine.wait(container, 5) == 0
        assert time.monotonic() - began < 5
