"""Runs one confined program to its end: its pipes, its limits, and how it ended."""

import os
import select
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Protocol

from containerdeploy import wire
from containerdeploy.agent import confine
from containerdeploy.agent.cgroups import Group
from containerdeploy.agent.disk import Disk
from containerdeploy.agent.ending import Ending, verdict
from containerdeploy.agent.events import Emitter, LogSplitter, LogStream
from containerdeploy.agent.lease import Lease
from containerdeploy.agent.usage import Place
from containerdeploy.agent.watch import Watch
from containerdeploy.frozen import frozen

LOG_DESCRIPTOR = 3  # dash can only redirect to a descriptor of one digit
READ_BYTES = 256 * 1024
STREAMS: Mapping[int, LogStream] = {1: "stdout", 2: "stderr", LOG_DESCRIPTOR: "log"}


@frozen
class Task:
    """A program to be run for a step, how it is held, and what it may use up.

    `started` gets the id of a process of ours that stands in the program's room. `overrun` is asked
    every now and then whether a bound is broken that the limits don't know. `places` are the
    directories that fill with what the program writes. `hear_errors`
    gets what comes on stderr, in pieces.
    """

    step: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    limits: wire.Limits
    confinement: confine.Confinement
    group: Group
    started: Callable[[int], None] | None = None
    overrun: Callable[[confine.Running], tuple[wire.Outcome, str] | None] | None = None
    places: tuple[Place, ...] = ()
    hear_errors: Callable[[str], None] | None = None


class Sink(Protocol):
    """Takes what comes out of a descriptor."""

    def feed(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class Runner:
    """Runs programs one after the other, with one lease and one event stream."""

    def __init__(self, emitter: Emitter, lease: Lease) -> None:
        self._emitter = emitter
        self._lease = lease

    def run(
        self,
        task: Task,
        *,
        stdin: int | None = None,
        meanwhile: Callable[[], None] | None = None,
        sinks: Mapping[int, Sink] | None = None,
    ) -> Ending:
        """Run to the end, pass on what it says; all of it is dead when this returns.

        `stdin` is handed over: it is closed here once the program has it. `meanwhile` is called in
        a thread right after the start and may take its time feeding the program. `sinks` takes what
        comes out of further, non-blocking descriptors of ours. Raises LeaseLost when the controller
        went away.
        """
        self._lease.check()
        with ExitStack() as stack:
            disk = stack.enter_context(Disk(task.places, task.limits.disk_bytes))
            watch = Watch(task.limits, disk, task.overrun)
            splitters, running = _start(stack, task, stdin, self._emitter)
            self._lease.guard(running.kill)
            stack.callback(self._lease.guard, None)
            if meanwhile is not None:
                stack.enter_context(_alongside(meanwhile))
            _listen(running, {**splitters, **(sinks or {})}, watch)
            _, status, usage = os.wait4(running.outer, 0)
            trouble = os.read(running.errors, 4096).decode(errors="replace")
        self._lease.check()
        found = verdict(status, trouble, task.group, task.limits, watch.over, disk.last_words())
        return Ending(
            outcome=found.outcome,
            detail=found.detail,
            exit_code=found.exit_code,
            wall_s=time.monotonic() - watch.started,
            cpu_s=usage.ru_utime + usage.ru_stime,
            peak_memory_bytes=task.group.peak_memory_bytes() or usage.ru_maxrss * 1024,
            stderr_tail=next(s.tail for s in splitters.values() if s.stream == "stderr"),
        )


def _listen(running: confine.Running, sinks: Mapping[int, Sink], watch: Watch) -> None:
    """Pass on output until all of the program is dead, by itself or because of a limit."""
    with _poll(running, sinks) as (poll, alive):
        while True:
            ready = [descriptor for descriptor, _ in poll.poll(watch.pause_s() * 1000)]
            for descriptor in ready:
                if descriptor != alive and not _pass_on(sinks[descriptor], descriptor, watch):
                    poll.unregister(descriptor)
            if alive in ready:
                break
            watch.act(running)
    for descriptor, sink in sinks.items():
        while _pass_on(sink, descriptor, watch):
            pass
        sink.close()


def _pass_on(sink: Sink, descriptor: int, watch: Watch) -> bool:
    """Read once; False at the end of the stream, or when there is nothing to be had."""
    try:
        data = os.read(descriptor, READ_BYTES)
    except BlockingIOError:
        return False
    if data:
        watch.heard = time.monotonic()
        if not isinstance(sink, LogSplitter):
            sink.feed(data)
        elif not watch.is_loud:
            watch.output_bytes += len(data)
            sink.feed(data)
    return bool(data)


def _start(
    stack: ExitStack, task: Task, stdin: int | None, emitter: Emitter
) -> tuple[dict[int, LogSplitter], confine.Running]:
    """Start the program with a pipe for each of its streams; return our ends of them."""
    splitters: dict[int, LogSplitter] = {}
    with ExitStack() as ours:
        if stdin is None:
            stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        ours.callback(os.close, stdin)
        descriptors = {0: stdin}
        for number, name in STREAMS.items():
            read, write = os.pipe()
            stack.callback(os.close, read)
            ours.callback(os.close, write)
            os.set_blocking(read, False)
            descriptors[number] = write
            heard = task.hear_errors if name == "stderr" else None
            splitters[read] = LogSplitter(emitter, task.step, name, heard)
        environment = {**task.environment, "MORPH_LOG_FD": str(LOG_DESCRIPTOR)}
        program = confine.Program(argv=task.argv, environment=environment, descriptors=descriptors)
        running = task.group.launch(lambda: confine.start(task.confinement, program))
    stack.callback(os.close, running.errors)
    stack.callback(_end, running)
    if task.started is not None:
        task.started(running.outer)
    return splitters, running


@contextmanager
def _poll(running: confine.Running, sinks: Mapping[int, Sink]) -> Iterator[tuple[select.poll, int]]:
    """Yield a poll over the streams and a descriptor that is ready once the program is dead."""
    alive = os.pidfd_open(running.outer)
    try:
        poll = select.poll()
        for descriptor in (alive, *sinks):
            poll.register(descriptor, select.POLLIN)
        yield poll, alive
    finally:
        os.close(alive)


@contextmanager
def _alongside(action: Callable[[], None]) -> Iterator[None]:
    """Run `action` in a thread while the block runs; what it raises is raised at the end."""
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            action()
        except BaseException as err:
            failures.append(err)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    yield
    thread.join()
    if failures:
        raise failures[0]


def _end(running: confine.Running) -> None:
    """Kill and reap, if that has not happened yet: nothing outlives the step."""
    running.kill()
    with suppress(ChildProcessError):
        os.waitpid(running.outer, 0)
