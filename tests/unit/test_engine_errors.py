"""What the engine's own messages become, and which failures are tried again."""

import errno

import pytest

from containerdeploy.engine import docker_errors, retry
from containerdeploy.errors import EngineError, ImageMissing


@pytest.mark.parametrize(
    ("message", "brief"),
    [
        (
            'invalid mount config for type "bind": bind source path does not exist: /no/such',
            "bind source '/no/such' is not on the engine's host",
        ),
        ("statfs /no/such: no such file or directory", "bind source '/no/such' is not"),
        ("write /x: no space left on device", "the engine has no space left while acting"),
        ("container rootfs is marked read-only", "the place is read-only"),
        ("OCI permission denied", "the engine lacks a permission while acting"),
    ],
)
def test_well_known_messages_become_sentences_with_a_hint(message: str, brief: str) -> None:
    error = docker_errors.refused(500, message, "acting")
    assert brief in error.brief
    assert error.details == message
    assert error.hint
    assert not error.transient


def test_a_missing_image_is_an_error_of_its_own() -> None:
    assert isinstance(docker_errors.refused(404, "No such image: x:latest", "acting"), ImageMissing)


@pytest.mark.parametrize(
    ("status", "message", "may_pass"),
    [
        (500, "server is shutting down", True),
        (503, "busy", True),
        (500, "OCI runtime create failed: exec: no such program", False),
        (400, "bad parameter", False),
        (404, "no such container", False),
    ],
)
def test_only_passing_refusals_are_worth_asking_again(
    status: int, message: str, may_pass: bool
) -> None:
    assert docker_errors.refused(status, message, "acting").transient is may_pass


@pytest.mark.parametrize(
    ("cause", "advice"),
    [
        (PermissionError(errno.EACCES, "denied"), "group"),
        (FileNotFoundError(errno.ENOENT, "nothing"), "no such socket"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "nothing listens"),
    ],
)
def test_an_unreachable_engine_comes_with_advice_for_its_cause(cause: OSError, advice: str) -> None:
    error = docker_errors.unreachable("unix:///run/x.sock", cause)
    assert "unix:///run/x.sock" in error.brief
    assert advice in (error.hint or "")


def failing(error: EngineError, *, times: int) -> tuple[list[int], object]:
    calls: list[int] = []

    def call() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return "answer"

    return calls, call


def test_a_passing_failure_is_tried_again() -> None:
    calls, call = failing(EngineError("hiccup", transient=True), times=1)
    assert retry.passing(call) == "answer"  # type: ignore[arg-type]
    assert len(calls) == 2


def test_a_lasting_failure_is_not() -> None:
    calls, call = failing(EngineError("no"), times=1)
    with pytest.raises(EngineError, match="no"):
        retry.passing(call)  # type: ignore[arg-type]
    assert len(calls) == 1


def test_trying_again_has_an_end() -> None:
    calls, call = failing(EngineError("hiccup", transient=True), times=99)
    with pytest.raises(EngineError, match="hiccup"):
        retry.passing(call, attempts=2)  # type: ignore[arg-type]
    assert len(calls) == 2
