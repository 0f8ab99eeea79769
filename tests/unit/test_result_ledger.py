"""Happenings to results."""

import sys
import tracemalloc
from pathlib import Path

from run_story import (
    artifact,
    changed,
    delivered,
    ended,
    failed_run,
    good_events,
    good_run,
    heard,
    hello,
    log,
    run_started,
    started,
    step,
)

from containerdeploy import wire
from containerdeploy.result import (
    Happening,
    Ledger,
    RunFinished,
    RunResult,
    SystemFinished,
    SystemStarted,
)

RECORD = Path("/record")


def fold(happenings: list[Happening]) -> RunResult:
    ticks = iter(range(1000))
    ledger = Ledger(clock=lambda: float(next(ticks)))
    for happening in happenings:
        ledger.take(happening)
    return ledger.results()


def outcomes(result: RunResult) -> dict[str, str]:
    return {d.name: d.outcome for s in result.systems for d in s.deployments}


def story(*events: wire.Event, names: tuple[str, ...] = ("prod",), end: str) -> list[Happening]:
    return [
        run_started(RECORD, *names),
        SystemStarted(system="web", image="helper"),
        *heard(hello(), *events),
        SystemFinished(system="web", outcome=end, brief="" if end == "deployed" else "it broke"),
    ]


def test_a_good_run_is_deployed_with_all_that_it_did() -> None:
    result = fold(good_run(RECORD))
    assert (result.exit_code, result.started, result.ended) == (0, 0.0, 1.0)
    (system,) = result.systems
    assert system.hello and system.hello.isolation == "strict"
    (prod,) = system.deployments
    assert prod.outcome == "deployed"
    assert [s.label for s in prod.steps] == [
        "base",
        "metadata",
        "set-hostname.configure",
        "tar.write",
    ]
    configure = prod.steps[2]
    assert configure.tails == {"stdout": "setting it"}
    assert [c.path for c in configure.changed] == ["etc/hostname"]
    assert configure.log == "logs/web/prod/03-set-hostname.log"
    assert prod.artifacts[0].path == Path("/out/prod.tar")


def test_a_failed_step_fails_its_deployment_and_those_after_it_are_skipped() -> None:
    result = fold(failed_run(RECORD))
    assert outcomes(result) == {"prod": "failed", "staging": "skipped"}
    prod = result.systems[0].deployments[0]
    assert prod.error == "simple-network.configure failed: exit code 1"
    assert prod.failed_step and prod.failed_step.exit_code == 1


def test_an_engine_that_fails_before_the_helper_speaks_fails_all_deployments() -> None:
    end = SystemFinished(system="web", outcome="failed", brief="no such image", hint="make image")
    result = fold([run_started(RECORD, "a", "b"), SystemStarted(system="web", image="x"), end])
    assert outcomes(result) == {"a": "failed", "b": "failed"}
    assert result.systems[0].deployments[0].error == "no such image"
    assert result.systems[0].deployments[0].hint == "make image"


def test_a_helper_that_dies_in_a_step_names_the_step_and_the_reason() -> None:
    result = fold(story(started("prod:base", "base", "unpack"), end="failed"))
    prod = result.systems[0].deployments[0]
    assert prod.outcome == "failed"
    assert prod.error == "base was cut off: it broke"


def test_a_write_that_was_never_delivered_is_no_success() -> None:
    events = good_events()
    assert outcomes(fold(story(*events, end="failed"))) == {"prod": "failed"}
    assert outcomes(fold(story(*events[:-1], end="failed"))) == {"prod": "failed"}


def test_a_delivered_deployment_stays_deployed_when_the_next_one_fails() -> None:
    happenings = story(*good_events("a"), names=("a", "b"), end="failed")
    more = [delivered(RECORD, "a"), *heard(*step("base", "base", of="b", outcome="failed"))]
    happenings[-1:-1] = more
    assert outcomes(fold(happenings)) == {"a": "deployed", "b": "failed"}


def test_a_write_to_a_place_that_is_no_path_needs_no_delivery() -> None:
    events = [e for e in good_events("a") if not isinstance(e, wire.Artifact)]
    then = step("base", "base", of="b", outcome="failed")
    assert outcomes(fold(story(*events, *then, names=("a", "b"), end="failed"))) == {
        "a": "deployed",
        "b": "failed",
    }


def test_an_interrupted_run_tells_what_had_begun_from_what_had_not() -> None:
    events = [started("a:base", "base", "unpack", "a")]
    result = fold(story(*events, names=("a", "b"), end="interrupted"))
    assert outcomes(result) == {"a": "interrupted", "b": "not started"}


def test_a_step_that_failed_before_the_interrupt_still_failed() -> None:
    events = step("base", "base", of="a", outcome="failed")
    result = fold(story(*events, names=("a", "b"), end="interrupted"))
    assert outcomes(result) == {"a": "failed", "b": "not started"}


def test_a_system_that_never_started_is_not_started() -> None:
    assert outcomes(fold([run_started(RECORD, "a")])) == {"a": "not started"}


def test_a_subsystem_that_fails_fails_its_parent_and_is_not_counted() -> None:
    parents = (("sub", "prod"),)
    happenings = [
        run_started(RECORD, "prod", "sub", "other", parents=parents),
        SystemStarted(system="web", image="helper"),
        *heard(hello(), *step("tar", "check", of="other")),
        *heard(*step("base", "base"), *step("base", "base", of="sub", outcome="failed")),
        SystemFinished(system="web", outcome="failed", brief="corrupt"),
    ]
    result = fold(happenings)
    assert outcomes(result) == {"prod": "failed", "sub": "failed", "other": "skipped"}
    assert "its subsystem sub failed" in result.systems[0].deployments[0].error
    assert (result.count("failed"), result.count("skipped")) == (1, 1)


def test_a_failure_deep_inside_is_that_of_all_above_though_they_did_not_begin() -> None:
    happenings = [
        run_started(RECORD, "prod", "sub", "deep", parents=(("sub", "prod"), ("deep", "sub"))),
        SystemStarted(system="web", image="helper"),
        *heard(hello(), *step("never", "check", of="deep", outcome="failed")),
        SystemFinished(system="web", outcome="failed", brief="refused"),
    ]
    result = fold(happenings)
    assert outcomes(result) == {"prod": "failed", "sub": "failed", "deep": "failed"}
    assert "its subsystem deep failed" in result.systems[0].deployments[0].error
    assert (result.count("failed"), result.count("skipped")) == (1, 0)


def test_tails_keep_the_last_40_lines_and_16_kib() -> None:
    lines = [log("x", f"line {n}") for n in range(1000)]
    wide = [log("x", "y" * 8000, "stderr", partial=True) for _ in range(100)]
    events = step("x", "configure", *lines, *wide)
    tails = fold(story(*events, end="deployed")).systems[0].deployments[0].steps[0].tails
    assert tails["stdout"].split("\n") == [f"line {n}" for n in range(960, 1000)]
    assert len(tails["stderr"]) == 16 * 1024


def test_tails_keep_bytes_that_are_not_utf8() -> None:
    events = step("x", "configure", log("x", "caf\udce9 é"), log("x", "\ud800"))
    tails = fold(story(*events, end="deployed")).systems[0].deployments[0].steps[0].tails
    assert tails["stdout"] == "caf\udce9 é\n\\ud800"


def test_only_the_first_thousand_paths_of_a_step_are_kept() -> None:
    paths = [changed("x", *(f"p{n}-{i}" for i in range(100))) for n in range(30)]
    events = step("x", "configure", *paths, changes={"modified": 3000})
    (result,) = fold(story(*events, end="deployed")).systems[0].deployments[0].steps
    assert len(result.changed) == 1000
    assert result.changes == {"modified": 3000}


def test_memory_is_bounded_with_fifty_talkative_deployments() -> None:
    names = tuple(f"d{n}" for n in range(50))
    ledger = Ledger()
    text = "z" * 8000
    tracemalloc.start()
    for happening in story(names=names, end="deployed")[:-1]:
        ledger.take(happening)
    for name in names:
        for kind in ("a", "b", "c"):
            said = [log(kind, text, stream, of=name) for stream in ("stdout", "stderr")] * 40
            paths = [changed(kind, *(f"{n}" * 50 for n in range(50)), of=name)] * 30
            for happening in heard(*step(kind, "configure", *said, *paths, of=name)):
                ledger.take(happening)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used < 40 << 20
    assert len(ledger.results().systems[0].deployments) == 50


def test_warnings_and_leftovers_reach_the_result() -> None:
    ledger = Ledger()
    ledger.warn("the disk is full")
    ledger.warn("the disk is full")
    ledger.take(RunFinished(exit_code=1, leftovers=("a volume",)))
    assert ledger.results().warnings == ("the disk is full",)
    assert ledger.results().leftovers == ("a volume",)


def test_results_are_read_while_the_run_goes_on() -> None:
    result = fold(story(started("prod:base", "base", "unpack"), end="deployed")[:-1])
    assert result.systems[0].deployments[0].steps[0].outcome == "unfinished"
    assert result.ended is None


def test_events_that_nobody_expects_are_put_up_with() -> None:
    """Order is Conduct's affair; the ledger must not break the run when it meets the unknown."""
    odd = [ended("ghost"), log("ghost", "boo"), artifact("ghost")]
    assert sys.getsizeof(fold(story(*odd, end="failed")))
