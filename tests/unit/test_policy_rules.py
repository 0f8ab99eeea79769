"""What a policy refuses and allows in a plan, by whose word, and what is said of it."""

import hashlib
import json
import math
import re
from pathlib import Path

import pytest
from definitions_world import EMPTY_TAR, Definitions

from containerdeploy import places, policy
from containerdeploy.commands import plan as plan_command
from containerdeploy.errors import PlanError, UsageError
from containerdeploy.policy import Place, Policy, load, read_policy

EMPTY_DIGEST = hashlib.sha256(EMPTY_TAR).hexdigest()


class World:
    """Definitions beside an operator's file, a user's own file and one for --policy."""

    def __init__(self, root: Path) -> None:
        self.definitions = Definitions(root / "definitions")
        self.operator, self.own, self.given = (
            root / f"{name}.yaml" for name in ("operator", "own", "given")
        )
        self.definitions.extension("own.configure", "summary: x\n")
        self.definitions.system("s", "configuration-extensions: [own]\n")
        self.definitions.cluster("d: {type: tar, location: d.tar}\n")

    def rules(self, text: str, path: Path | None = None) -> None:
        path = path or self.operator
        path.write_text(text)
        path.chmod(0o644)

    def refused(self, **options: object) -> list[str]:
        """Plan, which has to be refused; return the lines of the refusal."""
        with pytest.raises(PlanError) as caught:
            self.plan(**options)
        assert caught.value.exit_code == 2
        return str(caught.value.details).splitlines()

    def plan(self, **options: object):
        if self.given.exists():
            options["policy"] = self.given
        return self.definitions.plan(self.definitions.options(**options))


@pytest.fixture
def world(tmp_path, monkeypatch):
    (tmp_path / "definitions").mkdir()
    made = World(tmp_path)
    monkeypatch.setattr(places, "OPERATORS_POLICY", made.operator)
    monkeypatch.setenv("CONTAINERDEPLOY_POLICY", str(made.own))
    monkeypatch.setenv("CONTAINERDEPLOY_HOME", str(tmp_path / "home"))
    return made


EXTENSION = "extensions/own.configure"
PLACES = {
    "{root}": lambda world: str(world.definitions.root),
    "{digest}": lambda world: hashlib.sha256(b"#!/bin/sh\n").hexdigest(),
}


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        ("extensions: {allow: ['{root}/extensions']}", True),
        ("extensions: {allow: ['{root}/extensions/own.configure', '{root}/extensions/t']}", False),
        ("extensions: {allow: ['{root}/ext']}", False),
        ("extensions: {allow: ['{root}/extensions/../systems']}", False),
        ("extensions: {allow: ['sha256:{digest}']}", True),
        ("extensions: {allow: [built-in]}", False),
        ("extensions: {allow: []}", False),
        ("extensions: {deny: [built-in]}", True),
        ("extensions: {deny: ['sha256:{digest}']}", False),
        ("extensions: {allow: ['{root}'], deny: ['{root}/extensions/own.configure']}", False),
        ("extensions: {allow: ['sha256:{digest}'], deny: ['{root}/extensions']}", False),
        ("sources: {allow: ['{root}']}", True),
        ("sources: {allow: [/srv/images]}", False),
        ("sources: {deny: ['{root}/s.tar']}", False),
        (f"sources: {{allow: ['sha256:{EMPTY_DIGEST}']}}", True),
        (f"sources: {{allow: ['sha256:{'0' * 64}']}}", False),
        (f"sources: {{deny: ['sha256:{EMPTY_DIGEST}']}}", False),
        (f"sources: {{allow: ['{{root}}'], deny: ['sha256:{EMPTY_DIGEST}']}}", False),
        ("sources: {max-size: 1G}", True),
        ("networks: {allow: []}", True),
        ("limits: {timeout: {max: 1h}}", True),
        ("engines: {allow: [docker]}", True),
    ],
)
def test_a_rule_allows_or_refuses_a_plan(world, rules, allowed):
    for word, value in PLACES.items():
        rules = rules.replace(word, value(world))
    world.rules(rules)
    if allowed:
        assert world.plan()
    else:
        lines = world.refused()
        assert all(re.search(r"operator\.yaml:1:\d+ (denies|doesn't allow)", one) for one in lines)


def test_a_source_is_judged_where_its_links_lead(world):
    kept = world.definitions.root.parent / "kept.tar"
    (world.definitions.root / "s.tar").rename(kept)
    (world.definitions.root / "s.tar").symlink_to(kept)
    world.rules(f"sources: {{allow: ['{world.definitions.root}']}}")
    (line,) = world.refused()
    assert f"systems/s.yaml:3:15: the source {kept}: " in line
    world.rules(f"sources: {{allow: ['{kept.parent}']}}")
    (source,) = world.plan().systems[0].deployments[0].sources
    assert source.path == kept


def test_what_a_digest_allowed_is_what_has_to_be_unpacked(world):
    world.rules(f"sources: {{allow: ['sha256:{EMPTY_DIGEST}']}}")
    (source,) = world.plan().systems[0].deployments[0].sources
    assert source.sha256 == EMPTY_DIGEST


def test_an_extension_is_judged_where_its_links_lead(world):
    folder = world.definitions.root / "extensions"
    (folder / "real").mkdir()
    (folder / "own.configure").rename(folder / "real/own.configure")
    (folder / "own.configure").symlink_to("real/own.configure")
    world.rules(f"extensions: {{deny: ['{folder}/real']}}")
    (line,) = world.refused()
    assert line.startswith(f"{_shown(world, 'systems/s.yaml')}:4:28: the extension {EXTENSION}")


def _shown(world, name):
    from containerdeploy.document import shown

    return shown(world.definitions.root / name)


def test_a_subsystem_its_source_and_its_check_are_judged_too(world):
    world.definitions.extension("in.write")
    world.definitions.extension("in.check")
    world.definitions.system("inner", "configuration-extensions: [own]\n")
    world.definitions.cluster(
        "d: {type: tar, location: d.tar}\n",
        "subsystems:\n- morph: systems/inner.yaml\n  deploy: {i: {type: in, location: i.img}}\n",
    )
    world.rules(f"extensions: {{allow: ['{world.definitions.root}/extensions/tar.write']}}")
    told = "\n".join(world.refused())
    for name in ("extensions/own.configure", "extensions/in.write", "extensions/in.check"):
        assert f"the extension {name} " in told
    assert "systems/inner.yaml:4:28" in told
    world.rules("sources: {allow: []}")
    assert len(world.refused()) == 2


def test_components_of_a_partial_deployment_are_judged_too(world):
    part = world.definitions.root.parent / "part.tar"
    part.write_bytes(EMPTY_TAR)
    world.definitions.cluster(
        "d: {type: tar, location: d.tar, partial-deploy-components: [part]}\n"
    )
    world.rules(f"sources: {{allow: ['{world.definitions.root}']}}")
    (line,) = world.refused(partial=True, artifacts=(f"part={part}",))
    assert f"the source {part}: " in line


@pytest.mark.parametrize(
    ("wanted", "rules", "allowed"),
    [
        ("full", "allow: [none]", False),
        ("full", "allow: [full]", True),
        ("full", "deny: [full]", False),
        ("full", "allow: ['*.example.org:443']", False),
        ("full", "deny: ['evil.org:443']", False),
        ("full", "deny: [none]", True),
        ("none", "allow: []", True),
        ("none", "deny: [full]", True),
        ("['a.example.org:443']", "allow: ['*.example.org:443']", True),
        ("['a.example.org:443']", "allow: ['A.Example.org:443']", True),
        ("['a.example.org:443']", "allow: ['*:443']", True),
        ("['a.example.org:443']", "allow: ['a.example.org:*']", True),
        ("['a.example.org:443']", "allow: [full]", True),
        ("['a.example.org:443']", "deny: [full]", True),
        ("['a.example.org:444']", "allow: ['*.example.org:443']", False),
        ("['example.org:443']", "allow: ['*.example.org:443']", False),
        ("['badexample.org:443']", "allow: ['*.example.org:443']", False),
        ("['a.org:1', 'b.org:1']", "allow: ['a.org:1']", False),
        ("['*.example.org:443']", "allow: ['a.example.org:443']", False),
        ("['*.example.org:443']", "deny: ['a.example.org:443']", False),
        ("['a.example.org:443']", "allow: [full], deny: ['*.example.org:*']", False),
        ("['[2001:db8::7]:22']", "deny: ['[2001:DB8:0:0::0007]:22']", False),
        ("['[2001:db8::7]:22']", "allow: ['[2001:DB8:0:0::0007]:*']", True),
    ],
)
def test_a_network_is_allowed_when_all_of_it_is(world, wanted, rules, allowed):
    use = f"configuration-extensions: [{{name: own, network: {wanted}}}]\n"
    world.definitions.system("s", use)
    world.rules(f"networks: {{{rules}}}")
    if allowed:
        assert world.plan()
    else:
        assert all("operator.yaml:1:" in line for line in world.refused())


def test_a_write_extension_for_another_host_has_the_network_judged_too(world):
    world.definitions.cluster("d: {type: tar, location: 'ssh://host/x'}\n")
    world.rules("networks: {allow: [none]}")
    (line,) = world.refused()
    assert "the network full of extensions/tar.write" in line
    assert "clusters/c.yaml:7:15" in line


@pytest.mark.parametrize(
    ("rules", "wanted", "allowed"),
    [
        ("deny: [compat]", "compat", False),
        ("deny: [compat]", "auto", True),
        ("allow: [strict]", "strict", True),
        ("allow: [strict]", "rootless", False),
        ("allow: [strict]", "auto", False),
        ("allow: [strict, rootless]", "auto", True),
        ("allow: [strict, rootless]", "compat", False),
    ],
)
def test_a_mode_of_isolation_can_be_refused(world, rules, wanted, allowed):
    world.rules(f"isolation: {{{rules}}}")
    if allowed:
        assert world.plan(isolation=wanted).isolation == wanted
    else:
        (line,) = world.refused(isolation=wanted)
        assert line.startswith(f"--isolation: {wanted}: {world.operator}:1:")


def step(world, **options):
    return world.plan(**options).systems[0].deployments[0].configure[0]


def test_a_limit_that_is_asked_for_may_not_be_above_the_most(world):
    world.rules("limits:\n  timeout: {max: 10m}\n  pids: {max: 100}\n  cpu: {max: 1}\n")
    use = "configuration-extensions: [{name: own, timeout: 11m, cpu: 1.5}]\n"
    world.definitions.system("s", use)
    world.definitions.extension("own.configure", "pids: 101\n")
    lines = world.refused()
    assert len(lines) == 3
    assert "systems/s.yaml:4:28: the timeout 660 of own.configure: " in lines[0]
    assert "operator.yaml:2:18 allows 600 at the most" in lines[0]
    assert lines[1].startswith("own.configure.yaml: the pids 101 of own.configure: ")
    assert "the cpu 1.5" in lines[2]


@pytest.mark.parametrize("value", [601.0, math.inf, math.nan])
def test_the_command_line_asks_for_no_more_either(world, value):
    world.rules("limits: {timeout: {max: 10m}}")
    lines = world.refused(timeout_s=value)
    assert lines[0].startswith("--timeout: the timeout ")
    assert step(world, timeout_s=600.0).timeout_s == 600.0


def test_a_limit_that_nobody_asks_for_is_the_policys(world):
    world.rules(
        "limits:\n  timeout: {default: 10m, max: 20m}\n  idle-timeout: {max: 5m}\n"
        "  memory: {max: 1G}\n  pids: {max: 100000}\n  disk: {default: 2G}\n"
    )
    found = step(world)
    assert (found.timeout_s, found.idle_timeout_s, found.memory_bytes) == (600, 300, 1 << 30)
    assert (found.pids, found.max_output_bytes, found.disk_bytes) == (None, None, 2 << 30)
    assert found.limits_from["timeout"].endswith("operator.yaml:2:22")
    assert found.limits_from["memory"].endswith("operator.yaml:4:17")
    world.definitions.extension("own.configure", "timeout: 15m\n")
    found = step(world)
    assert (found.timeout_s, found.limits_from["timeout"]) == (900, "own.configure.yaml")


def test_other_files_only_tighten(world):
    world.rules("limits: {timeout: {default: 10m, max: 20m}}")
    world.rules("limits: {timeout: {default: 2h, max: 3h}, pids: {max: 9}}", world.own)
    world.rules("limits: {timeout: {max: 15m}}", world.given)
    found = step(world)
    assert (found.timeout_s, found.pids) == (600, 9)
    assert all("given.yaml:1:" in line for line in world.refused(timeout_s=1000.0))


@pytest.mark.parametrize("strict", ["operator", "own", "given"])
def test_every_file_has_to_allow_it(world, strict):
    for path in (world.operator, world.own, world.given):
        folder = "/nowhere" if path.stem == strict else world.definitions.root
        world.rules(f"extensions: {{allow: ['{folder}']}}", path)
    lines = world.refused()
    assert lines
    assert all(f"{strict}.yaml:1:" in line for line in lines)


def test_each_file_says_its_part_of_one_refusal(world):
    world.rules(f"extensions: {{deny: ['{world.definitions.root}/extensions/own.configure']}}")
    world.rules("sources: {allow: []}", world.own)
    world.rules("extensions: {require-writes: true}", world.given)
    told = "\n".join(world.refused())
    assert told.count("\n") == 2
    for name in ("operator", "own", "given"):
        assert f"{name}.yaml:1:" in told


GRANT = "grants: {{loop: [{{path: '{root}/extensions/own.configure', devices: {devices}}}]}}"


@pytest.mark.parametrize(
    ("operator", "own", "given", "devices"),
    [
        (8, None, None, 8),
        (8, 2, None, 2),
        (2, 8, None, 2),
        (None, 3, None, 3),
        (None, 3, 2, 2),
        (None, None, 3, 0),
        ("", 3, None, 0),
        ("", None, 3, 0),
        (8, "", None, 8),
        (8, "", "grants: {loop: []}", 0),
        (8, "", "grants: {loop: {deny: [{path: '%s'}]}}", 0),
        (8, "", "grants: {loop: {deny: [{path: /another}]}}", 8),
        ("grants: {loop: {deny: [{path: /another}]}}", None, None, 0),
    ],
)
def test_a_privilege_needs_the_word_of_the_operator(world, operator, own, given, devices):
    world.definitions.extension("own.configure", "grants: [loop]\n")
    root = world.definitions.root
    for path, said in ((world.operator, operator), (world.own, own), (world.given, given)):
        if isinstance(said, int):
            world.rules(GRANT.format(root=root, devices=said), path)
        elif said is not None:
            world.rules(said.replace("%s", f"{root}/extensions/own.configure"), path)
    if devices:
        assert step(world).loop_devices == devices
    else:
        assert "own.configure asks for loop devices" in world.refused()[0]


@pytest.mark.parametrize(
    ("path", "rules", "told"),
    [
        ("operator", "[]", "operator.yaml:2:3 allows none"),
        ("operator", "{deny: [{path: '%s'}]}", "operator.yaml:2:17 denies them"),
        ("operator", "{allow: [{path: '%s'}], deny: [{path: '%s'}]}", " denies them"),
        ("given", "[{path: /nowhere}]", "given.yaml:2:3 allows none"),
    ],
)
def test_a_refused_privilege_names_the_rule(world, path, rules, told):
    world.definitions.extension("own.configure", "grants: [loop]\n")
    own = f"{world.definitions.root}/extensions/own.configure"
    world.rules(GRANT.format(root=world.definitions.root, devices=4))
    world.rules(f"grants:\n  loop: {rules.replace('%s', own)}\n", getattr(world, path))
    assert told in world.refused()[0]


@pytest.mark.parametrize(
    ("sidecar", "refused"), [("summary: x", True), ("writes: []", False), ("writes: [/]", False)]
)
def test_contracts_can_be_required(world, sidecar, refused):
    world.definitions.extension("own.configure", f"{sidecar}\n")
    world.rules("extensions: {require-writes: true}")
    if refused:
        (line,) = world.refused()
        assert "extensions/own.configure has no 'writes' in its sidecar" in line
        assert "operator.yaml:1:" in line
    else:
        world.plan()


def test_contracts_are_required_of_who_can_write_a_tree(world):
    world.definitions.system("s")
    world.rules("extensions: {require-writes: true}")
    world.plan()  # tar.write reads its tree only
    world.definitions.extension("tar.write", "tree: writable\n")
    assert len(world.refused()) == 1
    world.definitions.extension("tar.write", "writes: []\n")
    world.definitions.extension("in.write", "summary: x\n")
    world.definitions.cluster(
        "d: {type: tar, location: d.tar}\n",
        "subsystems:\n- morph: systems/s.yaml\n  deploy: {i: {type: in, location: i.img}}\n",
    )
    (line,) = world.refused()
    assert "extensions/in.write has no 'writes'" in line


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("engins: {}", "did you mean 'engines'?"),
        ("engines: {alow: [docker]}", "did you mean 'allow'?"),
        ("engines: {allow: docker}", "has to be a list of words"),
        ("engines: {allow: [rkt]}", "'rkt' has to be one of docker, podman, local"),
        ("images: {allow: [sha256:abc]}", "is no digest"),
        ("images: {allow: [{sha256: abc}]}", "a mapping is no word"),
        ("sources: {allow: [images]}", "has to be an absolute path"),
        ("sources: {max-size: much}", "bytes, or a size"),
        ("networks: {allow: [some]}", "has to be none, full, or a host and a port"),
        ("networks: {allow: ['a.org']}", "a host and a port"),
        ("networks: {allow: ['*']}", "a host and a port"),
        ('sources: {deny: ["/a\\0b"]}', "has a NUL in it"),
        ('engines: {deny: ["unix:///a\\0b"]}', "has a NUL in it"),
        ('grants: {loop: [{path: "/a\\0b"}]}', "is not absolute"),
        ("isolation: {deny: [compact]}", "'compact' has to be one of strict, rootless, compat"),
        ("extensions: {allow: [mine]}", "has to be built-in, an absolute path"),
        ("extensions: {require-writes: maybe}", "true or false"),
        ("limits: {time: {max: 1h}}", "did you mean 'timeout'?"),
        ("limits: {timeout: 1h}", "expected a mapping for the limit 'timeout'"),
        ("limits: {timeout: {max: soon}}", "seconds, or a time"),
        ("limits: {timeout: {default: 2h, max: 1h}}", "is more than its max"),
        ("grants: {loop: {alow: []}}", "did you mean 'allow'?"),
        ("- a", "expected a mapping for a policy"),
        ("a: ]", "is no YAML"),
    ],
)
def test_a_mistake_in_a_policy_stops_everything_and_has_a_place(world, text, told):
    world.rules(text)
    with pytest.raises(UsageError, match=r"the policy .* can't be used") as caught:
        world.plan()
    assert told in str(caught.value.details)
    assert "operator.yaml:1:" in str(caught.value.details)


def test_all_mistakes_of_a_policy_are_told_at_once(world):
    world.rules("engines: {allow: [rkt]}\nsources: {deny: [x]}\nlimits: {pids: {max: 0}}\n")
    with pytest.raises(UsageError) as caught:
        world.plan()
    assert len(str(caught.value.details).splitlines()) == 3


def test_no_environment_moves_the_operators_file(world, monkeypatch):
    world.rules("extensions: {allow: [built-in]}")
    for value in ("", "/nowhere/none.yaml", str(world.given)):
        monkeypatch.setenv("CONTAINERDEPLOY_POLICY", value)
        world.refused()


def test_a_policy_that_is_asked_for_has_to_be_there(world):
    options = world.definitions.options(policy=world.definitions.root.parent / "none.yaml")
    with pytest.raises(UsageError, match="there is no such file"):
        world.definitions.plan(options)


def test_a_link_that_leads_nowhere_is_not_a_policy_that_is_missing(world):
    world.operator.symlink_to(world.operator.with_name("not mounted.yaml"))
    with pytest.raises(UsageError, match="is a link that leads nowhere"):
        world.plan()


@pytest.mark.parametrize(
    ("name", "rules", "allowed"),
    [
        ("LD_PRELOAD", "extensions: {allow: [built-in, /]}", False),
        ("PYTHONHOME", "extensions: {deny: ['/srv']}", False),
        ("BASH_ENV", "grants: {loop: [{path: '{own}'}]}", False),
        ("BASH_ENV", "limits: {pids: {max: 9000}}", True),
        ("PYTHONPATH", "extensions: {allow: [/, built-in]}", True),
        ("HOSTNAME", "extensions: {allow: [/, built-in]}", True),
    ],
)
def test_no_parameter_makes_a_judged_extension_load_other_code(world, name, rules, allowed):
    world.rules(rules.replace("{own}", str(world.definitions.root / EXTENSION)))
    granted = ("own=loop",) if "loop" in rules else ()
    given = {"assignments": (f"d.{name}=/definitions/evil",), "grants": granted}
    if allowed:
        assert world.plan(**given)
    else:
        (line,) = world.refused(**given)
        assert line.startswith(f"the command line: the parameter {name} of d: ")


def test_a_loop_of_links_is_no_policy_and_lies_nowhere(world, tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(UsageError, match="can't be read"):
        read_policy(loop, world.definitions.root)
    world.rules(f"extensions: {{allow: ['{loop}']}}")
    assert "doesn't allow it" in world.refused()[0]


def test_one_that_nobody_may_read_is_not_one_that_says_nothing(world, monkeypatch):
    world.rules("")

    def refuse(*_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(UsageError, match="can't be read"):
        read_policy(world.operator, None)


def place(flavour="docker", address="unix:///run/docker.sock", **images):
    return Place(flavour=flavour, address=address, resolve=images.get)


def held(tmp_path, text):
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    path.chmod(0o644)
    return load(path, None, None, None)


@pytest.mark.parametrize(
    ("rules", "address", "allowed"),
    [
        ("allow: [docker]", "tcp://host:1", True),
        ("allow: [local, podman]", "tcp://host:1", False),
        ("deny: [docker]", "tcp://host:1", False),
        ("allow: ['tcp://*.example.org:2376']", "tcp://a.example.org:2376", True),
        ("allow: ['tcp://*.example.org:2376']", "https://A.example.org:2376/", True),
        ("allow: ['tcp://*.example.org:2376']", "tcp://evil.org/x.example.org:2376", False),
        ("allow: ['tcp://*.example.org:2376']", "tcp://evil.org?.example.org:2376", False),
        ("allow: ['tcp://*.example.org:2376']", "tcp://evil.org#.example.org:2376", False),
        ("deny: ['tcp://*']", "http://host:1", False),
        ("deny: ['unix:///**']", "unix:///tmp/own.sock", True),
        ("allow: ['unix:///tmp/*.sock']", "unix:///tmp/../run/own.sock", False),
        ("allow: ['unix:///run/*/x.sock']", "unix:///run/a/b/x.sock", False),
        ("allow: [docker], deny: ['tcp://host:*']", "tcp://user@host:1", False),
    ],
)
def test_engines_are_judged_by_kind_and_address(tmp_path, rules, address, allowed):
    rules = held(tmp_path, f"engines: {{{rules}}}")
    if allowed:
        policy.refuse_place(rules, place(address=address), {})
        return
    with pytest.raises(PlanError, match="does not allow") as caught:
        policy.refuse_place(rules, place(address=address), {})
    assert "policy.yaml:1:" in str(caught.value.details)


A, B = (f"sha256:{digit * 64}" for digit in "ab")
IMAGES = {"helper": A, "same": A, "other": B, "helper-2": B, A: A, A[7:19]: A}


@pytest.mark.parametrize(
    ("rules", "image", "allowed"),
    [
        (f"allow: ['{A}']", "helper", True),
        (f"allow: ['{A}']", "same", True),
        (f"allow: ['{A}']", "other", False),
        (f"deny: ['{A}']", "same", False),
        ("allow: [helper]", "helper", True),
        ("allow: [helper]", "same", True),
        ("allow: [helper]", "other", False),
        ("allow: [helper]", "docker.io/library/helper:latest", False),
        ("allow: ['helper*']", "helper-2", True),
        ("allow: ['helper*']", "same", False),
        ("deny: [helper]", "same", False),
        ("deny: [missing]", "docker.io/library/missing:latest", False),
        ("deny: [missing]", "helper", True),
        (f"allow: [helper, other], deny: ['{B}']", "other", False),
        ("allow: []", "helper", False),
        ("deny: ['help*']", "index.docker.io/library/helper:latest", False),
        ("deny: ['help*']", A, False),
        ("deny: ['help*']", A[7:19], False),
        ("deny: ['help*']", "other", True),
        ("deny: [other]", A, True),
    ],
)
def test_images_are_judged_by_what_the_engine_has(tmp_path, rules, image, allowed):
    rules = held(tmp_path, f"images: {{{rules}}}")
    if allowed:
        policy.refuse_place(rules, place(**IMAGES), {image: "--image"})
        return
    with pytest.raises(PlanError) as caught:
        policy.refuse_place(rules, place(**IMAGES), {image: "--image"})
    assert f"--image: the image {image} (" in str(caught.value.details)
    assert "policy.yaml:1:" in str(caught.value.details)


def test_a_refused_engine_is_not_asked_for_images(tmp_path):
    def resolve(name: str) -> str | None:
        raise AssertionError(name)

    rules = held(tmp_path, "engines: {deny: [docker]}\nimages: {allow: [a]}")
    asked = Place(flavour="docker", address="tcp://h:1", resolve=resolve)
    with pytest.raises(PlanError):
        policy.refuse_place(rules, asked, {"a": "--image"})


@pytest.mark.parametrize(
    ("operator", "own", "most"),
    [(None, None, 20), (50, None, 50), (5, None, 5), (5, 50, 5), (50, 30, 30), ("", 50, 20)],
)
def test_what_a_source_may_become_is_the_operators_to_widen(world, operator, own, most):
    for path, said in ((world.operator, operator), (world.own, own)):
        if said is not None:
            world.rules(f"sources: {{max-expansion: {said}}}" if said else "", path)
    found = world.plan().policy.ceiling("max-expansion", 20)
    assert found.most == most
    assert (found.at is None) == (most == 20)


def test_the_plan_shows_the_files_the_contracts_and_whose_the_limits_are(world):
    world.rules("limits: {timeout: {default: 10m}}")
    world.rules("limits: {pids: {max: 9}}", world.own)
    world.definitions.extension("own.configure", "writes: [/etc/own]\nmemory: 1G\n")
    planned = world.plan()
    text = plan_command.to_text(planned)
    for name in ("operator.yaml", "own.yaml"):
        assert f"policy: {world.operator.parent / name}" in text.splitlines()
    assert "writes /etc/own" in text
    assert f"timeout 600 s from {world.operator}:1:29" in text
    assert "memory 1073741824 bytes from own.configure.yaml" in text
    shown = plan_command.to_json(planned)
    assert shown["policy"] == [str(world.operator), str(world.own)]
    step = shown["systems"][0]["deployments"][0]["steps"][0]
    assert (step["writes"], step["privileged_files"]) == (["/etc/own"], [])
    assert step["limits_from"]["pids"] == f"{world.own}:1:22"


def test_without_any_file_everything_but_privileges_is_allowed(world):
    planned = world.plan()
    assert planned.policy == Policy(ground=world.own)
    assert json.dumps(planned.systems[0].image)
