"""A place of the self-test's own on the user's engine; all of it goes at the end."""

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from containerdeploy import deploy, images, planning, wire
from containerdeploy.engine import Engine
from containerdeploy.engine.choose import open_engine
from containerdeploy.errors import Interrupted
from containerdeploy.frozen import NOTHING, frozen
from containerdeploy.helper import admission, sweep
from containerdeploy.plan import Isolation, Options
from containerdeploy.result import Happening, Heard, RunResult
from containerdeploy.selftest import sample

MOST_TEXT = 1 << 20


@frozen
class Ground:
    """An open engine and what the self-test has there; `hello` is what an agent said of it."""

    engine: Engine
    why_engine: str
    image: str
    directory: Path
    store: str
    hello: wire.Hello
    source: Path
    isolation: Isolation

    @property
    def home(self) -> Path:
        return self.directory / "home"

    def definitions(self, name: str) -> "Definitions":
        """Begin definitions, called by a name that nobody else here uses."""
        return Definitions(self, self.directory / name)


@frozen
class Told:
    """What came of a deploy: its result, how steps ended and what they said, by extension's name.

    `configured` are the ends of a deployment's configuration, `finished` the helpers' last events.
    """

    result: RunResult
    outcomes: Mapping[str, Sequence[wire.Outcome]]
    texts: Mapping[str, str]
    configured: Mapping[str, Sequence[wire.StepFinished]]
    finished: Sequence[wire.Finished]

    def ends(self, deployment: str) -> Sequence[wire.StepFinished]:
        """How a deployment's configuration ended, step by step."""
        return self.configured.get(deployment, ())


class Definitions:
    """Systems made of the sample and extensions, in one cluster; results land in `out`."""

    def __init__(self, ground: Ground, directory: Path) -> None:
        self._ground = ground
        self._directory = directory
        self._entries: list[Mapping[str, Any]] = []
        self.out = directory / "out"
        (directory / "extensions").mkdir(parents=True)
        (directory / "systems").mkdir()
        self.out.mkdir()

    def extension(self, name: str, script: str, sidecar: Mapping[str, Any] | None = None) -> None:
        """Write an extension or a file beside it; `name` has its kind: `greet.configure`."""
        path = self._directory / "extensions" / name
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)
        if sidecar is not None:
            path.with_name(f"{name}.yaml").write_text(json.dumps(sidecar), encoding="utf-8")

    def system(
        self,
        name: str,
        *extensions: str | Mapping[str, Any],
        source: Path | None = None,
        deployments: Mapping[str, Mapping[str, str]] = NOTHING,
        **parameters: str,
    ) -> None:
        """Add a system made of `source` (the sample), with deployments or one of its own name.

        A deployment is written as a tar, unless its `type` names another extension.
        """
        system = {
            "name": name,
            "kind": "system",
            "arch": "x86_64",
            "configuration-extensions": list(extensions),
            "source": {"tar": str(source or self._ground.source)},
        }
        morph = f"systems/{name}.yaml"
        (self._directory / morph).write_text(json.dumps(system), encoding="utf-8")
        deploy = {
            one: {"type": "tar", "location": f"{one}.tar", **given}
            for one, given in (deployments or {name: parameters}).items()
        }
        self._entries.append({"morph": morph, "deploy": deploy})

    def deploy(self, *, jobs: int = 2) -> Told:
        """Deploy all systems, each as far as it gets."""
        ground, heard = self._ground, _Ear()
        cluster = {"name": "selftest", "kind": "cluster", "systems": self._entries}
        path = self._directory / "cluster.yaml"
        path.write_text(json.dumps(cluster), encoding="utf-8")
        options = Options(output_dir=self.out, image=ground.image, isolation=ground.isolation)
        settings = deploy.Settings(
            home=ground.home,
            store=ground.store,
            jobs=jobs,
            fail_fast=False,
            plan_json={},
            versions={},
            why_engine=ground.why_engine,
        )
        # Its sources and extensions are the product's own, whatever others may bring.
        rules = planning.read_policy().of_places
        plan = planning.prepare(path, self._directory, options, rules=rules)
        result = deploy.deploy(plan, ground.engine, settings, [heard])
        if result.exit_code == Interrupted.exit_code:
            raise Interrupted("stopped before all attacks were made: they say nothing")
        return Told(
            result=result,
            outcomes=heard.outcomes,
            texts=heard.texts,
            configured=heard.configured,
            finished=heard.finished,
        )


class _Ear:
    """Keeps how steps ended, and of what all of a name said the first megabyte."""

    def __init__(self) -> None:
        self.outcomes: dict[str, list[wire.Outcome]] = {}
        self.texts: dict[str, str] = {}
        self.configured: dict[str, list[wire.StepFinished]] = {}
        self.finished: list[wire.Finished] = []
        self._steps: dict[tuple[str, str], wire.StepStarted] = {}

    def show(self, happening: Happening) -> None:
        if not isinstance(happening, Heard):
            return
        match happening.event:
            case wire.StepStarted() as event:
                self._steps[happening.system, event.step] = event
            case wire.StepFinished() as event:
                self._end(self._steps[happening.system, event.step], event)
            case wire.Log() as event:
                name = self._steps[happening.system, event.step].name
                if len(text := self.texts.get(name, "")) < MOST_TEXT:
                    self.texts[name] = text + event.text + ("" if event.partial else "\n")
            case wire.Finished() as event:
                self.finished.append(event)

    def _end(self, step: wire.StepStarted, event: wire.StepFinished) -> None:
        self.outcomes.setdefault(step.name, []).append(event.outcome)
        if step.kind == "configure":
            self.configured.setdefault(step.deployment, []).append(event)


@contextmanager
def opened(choice: str, image: str | None, isolation: Isolation) -> Iterator[Ground]:
    """Open the engine that `choice` names, with a home and a store that nobody else has.

    Raises EngineError where there is none, or where no helper can run on it in that mode.
    """
    with ExitStack() as stack:
        place = os.environ.get("TMPDIR", "/var/tmp")  # /tmp is memory on many machines
        directory = Path(tempfile.mkdtemp(prefix="containerdeploy-selftest-", dir=place))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        home = directory / "home"
        home.mkdir()
        chosen = open_engine(choice, home)
        stack.callback(chosen.engine.close)
        asked = {images.full_name(image or images.HELPER): "selftest"}
        admission.refuse(planning.read_policy(), chosen.engine, asked)
        store = f"containerdeploy-selftest-{secrets.token_hex(6)}"
        stack.callback(chosen.engine.remove_volume, store)
        name = images.full_name(image or images.HELPER)
        chosen.engine.image(name)
        yield Ground(
            engine=chosen.engine,
            why_engine=chosen.why,
            image=name,
            directory=directory,
            store=store,
            hello=sweep.probe(chosen.engine, name, store, deploy.owner_label(None), isolation),
            source=sample.make(directory / "sample.tar"),
            isolation=isolation,
        )
