"""A helper's life: create, attach, start, listen, deliver, remove; nothing is left half-way."""

import queue
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress

from containerdeploy import wire
from containerdeploy.allowance import Allowance
from containerdeploy.conduct import Conduct
from containerdeploy.engine import Attached, ContainerId, ContainerSpec, Engine
from containerdeploy.errors import (
    DeployError,
    EngineError,
    Interrupted,
    ProtocolError,
    Stillborn,
    Unfit,
)
from containerdeploy.frozen import frozen
from containerdeploy.helper import payload
from containerdeploy.helper.stream import EventStream

STILLBIRTHS = 2
WAIT_S = 20.0
_OVER = b""


@frozen
class Order:
    """What to run, and who wants to hear of it.

    `hear` gets every event that passed inspection; `take` an artifact and the live container, as
    soon as it is announced; `stage` fills a container that is not started yet (off this host).
    `admit` is called when the checks of a job that waits have passed, and returns when it may go
    on.
    """

    container: ContainerSpec
    job: wire.Job
    nonce: str
    hear: Callable[[wire.Event], None]
    take: Callable[[ContainerId, wire.Artifact], None]
    stage: Callable[[ContainerId], None] | None = None
    admit: Callable[[], None] = lambda: None


class OtherHost(DeployError):
    """The engine's host is not this one: binds don't show what we have."""


class Session:
    """Runs one order; `stop` and `kill` may come from another thread at any time.

    `is_clean` says that the agent finished, and so left nothing in the store; `left_behind` is
    empty, or names the container that could not be removed and says why.
    """

    def __init__(self, engine: Engine, order: Order) -> None:
        self._engine = engine
        self._order = order
        self._lock = threading.Lock()
        self._attached: Attached | None = None
        self._container: ContainerId | None = None
        self._stopping = False
        self._has_begun = False
        self.is_clean = False
        self.left_behind = ""

    def run(self) -> wire.Finished:
        """Return how the agent says it ended; raise DeployError if it can't be believed.

        Raises OtherHost when the engine turns out to be on another machine, Interrupted after
        `stop`.
        """
        for _ in range(STILLBIRTHS):
            with suppress(Stillborn):
                return self._run()
        return self._run()

    def _run(self) -> wire.Finished:
        with ExitStack() as stack:
            container = self._create(stack)
            attached = self._engine.attach(container)
            stack.callback(attached.close)
            with self._lock:
                self._attached = attached
            self._refuse_if_stopping()
            feed = stack.enter_context(_Feed(attached, self._order.job))
            self._has_begun = True
            try:
                self._engine.start(container)
            except Stillborn:
                self._has_begun = False
                raise
            return self._converse(container, attached, feed)

    def stop(self) -> None:
        """End the lease: the agent kills what runs, cleans up and goes."""
        with self._lock:
            self._stopping = True
            attached = self._attached
        if attached is not None:
            attached.close()

    def kill(self) -> None:
        """Do away with the container at once."""
        self.stop()
        if self._container is not None:
            with suppress(EngineError):
                self._engine.kill(self._container)

    def _create(self, stack: ExitStack) -> ContainerId:
        self._refuse_if_stopping()
        try:
            container = self._engine.create(self._order.container)
        except EngineError as err:
            if "bind source" in err.brief and self._order.stage is None:
                raise OtherHost("the engine is on another host", details=err.details) from err
            raise
        self._container = container
        stack.callback(self._remove, container)
        if self._order.stage is not None:
            self._order.stage(container)
        return container

    def _remove(self, container: ContainerId) -> None:
        """Let an agent that has not finished clean up first, then remove what is left."""
        if self._has_begun and not self.is_clean:
            with suppress(TimeoutError, EngineError):
                self._engine.wait(container, WAIT_S)
        try:
            self._engine.remove(container)
        except EngineError as err:  # how the helper's work ended matters more
            self.left_behind = f"the helper {self._order.container.name}: {err.brief}"

    def _converse(self, container: ContainerId, attached: Attached, feed: "_Feed") -> wire.Finished:
        allowance = Allowance(self._order.job)
        stream = EventStream(attached, allowance.left_s)
        conduct = Conduct(self._order.job)
        try:
            for event, size_bytes in stream:
                conduct.check(event)
                allowance.spend(event, size_bytes)
                with allowance.paused():
                    self._handle(container, event, feed)
                if isinstance(event, wire.Finished):
                    self.is_clean = not event.left
                    return _fit(event)
        except Unfit:
            raise
        except (EngineError, ProtocolError, TimeoutError) as err:
            self._refuse_if_stopping()
            late = isinstance(err, TimeoutError) and allowance.left_s() <= 0
            raise _explained(allowance.overdue() if late else err, stream) from err
        self._refuse_if_stopping()
        raise feed.failure or self._gone(container, attached, stream)

    def _gone(self, container: ContainerId, attached: Attached, stream: EventStream) -> DeployError:
        """Tell the helper's end from the engine's: both end the stream."""
        attached.close()
        try:
            code = self._engine.wait(container, WAIT_S)
        except EngineError as err:
            return EngineError(
                "the connection to the engine broke before the helper was finished",
                details=f"{err.brief}: {err.details}" if err.details else err.brief,
                hint=err.hint,
            )
        except TimeoutError:
            code = None
        return ProtocolError(
            "the helper went away before it was finished",
            details=stream.stderr or (f"exit code {code}" if code is not None else None),
            hint="the engine's log may say why; out of memory is the usual reason",
        )

    def _handle(self, container: ContainerId, event: wire.Event, feed: "_Feed") -> None:
        shared = self._order.stage is None
        if isinstance(event, wire.Hello) and shared and event.nonce != self._order.nonce:
            raise OtherHost("the engine is on another host")
        self._order.hear(event)
        if isinstance(event, wire.Artifact):
            self._order.take(container, event)
        if isinstance(event, wire.Checked):
            self._order.admit()
            feed.go()

    def _refuse_if_stopping(self) -> None:
        if self._stopping:
            raise Interrupted("stopped")


class _Feed:
    """Sends what a helper needs to begin, then keeps its lease alive, while the block runs.

    It begins before the helper runs: the engine takes longer to start it than all of this takes.
    A helper that did not take its opening will never say anything: its streams are closed.
    """

    def __init__(self, attached: Attached, job: wire.Job) -> None:
        self._attached = attached
        self._job = job
        self._words: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.failure: Exception | None = None

    def __enter__(self) -> "_Feed":
        threading.Thread(target=self._run, daemon=True, name="feed").start()
        return self

    def __exit__(self, *_: object) -> None:
        self._words.put(_OVER)

    def go(self) -> None:
        """Answer Checked."""
        self._words.put(wire.GO)

    def _run(self) -> None:
        try:
            self._attached.write(payload.opening(self._job))
        except Exception as err:  # raised by whoever reads
            self.failure = err
            self._attached.close()
            return
        with suppress(EngineError):
            while (word := self._next()) != _OVER:
                self._attached.write(word)

    def _next(self) -> bytes:
        """Return what is to be said, a heartbeat if nothing has been for a while."""
        try:
            return self._words.get(timeout=wire.HEARTBEAT_S)
        except queue.Empty:
            return b"\n"


def _fit(event: wire.Finished) -> wire.Finished:
    """Return how it ended, unless the agent never began: its place lacks what the job asks for."""
    if event.unfit:
        raise Unfit(event.error, hint=event.hint or None)
    return event


def _explained(err: Exception, stream: EventStream) -> DeployError:
    """Add what the agent's stderr said; an engine that hangs gets words of its own."""
    if isinstance(err, TimeoutError):
        return EngineError("the engine took too long", details=str(err))
    assert isinstance(err, DeployError)
    if words := stream.last_words():
        err.details = "\n".join(filter(None, (err.details, words)))
    return err
