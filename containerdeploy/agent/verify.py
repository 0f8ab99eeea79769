"""Compares a base with what was recorded of it: what its members are, and what is in them.

Content is digested by the first look at a base, if nothing has been touched since it was unpacked
(the kernel's change times tell), and compared by every later one.
"""

import itertools
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress

from containerdeploy import wire
from containerdeploy.agent import manifest, trees
from containerdeploy.agent.manifest import Member
from containerdeploy.agent.store import BaseInfo, Store
from containerdeploy.agent.survey import shown

MOST = 20
CHUNK_BYTES = 1 << 20
CONTENTS = "contents"
UNKEPT = ("security.selinux", "security.ima")  # the host's own
Entry = tuple[int, str, os.stat_result]
Key = list[str]


def verify(store: Store, name: str) -> wire.BaseVerified:
    """Look at one base; one that is damaged is dropped unless somebody uses it."""
    with store.held(name) as info:
        if isinstance(info, str):
            finding = _Findings(name)
            finding.add("", info)
        else:
            finding = _compare(store, name, info)
    if finding.count == 0:
        return finding.verdict()
    return finding.verdict(in_use=not store.drop(name))


class _Findings:
    """What is wrong with a base; the first of it in full."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._damage: list[wire.Damage] = []
        self.count = self.members = self.bytes = 0
        self.is_new = False

    def add(self, path: str, what: str) -> None:
        self.count += 1
        if len(self._damage) < MOST:
            self._damage.append(wire.Damage(path=shown(path) if path else "", what=what))

    def verdict(self, *, in_use: bool = False) -> wire.BaseVerified:
        sound: wire.BaseState = "recorded" if self.is_new else "sound"
        return wire.BaseVerified(
            base=self._base,
            state="damaged" if self.count else sound,
            members=self.members,
            bytes=self.bytes,
            damage=tuple(self._damage),
            damaged=self.count,
            in_use=in_use,
        )


def _compare(store: Store, name: str, info: BaseInfo) -> _Findings:
    findings = _Findings(name)
    place = f"{store.root}/bases/{name}"
    comparison = _Comparison(place, info, findings)
    try:
        comparison.run()
        if comparison.is_first and findings.count == 0:
            store.record_contents(name, comparison.digests)
            findings.is_new = True
    except (OSError, ValueError, trees.TreeMoved) as err:
        findings.add("", str(err) or "it changes while it is looked at")
    return findings


class _Comparison:
    """One walk over a base's tree beside its manifest, which has the same order."""

    def __init__(self, place: str, info: BaseInfo, findings: _Findings) -> None:
        self._place = place
        self._info = info
        self._findings = findings
        self._implied = frozenset(info.implied)
        self._linked: dict[int, str] = {}
        self.is_first = not info.contents
        self.digests: list[str] = []

    def run(self) -> None:
        """Compare everything; raise OSError or ValueError where it can't be read."""
        _check(f"{self._place}/{manifest.NAME}", self._info.manifest)
        if not self.is_first:
            _check(f"{self._place}/{CONTENTS}", self._info.contents)
        root = trees.open_directory(f"{self._place}/tree")
        try:
            self._merge(_entries(root), self._recorded())
        finally:
            os.close(root)

    def _recorded(self) -> Iterator[tuple[str, Member, str]]:
        contents: Iterator[bytes] = itertools.repeat(b"")
        if not self.is_first:
            contents = manifest.records(f"{self._place}/{CONTENTS}")
        known = manifest.members(f"{self._place}/{manifest.NAME}")
        for (path, member), digest in zip(known, contents, strict=not self.is_first):
            yield path, member, digest.decode("ascii")

    def _merge(
        self, entries: Iterator[tuple[str, Entry]], recorded: Iterator[tuple[str, Member, str]]
    ) -> None:
        found, known = next(entries, None), next(recorded, None)
        while found is not None or known is not None:
            if known is None or (found is not None and _key(found[0]) < _key(known[0])):
                assert found is not None
                self._findings.add(found[0], "added")
                found = next(entries, None)
            elif found is None or _key(known[0]) < _key(found[0]):
                self._findings.add(known[0], "missing")
                known = next(recorded, None)
            else:
                self._member(*known, found[1])
                found, known = next(entries, None), next(recorded, None)

    def _member(self, path: str, was: Member, digest: str, entry: Entry) -> None:
        findings, found = self._findings, entry[2]
        findings.members += 1
        findings.bytes += found.st_size if stat.S_ISREG(found.st_mode) else 0
        now = manifest.as_member(found)
        mtime_ns = was.mtime_ns
        if path in self._implied:
            mtime_ns = self._info.newest_mtime * 10**9
        if what := _difference(was, now, mtime_ns):
            return findings.add(path, what)
        if self.is_first and now.changed_ns != was.changed_ns:
            return findings.add(path, "touched before its content was ever recorded")
        taken = self._digest(entry)
        self.digests.append(taken)
        if not self.is_first and taken != digest:
            findings.add(path, "its content is not what it was")
        return None

    def _digest(self, entry: Entry) -> str:
        """Return the digest of content and extended attributes; that of hard links once."""
        _, _, found = entry
        if found.st_nlink < 2 or stat.S_ISDIR(found.st_mode):
            return _digest(entry)
        if found.st_ino not in self._linked:
            self._linked[found.st_ino] = _digest(entry)
        return self._linked[found.st_ino]


def _entries(root: int) -> Iterator[tuple[str, Entry]]:
    yield ".", (root, ".", os.fstat(root))
    for directory, path, name, found in trees.walk(root):
        yield path, (directory, name, found)


def _key(path: str) -> Key:
    """Order paths as a walk does."""
    return [] if path == "." else path.split("/")


def _difference(was: Member, now: Member, mtime_ns: int) -> str:
    """Say what about a member is not as it was; nothing if all is."""
    if stat.S_IFMT(was.mode) != stat.S_IFMT(now.mode):
        return "of another type"
    pairs = {
        "mode": (f"{stat.S_IMODE(was.mode):o}", f"{stat.S_IMODE(now.mode):o}"),
        "owner": (f"{was.uid}:{was.gid}", f"{now.uid}:{now.gid}"),
        "size": (was.size, now.size),
        "links": (was.links, now.links),
        "device": (was.device, now.device),
        "time": (mtime_ns, now.mtime_ns),
    }
    told = (f"{name} {b}, was {a}" for name, (a, b) in pairs.items() if a != b)
    return ", ".join(told)


def _digest(entry: Entry) -> str:
    import hashlib

    directory, name, found = entry
    digest = hashlib.sha256()
    if stat.S_ISLNK(found.st_mode):
        digest.update(os.fsencode(os.readlink(name, dir_fd=directory)))
    elif stat.S_ISREG(found.st_mode):
        _feed(digest.update, entry)
    place = f"/proc/self/fd/{directory}/{name}"
    for key in sorted(os.listxattr(place, follow_symlinks=False)):
        if key not in UNKEPT:
            value = os.getxattr(place, key, follow_symlinks=False)
            digest.update(b"\0" + os.fsencode(key) + b"\0" + value)
    return digest.hexdigest()


def _feed(update: Callable[[bytes], None], entry: Entry) -> None:
    """Feed what is not zeros, each piece with its place: holes of any size cost nothing."""
    directory, name, found = entry
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        for place in _places(descriptor, found):
            piece = os.pread(descriptor, CHUNK_BYTES, place)
            if piece != bytes(len(piece)):
                update(place.to_bytes(8, "little"))
                update(piece)
    finally:
        os.close(descriptor)


def _places(descriptor: int, found: os.stat_result) -> Iterator[int]:
    """Yield where pieces of a file begin, but for those that are nothing but a hole."""
    if found.st_blocks * 512 >= found.st_size:
        yield from range(0, found.st_size, CHUNK_BYTES)
        return
    place = 0
    with suppress(OSError):  # ENXIO: only a hole follows
        while place < found.st_size:
            data = os.lseek(descriptor, place, os.SEEK_DATA)
            yield data - data % CHUNK_BYTES
            place = data - data % CHUNK_BYTES + CHUNK_BYTES


def _check(path: str, digest: str) -> None:
    """Raise ValueError unless a record's file is as it was written."""
    import hashlib

    if not os.path.exists(path):
        raise ValueError(f"it has no {os.path.basename(path)}")
    with open(path, "rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != digest:
            raise ValueError(f"its {os.path.basename(path)} is damaged")
