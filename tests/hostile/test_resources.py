"""Hogs: what uses up memory, processes, disk, output or time is ended, and nobody else notices."""

import re

import pytest
from sieges import Siege, besieged
from sites import Site

from containerdeploy.selftest import resources

HOGS = {name for resource in resources.RESOURCES for name in resource.attacks}
GROUPS = {name for resource in resources.RESOURCES if resource.group for name in resource.attacks}
# The processors' time is there to be taken only where nobody else wants it.
ON_AN_IDLE_MACHINE = {"share_of_the_processors"}


@pytest.fixture(scope="module")
def siege(site: Site) -> Siege:
    return besieged(site, "--only=resources")


@pytest.fixture(scope="module")
def control(site: Site) -> Siege:
    """What a hog does without limits is the same on every engine."""
    return besieged(site, "--only=resources", "--control")


def test_no_hog_gets_past_its_limit(siege: Siege) -> None:
    assert siege.named("got through") == {}
    assert siege.code == 0


def test_every_hog_is_tried_but_those_that_are_told_as_weaker(siege: Siege) -> None:
    untried = HOGS - siege.named("contained").keys()
    assert untried <= GROUPS
    assert not untried or any("control group" in line for line in siege.said["weaker"])


def test_how_each_ended_is_told_with_numbers(siege: Siege) -> None:
    words = siege.named("contained")
    hogs = {name: text for name, text in words.items() if name in HOGS}
    assert {name: text for name, text in hogs.items() if not re.search(r": .*\d", text)} == {}


def test_nothing_of_the_hogs_is_left(siege: Siege) -> None:
    assert siege.changed == []
    assert siege.left == {}


@pytest.mark.only_on("local", "user")
def test_each_hog_takes_what_it_wants_where_it_may(control: Siege) -> None:
    assert control.named("contained").keys() <= ON_AN_IDLE_MACHINE
    assert control.named("got through").keys() <= HOGS
    assert len(control.named("got through")) > 10
    assert control.changed == []
