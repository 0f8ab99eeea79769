"""A definitions tree in a temporary directory, and what planning makes of it."""

import textwrap
from pathlib import Path

from containerdeploy import planning
from containerdeploy.errors import DefinitionError
from containerdeploy.plan import Options, Parameter, Plan, PlannedDeployment

EMPTY_TAR = bytes(1024)
CLUSTER = "clusters/c.yaml"


class Definitions:
    """A definitions root with one system and its source, to which a test adds what it needs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("VERSION", "version: 7\n")
        (root / "s.tar").write_bytes(EMPTY_TAR)
        self.system("s")
        self.extension("tar.write")

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def system(self, name: str, more: str = "") -> Path:
        text = f"name: {name}\nkind: system\nsource: {{tar: ../s.tar}}\n"
        return self.write(f"systems/{name}.yaml", text + textwrap.dedent(more))

    def cluster(self, deploy: str, more: str = "", morph: str = "systems/s.yaml") -> Path:
        """Write a cluster of one system; `deploy` and `more` are the entry's, dedented."""
        entry = (
            f"morph: {morph}\ndeploy:\n{textwrap.indent(textwrap.dedent(deploy).strip(), '  ')}\n"
        )
        entry += textwrap.dedent(more)
        text = "name: c\nkind: cluster\nsystems:\n-\n" + textwrap.indent(entry, "  ")
        return self.write(CLUSTER, text)

    def parameters(self, lines: str) -> Path:
        """Write a cluster of one deployment `d` with these parameters."""
        below = textwrap.indent(textwrap.dedent(lines), "  ")
        return self.cluster(f"d:\n  type: tar\n  location: d.tar\n{below}")

    def extension(self, name: str, sidecar: str = "", text: str = "#!/bin/sh\n") -> Path:
        path = self.write(f"extensions/{name}", text)
        path.chmod(0o755)
        if sidecar:
            self.write(f"extensions/{name}.yaml", sidecar)
        return path

    def plan(self, options: Options | None = None) -> Plan:
        builtin = self.root / "builtin"
        builtin.mkdir(exist_ok=True)
        return planning.prepare(self.root / CLUSTER, None, options or self.options(), builtin)

    def options(self, **more: object) -> Options:
        return Options(output_dir=self.root / "out", **more)  # type: ignore[arg-type]

    def one(self, options: Options | None = None) -> PlannedDeployment:
        """Plan and return the one deployment that there is."""
        (system,) = self.plan(options).systems
        (deployment,) = system.deployments
        return deployment

    def value(self, name: str, options: Options | None = None) -> Parameter:
        """Plan and return the parameter `name` of the one deployment."""
        (found,) = [one for one in self.one(options).parameters if one.name == name]
        return found

    def problems(self, options: Options | None = None) -> list[str]:
        """Plan, which has to fail; return the problems without the root's path."""
        try:
            self.plan(options)
        except DefinitionError as err:
            return [str(problem).replace(f"{self.root}/", "") for problem in err.problems]
        raise AssertionError("the plan has no problems")
