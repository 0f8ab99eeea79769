"""The life of the agent: take the lease, say hello, do the job, say goodbye, leave nothing."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress

from containerdeploy import syscalls, wire
from containerdeploy.agent import cgroups, identity, layers, modes, powers, room
from containerdeploy.agent.audit import Audit
from containerdeploy.agent.deployment import deploying
from containerdeploy.agent.events import Emitter, claim_stdout
from containerdeploy.agent.failures import StepFailed, told
from containerdeploy.agent.kept import Keeper
from containerdeploy.agent.lease import Lease, LeaseLost
from containerdeploy.agent.process import Runner
from containerdeploy.agent.step import DEFINITIONS_CLONE, EXTENSIONS_PLACE, Workshop
from containerdeploy.agent.store import Store
from containerdeploy.agent.unpack import Unpacker
from containerdeploy.frozen import NOTHING, replace

HOLD_S = 3600.0
MOST_WORDS = 2000
SMALLEST_MEMORY_BYTES = 64 << 20


def main(job_line: bytes, install_extensions: Callable[[str], None]) -> None:
    """Do the one job, then end; `install_extensions` fills a directory with the built-in ones.

    The exit code says nothing that Finished doesn't: 0 when Finished could be sent.
    """
    emitter = Emitter(claim_stdout())
    try:
        job = wire.decode_job(job_line)
    except wire.WireError as err:
        emitter.send(wire.Finished(outcome="failed", error=str(err)))
        return
    lease = Lease(0)
    emitter.is_wanted = lease.is_held
    lease.start()
    left: list[wire.Left] = []
    finished = _finish(lambda: _work(job, emitter, lease, install_extensions, left))
    emitter.send(replace(finished, left=tuple(left)))
    if job.hold and finished.outcome != "interrupted":
        lease.wait(HOLD_S)


def _finish(work: Callable[[], wire.Finished]) -> wire.Finished:
    """Turn every end into a Finished: an agent that fails says so in words."""
    try:
        return work()
    except LeaseLost as err:
        return wire.Finished(outcome="interrupted", error=str(err))
    except StepFailed as err:
        return _failed(err)
    except modes.Unfit as err:
        words = err.brief[:MOST_WORDS]
        return wire.Finished(outcome="failed", error=words, hint=err.hint, unfit=True)
    except OSError as err:
        return wire.Finished(
            outcome="failed",
            error=told(err),
            hint="`containerdeploy doctor` shows what this engine and kernel offer",
        )
    except Exception as err:
        import traceback  # takes long to load, and this is no place to hurry

        sys.stderr.write(traceback.format_exc())
        return wire.Finished(outcome="failed", error=f"the agent failed: {told(err)[:MOST_WORDS]}")


def _failed(err: StepFailed) -> wire.Finished:
    return wire.Finished(outcome="failed", error=err.detail[:MOST_WORDS], hint=err.hint)


def _work(
    job: wire.Job,
    emitter: Emitter,
    lease: Lease,
    install_extensions: Callable[[str], None],
    left: list[wire.Left],
) -> wire.Finished:
    """Do it; `left` gets what is still there when all should be gone."""
    with ExitStack() as last, ExitStack() as stack:
        _prepare(install_extensions)
        groups = cgroups.find()
        if job.kind == "deploy":
            stack.enter_context(groups.ready())
        store = Store(wire.STORE, lease, ids=identity.mapped_count())
        if job.kind != "deploy":
            return _upkeep(job, emitter, lease, groups, store)
        who = modes.settle(job.isolation, store)
        emitter.send(_hello(job, who.mode, groups, weaker=modes.weaker(who)))
        runner = Runner(emitter, lease)
        shop = Workshop(
            job=job,
            emitter=emitter,
            lease=lease,
            runner=runner,
            groups=groups,
            identity=who,
            store=store,
            unpacker=Unpacker(
                emitter, lease, runner, groups, rootless=who.rootless, extensions=EXTENSIONS_PLACE
            ),
            keeper=Keeper(EXTENSIONS_PLACE, keeps=who.rootless),
            workspace=stack.enter_context(store.workspace(job.run)),
            memory_bytes=_memory_bytes(),
        )
        identity.clone_owned_by(who, wire.DEFINITIONS, DEFINITIONS_CLONE)
        audit = Audit(shop.workspace, groups.roots)
        last.callback(lambda: left.extend(audit.left()))
        return _deploy_all(shop)


def _verify_all(store: Store, emitter: Emitter, lease: Lease) -> wire.Finished:
    """Look at every base and tell of each."""
    from containerdeploy.agent.verify import verify

    for name in store.bases():
        lease.check()
        with suppress(FileNotFoundError):  # somebody else has just dropped it
            emitter.send(verify(store, name))
    return wire.Finished(outcome="ok")


def _upkeep(
    job: wire.Job, emitter: Emitter, lease: Lease, groups: cgroups.Groups, store: Store
) -> wire.Finished:
    """Do what needs no extension; a probe tells the best mode here even if it doesn't work."""
    if job.kind != "probe":
        emitter.send(_hello(job, identity.natural_mode(), groups))
        if job.kind == "verify":
            return _verify_all(store, emitter, lease)
        return wire.Finished(outcome="ok", swept=store.sweep())
    mode, weaker = identity.natural_mode(), []
    try:
        who = modes.settle(job.isolation, store)
        mode, weaker = who.mode, modes.weaker(who)
    except modes.Unfit:
        if job.isolation != "auto":
            raise
    emitter.send(_hello(job, mode, groups, weaker=weaker, facts=_facts(store)))
    return wire.Finished(outcome="ok")


def _deploy_all(shop: Workshop) -> wire.Finished:
    """First every check; if all pass, and the controller agrees, every deployment, in order."""
    failures: list[StepFailed] = []
    for index, deployment in enumerate(shop.job.deployments):
        with deploying(shop, deployment, f"c{index}") as doing:
            failures += doing.check()
    if failures:
        return _failed(failures[0])
    if shop.job.waits:
        shop.emitter.send(wire.Checked())
        shop.lease.await_go()
    for index, deployment in enumerate(shop.job.deployments):
        try:
            with deploying(shop, deployment, f"d{index}") as doing:
                doing.deploy()
        except StepFailed as err:
            failures.append(err)
            if not shop.job.keep_going:
                break
    return _failed(failures[0]) if failures else wire.Finished(outcome="ok")


def _prepare(install_extensions: Callable[[str], None]) -> None:
    powers.dump_no_core()
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    os.makedirs(layers.PLACE, 0o755, exist_ok=True)
    # The engine's own tmpfs is noexec; built-in extensions lie here.
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("tmpfs", layers.PLACE, "tmpfs", flags, "size=64m,mode=755")
    for path in (room.ROOT, DEFINITIONS_CLONE, EXTENSIONS_PLACE):
        os.makedirs(path, 0o755, exist_ok=True)
    install_extensions(EXTENSIONS_PLACE)


def _hello(
    job: wire.Job,
    mode: wire.Mode,
    groups: cgroups.Groups,
    *,
    weaker: Sequence[str] = (),
    facts: Mapping[str, str] = NOTHING,
) -> wire.Hello:
    return wire.Hello(
        run=job.run,
        version=wire.VERSION,
        python=".".join(map(str, sys.version_info[:3])),
        kernel=os.uname().release,
        isolation=mode,
        limits=groups.flavour,
        nonce=_nonce(),
        weaker=(*weaker, *groups.weaker),
        facts=facts,
    )


def _facts(store: Store) -> dict[str, str]:
    """What doctor wants to know of this place; a mode is "ok" or why it can't be had."""
    import shutil

    space = os.statvfs(wire.STORE)
    return {
        **{f"isolation-{mode}": found for mode, found in modes.measure(store).items()},
        "store-free-bytes": str(space.f_bavail * space.f_frsize),
        "seccomp": _status_line("Seccomp"),
        "capabilities": _status_line("CapBnd"),
        **{name: shutil.which(name) or "" for name in ("tar", "igzip", "pigz", "zstd", "xz")},
    }


def _status_line(name: str) -> str:
    with open("/proc/self/status", encoding="ascii", errors="replace") as stream:
        for line in stream:
            if line.startswith(f"{name}:"):
                return line.split(":", 1)[1].strip()
    return ""


def _memory_bytes() -> int:
    """Half of the machine's memory: the default limit of a step."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return max(pages * size // 2, SMALLEST_MEMORY_BYTES)


def _nonce() -> str:
    try:
        with open(wire.NONCE, encoding="ascii") as stream:
            return stream.read(100)
    except OSError:
        return ""
