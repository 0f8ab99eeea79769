"""What a Docker-compatible engine is asked for, where no engine on the test machine shows it."""

import pytest

from containerdeploy.engine import docker_config
from containerdeploy.engine.base import ContainerSpec
from containerdeploy.engine.docker_config import Host
from containerdeploy.errors import EngineError

SPEC = ContainerSpec(name="a", image="b", argv=["c"], seccomp="{}", seccomp_path="/profile.json")


def host(flavour: str, *options: str) -> Host:
    components = [{"Name": "Podman Engine" if flavour == "podman" else "Engine"}]
    return Host.from_answers({"Components": components}, {"SecurityOptions": list(options)})


def test_docker_gets_the_seccomp_profiles_text_and_podman_its_path() -> None:
    docker = docker_config.security_options(SPEC, host("docker"))
    podman = docker_config.security_options(SPEC, host("podman"))
    assert docker == ["no-new-privileges", "seccomp={}"]
    assert podman == ["no-new-privileges", "seccomp=/profile.json"]


def test_podman_without_a_path_of_the_profile_is_an_error() -> None:
    spec = ContainerSpec(name="a", image="b", argv=["c"], seccomp="{}")
    with pytest.raises(EngineError, match="only as a file"):
        docker_config.security_options(spec, host("podman"))


def test_confinement_is_lifted_only_where_the_engine_has_it() -> None:
    assert docker_config.security_options(
        SPEC, host("docker", "name=apparmor", "name=seccomp,profile=default", "name=selinux")
    ) == ["no-new-privileges", "seccomp={}", "apparmor=unconfined", "label=disable"]


def test_a_rootless_engine_is_known_by_its_own_word() -> None:
    assert host("docker", "name=rootless", "name=seccomp").is_rootless
    assert not host("podman", "name=seccomp").is_rootless


def test_an_engine_that_says_nothing_of_itself_counts_as_docker() -> None:
    assert Host.from_answers({}, {"SecurityOptions": None}).flavour == "docker"
