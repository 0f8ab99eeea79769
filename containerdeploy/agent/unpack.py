"""An archive into a base: GNU tar in a room of its own, the digest taken on the way.

tar runs with real ids, for owners and device nodes must land as they are, but without SYS_ADMIN,
/proc or network, in a root that holds the tools read-only and the empty target: no member can land
elsewhere, and `trusted.*` attributes, which would mean something to overlayfs, can't be set.
"""

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from containerdeploy import wire
from containerdeploy.agent import confine, kept, powers, tar
from containerdeploy.agent import manifest as manifests
from containerdeploy.agent import room as rooms
from containerdeploy.agent import survey as surveys
from containerdeploy.agent.bounds import Bounds
from containerdeploy.agent.cgroups import Groups
from containerdeploy.agent.complaints import Complaints
from containerdeploy.agent.ending import Ending
from containerdeploy.agent.events import Emitter
from containerdeploy.agent.failures import StepFailed
from containerdeploy.agent.lease import Lease
from containerdeploy.agent.manifest import Writer
from containerdeploy.agent.process import Runner, Task
from containerdeploy.frozen import frozen

CHUNK_BYTES = 1 << 20
PROGRESS_S = 0.2
# For tar and the decompressor each: tar keeps a header, however long, in memory.
MEMORY_BYTES = 2 << 30
END_OF_ARCHIVE = "** Block of NULs **"  # else it says End of File
TAR_EPILOGUES = ("due to previous errors", "Error is not recoverable")
CHILD_FAILED = ": Child returned status"


@frozen
class _Watch:
    """Who looks on while tar is at work."""

    bound: Bounds
    complaints: Complaints


class Unpacker:
    """Unpacks one archive; `rootless` says that devices and foreign owners can't be made.

    They are marked then by what lies in the directory `extensions`.
    """

    def __init__(
        self,
        emitter: Emitter,
        lease: Lease,
        runner: Runner,
        groups: Groups,
        *,
        rootless: bool,
        extensions: str,
    ) -> None:
        self._emitter = emitter
        self._lease = lease
        self._runner = runner
        self._groups = groups
        self._rootless = rootless
        self._extensions = extensions

    def unpack(
        self, step: str, source: wire.Source, target: str, limits: wire.Limits
    ) -> surveys.Survey:
        """Fill the empty directory `target`; raise StepFailed, whose text is for the user.

        What it is made of is written down beside it.
        """
        began_ns = os.stat(target).st_mtime_ns
        bound = Bounds(target, source, rootless=self._rootless)
        complaints = Complaints(rootless=self._rootless)
        watch = _Watch(bound=bound, complaints=complaints)
        if self._rootless:
            os.mkdir(_beside(target, kept.NAME), 0o700)
        with _listing(target) as listing:
            ending, digest = self._run_tar(step, source, (target, listing), limits, watch)
            is_whole = END_OF_ARCHIVE in _read(listing)
        if digest != source.sha256:
            raise StepFailed(
                "failed",
                f"the source is not what it was: sha256 {digest}, expected {source.sha256}",
                hint="it changed while it was being read, or its sha256 in the system is wrong",
            )
        _refuse_what_failed(ending, watch, is_whole=is_whole)
        if complaints.losses:
            words = f"{complaints.losses} times a member can't be as it is for an ordinary user"
            self._emitter.note(step, words)
        manifest = Writer(_beside(target, manifests.NAME))
        found = bound.survey(range(began_ns, time.time_ns() + 1), manifest)
        surveys.settle(target, found)
        return found

    def _run_tar(
        self,
        step: str,
        source: wire.Source,
        places: tuple[str, str],
        limits: wire.Limits,
        watch: _Watch,
    ) -> tuple[Ending, str]:
        read, write = os.pipe()
        feeder = _Feeder(source, write, self._lease, self._progress(step, source.size_bytes))
        room = rooms.Room(binds=tuple(self._binds(*places)), proc=False)
        try:
            with self._groups.group(limits) as group:
                confinement = confine.Confinement(
                    room=room,
                    identity=None,
                    capabilities=powers.UNPACK_CAPABILITIES,
                    cgroups=group.to_enter,
                    rlimits=((resource.RLIMIT_DATA, MEMORY_BYTES),),
                )
                task = Task(
                    step=step,
                    argv=tar.words(source.compression, marking=self._rootless),
                    environment={"PATH": tar.PATH, "LC_ALL": "C"},
                    limits=limits,
                    confinement=confinement,
                    group=group,
                    overrun=watch.bound.overrun,
                    hear_errors=watch.complaints.hear,
                )
                ending = self._runner.run(task, stdin=read, meanwhile=feeder.run)
        finally:
            feeder.close()
        return ending, feeder.digest()

    def _binds(self, target: str, listing: str) -> Iterator[rooms.Bind]:
        yield rooms.Bind(source=target, target=tar.TARGET, read_only=False)
        yield rooms.Bind(source=listing, target=tar.LISTING, read_only=False)
        if self._rootless:
            beside = _beside(target, kept.NAME)
            yield rooms.Bind(source=beside, target=tar.KEPT, read_only=False)
            yield rooms.Bind(source=self._extensions, target=wire.EXTENSIONS)

    def _progress(self, step: str, total: int) -> Callable[[int], None]:
        last = time.monotonic()

        def report(done: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= PROGRESS_S or done == total:
                last = now
                self._emitter.send(wire.Progress(step=step, done=done, total=total, unit="bytes"))

        return report


def _refuse_what_failed(ending: Ending, watch: _Watch, *, is_whole: bool) -> None:
    if watch.bound.failure is not None:
        raise watch.bound.failure
    is_fine = ending.exit_code == 2 and watch.complaints.are_harmless
    if ending.outcome != "ok" and not is_fine:
        raise StepFailed(
            ending.outcome if ending.outcome != "killed" else "failed",
            f"the source can't be unpacked: {_cause(ending)}",
            hint=_hint(ending),
        )
    if not is_whole:
        raise StepFailed(
            "failed",
            "the source can't be unpacked: it ends before the end of the archive",
            hint="whoever made it did not finish, or a part of it got lost; make it again",
        )


class _Feeder:
    """Pumps the archive into tar's stdin and takes its digest on the way."""

    def __init__(
        self, source: wire.Source, write: int, lease: Lease, progress: Callable[[int], None]
    ) -> None:
        self._source = source
        self._write = write
        self._lease = lease
        self._progress = progress
        import hashlib  # most runs unpack nothing, and all would wait for OpenSSL

        self._hash = hashlib.sha256()

    def run(self) -> None:
        done, wanted = 0, True
        with open(self._source.path, "rb", buffering=0) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                self._lease.check()
                self._hash.update(chunk)
                wanted = wanted and self._hand_on(chunk)
                done += len(chunk)
                self._progress(done)
        self.close()

    def _hand_on(self, chunk: bytes) -> bool:
        """Write to tar; False once it wants no more (it stops reading at the archive's end)."""
        rest = memoryview(chunk)
        try:
            while rest:
                rest = rest[os.write(self._write, rest) :]
        except BrokenPipeError:
            return False
        return True

    def close(self) -> None:
        if self._write >= 0:
            os.close(self._write)
            self._write = -1

    def digest(self) -> str:
        return self._hash.hexdigest()


def _beside(target: str, name: str) -> str:
    return f"{os.path.dirname(target)}/{name}"


@contextmanager
def _listing(target: str) -> Iterator[str]:
    """Make a file beside `target` for what tar lists; gone afterwards."""
    path = _beside(target, "listing")
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        yield path
    finally:
        os.unlink(path)


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read(CHUNK_BYTES)


def _cause(ending: Ending) -> str:
    """Pick the line that tells most: a decompressor's own words, else tar's last."""
    lines = [line for line in ending.stderr_tail.splitlines() if line.strip()]
    telling = [line for line in lines if not any(noise in line for noise in TAR_EPILOGUES)]
    if ending.outcome != "failed" or not telling:
        return ending.detail
    others = [line for line in telling if not _is_from_tar(line)]
    if others and any(CHILD_FAILED in line for line in telling):
        return others[0]
    return telling[-1]


def _is_from_tar(line: str) -> bool:
    return os.path.basename(line.split(": ", 1)[0]) == "tar"


def _hint(ending: Ending) -> str:
    if "No space left on device" in ending.stderr_tail:
        return "make room on the disk that holds the store"
    return "check the archive, for example with tar --list"
