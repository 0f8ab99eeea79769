"""What a container may and may not, seen from inside."""

import io
import re
import tarfile
from pathlib import Path

from subject import Subject

from containerdeploy.engine.base import Mount

# CAP_CHOWN is bit 0, CAP_KILL 5 and CAP_SYS_ADMIN 21: see capability.h.
THREE_CAPABILITIES = 1 << 0 | 1 << 5 | 1 << 21
UNAVOIDABLE = {"HOSTNAME", "HOME", "PATH", "PWD", "SHLVL", "_", "OLDPWD"}
PODMANS_OWN = {"container", "TERM"}


def test_the_root_file_system_is_read_only(real: Subject) -> None:
    ended = real.run("touch /planted || touch /bin/planted")
    assert ended.code != 0
    assert b"ead-only" in ended.stderr


def test_a_container_has_the_capabilities_asked_for_and_no_other(real: Subject) -> None:
    wanted = ("CHOWN", "KILL", "SYS_ADMIN")
    status = real.text("cat /proc/self/status", capabilities=wanted)
    assert int(_field(status, "CapBnd"), 16) == THREE_CAPABILITIES
    assert int(_field(status, "CapEff"), 16) == THREE_CAPABILITIES
    assert int(_field(status, "CapInh"), 16) & ~THREE_CAPABILITIES == 0


def test_without_capabilities_there_are_none(real: Subject) -> None:
    status = real.text("cat /proc/self/status")
    assert int(_field(status, "CapBnd"), 16) == 0


def test_no_program_gains_privileges(real: Subject) -> None:
    assert _field(real.text("cat /proc/self/status"), "NoNewPrivs") == "1"


def test_a_seccomp_profile_is_obeyed(real: Subject, tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text(
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["utimensat"],'
        ' "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}'
    )
    mount = Mount(kind="tmpfs", target="/scratch")
    profile = {"seccomp": path.read_text(), "seccomp_path": str(path)}
    ended = real.run("touch -d @0 /scratch", mounts=[mount], **profile)
    assert ended.code != 0
    assert b"not supported" in ended.stderr


def test_there_is_no_network_but_loopback(real: Subject) -> None:
    lines = real.text("cat /proc/net/dev").splitlines()[2:]
    assert [line.split(":")[0].strip() for line in lines] == ["lo"]


def test_the_environment_is_what_was_given(real: Subject) -> None:
    given = {"PLAIN": "1", "EMPTY": "", "ODD": "a=b $HOME 'c' \"d\"\ttab", "PATH": "/bin:/usr/bin"}
    text = real.text("cat /proc/self/environ", environment=given)
    found = dict(entry.split("=", 1) for entry in text.split("\0") if entry)
    extra = found.keys() - given.keys()
    assert {name: found.get(name) for name in given} == given
    assert extra <= UNAVOIDABLE | (PODMANS_OWN if real.kind == "podman" else set())


def test_the_memory_limit_holds(real: Subject) -> None:
    # tail keeps all that it may have to print.
    hog = "head -c 190000000 /dev/zero | tail -c 190000000 | wc -c"
    ended = real.run(hog, memory_bytes=64 * 1024 * 1024)
    assert b"190000000" not in ended.stdout
    assert b"190000000" in real.run(hog).stdout


def test_the_pids_limit_holds(real: Subject) -> None:
    script = "i=0; while [ $i -lt 40 ]; do sleep 3 & i=$((i+1)); done; echo all"
    ended = real.run(script, pids=16)
    assert b"all" not in ended.stdout


def test_there_are_no_core_files(real: Subject) -> None:
    assert int(real.text("ulimit -H -c")) <= 1  # blocks for one shell, bytes for another


def test_a_tmpfs_has_the_size_and_mode_asked_for(real: Subject) -> None:
    mount = Mount(kind="tmpfs", target="/scratch", size_bytes=1024 * 1024, mode=0o1777)
    assert real.text("stat -c %a /scratch", mounts=[mount]).strip() == "1777"
    ended = real.run("head -c 2000000 /dev/zero > /scratch/big", mounts=[mount])
    assert ended.code != 0
    assert b"No space left" in ended.stderr


def test_a_bind_shows_the_hosts_files_and_read_only_means_it(real: Subject, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from outside")
    mount = Mount(kind="bind", source=str(tmp_path), target="/in", read_only=True)
    assert real.text("cat /in/file", mounts=[mount]) == "from outside"
    assert real.run("touch /in/planted", mounts=[mount]).code != 0
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_what_is_put_before_the_start_is_there_inside(real: Subject) -> None:
    mount = Mount(kind="anonymous", target="/data")
    container = real.engine.create(
        real.spec("cat /data/job; stat -c %a:%u /data/job", mounts=[mount])
    )
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("job")
        member.size, member.mode = 5, 0o640
        archive.addfile(member, io.BytesIO(b"a job"))
    real.engine.put(container, "/data", [buffer.getvalue()])
    attached = real.engine.attach(container)
    real.engine.start(container)
    output = b""
    while piece := attached.read(20):
        output += piece[1]
    attached.close()
    assert output == b"a job640:0\n"


def test_a_named_volume_outlives_its_containers(real: Subject) -> None:
    mount = Mount(kind="volume", source=f"contract-{real.test}", target="/store")
    try:
        real.text("echo kept > /store/file", mounts=[mount])
        assert real.text("cat /store/file", mounts=[mount]) == "kept\n"
    finally:
        real.engine.remove_volume(mount.source)


def test_an_anonymous_volume_is_empty_writable_and_goes_with_the_container(api: Subject) -> None:
    import docker

    client = docker.APIClient(api.url, version="auto")
    mount = Mount(kind="anonymous", target="/data")
    for keep in (True, False):
        with api.running("hold", mounts=[mount], keep=keep) as (container, attached):
            attached.read(10)
            mounts = client.inspect_container(container)["Mounts"]
            name = next(one["Name"] for one in mounts if one["Destination"] == "/data")
        volumes = client.volumes()["Volumes"] or []
        assert name not in {one["Name"] for one in volumes}
    client.close()


def _field(status: str, name: str) -> str:
    found = re.search(rf"^{name}:\s*(\S+)", status, re.MULTILINE)
    assert found, status
    return found[1]
