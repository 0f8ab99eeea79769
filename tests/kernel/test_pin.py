"""What the policy judged is what runs, while somebody turns the definitions inside out."""

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from agent_bench import Bench, Story

from containerdeploy import wire

pytestmark = pytest.mark.kernel
GOOD = "#!/bin/sh\necho good; pwd; echo $0; cat extensions/beside\n"
EVIL = "#!/bin/sh\necho evil\n"
ROUNDS = int(os.environ.get("CONTAINERDEPLOY_PIN_ROUNDS", "6"))


def pinned(bench: Bench, program: str = "extensions/x.configure", text: str = GOOD) -> wire.Step:
    """A step that runs `program` of the definitions, which was judged with the content `text`."""
    path = f"{wire.DEFINITIONS}/{program}"
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return bench.configure(GOOD, argv=(path, wire.TREE), program=path, sha256=sha256)


def lay(bench: Bench, folder: str, text: str) -> Path:
    path = bench.definitions / folder / "x.configure"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    (path.parent / "beside").write_text("beside\n")
    return path


def run(bench: Bench, source: wire.Source, *steps: wire.Step) -> Story:
    return bench.run(bench.job(bench.deployment(source, configure=steps)))


def test_the_judged_bytes_run_in_their_place(bench: Bench, small: wire.Source) -> None:
    lay(bench, "extensions", GOOD)
    step = pinned(bench)
    story = run(bench, small, step)
    assert story.finished.outcome == "ok", story.finished
    said = story.said(step).splitlines()
    assert said == ["good", "/definitions", "/definitions/extensions/x.configure", "beside"]


def test_other_bytes_are_not_run(bench: Bench, small: wire.Source) -> None:
    lay(bench, "extensions", EVIL)
    step = pinned(bench)
    story = run(bench, small, step)
    assert story.ending(step).outcome == "cannot start"
    assert "has changed since the policy judged it" in story.ending(step).detail
    assert story.said(step) == ""
    assert list((bench.store / "tmp").iterdir()) == []


@pytest.mark.parametrize("program", ["link.configure", "way/x.configure"])
def test_links_lead_to_the_judged_bytes(bench: Bench, small: wire.Source, program: str) -> None:
    lay(bench, "extensions", GOOD)
    (bench.definitions / "link.configure").symlink_to("extensions/x.configure")
    (bench.definitions / "way").symlink_to("../definitions/extensions")
    (bench.definitions / "definitions").symlink_to(".")
    if program.startswith("way"):
        (bench.definitions / "way").unlink()
        (bench.definitions / "way").symlink_to("./extensions")
    step = pinned(bench, program)
    story = run(bench, small, step)
    assert story.finished.outcome == "ok", story.finished
    assert story.said(step).startswith("good\n")


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../etc/passwd", "x.configure", "fifo"])
def test_what_leads_nowhere_good_starts_nothing(
    bench: Bench, small: wire.Source, target: str
) -> None:
    place = bench.definitions / "extensions"
    place.mkdir(exist_ok=True)
    os.mkfifo(place / "fifo")
    (place / "x.configure").symlink_to(target)
    step = pinned(bench)
    assert run(bench, small, step).ending(step).outcome == "cannot start"


@contextmanager
def swapping(first: Path, second: Path) -> Iterator[None]:
    """Let two paths change places as fast as they can, until the block ends."""
    over = threading.Event()
    third = first.with_name("third")

    def swap() -> None:
        while not over.is_set():
            first.rename(third)
            second.rename(first)
            third.rename(second)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("what", ["file", "directory", "link"])
def test_no_swap_gets_other_bytes_to_run(bench: Bench, small: wire.Source, what: str) -> None:
    good, evil = lay(bench, "extensions", GOOD), lay(bench, "evil", EVIL)
    if what == "link":
        (bench.definitions / "one").symlink_to("extensions/x.configure")
        (bench.definitions / "two").symlink_to("evil/x.configure")
    pair = {
        "file": (good, evil),
        "directory": (good.parent, evil.parent),
        "link": (bench.definitions / "one", bench.definitions / "two"),
    }[what]
    program = "one" if what == "link" else "extensions/x.configure"
    steps = [pinned(bench, program) for _ in range(ROUNDS)]
    jobs = [bench.deployment(small, name=step.id, configure=[step]) for step in steps]
    with swapping(*pair):
        story = bench.run(bench.job(*jobs, keep_going=True))
    for step in steps:
        assert "evil" not in story.said(step)
        assert story.ending(step).outcome in ("ok", "cannot start", "failed")


def test_without_a_judgement_the_swapped_bytes_do_run(bench: Bench, small: wire.Source) -> None:
    lay(bench, "extensions", EVIL)
    argv = (f"{wire.DEFINITIONS}/extensions/x.configure", wire.TREE)
    step = bench.configure(GOOD, argv=argv)
    assert run(bench, small, step).said(step) == "evil\n"
