"""Definitions, sidecars, policies, whatever they hold: a plan, or complaints in our own words."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import fuzzing
import pytest
import yaml
from definitions_world import CLUSTER, Definitions
from hypothesis import strategies as st

from containerdeploy import planning
from containerdeploy.commands import plan as plan_command
from containerdeploy.errors import DeployError
from containerdeploy.plan import Options
from containerdeploy.policy import read_policy

DATA = Path(__file__).parents[1] / "data" / "definitions"
SYSTEM = "systems/s.yaml"
SIDECAR = "extensions/x.configure.yaml"
WRITE_SIDECAR = "extensions/tar.write.yaml"
POLICY = "policy.yaml"
GOOD = {
    CLUSTER: """\
name: c
kind: cluster
secrets: [KEY]
systems:
- morph: systems/s.yaml
  deploy-defaults: &all {type: tar, KEY: secret, HOSTNAME: x}
  deploy:
    d: {location: d.tar, HOSTNAME: d, <<: *all}
    e: {location: sub/e.tar, upgrade-type: tar, upgrade-location: e@host, N: 0644}
  subsystems:
  - morph: systems/s
    deploy: {i: {type: tar, location: boot/i.tar, HOSTNAME: i}}
""",
    SYSTEM: """\
name: s
kind: system
arch: x86_64
source: {tar: ../s.tar}
configuration-extensions:
- x
- {name: x, network: full, timeout: 90s, memory: 1G, pids: 9, max-output: 5M}
""",
    SIDECAR: """\
summary: something
options:
  HOSTNAME: {type: string, required: true, help: one label}
  N*: {type: integer, secret: no}
reads: [etc]
writes: [/etc/motd]
tools: [sh]
network: none
timeout: 1.5m
""",
    WRITE_SIDECAR: "output: stream\ntree: writable\nupgrade: true\n",
    POLICY: f"grants:\n  loop:\n  - sha256: {'5b' * 32}\n  - {{path: /srv/x.write, devices: 8}}\n",
}
LONG = "x" * 300
PIECES = [
    *(b"&a ", b"*a", b"<<: *a\n", b"!!python/object/apply:os.system ", b"!!binary ", b"!x "),
    *(b"? ", b"- ", b": ", b"\t", b"[", b"]", b"{", b"}", b"|\n", b">-\n", b"'", b'"', b"# "),
    *(b"---\n", b"...\n", b"%YAML 9.9\n", b"\xef\xbb\xbf", b"\xff", b"\x00", b"\r", b"\xc2\x85"),
    *(b'"\\0"', b'"\\x1b[2J"', b'"\\u202e"', b'"\\ud800"', b'"\\uFFFF"', b"..", b"/", b"~", b"."),
    *(b"../../../etc/passwd", b"/dev/zero", b"/proc/self/mem", LONG.encode(), b"x/" * 2000),
    *(b"9" * 5000, b"-1", b"1e999", b".inf", b"0x1F", b"12:30", b"yes", b"null", b"nan", b"1_000"),
    *(b"[" * 200, b"- " * 200, b"{a: " * 200, b"a: &b [*b]\n", b"kind: system\n", b"  " * 50),
    *(b"grants: [loop]\n", b"default: 5", b"writes: [", b"options: {", b"N: {type: paths}"),
    *(b"systems/s.yaml", b"systems", b"d", b"tar", b"user@host", b"loop", b"sub/e.tar", b"d.tar"),
]
KEYS = sorted(
    {word.strip(" -{[&") for text in GOOD.values() for word in text.replace(",", "\n").split(":")}
    | {"image", "partial-deploy-components", "upgrade", "default", "idle-timeout", "strata", "cpu"}
)
WORDS = st.sampled_from([*KEYS, *(piece.decode("utf-8", "replace") for piece in PIECES)])
TEXTS = WORDS | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.dates()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=15,
)


def _inputs(name: str) -> st.SearchStrategy[bytes]:
    """Good files and old ones, mutilated; what only looks like one; and rubbish."""
    folder = DATA / Path(name).parent
    old = [path.read_bytes() for path in folder.iterdir() if path.is_file()]
    few = sorted(text for text in old if len(text) < 4000)[:20]
    pieces = [*PIECES, *(text.encode() for text in GOOD.values())]
    good = yaml.safe_load(GOOD[name])
    grown = st.dictionaries(st.sampled_from(sorted(good)), VALUES, max_size=3)
    dumped = st.builds(_dump, VALUES | grown.map(lambda more: {**good, **more}), st.booleans())
    mine = fuzzing.mutated([GOOD[name].encode()], pieces)
    return mine | mine | dumped | fuzzing.mutated([GOOD[name].encode(), *few], pieces) | RUBBISH


RUBBISH = st.binary(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join)


def _dump(value: object, is_flow: bool) -> bytes:
    text: str = yaml.safe_dump(value, default_flow_style=is_flow, allow_unicode=True)
    return text.encode("utf-8", "surrogatepass")


class Tree:
    """Definitions of which one file at a time is what is thrown at it."""

    def __init__(self, directory: Path) -> None:
        self.definitions = Definitions(directory / "root")
        self.outside = directory
        self.definitions.extension("x.configure")
        for name, text in GOOD.items():
            if name != POLICY:
                self.definitions.write(name, text)
        self.definitions.write("out/sub/.keep", "")

    def throw(self, name: str, data: bytes) -> None:
        """Plan with the file as it is now, and tell the plan; complaints are fine."""
        path = self.definitions.root / name
        before = path.read_bytes()
        path.write_bytes(data)
        try:
            plan = self.definitions.plan(Options(output_dir=self.definitions.root / "out"))
            plan_command.to_text(plan)
            plan_command.to_json_text(plan)
        except DeployError as err:
            assert str(err)
        finally:
            path.write_bytes(before)

    def throw_policy(self, data: bytes) -> None:
        path = self.outside / POLICY
        path.write_bytes(data)
        try:
            read_policy(path, self.definitions.root).loop_devices("5b" * 32, path)
        except DeployError as err:
            assert str(err)


@pytest.fixture(scope="module")
def tree() -> Iterator[Tree]:
    directory = Path(tempfile.mkdtemp(prefix="fuzz-"))
    yield Tree(directory)
    shutil.rmtree(directory)


def _holder(tree: Tree, name: str) -> Callable[[bytes], None]:
    return tree.throw_policy if name == POLICY else lambda data: tree.throw(name, data)


def _called(name: str) -> str:
    return name.replace("/", "-").removesuffix(".yaml")


@pytest.mark.parametrize("name", GOOD)
def test_the_good_file_is_good(tree: Tree, name: str) -> None:
    """Else nothing of what follows would get far."""
    _holder(tree, name)(GOOD[name].encode())
    if name != POLICY:
        assert planning.prepare(tree.definitions.root / CLUSTER, None, tree.definitions.options())


@pytest.mark.parametrize("name", GOOD)
def test_a_file_is_planned_or_complained_about(tree: Tree, name: str) -> None:
    fuzzing.fuzz(_called(name), _inputs(name), _holder(tree, name))


REPLAYED = [
    pytest.param(name, *one.values, id=f"{_called(name)}-{one.id}")
    for name in GOOD
    for one in fuzzing.kept(_called(name))
]


@pytest.mark.parametrize(("name", "data"), REPLAYED)
def test_no_file_that_once_failed_fails_again(tree: Tree, name: str, data: bytes) -> None:
    _holder(tree, name)(data)
