"""The streams of an attached container, over sockets of the test's own."""

import concurrent.futures
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerdeploy.engine.docker_stream import AttachedSocket, Frames
from containerdeploy.errors import EngineError


def frame(stream: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(data)) + data


@pytest.fixture
def pair() -> Iterator[tuple[AttachedSocket, socket.socket]]:
    ours, theirs = socket.socketpair()
    attached = AttachedSocket(ours, lambda: None, stall_s=0.2)
    yield attached, theirs
    attached.close()
    theirs.close()


Pair = tuple[AttachedSocket, socket.socket]


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=8),
    st.integers(min_value=1, max_value=50),
)
def test_frames_come_out_whole_however_they_are_cut(
    sent: list[tuple[int, bytes]], step: int
) -> None:
    wire = b"".join(frame(stream, data) for stream, data in sent)
    frames = Frames()
    got = {"stdout": b"", "stderr": b""}
    for at in range(0, len(wire), step):
        frames.feed(wire[at : at + step])
        while piece := frames.next_piece():
            got[piece[0]] += piece[1]
    assert got["stdout"] == b"".join(data for stream, data in sent if stream == 1)
    assert got["stderr"] == b"".join(data for stream, data in sent if stream == 2)
    assert not frames.is_mid_frame


def test_a_frame_that_claims_four_gigabytes_costs_only_what_came() -> None:
    frames = Frames()
    frames.feed(struct.pack(">BxxxL", 1, 0xFFFFFFFF) + b"little")
    assert frames.next_piece() == ("stdout", b"little")
    assert frames.next_piece() is None
    assert frames.is_mid_frame


@pytest.mark.parametrize("header", [b"\x07\0\0\0\0\0\0\1", b"HTTP/1.1"])
def test_what_is_no_frame_is_an_error(header: bytes) -> None:
    frames = Frames()
    frames.feed(header)
    with pytest.raises(EngineError, match="broken output stream"):
        frames.next_piece()


def test_an_error_of_the_engine_comes_with_its_text() -> None:
    frames = Frames()
    frames.feed(frame(3, b"the log driver died"))
    with pytest.raises(EngineError) as caught:
        frames.next_piece()
    assert caught.value.details == "the log driver died"


def test_the_end_between_frames_is_the_end(pair: Pair) -> None:
    attached, theirs = pair
    theirs.sendall(frame(2, b"last words"))
    theirs.close()
    assert attached.read(5) == ("stderr", b"last words")
    assert attached.read(5) is None


@pytest.mark.parametrize("cut", [1, 7, 8, 10])
def test_the_end_inside_a_frame_is_an_error(pair: Pair, cut: int) -> None:
    attached, theirs = pair
    theirs.sendall(frame(1, b"words")[:cut])
    theirs.close()
    with pytest.raises(EngineError, match="broke"):
        while attached.read(5):
            pass


def test_writing_to_a_peer_that_takes_nothing_gives_up(pair: Pair) -> None:
    attached, _ = pair
    with pytest.raises(EngineError, match="took no input"):
        attached.write(bytes(10_000_000))


def test_writing_to_a_peer_that_is_gone_is_an_error(pair: Pair) -> None:
    attached, theirs = pair
    theirs.close()
    with pytest.raises(EngineError, match="broke"):
        attached.write(bytes(10_000_000))


def test_closing_is_seen_by_the_peer_and_releases_once() -> None:
    ours, theirs = socket.socketpair()
    released: list[bool] = []
    attached = AttachedSocket(ours, lambda: released.append(True))
    attached.close()
    attached.close()
    assert theirs.recv(1) == b""
    theirs.close()
    assert released == [True]
    assert attached.read(0) is None


def test_reading_and_writing_share_a_tls_connection(tmp_path: Path) -> None:
    server, client = (tls_context(tmp_path, side) for side in ("server", "client"))
    ours, theirs = socket.socketpair()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        wrapping = pool.submit(server.wrap_socket, theirs, server_side=True)
        attached = AttachedSocket(client.wrap_socket(ours), lambda: None)
        peer = wrapping.result()
    data = bytes(range(256)) * 4000
    echoing = threading.Thread(target=echo_framed, args=(peer, len(data)))
    writing = threading.Thread(target=attached.write, args=(data,))
    echoing.start()
    writing.start()
    got = b""
    while len(got) < len(data):
        piece = attached.read(10)
        assert piece
        got += piece[1]
    assert got == data
    writing.join()
    echoing.join()
    attached.close()
    peer.close()


def echo_framed(peer: ssl.SSLSocket, count: int) -> None:
    while count:
        data = peer.recv(65536)
        count -= len(data)
        peer.sendall(frame(1, data))


def tls_context(folder: Path, side: str) -> ssl.SSLContext:
    if side == "client":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    key, cert = folder / "key.pem", folder / "cert.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test"]
    subprocess.run([*argv, "-keyout", key, "-out", cert], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context
