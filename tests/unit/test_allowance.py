"""How long and how much a helper may talk."""

import pytest
import run_story

from containerdeploy import allowance, wire
from containerdeploy.allowance import Allowance
from containerdeploy.errors import ProtocolError
from containerdeploy.frozen import replace

PLANNED = run_story.deployment("prod", extensions=1)
(CONFIGURE,) = PLANNED.configure
LIMITS = wire.Limits(timeout_s=90.0, max_output_bytes=1000)
JOB = run_story.job(replace(PLANNED, configure=(replace(CONFIGURE, limits=LIMITS),)))
STARTED = run_story.started(CONFIGURE.id, "configure", CONFIGURE.name)
LOG = wire.Log(step=CONFIGURE.id, stream="stdout", text="x" * 99)
CHANGED = wire.Changed(
    step=CONFIGURE.id, changes=(wire.Change(kind="added", path="x"),) * wire.CHANGES_PER_EVENT
)
PROGRESS = wire.Progress(step=CONFIGURE.id, done=1, total=2, unit="bytes")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_helper_that_never_begins_has_an_end(clock: Clock) -> None:
    one = Allowance(JOB, clock=clock)
    clock.now += allowance.START_S + 1
    assert one.left_s() == 0
    assert "took too long for its start" in str(one.overdue())


def test_a_step_has_its_timeout_and_room_around_it(clock: Clock) -> None:
    one = Allowance(JOB, clock=clock)
    one.spend(STARTED, 100)
    assert one.left_s() == 90.0 + allowance.AROUND_S
    assert "prod:0" in str(one.overdue())


def test_who_goes_on_talking_gets_no_more_time(clock: Clock) -> None:
    one = Allowance(JOB, clock=clock)
    one.spend(STARTED, 100)
    left_s = one.left_s()
    clock.now += 10
    one.spend(LOG, 200)
    assert one.left_s() == left_s - 10


def test_the_controllers_own_time_is_not_counted(clock: Clock) -> None:
    one = Allowance(JOB, clock=clock)
    left_s = one.left_s()
    with one.paused():
        clock.now += 10_000
    assert one.left_s() == left_s


def test_a_large_source_may_take_long(clock: Clock) -> None:
    source = replace(PLANNED.source, size_bytes=100 << 30)
    one = Allowance(run_story.job(replace(PLANNED, source=source)), clock=clock)
    one.spend(run_story.started("prod:base", "base", "unpack"), 100)
    assert one.left_s() > 24 * 3600


def test_an_extension_without_a_timeout_has_no_end(clock: Clock) -> None:
    limits = replace(LIMITS, timeout_s=None)
    job = run_story.job(replace(PLANNED, configure=(replace(CONFIGURE, limits=limits),)))
    one = Allowance(job, clock=clock)
    one.spend(STARTED, 100)
    clock.now += 1e9
    assert one.left_s() > 1e9


@pytest.mark.parametrize("event", [LOG, CHANGED, PROGRESS], ids=lambda event: type(event).__name__)
def test_nobody_talks_without_an_end(event: wire.Event) -> None:
    one = Allowance(JOB)
    one.spend(STARTED, 100)
    with pytest.raises(ProtocolError, match="said too much in the step 'prod:0'"):
        for _ in range(1_000_000):
            one.spend(event, wire.MAX_LINE)


def test_each_step_may_say_what_its_limits_allow() -> None:
    one = Allowance(JOB)
    for _ in range(3):
        one.spend(STARTED, 100)
        for _ in range((allowance.SLACK_BYTES + 1000) // (len(LOG.text) + 1)):
            one.spend(LOG, 200)
        one.spend(run_story.ended(CONFIGURE.id), 100)


def test_nobody_says_more_at_once_than_an_agent_does() -> None:
    """Events wait in a queue: how large one may be bounds the memory that they take."""
    one = Allowance(JOB)
    one.spend(STARTED, 100)
    one.spend(replace(LOG, text="x" * wire.TEXT_PER_LINE), wire.MAX_LINE)
    with pytest.raises(ProtocolError) as caught:
        one.spend(replace(LOG, text="x" * (wire.TEXT_PER_LINE + 1)), wire.MAX_LINE)
    assert "characters at once" in str(caught.value.details)
    with pytest.raises(ProtocolError) as caught:
        one.spend(replace(CHANGED, changes=CHANGED.changes * 2), wire.MAX_LINE)
    assert "changes at once" in str(caught.value.details)
