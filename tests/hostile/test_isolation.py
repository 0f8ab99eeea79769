"""The self-test, as users run it: every attack is made on every engine, and none gets through."""

import os

import pytest
from sieges import Siege, besieged
from sites import Site

from containerdeploy.selftest import FAMILIES, attacks, controls

COMPAT_EVERYWHERE = "CONTAINERDEPLOY_TEST_COMPAT_EVERYWHERE"
# What a helper's root can do without the inner ring; Podman's is Docker's in this.
CONTROLLED = ("docker", "local", "user")
# Hostile archives and hogs have tests of their own.
ONLY = ("--only=extensions", "--only=artifacts")


@pytest.fixture(scope="module")
def siege(site: Site) -> Siege:
    return besieged(site, *ONLY)


@pytest.fixture(scope="module")
def compat(site: Site) -> Siege:
    """The same attacks as real root: locally, and on engines where there is time for them."""
    return besieged(site, "--isolation=compat", "--only=extensions")


@pytest.fixture(scope="module")
def control(site: Site) -> Siege:
    return besieged(site, "--control", *ONLY)


def test_no_attack_gets_through(siege: Siege) -> None:
    assert siege.named("got through") == {}
    assert siege.code == 0


def test_every_attack_is_tried(siege: Siege) -> None:
    told = [one["name"] for one in siege.said["findings"]]
    scripts = sum(text.count("\n@attack\n") for text in attacks.files().values())
    assert len(told) == len(set(told)) > scripts >= 130
    assert siege.named("not tried") == {}
    assert {one["family"] for one in siege.said["findings"]} == set(FAMILIES) - {
        "archives",
        "resources",
    }


def test_the_machine_is_what_it_was(siege: Siege) -> None:
    assert siege.changed == []
    assert siege.left == {}


@pytest.mark.only_on(*CONTROLLED)
def test_the_control_leaves_the_machine_as_it_was(control: Siege) -> None:
    assert control.changed == []
    assert control.left == {}


def test_the_place_of_the_attacks_is_told(site: Site, siege: Siege) -> None:
    assert siege.said["isolation"] == ("rootless" if site.kind == "user" else "strict")
    assert siege.said["kernel"]
    assert not siege.said["control"]


@pytest.mark.only_on("local")
def test_a_strict_policy_keeps_nobody_from_the_self_test(site: Site) -> None:
    """Its extensions are the product's own; where it may run, and how, is the policy's to say."""
    site.policy.write_text(
        "extensions: {allow: []}\nsources: {allow: []}\nlimits: {timeout: {max: 1s}}\n"
        "isolation: {deny: [compat]}\n"
    )
    site.policy.chmod(0o644)
    try:
        siege = besieged(site, "--only=artifacts")
        refused = site.run(
            site.argv("selftest isolation", "--isolation=compat", "--only=artifacts"),
            site.directory,
        )
    finally:
        site.policy.unlink()
    assert siege.code == 0
    assert siege.named("got through") == {}
    assert refused.returncode == 2
    assert "denies 'compat'" in refused.stderr


@pytest.mark.only_on(*CONTROLLED)
def test_the_attacks_are_real(site: Site, control: Siege) -> None:
    """Each of these gets through where the extension's confinement is not in its way."""
    excused = {**controls.WITHOUT}
    if site.is_api:
        excused |= controls.NOT_ON_AN_ENGINE
    if site.kind == "user":
        excused |= controls.NOT_A_USERS
    held = control.named("contained")
    assert {name: words for name, words in held.items() if name not in excused} == {}
    assert set(control.named("not tried")) <= controls.MAY_LACK
    assert len(control.named("got through")) > (60 if site.kind == "user" else 100)
    assert control.said["control"]
    assert control.code == 0


@pytest.mark.only_on("local", *(("docker", "podman") if COMPAT_EVERYWHERE in os.environ else ()))
def test_no_attack_gets_through_to_real_root_without_its_capabilities(compat: Siege) -> None:
    assert compat.named("got through") == {}
    assert compat.named("not tried") == {}
    assert (compat.code, compat.changed, compat.left) == (0, [], {})
    assert compat.said["isolation"] == "compat"
    told = " ".join(compat.said["weaker"])
    assert "real root" in told
    assert "loopback" not in told
