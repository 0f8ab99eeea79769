"""Rounds of killing: something is killed at a random moment of a deploy, then all is looked at.

    stage = staged(world, sources)
    stage.survive("agent", seed)

A seed gives the moment as a share of a whole deploy's time, and what is hit: it doesn't give the
same interleaving twice, but one that is much like it.
"""

import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import residue
from deploy_world import Ended, Going, World, digest
from residue import Residue
from sites import Site

ROUNDS = os.environ.get("CONTAINERDEPLOY_KILL_ROUNDS")
FIRST_SEED = int(os.environ.get("CONTAINERDEPLOY_KILL_SEED", "0"))
AGENT = "containerdeploy.agent.boot"
LAUNCHER = "runtime.py run"
EXTENSION = "extensions/work.configure"
SYSTEMS = ("a", "b", "c", "d")
WORK = """\
#!/bin/sh
set -eu
for number in 1 2 3 4 5; do
    echo "$NAME $number" > "$1/etc/work-$number"
    sleep 0.04
done
"""
NEEDED_BYTES = 6 << 20
AFTER_END = 1.1  # some moments are too late, as they may be
Deed = Callable[["Stage", Going, random.Random], None]


@dataclass(kw_only=True)
class Stage:
    """A world of four systems, how long it takes to deploy, and what comes of that."""

    world: World
    before: Residue
    right: Mapping[str, str]
    length_s: float
    settled_s: dict[str, list[float]] = field(default_factory=dict)

    def survive(self, kind: str, seed: int) -> None:
        """Play a round; the seed is told where it fails."""
        chance = random.Random(f"{kind} {seed}")
        try:
            if chance.random() < 0.5:
                self.forget_bases()
            going = self.world.start("--jobs=4")
            time.sleep(chance.uniform(0, AFTER_END * self.length_s))
            DEEDS[kind](self, going, chance)
            hit = time.monotonic()
            self.is_told(kind, going.end())
            self.is_as_it_was(kind, since=hit if kind in AT_ONCE else time.monotonic())
        except AssertionError as err:
            raise AssertionError(f"{kind}, seed {seed}: {err}") from err
        finally:
            self.world.end_all()

    def survive_a_full_disk(self, seed: int) -> None:
        """Play a round whose store's disk has too little room, or just enough."""
        chance = random.Random(f"disk {seed}")
        try:
            if chance.random() < 0.7:
                self.forget_bases()
            filler = _fill(self, chance)
            ended = self.world.deploy("--jobs=4")
            self.settles("disk", since=time.monotonic())
            filler.unlink()
            self.is_told("disk", ended)
            self.is_as_it_was("next", since=time.monotonic())
        except AssertionError as err:
            raise AssertionError(f"disk, seed {seed}: {err}") from err

    def is_told(self, kind: str, ended: Ended) -> None:
        """A run that was hit says so; one that was missed has ended well."""
        if not ended.happenings and kind in ("interrupt", "interrupts"):
            return  # Python itself was interrupted, while it started
        assert ended.code in CODES.get(kind, (0, 1)), str(ended)
        assert "Traceback" not in ended.out, str(ended)
        if ended.code == 0:
            self.is_right()

    def settles(self, kind: str, *, since: float) -> None:
        """Nothing is left soon; how soon is noted."""
        left = self.world.site.left_since(self.before, since=since)
        assert left == {}, f"left {residue.SETTLED_WITHIN_S:.0f} s later: {left}"
        self.settled_s.setdefault(kind, []).append(time.monotonic() - since)

    def settling(self, kind: str) -> str:
        """Say how long it took until nothing was left."""
        times = self.settled_s[kind]
        shortest, middle, longest = min(times), statistics.median(times), max(times)
        figures = f"min {shortest:.2f} s, median {middle:.2f} s, max {longest:.2f} s"
        return f"{self.world.site.kind} {kind}: {len(times)} settled, {figures}"

    def is_as_it_was(self, kind: str, *, since: float) -> None:
        """Nothing is left, what is in the store is sound, and the next deploy is right."""
        self.settles(kind, since=since)
        verified = self.world.command("store verify")
        assert verified.code == 0, str(verified)
        again = self.world.deploy("--jobs=4")
        assert again.code == 0, str(again)
        assert again.happenings[-1]["leftovers"] == [], str(again)
        assert "had not let go of" not in again.out, str(again)
        self.is_right()

    def is_right(self) -> None:
        found = {name: digest(self.world.out / f"{name}.tar") for name in SYSTEMS}
        assert found == self.right, found

    def forget_bases(self) -> None:
        """Have the next deploy unpack; only while nobody is at work."""
        store = self.world.site.store()
        assert store is not None
        for base in (store / "bases").iterdir():
            shutil.rmtree(base)

    def hit(self, words: str, chance: random.Random) -> None:
        """Kill one of the processes that have to do with this site, if there is any."""
        if found := residue.pids(self.world.site.mark, words):
            with suppress(ProcessLookupError):
                os.kill(chance.choice(found), signal.SIGKILL)


def tiny_sources(place: Path) -> tuple[Path, Path]:
    """Make two sources of a few files."""
    first, second = (_tiny(place / f"{name}.tar.gz", name) for name in ("one", "two"))
    return first, second


def _tiny(target: Path, name: str) -> Path:
    tree = target.with_suffix(".d")
    for path in ("etc", "usr/bin"):
        (tree / path).mkdir(parents=True)
    for number in range(40):
        (tree / f"usr/bin/{name}-{number}").write_bytes(os.urandom(2000 * number))
    (tree / "etc" / "hostname").write_text(f"{name}\n")
    with tarfile.open(target, "w:gz", compresslevel=1) as archive:
        archive.add(tree, ".")
    return target


def _fill(stage: Stage, chance: random.Random) -> Path:
    """Leave a random part of what a deploy needs free on the store's disk."""
    store = stage.world.site.store()
    assert store is not None
    space = os.statvfs(store)
    filler = stage.world.site.directory / "disk" / "filler"
    left = int(chance.uniform(0, NEEDED_BYTES))
    filler.write_bytes(bytes(max(0, space.f_bavail * space.f_frsize - left)))
    return filler


def staged(world: World, sources: tuple[Path, Path]) -> Stage:
    """Deploy twice: for what is right, and for how long it takes."""
    world.extension("work.configure", WORK)
    for number, name in enumerate(SYSTEMS):
        deploy = {"type": "tar", "location": f"{name}.tar", "NAME": name, "HOSTNAME": name}
        source = {"tar": str(sources[number % 2])}
        world.system(name, {name: deploy}, "set-hostname", "work", source=source)
    for _ in range(2):
        began = time.monotonic()
        ended = world.deploy("--jobs=4")
        length_s = time.monotonic() - began
        assert ended.code == 0, str(ended)
    right = {name: digest(world.out / f"{name}.tar") for name in SYSTEMS}
    return Stage(world=world, before=world.site.residue(), right=right, length_s=length_s)


def _kill_controller(stage: Stage, going: Going, chance: random.Random) -> None:
    going.process.kill()


def _kill_helpers(stage: Stage, going: Going, chance: random.Random) -> None:
    stage.world.site.kill_helpers()


def _interrupt(stage: Stage, going: Going, chance: random.Random) -> None:
    going.signal(signal.SIGINT)


def _interrupt_twice(stage: Stage, going: Going, chance: random.Random) -> None:
    for _ in range(2):
        going.signal(signal.SIGINT)
        time.sleep(chance.choice((0, 0.01, 0.1, 0.5)))


def _cut_power(stage: Stage, going: Going, chance: random.Random) -> None:
    """Copy the store as it lies there, and go on with the copy, as another boot would find it."""
    site = stage.world.site
    copy = site.sibling()
    try:
        _copy(site, copy)
        if chance.random() < 0.5:
            _forget_boot(copy)
        going.wait_until(lambda: going.process.poll() is not None, "its end")
        stage.world.site = copy
        before = copy.residue()
        verified = stage.world.command("store verify")
        assert verified.code in (0, 1), str(verified)
        again = stage.world.deploy("--jobs=4")
        assert again.code == 0, str(again)
        stage.is_right()
        cleaned = stage.world.command("cleanup")
        assert cleaned.code == 0, str(cleaned)
        left = copy.left_since(before)
        assert left == {}, left
        assert copy.residue().workspaces == frozenset()
    finally:
        stage.world.site = site
        copy.close()


def _copy(site: Site, copy: Site) -> None:
    """Put what lies in a site's store into another's; files may go while that is done."""
    if copy.is_api:
        with copy.client() as client:
            client.create_volume(copy.store_name, labels={"containerdeploy": "store"})
    source, target = site.store(), copy.store()
    assert source is not None
    assert target is not None
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", f"{source}/.", target], capture_output=True, check=False)


def _forget_boot(copy: Site) -> None:
    store = copy.store()
    assert store is not None
    for path in store.glob("bases/*/info.json"):
        with suppress(ValueError):
            info = json.loads(path.read_text())
            path.write_text(json.dumps({**info, "boot_id": "another"}))


DEEDS: Mapping[str, Deed] = {
    "controller": _kill_controller,
    "helper": _kill_helpers,
    "agent": lambda stage, _, chance: stage.hit(AGENT, chance),
    "launcher": lambda stage, _, chance: stage.hit(LAUNCHER, chance),
    "extension": lambda stage, _, chance: stage.hit(EXTENSION, chance),
    "interrupt": _interrupt,
    "interrupts": _interrupt_twice,
    "power": _cut_power,
}
AT_ONCE = ("controller", "interrupt", "interrupts")  # the others' runs go on without what was hit
CODES: Mapping[str, tuple[int, ...]] = {
    "controller": (0, -signal.SIGKILL),
    "interrupt": (0, 130, -signal.SIGINT),
    "interrupts": (0, 130, -signal.SIGINT),
    "power": (0,),
}
