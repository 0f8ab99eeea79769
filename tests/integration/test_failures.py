"""What goes wrong, and what the user is told: exit code, step, last words, log, what to try."""

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from deploy_world import Ended, World, digest, text
from sites import Site

LOUD = """\
#!/bin/sh
i=0
while [ $i -lt 200 ]; do i=$((i + 1)); echo "line $i"; done
echo "ERROR: the flux is not aligned"
echo "a traceback" >&2
exit 3
"""
TAR = {"type": "tar", "location": "s.tar"}


def failing(world: World, script: str = LOUD, **deployment: str) -> Ended:
    world.extension("fail.configure", script)
    world.system("s", {"one": {**TAR, **deployment}}, "fail")
    return world.deploy()


def test_a_failing_extension_is_reported_with_all_that_helps(world: World) -> None:
    ended = failing(world)
    assert ended.code == 1
    report = ended.out[ended.out.index("FAILED") - 20 :]
    for words in (
        "[s][one] FAILED: fail.configure failed: exit code 3",
        "    line 200\n",
        "    ERROR: the flux is not aligned\n",
        "    a traceback\n",
        "  try: ",
    ):
        assert words in report, report
    log = Path(report.partition("whole log: ")[2].splitlines()[0])
    assert log.read_text().count("line ") == 200
    assert "0 deployed, 1 failed" in report


def test_a_failed_deploy_leaves_no_result_and_nothing_beside_it(world: World) -> None:
    ended = failing(world)
    assert ended.code == 1
    assert list(world.out.iterdir()) == []


def test_a_failed_deploy_leaves_an_earlier_result_alone(world: World) -> None:
    (world.out / "s.tar").write_text("of old")
    assert failing(world).code == 1
    assert (world.out / "s.tar").read_text() == "of old"


def test_a_failing_check_is_told_before_anything_is_unpacked(
    site: Site, new_world: Callable[..., World]
) -> None:
    own = site.sibling()
    world = new_world(own)
    world.extension("put.write", "#!/bin/sh\ntouch $2\n")
    world.extension("put.check", '#!/bin/sh\necho "ERROR: not to $1"\nexit 1\n')
    world.system("s", {"one": {"type": "put", "location": "s.img"}}, "set-hostname")
    ended = world.deploy()
    bases = own.bases()
    own.close()
    assert ended.code == 1
    assert [event["kind"] for event in ended.events("StepStarted")] == ["check"]
    assert "ERROR: not to /output/s.img" in ended.out
    assert bases == []


def test_by_default_the_other_systems_go_on(world: World) -> None:
    world.extension("fail.configure", LOUD)
    world.system("bad", {"bad": {**TAR, "location": "bad.tar"}}, "fail")
    world.system("good", {"good": {**TAR, "location": "good.tar"}})
    ended = world.deploy("--jobs=1")
    assert ended.code == 1
    assert "1 deployed, 1 failed, 0 not started" in ended.out
    assert (world.out / "good.tar").exists()


def test_fail_fast_starts_nothing_more(world: World) -> None:
    world.extension("fail.configure", LOUD)
    world.system("bad", {"bad": {**TAR, "location": "bad.tar"}}, "fail")
    world.system("good", {"good": {**TAR, "location": "good.tar"}})
    ended = world.deploy("--jobs=1", "--fail-fast")
    assert ended.code == 1
    assert "0 deployed, 1 failed, 1 not started" in ended.out
    assert not (world.out / "good.tar").exists()


def test_a_systems_other_deployments_go_on_unless_it_should_fail_fast(world: World) -> None:
    world.extension("maybe.configure", '#!/bin/sh\n[ "$FAIL" = no ]\n')
    deploy = {"bad": {**TAR, "FAIL": True}, "good": {**TAR, "location": "good.tar", "FAIL": "no"}}
    world.system("s", deploy, "maybe")
    assert world.deploy().code == 1
    assert (world.out / "good.tar").exists()
    (world.out / "good.tar").unlink()
    assert world.deploy("--fail-fast").code == 1
    assert not (world.out / "good.tar").exists()


def test_an_extension_that_takes_too_long_is_ended(
    site: Site, new_world: Callable[..., World]
) -> None:
    world = new_world(site)
    world.extension("slow.configure", "#!/bin/sh\necho going; sleep 600 & sleep 600\n")
    world.system("s", {"one": TAR}, "slow")
    before = site.residue()
    ended = world.deploy("--timeout=1")
    assert ended.code == 1
    (step,) = ended.steps("configure")
    assert step["outcome"] == "timed out"
    assert 1 <= step["wall_s"] < 5
    assert "slow.configure timed out: still running after 1 s" in ended.out
    assert not site.left_since(before)


def test_a_source_that_is_not_what_its_digest_says_is_refused(world: World) -> None:
    world.system("s", {"one": TAR}, source={"tar": str(world.source), "sha256": "0" * 64})
    ended = world.deploy()
    assert ended.code == 1
    assert digest(world.source) in ended.out
    assert "0" * 64 in ended.out
    assert not ended.events("Hello")


def test_the_right_digest_is_accepted_in_capitals_too(world: World) -> None:
    sha256 = digest(world.source).upper()
    world.system("s", {"one": TAR}, source={"tar": str(world.source), "sha256": sha256})
    ended = world.deploy()
    assert ended.code == 0, str(ended)


def truncated(sample: Path, target: Path) -> None:
    target.write_bytes(sample.read_bytes()[:-1000])


def flipped(sample: Path, target: Path) -> None:
    data = bytearray(sample.read_bytes())
    data[len(data) // 2] ^= 0xFF
    target.write_bytes(data)


def cut_tar(sample: Path, target: Path) -> None:
    target.write_bytes(gzip.decompress(sample.read_bytes())[:700_000])


@pytest.mark.parametrize("spoil", [truncated, flipped, cut_tar])
def test_a_broken_archive_is_a_clear_error_and_leaves_no_base(
    site: Site, new_world: Callable[..., World], spoil: Callable[[Path, Path], None]
) -> None:
    world = new_world(site)
    broken = world.directory / "broken.tar"
    spoil(world.source, broken)
    world.system("s", {"one": TAR}, source={"tar": str(broken)})
    before = site.bases()
    ended = world.deploy()
    assert ended.code == 1
    (step,) = ended.steps("base")
    assert step["outcome"] == "failed"
    assert "the source can't be unpacked: " in step["detail"]
    assert "check the archive" in ended.out
    assert site.bases() == before
    assert not site.residue().workspaces


def test_what_is_no_archive_is_told_before_a_helper_is_made(world: World) -> None:
    bogus = world.file("bogus.tar.gz", "<html>404</html>" * 100)
    world.system("s", {"one": TAR}, source={"tar": str(bogus)})
    ended = world.deploy()
    assert ended.code == 1
    assert "bogus.tar.gz" in ended.out
    assert not ended.events("Hello")


def test_a_missing_source_is_an_error_with_its_line(world: World) -> None:
    world.system("s", {"one": TAR}, source={"tar": "nowhere.tar"})
    ended = world.deploy()
    assert ended.code == 2
    assert "nowhere.tar" in ended.err
    assert "systems/s.yaml:1:" in ended.err


@pytest.mark.local
def test_an_unreadable_source_is_told(user_site: Site, new_world: Callable[..., World]) -> None:
    world = new_world(user_site)
    private = world.directory / "private.tar.gz"
    shutil.copyfile(world.source, private)
    world.system("s", {"one": TAR}, source={"tar": str(private)})
    argv = world.argv("deploy")
    os.chown(private, 0, 0)
    private.chmod(0o600)
    ran = user_site.run(argv, world.directory)
    assert ran.returncode == 1, ran.stdout
    assert "Permission denied" in ran.stdout


def test_an_image_that_the_engine_lacks_is_named(world: World) -> None:
    world.system("s", {"one": TAR})
    ended = world.deploy("--image=containerdeploy-no-such-image:1")
    assert ended.code == 3
    assert "containerdeploy-no-such-image:1" in ended.err
    assert "try: " in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("verb", ["deploy", "doctor", "cleanup"])
def test_an_engine_that_is_not_there_is_an_engine_error(world: World, verb: str) -> None:
    world.system("s", {"one": TAR})
    nowhere = f"unix://{world.directory}/nowhere.sock"
    argv = [nowhere if "--engine" in word else word for word in world.argv(verb)]
    argv = [f"--engine={word}" if word == nowhere else word for word in argv]
    if verb != "deploy":
        argv = argv[: argv.index(f"--engine={nowhere}") + 1]
    ran = world.site.run(argv, world.directory)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 3, said
    assert nowhere in said
    assert "Traceback" not in said


def test_subsystems_are_written_into_their_parent_before_it_is_configured(
    site: Site, new_world: Callable[..., World]
) -> None:
    world = new_world(site)
    world.extension("put.write", '#!/bin/sh\ncp "$1/etc/hostname" "$2"\n')
    world.extension("look.configure", '#!/bin/sh\ncp "$1/boot-me" "$1/etc/seen"\n')
    inner = {"inner": {"type": "put", "location": "boot-me", "HOSTNAME": "inside"}}
    subsystem = world.entry("small", inner, "set-hostname")
    outer = {"outer": {**TAR, "HOSTNAME": "outside"}}
    world.system("s", outer, "set-hostname", "look", subsystems=[subsystem])
    ended = world.deploy()
    assert ended.code == 0, str(ended)
    tar = world.out / "s.tar"
    assert text(tar, "boot-me") == text(tar, "etc/seen") == "inside\n"
    assert text(tar, "etc/hostname") == "outside\n"


def test_a_failing_subsystem_fails_its_parent(world: World) -> None:
    world.extension("fail.configure", LOUD)
    inner = {"inner": {"type": "tar", "location": "inner.tar"}}
    subsystem = world.entry("small", inner, "fail")
    world.system("s", {"outer": TAR}, subsystems=[subsystem])
    ended = world.deploy()
    assert ended.code == 1
    assert "the flux is not aligned" in ended.out
    assert not (world.out / "s.tar").exists()
