"""Which engine is taken, and how the user learns why."""

import hashlib
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from containerdeploy.engine import choose, docker_address
from containerdeploy.engine.docker import DockerEngine
from containerdeploy.errors import EngineError, EngineUnreachable, UsageError


def write_context(folder: Path, name: str, host: str, *, with_tls: bool = False) -> None:
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts/meta" / digest
    meta.mkdir(parents=True)
    endpoint = {"Host": host, "SkipTLSVerify": False}
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": endpoint}}))
    if with_tls:
        tls = folder / "contexts/tls" / digest / "docker"
        tls.mkdir(parents=True)
        (tls / "ca.pem").touch()


def test_docker_host_comes_before_the_current_context(tmp_path: Path) -> None:
    write_context(tmp_path, "other", "unix:///other.sock")
    (tmp_path / "config.json").write_text('{"currentContext": "other"}')
    environment = {"DOCKER_CONFIG": str(tmp_path)}
    found = docker_address.configured(environment)
    assert found is not None
    assert (found.url, found.origin) == ("unix:///other.sock", "docker context 'other'")
    named = docker_address.configured(environment | {"DOCKER_HOST": "unix:///named.sock"})
    assert named is not None
    assert (named.url, named.origin) == ("unix:///named.sock", "DOCKER_HOST")


def test_a_contexts_tls_files_are_taken(tmp_path: Path) -> None:
    write_context(tmp_path, "far", "tcp://far:2376", with_tls=True)
    environment = {"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "far"}
    found = docker_address.configured(environment)
    assert found is not None
    assert found.tls is not None
    assert found.tls.ca is not None
    assert (found.tls.ca.name, found.tls.cert, found.tls.verify) == ("ca.pem", None, True)


def test_docker_tls_verify_switches_tls_on_for_tcp_only(tmp_path: Path) -> None:
    environment = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    assert docker_address.from_url("tcp://far:2376", environment).tls is not None
    assert docker_address.from_url("unix:///near.sock", environment).tls is None


@pytest.mark.parametrize("content", ["", "[]", '{"currentContext": 7}', '{"currentContext": "x"}'])
def test_a_docker_configuration_that_makes_no_sense_counts_as_none(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / "config.json").write_text(content)
    assert docker_address.configured({"DOCKER_CONFIG": str(tmp_path)}) is None


@pytest.mark.parametrize("choice", ["dokcer", "unix://", "ftp://x"])
def test_a_choice_that_is_no_engine_is_quoted(choice: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"'{choice}'"):
        choose.open_engine(choice, tmp_path)


def test_an_ssh_address_comes_with_another_way(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        choose.open_engine("ssh://me@far", tmp_path)
    assert "ssh -nNT -L" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", EngineUnreachable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", EngineUnreachable),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"ApiVersion":"1.40"}', EngineError),
        (b"", EngineUnreachable),
    ],
)
def test_what_answers_must_speak_a_new_enough_api(
    tmp_path: Path, answer: bytes, error: type[EngineError]
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        answering = threading.Thread(target=answer_once, args=(listener, answer))
        answering.start()
        with pytest.raises(error):
            DockerEngine(f"unix://{tmp_path}/s", ping_s=5)
        answering.join()


def answer_once(listener: socket.socket, answer: bytes) -> None:
    connection = listener.accept()[0]
    with connection:
        connection.recv(65536)
        connection.sendall(answer)


def test_a_socket_that_never_answers_is_unreachable(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with pytest.raises(EngineUnreachable):
            DockerEngine(f"unix://{tmp_path}/s", ping_s=1)


def test_a_missing_socket_and_a_dead_one_are_told_apart(tmp_path: Path) -> None:
    dead = tmp_path / "dead"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(dead))
    for name, advice in (("missing", "no such socket"), ("dead", "nothing listens")):
        with pytest.raises(EngineUnreachable, match=str(tmp_path / name)) as caught:
            DockerEngine(f"unix://{tmp_path / name}")
        assert advice in (caught.value.hint or "")


def test_docker_that_is_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineUnreachable, match=r"none\.sock"):
        choose.open_engine("docker", tmp_path)


def test_auto_falls_back_to_local_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("containerdeploy.engine.local", exc_type=ImportError)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    chosen = choose.open_engine("auto", tmp_path)
    assert chosen.engine.describe().flavour == "local"
    assert chosen.why.startswith("local: ")
    assert "none.sock (DOCKER_HOST)" in chosen.why
    chosen.engine.close()


def test_the_sdk_is_not_imported_before_an_engine_is_opened() -> None:
    program = (
        "import sys, containerdeploy.engine.docker, containerdeploy.engine.choose;"
        "sys.exit('docker' in sys.modules or 'requests' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
