"""Answers an extension that was granted loop devices: attach, detach, mount, unmount.

It is reached through a socket in the extension's room, by what stands there for losetup, mount and
umount (extensions/_loop.py). Each request is one packet of JSON, an image is handed over as a
descriptor: whoever can't open a file can't attach it. The answer is one packet: `code`, the exit
code, `text`, and what was asked for.
"""

import array
import json
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fcntl import F_GETFL, fcntl
from typing import Any

from containerdeploy import wire
from containerdeploy.agent import grafts, loops
from containerdeploy.agent import identity as identities
from containerdeploy.agent.grafts import Refused
from containerdeploy.agent.identity import Identity
from containerdeploy.frozen import frozen

SOCKET = f"{loops.SHOWN}/socket"
PROGRAMS_PLACE = f"{loops.SHOWN}/bin"
LONGEST = 16 * 1024
FAILED, BUSY = 1, 32
REQUEST_S = 5.0
Answer = dict[str, Any]


@frozen
class Mounted:
    """A file system in the room; `alone` says that its device goes with it."""

    target: str
    slot: int
    device: int
    alone: bool


@contextmanager
def serving(
    identity: Identity, limit: int, allowed: frozenset[int], note: Callable[[str], None]
) -> Iterator["Broker"]:
    """Serve one extension; whatever it left attached or mounted is gone afterwards.

    `allowed` are the devices (st_dev) of the file systems that an image may lie on.
    """
    loops.prepare()
    try:
        _furnish()
        broker = Broker(identity, limit, allowed, note)
        try:
            yield broker
        finally:
            broker.close()
    finally:
        identities.discard(loops.PLACE)


def _furnish() -> None:
    os.mkdir(PROGRAMS_PLACE, 0o755)
    for name in wire.LOOP_PROGRAMS:
        os.symlink(f"{wire.EXTENSIONS}/_loop.py", f"{PROGRAMS_PLACE}/{name}")


class Broker:
    """The devices and mounts of one extension, and the thread that answers it."""

    def __init__(
        self,
        identity: Identity,
        limit: int,
        allowed: frozenset[int],
        note: Callable[[str], None],
    ) -> None:
        self._identity = identity
        self._limit = limit
        self._allowed = allowed
        self._note = note
        self._loops: dict[int, loops.Loop] = {}
        self._mounts: list[Mounted] = []
        self._room = -1
        self._entered = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(SOCKET)
        os.chmod(SOCKET, 0o666)
        self._listener.listen(16)
        self._verbs: Mapping[str, Callable[[Mapping[str, Any], int], Answer]] = {
            "attach": self._attach,
            "detach": self._detach,
            "list": self._list,
            "mount": self._mount,
            "umount": self._umount,
        }
        self._thread = threading.Thread(target=self._serve, daemon=True, name="broker")
        self._thread.start()

    def enter(self, process: int) -> None:
        """Learn which room to mount into: that of a process of ours that stands in it."""
        self._room = os.open(f"/proc/{process}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        self._entered.set()

    def close(self) -> None:
        """Stop answering and let go of everything; the extension has to be dead."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        if self._room >= 0:
            os.close(self._room)
        for loop in self._loops.values():
            self._note(f"it left {_device(loop.slot)} attached to {loop.name}")
            if not loops.await_idle(loop):
                self._note(f"{_device(loop.slot)} is still in use")
            loops.release(loop)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(REQUEST_S)
                self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        """Answer one request; descriptors that came with it are closed whatever it was."""
        data, descriptors = _receive(connection)
        try:
            answer = self._answer(data, descriptors[0] if len(descriptors) == 1 else -1)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        connection.send(json.dumps(answer).encode("ascii")[:LONGEST])

    def _answer(self, data: bytes, image: int) -> Answer:
        try:
            request = json.loads(data)
            return {"code": 0, "text": "", **self._verbs[request["do"]](request, image)}
        except Refused as err:
            return {"code": FAILED, "text": str(err)}
        except OSError as err:
            return {"code": BUSY, "text": err.strerror or str(err)}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {"code": FAILED, "text": "not a request that is understood"}

    def _attach(self, request: Mapping[str, Any], image: int) -> Answer:
        loop = self._attached(request, image)
        return {"device": _device(loop.slot)}

    def _attached(self, request: Mapping[str, Any], image: int) -> loops.Loop:
        read_only = request.get("read-only") is True
        self._check_image(image, read_only=read_only)
        free = [slot for slot in range(self._limit) if slot not in self._loops]
        if not free:
            raise Refused(f"no more than {self._limit} loop devices at a time are granted")
        loop = self._from_kernel(request, image, free[0], read_only=read_only)
        self._loops[loop.slot] = loop
        self._note(f"{_device(loop.slot)} is attached to {loop.name}")
        return loop

    def _from_kernel(
        self, request: Mapping[str, Any], image: int, slot: int, *, read_only: bool
    ) -> loops.Loop:
        span = _size(request.get("offset", 0)), _size(request.get("limit", 0))
        try:
            return loops.attach(
                image,
                slot=slot,
                owner=self._identity.base,
                name=str(request["name"])[:1000],
                span=span,
                mode=loops.READ_ONLY if read_only else 0,
            )
        except PermissionError as err:
            raise Refused("all loop devices that the helper may use are taken") from err

    def _check_image(self, image: int, *, read_only: bool) -> None:
        if image < 0:
            raise Refused("no image was handed over")
        found = os.fstat(image)
        writable = fcntl(image, F_GETFL) & os.O_ACCMODE == os.O_RDWR
        if not stat.S_ISREG(found.st_mode):
            raise Refused("an image has to be a regular file")
        if found.st_dev not in self._allowed or not (writable or read_only):
            raise Refused("an image has to lie in $TMPDIR or at the location")

    def _detach(self, request: Mapping[str, Any], _: int) -> Answer:
        """Free a device; one with a file system in use goes when that does, as losetup has it."""
        loop = self._known(request)
        if any(one.slot == loop.slot for one in self._mounts):
            self._mounts = [
                Mounted(target=one.target, slot=one.slot, device=one.device, alone=True)
                if one.slot == loop.slot
                else one
                for one in self._mounts
            ]
        else:
            self._release(loop.slot)
        return {}

    def _list(self, _: Mapping[str, Any], __: int) -> Answer:
        attached = {_device(slot): loop.name for slot, loop in sorted(self._loops.items())}
        return {
            "devices": attached,
            "mounts": {one.target: _device(one.slot) for one in self._mounts},
        }

    def _mount(self, request: Mapping[str, Any], image: int) -> Answer:
        """Mount a device, or an image after attaching it to one that goes with the mount."""
        target, options = str(request["target"]), [str(word) for word in request["options"]]
        alone = image >= 0
        loop = self._attached(request, image) if alone else self._known(request)
        try:
            self._entered.wait(REQUEST_S)
            fstype = grafts.probe(loop.descriptor)
            wanted = request.get("type") or fstype
            if grafts.DRIVERS.get(wanted) != fstype:
                raise Refused(f"the file system is {fstype}, not {wanted}")
            place = _device(loop.slot)
            device = grafts.mount(self._room, self._identity, place, target, fstype, options)
        except BaseException:
            if alone:
                self._release(loop.slot)
            raise
        self._mounts.append(Mounted(target=target, slot=loop.slot, device=device, alone=alone))
        return {}

    def _umount(self, request: Mapping[str, Any], _: int) -> Answer:
        what = request["target"]
        found = [one for one in self._mounts if what in (one.target, _device(one.slot))]
        if not found:
            raise Refused("not mounted")
        one = found[-1]
        grafts.unmount(self._room, one.target, one.device)
        self._mounts.remove(one)
        if one.alone and not any(other.slot == one.slot for other in self._mounts):
            self._release(one.slot)
        return {}

    def _known(self, request: Mapping[str, Any]) -> loops.Loop:
        for slot, loop in self._loops.items():
            if request.get("device") == _device(slot):
                return loop
        raise Refused("no loop device of this extension")

    def _release(self, slot: int) -> None:
        loops.release(self._loops.pop(slot))


def _device(slot: int) -> str:
    return f"/dev/loop{slot}"


def _size(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise ValueError
    return value


def _receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    """Read a packet and the descriptors that came with it; more than a few are dropped."""
    space = socket.CMSG_SPACE(4 * array.array("i").itemsize)
    data, ancillary, _, _ = connection.recvmsg(LONGEST, space, socket.MSG_CMSG_CLOEXEC)
    found = array.array("i")
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(content[: len(content) - len(content) % found.itemsize])
    return data, list(found)
