"""What a helper may say, and in which order."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_story import artifact, deployment, ended, hello, job, started

from containerdeploy import wire
from containerdeploy.conduct import Conduct
from containerdeploy.errors import ProtocolError
from containerdeploy.frozen import replace

SUB = replace(deployment("sub", extensions=1), output=None)
JOB = job(deployment("prod", subsystems=(SUB,)), deployment("prod2", extensions=0))
OK = wire.Finished(outcome="ok")

WRITING = (hello(), started("prod:write", "write", "tar"))


def run_of(planned: wire.Deployment) -> list[wire.Event]:
    """What an honest agent says of one deployment, its check left out."""
    name = planned.name
    events: list[wire.Event] = []
    events += whole(started(wire.base_step(name), "base", "unpack", name))
    events += whole(started(wire.metadata_step(name), "metadata", "/baserock/x", name))
    for sub in planned.subsystems:
        events += run_of(sub)
    for step in (*planned.configure, planned.write):
        assert step is not None
        events += whole(started(step.id, step.kind, step.name, name))
    if planned.output:
        events.insert(-1, artifact(name))
    return events


def whole(start: wire.StepStarted) -> list[wire.Event]:
    log = wire.Log(step=start.step, stream="stdout", text="x")
    return [start, log, ended(start.step)]


def checks() -> list[wire.Event]:
    found: list[wire.Event] = []
    for name in ("prod", "sub", "prod2"):
        found += whole(started(f"{name}:check", "check", "tar", name))
    return found


def honest() -> list[wire.Event]:
    runs = [event for planned in JOB.deployments for event in run_of(planned)]
    return [hello(), *checks(), *runs, OK]


def follow(events: Sequence[wire.Event], work: wire.Job = JOB) -> Conduct:
    conduct = Conduct(work)
    for event in events:
        conduct.check(event)
    return conduct


def refused(*events: wire.Event, work: wire.Job = JOB) -> str:
    """The last of these events, and none before, is refused; return why."""
    conduct = follow(events[:-1], work)
    with pytest.raises(ProtocolError) as caught:
        conduct.check(events[-1])
    return f"{caught.value.brief}: {caught.value.details}"


def test_an_honest_agent_is_believed() -> None:
    conduct = follow(honest())
    conduct.check_ended()
    assert conduct.is_finished


def test_an_agent_that_waits_says_when_all_checks_have_passed() -> None:
    waiting = replace(JOB, waits=True)
    work = [event for planned in JOB.deployments for event in run_of(planned)]
    told = [hello(), *checks(), wire.Checked()]
    follow([*told, *work, OK], waiting).check_ended()
    assert "nobody waits" in refused(*told)
    assert "nobody waits" in refused(*told, wire.Checked(), work=waiting)
    assert "before every check" in refused(*told[:-2], wire.Checked(), work=waiting)
    assert "before its checks were over" in refused(*told[:-1], work[0], work=waiting)


def test_a_probe_is_hello_and_finished() -> None:
    follow([hello(), OK], wire.Job(kind="probe", run=hello().run)).check_ended()


def test_nothing_comes_before_hello() -> None:
    assert "no Hello" in refused(started("prod:check", "check", "tar"))


def test_an_agent_that_can_not_begin_may_say_why_but_not_that_all_is_well() -> None:
    follow([wire.Finished(outcome="failed", error="no overlay here")]).check_ended()
    assert "no Hello" in refused(OK)


def test_hello_comes_once() -> None:
    assert "twice" in refused(hello(), hello())


def test_another_version_and_another_run_are_refused() -> None:
    assert "version 99" in refused(hello(version=99))
    assert "another run" in refused(hello(run="20250101T000000-ffffff"))


def test_no_helper_isolates_by_another_mode_than_was_asked_for() -> None:
    assert "another mode than auto" in refused(hello(isolation="compat"))
    for wanted, told in (("strict", "rootless"), ("strict", "compat"), ("compat", "strict")):
        work = replace(JOB, isolation=wanted)
        assert f"another mode than {wanted}" in refused(hello(isolation=told), work=work)
        follow([hello(isolation=wanted)], work)
    follow([hello(isolation="rootless")], JOB)


def test_a_place_is_unfit_before_anything_else_is_said_of_it() -> None:
    unfit = wire.Finished(outcome="failed", error="x", unfit=True)
    follow([unfit])
    assert "unfit, and it worked there" in refused(hello(), unfit)


def test_nothing_comes_after_finished() -> None:
    stop = wire.Finished(outcome="failed", error="x")
    assert "after Finished" in refused(hello(), stop, stop)


def test_a_stream_that_ends_without_finished_names_the_open_step() -> None:
    conduct = follow(honest()[:3])
    with pytest.raises(ProtocolError, match="without Finished") as caught:
        conduct.check_ended()
    assert "prod:check" in str(caught.value.details)


@pytest.mark.parametrize(
    "event",
    [
        wire.Progress(step="prod:check", done=1, total=2, unit="bytes"),
        wire.Log(step="prod:check", stream="stdout", text="x"),
        wire.Changed(step="prod:check", changes=()),
        ended("prod:check"),
    ],
)
def test_only_an_open_step_says_something(event: wire.Event) -> None:
    assert "not open" in refused(hello(), event)
    done = whole(started("prod:check", "check", "tar"))
    assert "not open" in refused(hello(), *done, event)


def test_two_steps_are_never_open_at_once() -> None:
    first = started("prod:check", "check", "tar")
    assert "another was open" in refused(
        hello(), first, started("sub:check", "check", "tar", "sub")
    )


def test_no_step_runs_twice() -> None:
    start = started("prod:check", "check", "tar")
    assert "twice" in refused(hello(), *whole(start), start)


def test_a_check_never_follows_the_base() -> None:
    base = whole(started("prod:base", "base", "unpack"))
    check = started("prod:check", "check", "tar")
    assert "checks were over" in refused(hello(), *base, check)
    other = started("prod2:check", "check", "tar", "prod2")
    assert "checks were over" in refused(hello(), *base, other)


def test_configuration_extensions_keep_their_order() -> None:
    second = whole(started("prod:1", "configure", "ext-1"))
    first = started("prod:0", "configure", "ext-0")
    assert "out of order" in refused(hello(), *second, first)


@pytest.mark.parametrize(
    "event",
    [
        started("prod:9", "configure", "evil"),
        started("evil", "base", "unpack"),
        started("prod:check", "check", "tar", "prod2"),
        started("prod:check", "write", "tar"),
        started("prod:check", "check", "evil"),
        started("prod:check", "check", "tar", "elsewhere"),
        started("prod:base", "base", "\x1b[2J"),
        started("prod:base", "base", "x" * 300),
    ],
)
def test_a_step_that_the_job_does_not_have_is_refused(event: wire.Event) -> None:
    refused(hello(), event)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/etc/passwd", "a/b", "../x", "a\0b", "a\nb", "\x1b[2J", "\x85", "x" * 256],
)
def test_an_artifact_is_never_a_path(name: str) -> None:
    assert "impossible name" in refused(hello(), artifact(name=name))
    assert "impossible name" in refused(hello(), artifact(slot=name))


def test_an_artifact_may_have_an_odd_name() -> None:
    follow([*WRITING, artifact(name="größe \udcff.tar")])


def test_an_artifact_belongs_to_a_slot_of_its_deployment_once() -> None:
    assert "slot" in refused(hello(), artifact(slot="slot-other"))
    assert "slot" in refused(hello(), artifact(slot="slot-prod2"))
    assert "slot" in refused(hello(), artifact("sub"))
    assert "second" in refused(*WRITING, artifact(), artifact())


def test_an_artifact_comes_while_its_deployment_is_written() -> None:
    assert "not being written" in refused(hello(), artifact())
    assert "not being written" in refused(*WRITING, artifact("prod2"))
    assert "not being written" in refused(*WRITING, ended("prod:write"), artifact())
    assert "not being written" in refused(hello(), started("prod:base", "base", "x"), artifact())


def test_a_file_has_a_digest_and_a_size() -> None:
    assert "SHA-256" in refused(*WRITING, artifact(sha256="abc"))
    assert "below zero" in refused(*WRITING, artifact(size_bytes=-1))
    follow([*WRITING, artifact(kind="directory", sha256="")])


def test_numbers_are_never_below_zero() -> None:
    start = started("prod:check", "check", "tar")
    back = wire.Progress(step="prod:check", done=-1, total=2, unit="bytes")
    assert "below zero" in refused(hello(), start, back)
    assert "below zero" in refused(hello(), start, ended("prod:check", wall_s=-1.0))


def test_kinds_of_change_are_known_ones() -> None:
    start = started("prod:check", "check", "tar")
    assert "kind of change" in refused(hello(), start, ended("prod:check", changes={"\x1b": 1}))


def test_an_agent_that_left_a_step_out_can_not_say_that_all_is_well() -> None:
    assert "never ran" in refused(hello(), OK)
    assert "still open" in refused(hello(), started("prod:check", "check", "tar"), OK)


def test_an_agent_whose_step_failed_can_not_say_that_all_is_well() -> None:
    events = honest()
    index = next(i for i, e in enumerate(events) if isinstance(e, wire.StepFinished))
    events[index] = ended("prod:check", "failed")
    assert "'failed'" in refused(*events)


def test_an_agent_that_is_cut_off_may_leave_a_step_open() -> None:
    events = [hello(), started("prod:check", "check", "tar")]
    follow([*events, wire.Finished(outcome="interrupted", error="the lease ended")]).check_ended()


def test_what_is_refused_is_told_without_its_escapes() -> None:
    words = refused(hello(), artifact(name="/\x1b[31m\udcff" + "x" * 10_000))
    assert "\x1b" not in words and "\udcff" not in words
    assert len(words) < 500


EVENTS = st.sampled_from([*honest(), hello(run="other"), artifact(name="../x")])
EDITS = st.lists(
    st.tuples(st.sampled_from(["drop", "double", "swap", "insert"]), st.integers(0, 60), EVENTS),
    max_size=4,
)


def edited(edits: Sequence[tuple[str, int, wire.Event]]) -> list[wire.Event]:
    events = honest()
    for edit, place, event in edits:
        at = place % len(events) if events else 0
        if edit == "insert":
            events.insert(at, event)
        elif events and edit == "drop":
            del events[at]
        elif events and edit == "double":
            events.insert(at, events[at])
        elif events:
            events[at], events[at - 1] = events[at - 1], events[at]
    return events


def is_legal(events: Sequence[wire.Event]) -> bool:
    """The rules, said of a whole finished stream; written apart from the code on purpose."""
    if not events or [e for e in events if isinstance(e, wire.Finished)] != [events[-1]]:
        return False
    if [i for i, e in enumerate(events) if isinstance(e, wire.Hello)] != [0]:
        return False
    if events[0] != hello() or artifact(name="../x") in events:
        return False
    order = [(e.deployment, e.step) for e in events if isinstance(e, wire.StepStarted)]
    expected = [(e.deployment, e.step) for e in honest() if isinstance(e, wire.StepStarted)]
    for name in ("prod", "sub", "prod2"):
        mine = [step for of, step in order if of == name]
        planned = [step for of, step in expected if of == name]
        left_out = set(planned) - set(mine)
        if mine != [step for step in planned if step in mine]:
            return False
        if left_out - {wire.base_step(name), wire.metadata_step(name)}:
            return False
    return is_well_nested(events) and is_delivered_once(events)


def is_well_nested(events: Sequence[wire.Event]) -> bool:
    """Step events lie between their own start and end, and no other's."""
    steps = [e for e in events if isinstance(e, (wire.StepStarted, wire.Log, wire.StepFinished))]
    current = ""
    for event in steps:
        if isinstance(event, wire.StepStarted):
            if current:
                return False
            current = event.step
        elif event.step != current:
            return False
        if isinstance(event, wire.StepFinished):
            current = ""
    return current == ""


def is_delivered_once(events: Sequence[wire.Event]) -> bool:
    slots = [e.slot for e in events if isinstance(e, wire.Artifact)]
    current = ""
    for event in events:
        if isinstance(event, wire.StepStarted):
            current = event.step
        elif isinstance(event, wire.StepFinished):
            current = ""
        elif isinstance(event, wire.Artifact) and current != f"{event.deployment}:write":
            return False
    return len(slots) == len(set(slots))


def is_accepted(events: Sequence[wire.Event]) -> bool:
    try:
        follow(events).check_ended()
    except ProtocolError:
        return False
    return True


@given(EDITS)
def test_exactly_the_legal_sequences_pass(edits: Sequence[tuple[str, int, wire.Event]]) -> None:
    events = edited(edits)
    assert is_accepted(events) == is_legal(events)


@given(st.lists(EVENTS, max_size=30))
def test_random_talk_never_passes(events: list[wire.Event]) -> None:
    assert is_accepted(events) == is_legal(events)
