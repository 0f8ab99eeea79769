"""What every engine promises about a container's life; see engine.base.Engine."""

import concurrent.futures
import hashlib
import io
import os
import tarfile
import threading
import time
from pathlib import Path

import pytest
from subject import LABEL, Subject, read_all, read_until

from containerdeploy.engine.base import Mount
from containerdeploy.errors import EngineError, ImageMissing

DATA = Mount(kind="anonymous", target="/data")


def tar_of(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_an_engine_says_what_it_is(subject: Subject) -> None:
    info = subject.engine.describe()
    assert info.flavour == subject.kind
    assert info.kernel


def test_a_container_ends_with_its_programs_exit_code(subject: Subject) -> None:
    assert subject.run("exit-7").code == 7


def test_stdout_and_stderr_come_apart(subject: Subject) -> None:
    ended = subject.run("speak")
    assert (ended.stdout, ended.stderr, ended.code) == (b"to stdout\n", b"to stderr\n", 0)


def test_megabytes_of_binary_survive_the_way_in_and_out_of_both_streams(subject: Subject) -> None:
    data = os.urandom(5_000_000)
    with subject.running("echo-both") as (_, attached):
        writer = threading.Thread(target=attached.write, args=(data,))
        writer.start()
        output = read_until(attached, 2 * len(data), within_s=60)
        writer.join()
    wanted = hashlib.sha256(data).hexdigest()
    found = {name: hashlib.sha256(content).hexdigest() for name, content in output.items()}
    assert found == {"stdout": wanted, "stderr": wanted}


def test_pieces_are_at_most_a_mebibyte(subject: Subject) -> None:
    data = bytes(3_000_000)
    with subject.running("echo") as (_, attached):
        writer = threading.Thread(target=attached.write, args=(data,))
        writer.start()
        count = 0
        while count < len(data):
            piece = attached.read(30)
            assert piece
            assert len(piece[1]) <= 1024 * 1024
            count += len(piece[1])
        writer.join()


def test_reading_gives_up_in_time_and_loses_nothing(subject: Subject) -> None:
    with subject.running("echo") as (_, attached):
        with pytest.raises(TimeoutError):
            attached.read(0.2)
        attached.write(b"still here\n")
        assert read_until(attached, 11)["stdout"] == b"still here\n"


def test_closing_the_streams_ends_a_program_that_reads_stdin(subject: Subject) -> None:
    with subject.running("hold", keep=True) as (container, attached):
        read_until(attached, 6)
        attached.close()
        began = time.monotonic()
        assert subject.engine.wait(container, 5) == 0
        assert time.monotonic() - began < 5


def test_closing_ends_a_read_that_blocks_another_thread(subject: Subject) -> None:
    with subject.running("hold") as (_, attached):
        read_until(attached, 6)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            blocked = pool.submit(attached.read, 60)
            time.sleep(0.1)
            attached.close()
            assert blocked.result(timeout=5) is None


def test_streams_may_be_closed_twice_and_take_nothing_afterwards(subject: Subject) -> None:
    with subject.running("hold") as (_, attached):
        attached.close()
        attached.close()
        with pytest.raises(EngineError):
            attached.write(b"too late")


def test_output_that_nobody_reads_does_not_hang_the_end(subject: Subject) -> None:
    with subject.running("echo") as (container, attached):
        attached.write(b"x" * 50_000)
        attached.close()
        began = time.monotonic()
        subject.engine.kill(container)
        subject.engine.remove(container)
        assert time.monotonic() - began < 15


def test_waiting_gives_up_in_time(subject: Subject) -> None:
    with subject.running("hold") as (container, _), pytest.raises(TimeoutError):
        subject.engine.wait(container, 0.3)


def test_waiting_for_a_forgotten_container_gives_no_code(subject: Subject) -> None:
    container = subject.engine.create(subject.spec("exit-7"))
    subject.engine.remove(container)
    assert subject.engine.wait(container, 5) is None


def test_a_name_is_taken_once(subject: Subject) -> None:
    spec = subject.spec("hold")
    container = subject.engine.create(spec)
    with pytest.raises(EngineError, match="is taken"):
        subject.engine.create(spec)
    assert [one.id for one in subject.engine.containers(f"{LABEL}={subject.test}")] == [container]


def test_a_container_that_runs_may_be_started_again(subject: Subject) -> None:
    with subject.running("hold") as (container, attached):
        subject.engine.start(container)
        read_until(attached, 6)


def test_killing_ends_a_container_at_once_and_again_does_nothing(subject: Subject) -> None:
    with subject.running("hold", keep=True) as (container, attached):
        read_until(attached, 6)
        subject.engine.kill(container)
        assert subject.engine.wait(container, 10) == 137
        subject.engine.kill(container)


def test_killing_and_removing_what_is_gone_does_nothing(subject: Subject) -> None:
    container = subject.engine.create(subject.spec("hold"))
    subject.engine.remove(container)
    subject.engine.kill(container)
    subject.engine.remove(container)


def test_a_removed_container_is_gone_when_the_call_returns(subject: Subject) -> None:
    with subject.running("hold") as (container, attached):
        read_until(attached, 6)
        subject.engine.remove(container)
        assert not subject.engine.containers(f"{LABEL}={subject.test}")


def test_a_container_goes_by_itself_when_it_ends(subject: Subject) -> None:
    with subject.running("speak") as (_, attached):
        read_all(attached)
        deadline = time.monotonic() + 10
        while subject.engine.containers(f"{LABEL}={subject.test}"):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_containers_are_listed_by_label_with_what_they_carry(subject: Subject) -> None:
    labels = {LABEL: subject.test, "containerdeploy.system": "a b=c"}
    spec = subject.spec("hold", labels=labels)
    container = subject.engine.create(spec)
    by_key = subject.engine.containers("containerdeploy.system")
    by_value = subject.engine.containers(f"{LABEL}={subject.test}")
    assert container in {one.id for one in by_key}
    assert [one.id for one in by_value] == [container]
    assert by_value[0].name == spec.name
    assert by_value[0].labels.items() >= labels.items()
    assert abs(by_value[0].created - time.time()) < 60
    assert not subject.engine.containers(f"{LABEL}=another")


def test_a_missing_image_is_named(subject: Subject) -> None:
    for act in (
        lambda: subject.engine.image("no-such-image:1"),
        lambda: subject.engine.create(subject.spec("speak", image="no-such-image:1")),
    ):
        with pytest.raises(ImageMissing, match="'no-such-image:1'") as caught:
            act()
        wanted = "use docker" if subject.kind == "local" else "make image"
        assert wanted in (caught.value.hint or "")


def test_an_image_is_found_and_usable_by_its_digest(subject: Subject) -> None:
    image = subject.engine.image(subject.image)
    assert image.id.startswith("sha256:")
    assert subject.run("exit-7", image=image.id).code == 7


def test_a_missing_bind_source_is_an_error_and_is_not_made(
    subject: Subject, tmp_path: Path
) -> None:
    missing = tmp_path / "missing"
    mount = Mount(kind="bind", source=str(missing), target="/in")
    with pytest.raises(EngineError, match="bind source") as caught:
        subject.engine.create(subject.spec("speak", mounts=[mount]))
    assert str(missing) in caught.value.brief
    assert not missing.exists()


@pytest.mark.parametrize("name", ["a,ro", "a,b", 'a"b', "a\nb", "a:b", "a\\b", "a b\t=;'$"])
def test_a_bind_source_is_what_its_name_says_or_refused_with_that(
    real: Subject, tmp_path: Path, name: str
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / name).mkdir()
    (tmp_path / name / "right").touch()
    mount = Mount(kind="bind", source=str(tmp_path / name), target="/in")
    if real.kind == "podman" and {",", '"', "\n"} & set(name):
        with pytest.raises(EngineError, match="Podman can't mount paths with") as caught:
            real.engine.create(real.spec("speak", mounts=[mount]))
        assert repr(str(tmp_path / name)) in (caught.value.details or "")
    else:
        assert real.text("ls /in", mounts=[mount]) == "right\n"


def test_a_bind_source_that_the_api_can_not_name_is_not_made(api: Subject, tmp_path: Path) -> None:
    source = tmp_path / "\udcff"
    source.mkdir()
    mount = Mount(kind="bind", source=str(source), target="/in")
    with pytest.raises(EngineError, match="bind source"):
        api.engine.create(api.spec("speak", mounts=[mount]))
    assert list(tmp_path.iterdir()) == [source]


def test_what_was_put_into_a_volume_can_be_fetched(subject: Subject) -> None:
    container = subject.engine.create(subject.spec("hold", mounts=[DATA]))
    sent = tar_of(**{"job/one": b"1" * 100_000, "job/two": b"2"})
    subject.engine.put(container, "/data", [b"", sent[:1000], sent[1000:]])
    fetched = b"".join(subject.engine.fetch(container, "/data/job"))
    with tarfile.open(fileobj=io.BytesIO(fetched)) as archive:
        sizes = {one.name: one.size for one in archive if one.isreg()}
    assert sizes == {"job/one": 100_000, "job/two": 1}


def test_nothing_can_be_put_outside_of_volumes(subject: Subject) -> None:
    container = subject.engine.create(subject.spec("hold", mounts=[DATA]))
    if subject.kind != "podman":
        with pytest.raises(EngineError, match="read-only"):
            subject.engine.put(container, "/etc", [tar_of(planted=b"x")])
        return
    # Podman puts it into the container's own layer, which goes with it.
    subject.engine.put(container, "/etc", [tar_of(planted=b"x")])
    subject.engine.remove(container)
    another = subject.engine.create(subject.spec("hold", mounts=[DATA]))
    with pytest.raises(EngineError):
        list(subject.engine.fetch(another, "/etc/planted"))


def test_fetching_what_is_not_there_is_an_error(subject: Subject) -> None:
    container = subject.engine.create(subject.spec("hold", mounts=[DATA]))
    with pytest.raises(EngineError):
        list(subject.engine.fetch(container, "/data/nothing"))


def test_named_volumes_carry_the_stores_label_and_can_be_removed_twice(subject: Subject) -> None:
    name = f"contract-{subject.test}"
    mount = Mount(kind="volume", source=name, target="/store")
    container = subject.engine.create(subject.spec("hold", mounts=[mount]))
    subject.engine.remove(container)
    found = {one.name: one.labels for one in subject.engine.volumes("containerdeploy=store")}
    assert found[name]["containerdeploy"] == "store"
    subject.engine.remove_volume(name)
    subject.engine.remove_volume(name)
    assert name not in {one.name for one in subject.engine.volumes("containerdeploy")}


def test_eight_threads_share_an_engine(subject: Subject) -> None:
    def echo(number: int) -> bytes:
        text = f"number {number}\n".encode()
        with subject.running("echo") as (_, attached):
            attached.write(text)
            return read_until(attached, len(text))["stdout"]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(echo, range(8)))
    assert answers == [f"number {number}\n".encode() for number in range(8)]
