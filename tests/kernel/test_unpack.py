"""A source becomes a base: held to GNU tar's own extraction, entry by entry, or refused whole."""

import gzip
import io
import lzma
import os
import random
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_bench import Agent, Bench, Story
from tree_census import Census, census

from containerdeploy import wire
from containerdeploy.agent.bounds import Bounds, allowed
from containerdeploy.agent.confine import Running
from containerdeploy.frozen import replace
from containerdeploy.selftest.archives import bombs

pytestmark = pytest.mark.kernel

KILLS = 8
COMPRESS = {
    "": ["cat"],
    ".gz": ["gzip", "-c"],
    ".xz": ["xz", "-0", "-c"],
    ".bz2": ["bzip2", "-c"],
    ".zst": ["zstd", "-q", "-c"],
}
EXTRACT = "tar --extract --numeric-owner --preserve-permissions --acls --xattrs --same-owner"
CREATE = "tar --create --numeric-owner --acls --xattrs --xattrs-include=* --sparse"


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tree with one of everything that an archive can hold."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    tree = tmp_path_factory.mktemp("rich") / "tree"
    tree.mkdir()
    subprocess.run(["sh", "-eu", "-c", MAKE_RICH], cwd=tree, check=True)
    for name in (b"\xff\xfe\x80", "ünïcode€".encode(), b"new\nline", b"x" * 255, b"-rf *", b"\\"):
        (tree / "names" / os.fsdecode(name)).write_text("named")
    deep = tree / "deep"
    for _ in range(40):
        deep = deep / "a-directory-name-of-thirty-bytes"
    deep.mkdir(parents=True)
    (deep / "bottom").touch()
    for number, path in enumerate(sorted(tree.rglob("*"), reverse=True)):
        times = (0, 1_234_567_890_123_456_789 + number * 1_000_000_007)
        os.utime(path, ns=times, follow_symlinks=False)
    yield tree
    shutil.rmtree(tree)


MAKE_RICH = """
mkdir -p d/empty names special links
head -c 300000 /dev/urandom > d/random; : > d/nothing
cp d/random d/setuid; chown 1000:1000 d/setuid; chmod 6755 d/setuid
mkdir d/sticky; chmod 1777 d/sticky; mkdir d/setgid; chown 0:33 d/setgid; chmod 2770 d/setgid
touch d/big; chown 4000000000:3000000000 d/big; touch d/noperm; chmod 0 d/noperm
mkdir d/locked; touch d/locked/inside; chmod 0500 d/locked; chown 5:5 d/locked
setfattr -n user.colour -v blue d/random; setfattr -n user.binary -v 0x00ff00 d
setfattr -n user.empty d/nothing
setfacl -m u:1000:rw,g:33:r,m::rwx d/random; mkdir d/acl; setfacl -d -m u:1001:rwx,g::- d/acl
cp d/random d/capable; setcap cap_net_raw,cap_setuid+ep d/capable
ln d/random links/hard; ln d/setuid links/hard-setuid; ln -s ../d/random links/soft
ln -s /absolute/nowhere links/dangling; ln -s loop links/loop; chown -h 7:8 links/soft
ln links/soft links/hard-to-soft; ln -s "$(head -c 3000 /dev/zero | tr '\\0' x)" d/long
truncate -s 64M d/sparse; printf middle | dd of=d/sparse bs=1 seek=30000000 conv=notrunc status=none
mknod special/char c 1 3; mknod special/block b 7 9; mkfifo special/fifo; chown 3:4 special/block
mknod d/wide c 300 70000
"""


def archive(tree: Path, suffix: str = "", *, form: str = "pax") -> bytes:
    """Pack a tree as GNU tar does, and compress it."""
    argv = [*CREATE.split(), f"--format={form}", f"--directory={tree}", "."]
    plain = subprocess.run(argv, check=True, capture_output=True).stdout
    return compressed(plain, suffix)


def compressed(plain: bytes, suffix: str) -> bytes:
    return subprocess.run(COMPRESS[suffix], input=plain, check=True, capture_output=True).stdout


def unpacked(bench: Bench, data: bytes, suffix: str = "") -> tuple[Story, Path]:
    source = bench.source(data, suffix)
    story = bench.run(bench.job(bench.deployment(source)))
    return story, bench.store / "bases" / source.sha256 / "tree"


def by_gnu_tar(data: bytes, place: Path) -> Census:
    place.mkdir()
    argv = [*EXTRACT.split(), "--xattrs-include=*", f"--directory={place}"]
    subprocess.run(argv, input=data, check=True)
    return census(place)


def assert_same(ours: Census, theirs: Census) -> None:
    assert ours.keys() == theirs.keys()
    for path, entry in theirs.items():
        assert ours[path] == entry, path


def assert_refused(bench: Bench, story: Story, step: str = "one:base") -> str:
    """Check that the refusal is clear and leaves nothing; return its words."""
    assert story.finished.outcome == "failed", story.finished
    assert story.ending(step).outcome == "failed"
    assert story.finished.error.endswith(f": base failed: {story.ending(step).detail}")
    assert story.finished.hint
    assert "Traceback" not in story.finished.error + story.stderr
    assert "previous errors" not in story.finished.error
    assert "not recoverable" not in story.finished.error
    assert list((bench.store / "bases").iterdir()) == []
    assert list((bench.store / "tmp").iterdir()) == []
    return story.finished.error


@pytest.mark.parametrize("suffix", COMPRESS)
def test_everything_survives_as_in_gnu_tars_hands(
    bench: Bench, rich: Path, tmp_path: Path, suffix: str
) -> None:
    data = archive(rich)
    story, base = unpacked(bench, compressed(data, suffix), suffix)
    assert story.finished.outcome == "ok", story.finished
    ours = census(base)
    assert_same(ours, by_gnu_tar(data, tmp_path / "theirs"))
    assert_same(ours, census(rich))


@pytest.mark.parametrize("form", ["gnu", "oldgnu", "posix", "ustar"])
def test_every_format_of_archive_is_taken(
    bench: Bench, tmp_path: Path, rich: Path, form: str
) -> None:
    argv = ["tar", "--create", f"--format={form}", f"--directory={rich}", "links", "special"]
    data = subprocess.run(argv, check=True, capture_output=True).stdout
    story, base = unpacked(bench, data)
    assert story.finished.outcome == "ok", story.finished
    assert_same(census(base), by_gnu_tar(data, tmp_path / "theirs"))


def test_a_real_system_survives(bench: Bench, debian_root: Path, tmp_path: Path) -> None:
    data = debian_root.read_bytes()
    story, base = unpacked(bench, data)
    assert story.finished.outcome == "ok"
    assert_same(census(base), by_gnu_tar(data, tmp_path / "theirs"))
    members = len(list(census(base)))
    assert members > 1000


def test_big_things_are_told_as_they_go(bench: Bench, debian_root: Path) -> None:
    source = bench.source(debian_root)
    story = bench.run(bench.job(bench.deployment(source)))
    told = [event for event in story.events if isinstance(event, wire.Progress)]
    assert [event.done for event in told] == sorted(event.done for event in told)
    assert (told[-1].done, told[-1].total) == (source.size_bytes, source.size_bytes)


def test_attributes_that_mean_something_elsewhere_are_lost_with_a_line(
    bench: Bench, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("x")
    os.setxattr(tree / "file", "trusted.overlay.opaque", b"y")
    os.setxattr(tree / "file", "trusted.mine", b"y")
    os.setxattr(tree / "file", "user.kept", b"y")
    os.setxattr(tree / "file", "security.selinux", b"system_u:object_r:etc_t:s0\0")
    story, base = unpacked(bench, archive(tree))
    assert story.finished.outcome == "ok", story.finished
    assert set(os.listxattr(base / "file")) - {"security.selinux"} == {"user.kept"}
    assert "trusted.overlay.opaque" in story.said("one:base", "stderr")


@pytest.fixture(scope="module")
def plain() -> bytes:
    """An archive of some files that don't compress well."""
    noise = random.Random(1)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for number in range(20):
            member = tarfile.TarInfo(f"file-{number}")
            member.size = 20_000
            made.addfile(member, io.BytesIO(noise.randbytes(member.size)))
    return buffer.getvalue()


def refusals(bench: Bench, archives: list[bytes], suffix: str) -> list[str]:
    """Have one agent try all the archives, each of which must be refused; return its words."""
    names = [f"n{number}" for number in range(len(archives))]
    deployments = [
        bench.deployment(bench.source(data, suffix), name=name)
        for name, data in zip(names, archives, strict=True)
    ]
    story = bench.run(bench.job(*deployments, keep_going=True))
    endings = [story.ending(f"{name}:base") for name in names]
    assert {ending.outcome for ending in endings} == {"failed"}
    assert_refused(bench, story, "n0:base")
    return [ending.detail for ending in endings]


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_truncated_archive_is_refused(bench: Bench, plain: bytes, suffix: str) -> None:
    data = compressed(plain, suffix) if suffix else plain.rstrip(b"\0")
    ends = [len(data) // 10, len(data) // 2, *(len(data) - cut for cut in (1, 4, 8, 9, 13))]
    refusals(bench, [data[:end] for end in (1, 17, 600)], suffix)
    for error in refusals(bench, [data[:end] for end in ends], suffix):
        assert error.startswith("the source can't be unpacked: ")
        assert any(word in error.lower() for word in ("eof", "end", "complete", "look like")), error


def test_an_archive_cut_between_two_members_is_refused(bench: Bench, plain: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(plain)) as made:
        offset = made.getmembers()[7].offset
    for suffix in ("", ".gz"):
        story, _ = unpacked(bench, compressed(plain[:offset], suffix), suffix)
        assert "ends before the end of the archive" in assert_refused(bench, story)


@pytest.mark.parametrize("suffix", [name for name in COMPRESS if name])
def test_a_corrupt_archive_is_refused(bench: Bench, plain: bytes, suffix: str) -> None:
    data = bytearray(compressed(plain, suffix))
    middle = len(data) // 2
    data[middle : middle + 16] = bytes(byte ^ 0xFF for byte in data[middle : middle + 16])
    story, _ = unpacked(bench, bytes(data), suffix)
    assert "can't be unpacked" in assert_refused(bench, story)


DECOMPRESSORS = {"igzip": ".gz", "pigz": ".gz", "gzip": ".gz", "zstd": ".zst", "xz": ".xz"}


@pytest.mark.parametrize("tool", [*DECOMPRESSORS, "bzip2"])
def test_every_decompressor_tells_of_a_truncation(plain: bytes, tool: str) -> None:
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    data = compressed(plain, DECOMPRESSORS.get(tool, ".bz2"))
    for cut in (1, 4, 8, 9, 100, len(data) // 2, len(data) - 4):
        ran = subprocess.run([tool, "-d"], input=data[:-cut], capture_output=True, check=False)
        assert ran.returncode != 0, cut


@pytest.mark.parametrize("suffix", COMPRESS)
def test_what_is_no_archive_is_refused(bench: Bench, suffix: str) -> None:
    noise = random.Random(2)
    text = b"<html>404 not found</html>\n" * 100
    archives = [b"", text, noise.randbytes(100_000), b"PK\3\4" + noise.randbytes(5000)]
    for error in refusals(bench, archives, suffix):
        assert error.startswith("the source can't be unpacked: ")
    if suffix:
        refusals(bench, [compressed(data, suffix) for data in archives], suffix)


def test_garbage_between_members_is_refused(bench: Bench, plain: bytes) -> None:
    middle = len(plain) // 2 // 512 * 512
    noise = random.Random(4).randbytes(4096)
    refusals(bench, [plain[:middle] + noise + plain[middle:]], "")


def test_compression_under_another_name_is_refused(bench: Bench, plain: bytes) -> None:
    refusals(bench, [lzma.compress(plain), plain], ".gz")


def test_several_compressed_streams_in_one_are_read_to_the_end(bench: Bench, plain: bytes) -> None:
    middle = len(plain) // 2
    for suffix in (".gz", ".xz", ".bz2", ".zst"):
        data = compressed(plain[:middle], suffix) + compressed(plain[middle:], suffix)
        story, base = unpacked(bench, data, suffix)
        assert story.finished.outcome == "ok", (suffix, story.finished)
        assert len(list(base.iterdir())) == 20


def test_an_archive_that_is_not_what_was_digested_is_refused(bench: Bench, plain: bytes) -> None:
    source = bench.source(plain)
    (bench.place / "sources" / source.sha256).write_bytes(plain[:-1] + b"\1")
    error = assert_refused(bench, bench.run(bench.job(bench.deployment(source))))
    assert source.sha256 in error


@pytest.mark.parametrize("hidden", [(), ("igzip",), ("igzip", "pigz")], ids=len)
def test_what_stands_behind_compressed_data_matters_to_no_decompressor(
    bench: Bench, plain: bytes, monkeypatch: pytest.MonkeyPatch, hidden: tuple[str, ...]
) -> None:
    covers = "".join(f"mount --bind /dev/null /usr/bin/{name}; " for name in hidden)
    usual = bench.argv

    def argv(*given: Any) -> list[str]:
        return ["unshare", "--mount", "sh", "-c", f'{covers}exec "$@"', "sh", *usual(*given)]

    monkeypatch.setattr(bench, "argv", argv)
    story, base = unpacked(bench, compressed(plain, ".gz") + b"something else", ".gz")
    assert story.finished.outcome == "ok", story.finished
    assert len(list(base.iterdir())) == 20


def test_a_header_that_is_larger_than_memory_is_refused(bench: Bench) -> None:
    error = assert_refused(bench, unpacked(bench, bombs.bomb_in_a_pax_header(), ".zst")[0])
    assert "memory" in error


def test_a_deleted_files_mark_is_refused(bench: Bench) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        member = tarfile.TarInfo("etc/gone\n")
        member.type, member.devmajor, member.devminor = tarfile.CHRTYPE, 0, 0
        made.addfile(member)
    story, _ = unpacked(bench, buffer.getvalue())
    error = assert_refused(bench, story)
    assert "0:0" in error
    assert "'etc/gone\\n'" in error


HOSTILE = {
    "absolute": [("/outside/planted", "file", "")],
    "dots": [("../../outside/planted", "file", ""), ("a/../../../outside/planted", "file", "")],
    "through-a-link": [("l", "link", "/outside"), ("l/planted", "file", "")],
    "through-a-relative-link": [("l", "link", "../../.."), ("l/outside/planted", "file", "")],
    "through-two-links": [("a", "link", ".."), ("b", "link", "a/.."), ("b/planted", "file", "")],
    "hard-link-outside": [("h", "hard", "/etc/passwd"), ("h", "file", "")],
    "hard-link-up": [("h", "hard", "../../../../etc/passwd"), ("h", "file", "")],
    "over-the-tools": [("usr/bin/tar", "file", ""), ("../usr/bin/tar", "file", "")],
    "over-the-target": [("../target", "link", "/usr"), ("../listing", "link", "/etc/passwd")],
    "link-swapped": [("d/x", "file", ""), ("d", "link", "/outside"), ("d/planted", "file", "")],
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_no_member_lands_outside(bench: Bench, tmp_path: Path, attack: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as made:
        for name, kind, target in HOSTILE[attack]:
            member = tarfile.TarInfo(name)
            member.type = {"file": b"0", "link": b"2", "hard": b"1"}[kind]
            member.linkname, member.mode, member.size = target, 0o777, 7 * (kind == "file")
            made.addfile(member, io.BytesIO(b"planted"))
    before = {path: path.stat().st_mtime_ns for path in map(Path, ("/etc/passwd", "/usr/bin/tar"))}
    story, base = unpacked(bench, buffer.getvalue())
    assert {path: path.stat().st_mtime_ns for path in before} == before
    planted = [path for path in tmp_path.rglob("planted") if not path.is_relative_to(base)]
    assert planted == []
    assert not Path("/outside").exists()
    assert story.finished.outcome in ("ok", "failed")
    assert sorted(path.name for path in bench.store.iterdir()) == ["bases", "locks", "tmp"]


def test_a_bomb_of_zeros_keeps_its_holes_or_ends(bench: Bench) -> None:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9) as stream:
        member = tarfile.TarInfo("zeros")
        member.size = 200 << 20
        stream.write(member.tobuf())
        for _ in range(200):
            stream.write(bytes(1 << 20))
        stream.write(bytes(1024))
    story, base = unpacked(bench, buffer.getvalue(), ".gz")
    assert story.finished.outcome == "ok"
    assert (base / "zeros").stat().st_size == 200 << 20


def zeros(name: str, megabytes: int) -> bytes:
    """An archive of one file of zeros: a frame for each 64 MB."""
    member = tarfile.TarInfo(name)
    member.size = megabytes << 20
    head = compressed(member.tobuf(tarfile.GNU_FORMAT), ".zst")
    assert megabytes % 64 == 0
    return head + compressed(bytes(64 << 20), ".zst") * (megabytes // 64)


def most_used(agent: Agent, store: Path) -> int:
    """Return how many bytes a run took up at the most."""
    before, most = os.statvfs(store), 0
    while agent.process.poll() is None:
        most = max(most, before.f_bfree - os.statvfs(store).f_bfree)
        time.sleep(0.01)
    return most * before.f_frsize


def test_a_bomb_is_stopped_while_it_goes_off(bench: Bench) -> None:
    """Ten gigabytes, of which the disk gets a fraction."""
    bomb = bench.source(zeros("etc/zeros", 10 << 10), ".zst")
    agent = bench.start(bench.job(bench.deployment(replace(bomb, max_bytes=64 << 20))))
    assert most_used(agent, bench.store) < 4 << 30
    error = assert_refused(bench, agent.end())
    assert "'etc/zeros'" in error
    assert f"{64 << 20} bytes, which the operator's policy allows" in error


def test_without_a_policy_an_archive_may_be_twenty_times_its_size_but_at_least_a_gigabyte() -> None:
    source = wire.Source(path="", sha256="", size_bytes=100, compression="gz")
    assert allowed(source).bytes == 1 << 30
    source = replace(source, size_bytes=1 << 30)
    assert allowed(source).bytes == 20 << 30
    assert allowed(replace(source, max_expansion=3)).bytes == 3 << 30
    told = allowed(replace(source, rules={"max_expansion": "policy.yaml:1:2"})).reason
    assert told == "20 times the archive's size (policy.yaml:1:2)"
    assert allowed(replace(source, max_bytes=1000)).bytes == 1000


def test_directories_that_the_archive_only_implies_count(bench: Bench) -> None:
    """One member of a kilobyte makes a hundred directories of four kilobytes each."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for number in range(100):
            made.addfile(tarfile.TarInfo(f"{number}/" + "d/" * 100 + "end"))
    source = bench.source(compressed(buffer.getvalue(), ".zst"), ".zst")
    source = replace(source, max_members=5000, rules={"max_members": "policy.yaml:1:2"})
    story = bench.run(bench.job(bench.deployment(source)))
    assert "more than 5000 members (policy.yaml:1:2);" in assert_refused(bench, story)


def test_what_others_write_meanwhile_is_not_held_against_an_archive(
    bench: Bench, debian_root: Path, tmp_path: Path
) -> None:
    source = bench.source(debian_root)
    agent = bench.start(bench.job(bench.deployment(replace(source, max_bytes=400 << 20))))
    agent.wait_for(wire.StepStarted, step="one:base")
    written = 0
    while agent.process.poll() is None and written <= 512:
        (tmp_path / "noise").write_bytes(bytes(32 << 20))
        (tmp_path / "noise").unlink()
        written += 32
    assert agent.end().finished.outcome == "ok"
    assert written > 400


def test_a_path_that_no_program_can_name_is_refused(bench: Bench) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        made.addfile(tarfile.TarInfo("directory/" * 250 + "end"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "directory/" * 250
        made.addfile(link)
        made.addfile(tarfile.TarInfo("link/" + "directory/" * 250 + "end"))
    error = assert_refused(bench, unpacked(bench, buffer.getvalue())[0])
    assert "longer than 4095 bytes" in error


def test_a_suspicion_that_comes_when_tar_has_just_ended_harms_no_archive(bench: Bench) -> None:
    source = replace(bench.source(b""), max_bytes=1 << 20)
    target = bench.place / "target"
    target.mkdir()
    bounds = Bounds(str(target), source, rootless=False)
    (bench.place / "of-others").write_bytes(bytes(64 << 20))
    assert bounds.overrun(Running(outer=0, init=(1 << 22) + 1, errors=0)) is None
    assert bounds.failure is None


def test_a_disk_is_not_filled_to_its_last_byte(bench: Bench) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", bench.store], check=True)
    running = Running(outer=0, init=0, errors=0)
    try:
        bounds = Bounds(str(bench.store), bench.source(b""), rootless=False)
        (bench.store / "most").write_bytes(bytes(15 << 20))
        assert bounds.overrun(running) is None
        (bench.store / "more").write_bytes(bytes(4 << 20))
        assert bounds.overrun(running) is not None
        assert bounds.failure is not None
        assert "No space left on device but a reserve of 2 MiB" in bounds.failure.detail
    finally:
        subprocess.run(["umount", bench.store], check=True)


def test_two_agents_that_want_one_base_unpack_it_once(bench: Bench, debian_root: Path) -> None:
    source = bench.source(debian_root)
    step = bench.shell("ls usr/bin | wc -l")
    jobs = [bench.job(bench.deployment(source, configure=[step])) for _ in range(3)]
    stories = [agent.end() for agent in [bench.start(job) for job in jobs]]
    assert [story.finished.outcome for story in stories] == ["ok"] * 3
    assert sorted(story.ending("one:base").cached for story in stories) == [False, True, True]
    assert len({story.said(step) for story in stories}) == 1
    assert len(list((bench.store / "bases").iterdir())) == 1


def test_two_deployments_of_one_job_unpack_once(bench: Bench, small: wire.Source) -> None:
    job = bench.job(*(bench.deployment(small, name=name) for name in ("a", "b")))
    story = bench.run(job)
    assert [story.ending(f"{name}:base").cached for name in "ab"] == [False, True]


def test_an_agent_killed_while_it_unpacks_leaves_a_whole_base_or_none(
    bench: Bench, tmp_path: Path
) -> None:
    tree = tmp_path / "many"
    for number in range(3000):
        (tree / str(number % 50)).mkdir(parents=True, exist_ok=True)
        (tree / str(number % 50) / str(number)).write_text(str(number))
    source = bench.tree(tree)
    noise = random.Random(5)
    step = bench.shell("find . -type f | sort | md5sum")
    first = bench.run(bench.job(bench.deployment(source, configure=[step])))
    found = set()
    whole_s = first.ending("one:base").wall_s * 1.2
    for number in range(KILLS):
        shutil.rmtree(bench.store / "bases" / source.sha256)
        agent = bench.start(bench.job(bench.deployment(source)))
        agent.wait_for(wire.StepStarted, step="one:base")
        agent.wait_end((number + noise.random()) / KILLS * whole_s)
        agent.kill()
        is_whole = (bench.store / "bases" / source.sha256).exists()
        story = bench.run(bench.job(bench.deployment(source, configure=[step])))
        assert story.said(step) == first.said(step)
        assert story.ending("one:base").cached == is_whole
        found.add(is_whole)
    swept = bench.run(bench.job(kind="sweep"))
    assert (swept.finished.swept > 0) == (False in found)
    assert list((bench.store / "tmp").iterdir()) == []


def test_a_base_of_another_boot_that_was_not_synced_is_unpacked_again(
    bench: Bench, small: wire.Source
) -> None:
    bench.run(bench.job(bench.deployment(small)))
    info = bench.store / "bases" / small.sha256 / "info.json"
    (info.parent / "tree" / "etc" / "motd").write_bytes(b"")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    info.write_text(info.read_text().replace(boot, "another"))
    step = bench.shell("cat etc/motd")
    story = bench.run(bench.job(bench.deployment(small, configure=[step])))
    assert not story.ending("one:base").cached
    assert story.said(step) == "etc/motd as it was\n"


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"sha256": 1}', "\0"])
def test_a_base_whose_description_is_damaged_is_unpacked_again(
    bench: Bench, small: wire.Source, damage: str
) -> None:
    bench.run(bench.job(bench.deployment(small)))
    info = bench.store / "bases" / small.sha256 / "info.json"
    info.write_text(damage)
    story = bench.run(bench.job(bench.deployment(small)))
    assert story.finished.outcome == "ok"
    assert not story.ending("one:base").cached


def test_a_base_without_its_description_is_unpacked_again(bench: Bench, small: wire.Source) -> None:
    bench.run(bench.job(bench.deployment(small)))
    (bench.store / "bases" / small.sha256 / "info.json").unlink()
    story = bench.run(bench.job(bench.deployment(small)))
    assert story.finished.outcome == "ok"


def test_a_full_store_is_a_clear_failure(bench: Bench, plain: bytes) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "none", bench.store], check=True)
    try:
        story, _ = unpacked(bench, plain)
        assert "No space left" in assert_refused(bench, story)
        assert "room" in story.finished.hint
    finally:
        subprocess.run(["umount", bench.store], check=True)
