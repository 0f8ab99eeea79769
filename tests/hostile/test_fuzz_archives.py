"""Archives, whatever they are: unpacked as GNU tar does, or refused in words; nothing gets out.

An input is several archives, so that one agent takes them all: each takes milliseconds then. The
same archives are unpacked once more by GNU tar, and both trees are compared.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import fuzzing
import pytest
from agent_bench import Bench, Story
from hypothesis import strategies as st

from containerdeploy import wire
from containerdeploy.frozen import replace
from containerdeploy.selftest.archives import catalogue, described, raw

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
]

MAX_BYTES = 16 << 20
MAX_MEMBERS = 3000
MOST_SAMPLE = 6000
TOGETHER = 6
PATIENCE_S = 120.0  # an agent for each input, on a busy machine too
SPLIT = b"\n-- the next archive --\n"
KINDS = [raw.FILE, raw.HARD, raw.LINK, raw.CHARACTER, raw.BLOCKS, raw.DIRECTORY, raw.FIFO]
KINDS += [raw.PAX, raw.PAX_GLOBAL, raw.LONG_NAME, raw.LONG_LINK, raw.SPARSE, b"7", b"\0", b"V"]
NAMES = st.sampled_from(
    [
        *(b"a", b"a/b", b"a/b/c", b"d/", b"..", b"../x", b"/etc/passwd", b".", b"", b"a/../../x"),
        *(b"l", b"l/x", b"/", b"x" * 100, b"\xff\n\x1b", b"/store/bases/x", b"/proc/self/root/x"),
    ]
) | st.binary(max_size=12)
SIZES = st.sampled_from([0, 1, 512, 513, -1, 1 << 20, 1 << 40, 1 << 62]) | st.integers(0, 2000)
RECORDS = st.tuples(
    st.sampled_from(
        [
            *(b"path", b"linkpath", b"size", b"mtime", b"uid", b"hdrcharset", b"comment"),
            *(b"GNU.sparse.major", b"GNU.sparse.minor", b"GNU.sparse.realsize", b"GNU.sparse.map"),
            *(b"GNU.sparse.numblocks", b"GNU.sparse.offset", b"GNU.sparse.numbytes"),
            *(b"SCHILY.xattr.user.a", b"SCHILY.acl.access", b"SCHILY.xattr.security.capability"),
        ]
    ),
    NAMES | SIZES.map(lambda number: b"%d" % number) | st.just(b"0,1,2,3"),
)
MEMBERS = st.one_of(
    st.builds(
        lambda name, kind, size, link, mode: raw.header(
            name, kind, size=size, link=link, mode=mode, device=(1, 3)
        ),
        NAMES,
        st.sampled_from(KINDS),
        SIZES,
        NAMES,
        st.integers(0, 0o7777),
    ),
    st.builds(raw.file, NAMES, st.binary(max_size=600)),
    st.builds(raw.link, NAMES, NAMES),
    st.builds(raw.hard, NAMES, NAMES),
    st.lists(RECORDS, max_size=4).map(lambda records: raw.pax(*records)),
    st.builds(raw.long, st.sampled_from([raw.LONG_NAME, raw.LONG_LINK]), NAMES),
    st.binary(max_size=1024).map(raw.padded),
)
BUILT = st.lists(MEMBERS, max_size=8).map(lambda members: raw.archive(*members))


def samples() -> list[bytes]:
    """The small ones of the hostile archives, decompressed."""
    everything = [one for group in catalogue.GROUPS.values() for one in group]
    plain = [one for one in everything if one.compression == "none" and one.harm != "fills"]
    return [data for one in plain if len(data := one.make()) <= MOST_SAMPLE]


ARCHIVES = st.one_of(BUILT, fuzzing.mutated(samples(), [bytes(512), b"\xff" * 12, b"7777777"]))
INPUTS = st.lists(ARCHIVES, min_size=TOGETHER, max_size=TOGETHER).map(SPLIT.join)


class Judge:
    """Agents on a bench, and GNU tar beside them; `held` is how many archives were judged."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.held = self.taken = 0

    def hold(self, data: bytes) -> None:
        """Have every archive unpacked; assert that each ended as it may."""
        archives = list(dict.fromkeys(data.split(SPLIT)))
        bench = Bench(place=self.place / "bench")
        try:
            story, sources = unpacked(bench, archives)
            assert "Traceback" not in story.stderr, story.stderr
            assert "the agent failed" not in story.finished.error, story.finished
            for number, one in enumerate(archives):
                self._hold_one(bench, story, sources[number], one, number)
            assert sorted(path.name for path in bench.store.iterdir()) == ["bases", "locks", "tmp"]
            assert list((bench.store / "tmp").iterdir()) == []
        finally:
            bench.close()
            subprocess.run(["rm", "-rf", self.place / "bench"], check=True)

    def _hold_one(
        self, bench: Bench, story: Story, source: wire.Source, data: bytes, number: int
    ) -> None:
        ending = story.ending(f"n{number}:base")
        base = bench.store / "bases" / source.sha256
        self.held += 1
        code, theirs = by_gnu_tar(data, self.place / "theirs")
        try:
            if ending.outcome == "ok":
                self.taken += 1
                assert code == 0, (code, data)
                implied = json.loads((base / "info.json").read_text())["implied"]
                assert same(base / "tree", theirs, implied), data
            else:
                assert ending.outcome == "failed", ending
                assert not base.exists()
                assert ending.detail and "\n" not in ending.detail
                ours = ("0:0", "more than", "ends before", "longer than")
                assert code != 0 or any(word in ending.detail for word in ours), (ending, data)
        finally:
            subprocess.run(["rm", "-rf", theirs], check=True)


def unpacked(bench: Bench, archives: Sequence[bytes]) -> tuple[Story, list[wire.Source]]:
    sources = [bench.source(data) for data in archives]
    bounded = [replace(one, max_bytes=MAX_BYTES, max_members=MAX_MEMBERS) for one in sources]
    deployments = [
        bench.deployment(source, name=f"n{number}") for number, source in enumerate(bounded)
    ]
    return bench.run(bench.job(*deployments, keep_going=True)), sources


def by_gnu_tar(data: bytes, target: Path) -> tuple[int, Path]:
    """Unpack as the agent does; without the capability that marks of overlayfs ask for."""
    target.mkdir()
    argv = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "tar", "--extract"]
    argv += ["--file=-", "--numeric-owner", "--same-owner", "--preserve-permissions", "--acls"]
    argv += ["--xattrs", "--xattrs-include=*", f"--directory={target}"]
    ran = subprocess.run(argv, input=data, capture_output=True, timeout=60, check=False)
    return ran.returncode, target


def same(ours: Path, theirs: Path, implied: Sequence[str]) -> bool:
    """Compare two trees; the times of directories that nobody lists are their own.

    Where a link that leads out is in one of them, the other may have what came after it in the
    archive: tar knows a link's stand-in by its inode's number, which the next file may get.
    """
    left, right = described.census(str(ours)), described.census(str(theirs))
    out = [path for tree in (left, right) for path in tree if leads_out(tree[path])]
    for tree in (left, right):
        for path in implied:
            tree.get(path, {}).pop("mtime", None)
        for path in out:
            tree.pop(path, None)
        for entry in tree.values():
            entry.pop("same")
    return left == right


def leads_out(entry: described.Entry) -> bool:
    target = str(entry["content"])
    is_link = str(entry["mode"]).startswith("l")
    return is_link and (target.startswith("/") or ".." in target)


@pytest.fixture
def judge(tmp_path: Path) -> Iterator[Judge]:
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv, to unpack as the agent does")
    yield Judge(tmp_path)


def test_whatever_an_archive_is_it_is_unpacked_as_by_gnu_tar_or_refused(judge: Judge) -> None:
    fuzzing.fuzz("archives", INPUTS, judge.hold, patience_s=PATIENCE_S, at_least=5)
    print(f"{judge.held} archives, {judge.taken} of them taken")
    assert judge.held > 0


@pytest.mark.parametrize("data", fuzzing.kept("archives"))
def test_what_failed_before_is_held(judge: Judge, data: bytes) -> None:
    judge.hold(data)
