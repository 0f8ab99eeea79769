"""What comes through a FIFO lies in a file of ours, whole, with the digest of what lies there."""

import errno
import hashlib
import os
import random
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from containerdeploy.errors import DeployError, ProtocolError
from containerdeploy.helper.digesting import GrowingFile
from containerdeploy.helper.reception import Reception

DATA = random.Random(5).randbytes(5_000_001)


def receive(tmp_path: Path, *pieces: bytes) -> Reception:
    """Send pieces through a FIFO, each by a writer that opens it anew, and finish."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reception = Reception(fifo, tmp_path / "received")

    def send() -> None:
        for piece in pieces:
            fifo.write_bytes(piece)

    writer = threading.Thread(target=send)
    writer.start()
    writer.join()
    reception.finish()
    return reception


def check(reception: Reception, expected: bytes) -> None:
    assert reception.received.read_bytes() == expected
    assert reception.size_bytes == len(expected)
    assert reception.sha256 == hashlib.sha256(expected).hexdigest()


@pytest.mark.parametrize("size", [1, 4095, 65_537, len(DATA)])
def test_all_that_was_written_is_received(tmp_path: Path, size: int) -> None:
    check(receive(tmp_path, DATA[:size]), DATA[:size])


def test_closing_and_opening_anew_does_not_end_it(tmp_path: Path) -> None:
    check(receive(tmp_path, b"one", b"", DATA, b"two"), b"one" + DATA + b"two")


def test_a_file_system_that_can_not_be_moved_to_is_copied_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "splice", refuse)
    check(receive(tmp_path, DATA), DATA)


def test_nothing_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="wrote nothing"):
        receive(tmp_path)


def test_what_is_abandoned_is_gone(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reception = Reception(fifo, tmp_path / "received")
    fifo.write_bytes(b"half")
    reception.abandon()
    assert not (tmp_path / "received").exists()


def test_a_place_that_is_taken_is_told_and_ends_the_writer(tmp_path: Path) -> None:
    (tmp_path / "received").write_text("somebody's")
    with pytest.raises(DeployError, match="cannot write the result") as caught:
        receive(tmp_path)
    assert "File exists" in str(caught.value.details)
    assert (tmp_path / "received").read_text() == "somebody's"


def test_what_is_no_fifo_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fifo").write_text("a file")
    with pytest.raises(ProtocolError, match="no FIFO"):
        Reception(tmp_path / "fifo", tmp_path / "received")


def test_a_file_that_shrinks_has_no_digest(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"short")
    with (tmp_path / "file").open("rb") as file:
        digest = GrowingFile(file.fileno())
        digest.grown(3)
        digest.grown(100)
        with pytest.raises(OSError, match="shorter"):
            digest.finish()


def test_who_goes_on_writing_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reception = Reception(tmp_path / "fifo", tmp_path / "received")
    writer = os.open(tmp_path / "fifo", os.O_WRONLY)

    def write() -> None:
        with suppress(BrokenPipeError):
            while True:
                os.write(writer, bytes(1 << 20))

    thread = threading.Thread(target=write)
    thread.start()
    while not reception.size_bytes:
        time.sleep(0.01)
    reception.finish()
    thread.join(timeout=30)
    assert not thread.is_alive()
    check(reception, bytes(reception.size_bytes))


def test_what_has_no_end_does_not_fill_the_disk(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    most = 3 << 20
    reception = Reception(tmp_path / "fifo", tmp_path / "received", most_bytes=most)
    with pytest.raises(BrokenPipeError), (tmp_path / "fifo").open("wb", buffering=0) as writer:
        while True:
            writer.write(bytes(1 << 20))
    with pytest.raises(DeployError) as caught:
        reception.finish()
    assert f"larger than {most} bytes" in str(caught.value.details)
    assert (tmp_path / "received").stat().st_size <= most + (1 << 20)
