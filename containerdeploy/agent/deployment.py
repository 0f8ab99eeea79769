"""One deployment: check, base, metadata, subsystems, configuration, write; each step confined."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from containerdeploy import wire
from containerdeploy.agent import artifact, changes, layers, metadata, stack
from containerdeploy.agent import output as outputs
from containerdeploy.agent import room as rooms
from containerdeploy.agent.contract import Contract
from containerdeploy.agent.failures import StepFailed
from containerdeploy.agent.layers import LayeredTree
from containerdeploy.agent.process import Sink
from containerdeploy.agent.stack import Sheet
from containerdeploy.agent.step import RunningStep, Workshop
from containerdeploy.agent.store import BaseInfo, new_info
from containerdeploy.frozen import frozen, replace


@contextmanager
def deploying(shop: Workshop, deployment: wire.Deployment, name: str) -> Iterator["Deploying"]:
    """Yield a deployment; its mounts and layers are gone afterwards."""
    doing = Deploying(shop, deployment, name)
    try:
        yield doing
    finally:
        doing.close()


@frozen
class Parent:
    """What a subsystem is written into; `judge` what its write extension did there."""

    place: rooms.Bind
    judge: Callable[[wire.Step], None]


class Deploying:
    """One deployment (or subsystem) on its way; `name` keeps its places apart from others'."""

    def __init__(self, shop: Workshop, deployment: wire.Deployment, name: str) -> None:
        self._shop = shop
        self._deployment = deployment
        self._name = name
        self._tree = LayeredTree(shop.identity, shop.workspace, name)
        self._epoch = shop.job.source_date_epoch
        self._sources: list[str] = []
        self._bases: list[int] = []  # descriptors that keep them from being dropped

    def close(self) -> None:
        self._tree.close()
        for base in self._bases:
            os.close(base)

    def check(self) -> list[StepFailed]:
        """Run all checks, its own and its subsystems', before anything is unpacked.

        Returns what was refused: all of it, so that it can be put right at once.
        """
        failures = []
        if self._deployment.check is not None:
            try:
                with self._step(self._deployment.check) as step:
                    step.run(())
            except StepFailed as err:
                failures.append(err)
        for index, subsystem in enumerate(self._deployment.subsystems):
            with deploying(self._shop, subsystem, f"{self._name}s{index}") as below:
                failures += below.check()
        return failures

    def deploy(self, parent: Parent | None = None) -> None:
        """Do all the rest; `parent` is where a subsystem is written to. Raises StepFailed."""
        bases = self._prepare_bases()
        self._write_metadata(bases)
        for index, subsystem in enumerate(self._deployment.subsystems):
            layer = self._tree.add_layer()
            with ExitStack() as stack:
                tree = stack.enter_context(self._tree.mounted(writable=True))
                below = stack.enter_context(
                    deploying(self._shop, subsystem, f"{self._name}s{index}")
                )
                place = self._writable(tree, wire.PARENT_TREE)
                below.deploy(Parent(place=place, judge=self._judging_parent(layer)))
            layers.clamp_times(layer, self._epoch or 0)
        for configure in self._deployment.configure:
            self._configure(configure)
        if self._deployment.write is not None:
            self._write(self._deployment.write, parent)

    def _writable(self, tree: str, target: str) -> rooms.Bind:
        """Bind the mounted tree: what is written to it lands in the newest layer."""
        return rooms.Bind(source=tree, target=target, read_only=False, kept=self._tree.newest)

    def _prepare_bases(self) -> list[str]:
        """Make sure that every base is in the store; return their trees, the topmost first."""
        unpack = wire.Step(
            id=wire.base_step(self._deployment.name),
            kind="base",
            name="unpack",
            argv=(),
            environment={},
            limits=wire.Limits(max_output_bytes=1 << 26),
        )
        plain = wire.Component(name="", source=self._deployment.source)
        with self._step(unpack) as step:
            step.cached = True
            parts = self._deployment.components or (plain,)
            infos = [self._base(step, unpack, part) for part in reversed(parts)]
            self._sources = [self._shop.store.base_directory(info.sha256) for info in infos]
            for base in self._sources:
                self._shop.keeper.add(base)
            if self._epoch is None:
                self._epoch = max(0, *(info.newest_mtime for info in infos))
            sheets = [
                Sheet(tree=self._base_tree(info.sha256), implied=frozenset(info.implied))
                for info in infos
            ]
            bases = [sheet.tree for sheet in sheets]
            self._tree.set_bases(bases)
            if len(sheets) == 1:
                return bases
            layer = self._tree.add_layer()
            stack.seam(sheets, layer)
            return [layer, *bases]

    def _base_tree(self, sha256: str) -> str:
        return f"{self._shop.store.base_directory(sha256)}/tree"

    def _base(self, running: RunningStep, step: wire.Step, part: wire.Component) -> BaseInfo:
        """Return what is known of an archive's base, after unpacking it if nobody has."""
        store, source = self._shop.store, part.source
        with store.lock(source.sha256):
            if (info := store.base_info(source.sha256)) is None:
                running.cached = False
                info = self._unpacked(step, part)
            self._bases.append(store.use_base(source.sha256))
            return info

    def _unpacked(self, step: wire.Step, part: wire.Component) -> BaseInfo:
        try:
            return self._unpack(step, part.source)
        except StepFailed as err:
            if not part.name:
                raise
            told = f"the component {part.name!r}: {err.detail}"
            raise StepFailed(err.outcome, told, hint=err.hint) from err

    def _unpack(self, step: wire.Step, source: wire.Source) -> BaseInfo:
        """Unpack beside the bases, then give it its place, whole."""
        shop = self._shop
        staged = f"{self._name}.base"
        tree = f"{shop.workspace}/{staged}/tree"
        os.makedirs(tree)
        os.chmod(tree, 0o755)
        limits = replace(step.limits, memory_bytes=shop.memory_bytes)
        survey = shop.unpacker.unpack(step.id, source, tree, limits)
        info = new_info(
            source.sha256,
            members=survey.members,
            newest_mtime=survey.newest_mtime,
            implied=survey.implied,
            manifest=survey.manifest,
        )
        shop.store.seal_base(shop.workspace, staged, info)
        return info

    def _write_metadata(self, bases: Sequence[str]) -> None:
        step = wire.Step(
            id=wire.metadata_step(self._deployment.name),
            kind="metadata",
            name=f"/{metadata.DIRECTORY}/{metadata.NAME}",
            argv=(),
            environment={},
        )
        with self._step(step):
            layer = self._tree.add_layer()
            metadata.write(bases, layer, self._deployment.metadata, self._epoch or 0)

    def _configure(self, configure: wire.Step) -> None:
        with self._step(configure) as step:
            layer = self._tree.add_layer()
            contract = self._contract(configure)
            try:
                with self._tree.mounted(writable=True) as tree:
                    step.run((self._writable(tree, wire.TREE),))
            finally:
                step.changes = self._report(configure.id, layer, contract)
            if contract is not None:
                contract.settle()

    def _contract(self, step: wire.Step) -> Contract | None:
        if step.writes is None:
            return None
        return Contract(step, self._tree.bottom, self._epoch or 0)

    def _report(self, step: str, layer: str, contract: Contract | None) -> Mapping[str, int]:
        told = changes.Report(self._shop.emitter, step)
        with self._tree.before() as before:
            counts = changes.report(told, layer, before, contract, self._tree.marks)
        layers.clamp_times(layer, self._epoch or 0)
        return counts

    def _judge(self, layer: str, contract: Contract | None) -> None:
        """Raise StepFailed if a layer that nothing is told of breaks a contract."""
        if contract is None:
            return
        with self._tree.before() as before:
            for _ in changes.between(layer, before, contract, self._tree.marks):
                pass
        contract.settle()

    def _judging_parent(self, layer: str) -> Callable[[wire.Step], None]:
        """Return what judges, once a subsystem is written, this tree's layer that took it.

        A write extension with a contract may write at its location and nowhere else.
        """

        def judge(write: wire.Step) -> None:
            if write.writes is not None:
                location = write.argv[-1].removeprefix(wire.PARENT_TREE)
                there = replace(write, writes=(os.path.normpath(location),))
                self._judge(layer, self._contract(there))

        return judge

    def _write(self, write: wire.Step, parent: Parent | None) -> None:
        writable = write.tree == "writable"
        self._shop.keeper.show(self._sources)
        with self._step(write) as step, ExitStack() as stack:
            layer = self._tree.add_layer() if writable else ""
            tree = stack.enter_context(self._tree.mounted(writable=writable))
            binds = [rooms.Bind(source=tree, target=wire.TREE)]
            if writable:
                binds = [self._writable(tree, wire.TREE)]
            if parent is not None:
                binds.append(parent.place)

            def judge() -> None:
                if writable:
                    self._judge(layer, self._contract(write))
                if parent is not None:
                    parent.judge(write)

            output = self._deployment.output
            if output is None or output.kind == "none":
                step.run(tuple(binds))
                judge()
                return

            def run(place: rooms.Bind, sinks: Mapping[int, Sink]) -> None:
                step.run((*binds, place), sinks=sinks)
                judge()

            def deliver(taken: artifact.Taken) -> None:
                self._announce(output, taken)

            outputs.write(self._shop, step, self._tree, output, run, deliver)

    def _announce(self, output: wire.Output, taken: artifact.Taken) -> None:
        self._shop.emitter.send(
            wire.Artifact(
                deployment=self._deployment.name,
                slot=output.slot,
                name=output.name,
                kind=taken.kind,
                size_bytes=taken.size_bytes,
                sha256=taken.sha256,
            )
        )

    @contextmanager
    def _step(self, step: wire.Step) -> Iterator[RunningStep]:
        """Tell that the step starts, and how it ended, whatever happens in between."""
        doing = RunningStep(self._shop, step, self._tree, self._epoch)
        self._shop.emitter.send(
            wire.StepStarted(
                deployment=self._deployment.name, step=step.id, kind=step.kind, name=step.name
            )
        )
        try:
            yield doing
        except StepFailed as err:
            doing.finish(err.outcome, err.detail)
            raise self._named(step, err) from err
        except OSError as err:
            doing.finish("failed", str(err))
            raise self._named(step, StepFailed("failed", str(err))) from err
        doing.finish("ok", "")

    def _named(self, step: wire.Step, err: StepFailed) -> StepFailed:
        """Return the failure with the names of the deployment and the step that it is of."""
        label = step.kind if step.kind in ("base", "metadata") else f"{step.name}.{step.kind}"
        detail = f"{self._deployment.name}: {label} {err.outcome}: {err.detail}"
        return StepFailed(err.outcome, detail, hint=err.hint)
