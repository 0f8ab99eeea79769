"""The kernel calls of containerdeploy.syscalls, each tried in a child process."""

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from containerdeploy import syscall_numbers, syscalls

pytestmark = pytest.mark.kernel

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
PREAMBLE = "import os, sys, struct, errno\nfrom containerdeploy import syscalls\n"
ENTER = "syscalls.unshare(syscalls.CLONE_NEWNS)\n"
ENTER += "syscalls.mount(None, '/', None, syscalls.MS_REC | syscalls.MS_PRIVATE)\n"


def run(program: str, *arguments: str | Path) -> str:
    """Run `program` in a Python of its own; return what it printed."""
    argv = [sys.executable, "-c", PREAMBLE + program, *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_call_numbers_of_this_machine_match_its_kernel_headers() -> None:
    numbers = syscall_numbers.NUMBERS
    assert numbers["x86_64"]["pivot_root"] == 155
    assert numbers["aarch64"]["pivot_root"] == 41
    assert numbers["x86_64"]["mount_setattr"] == numbers["aarch64"]["mount_setattr"] == 442
    assert numbers["x86_64"]["openat2"] == 437
    for table in numbers.values():
        assert len(set(table.values())) == len(table)


def test_there_are_41_capabilities_with_their_kernel_numbers() -> None:
    assert len(syscalls.CAPABILITIES) == 41
    assert syscalls.CAPABILITIES["SYS_ADMIN"] == 21
    assert syscalls.CAPABILITIES["CHECKPOINT_RESTORE"] == 40


def test_importing_opens_no_library() -> None:
    assert run("print(syscalls._libc.cache_info().currsize)") == "0"


def test_another_machine_is_a_clear_error() -> None:
    other = "os.uname = lambda: type('U', (), {'machine': 'riscv64'})()\n"
    program = other + "try: syscalls.unshare(0)\nexcept OSError as err: print(err.errno, err)"
    assert run(program).startswith(f"{errno.ENOSYS} [Errno {errno.ENOSYS}] no system call numbers")


def test_a_failure_names_call_errno_and_path() -> None:
    with pytest.raises(FileNotFoundError, match=r"umount2: No such file.*'/nowhere'"):
        syscalls.umount("/nowhere")


def test_openat2_stays_in_its_root_and_closes_on_exec(tmp_path: Path) -> None:
    (tmp_path / "inside").write_text("in")
    (tmp_path / "link").symlink_to("/inside")
    (tmp_path / "up").symlink_to("../../../../etc/passwd")
    root = os.open(tmp_path, os.O_PATH)
    try:
        opened = syscalls.openat2(root, "link", os.O_RDONLY, resolve=syscalls.RESOLVE_IN_ROOT)
        assert os.read(opened, 10) == b"in"
        assert not os.get_inheritable(opened)
        os.close(opened)
        with pytest.raises(OSError) as caught:
            syscalls.openat2(root, "up", os.O_RDONLY, resolve=syscalls.RESOLVE_BENEATH)
        assert caught.value.errno == errno.EXDEV
    finally:
        os.close(root)


def test_close_range_closes_exactly_the_range() -> None:
    program = (
        "low = [os.open('/dev/null', 0) for _ in range(4)]\n"
        "syscalls.close_range(low[1], low[2])\n"
        "print([os.path.exists(f'/proc/self/fd/{fd}') for fd in low])"
    )
    assert run(program) == "[True, False, False, True]"


def test_no_new_privs_dumpable_and_pdeathsig_take_effect() -> None:
    program = (
        "syscalls.set_no_new_privs(); syscalls.set_dumpable(False)\n"
        "syscalls.set_pdeathsig(9); syscalls.set_child_subreaper()\n"
        "print(syscalls.prctl(39), syscalls.prctl(3))"  # PR_GET_NO_NEW_PRIVS PR_GET_DUMPABLE
    )
    assert run(program) == "1 0"


def test_a_seccomp_program_is_enforced() -> None:
    program = (
        "number = syscalls.NUMBERS[os.uname().machine]['sethostname']\n"
        "code = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, 0x50000 | errno.EXDEV),"
        " (6, 0, 0, 0x7FFF0000)]\n"
        "syscalls.set_no_new_privs()\n"
        "syscalls.seccomp_load(b''.join(struct.pack('HBBI', *step) for step in code))\n"
        "import socket\n"
        "try: socket.sethostname('x')\n"
        "except OSError as err: print(err.errno)"
    )
    assert run(program) == str(errno.EXDEV)


def test_signals_are_reset_to_their_defaults_and_unblocked() -> None:
    program = (
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN); syscalls.reset_signals()\n"
        "wanted = ('SigBlk', 'SigIgn', 'SigCgt')\n"
        "print([int(l.split()[1], 16) for l in open('/proc/self/status') if l[:6] in wanted])"
    )
    assert run(program) == "[0, 0, 0]"


def test_syncfs_takes_a_directory(tmp_path: Path) -> None:
    root = os.open(tmp_path, os.O_RDONLY)
    syscalls.syncfs(root)
    os.close(root)
    with pytest.raises(OSError, match="syncfs"):
        syscalls.syncfs(root)


@NEEDS_ROOT
def test_a_tmpfs_is_mounted_and_unmounted_in_a_namespace_of_its_own(tmp_path: Path) -> None:
    program = ENTER + (
        "syscalls.mount('x', sys.argv[1], 'tmpfs', syscalls.MS_NODEV, 'size=64k')\n"
        "print(os.path.ismount(sys.argv[1]), end=' ')\n"
        "syscalls.umount(sys.argv[1], syscalls.MNT_DETACH)\n"
        "print(os.path.ismount(sys.argv[1]))"
    )
    assert run(program, tmp_path) == "True False"
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


@NEEDS_ROOT
def test_a_detached_copy_of_a_mount_is_made_read_only_and_attached(tmp_path: Path) -> None:
    program = ENTER + (
        "tree = syscalls.open_tree('/usr')\n"
        "syscalls.mount_setattr(tree, attr_set=syscalls.MOUNT_ATTR_RDONLY)\n"
        "place = os.open(sys.argv[1], os.O_PATH)\n"
        "syscalls.move_mount(syscalls.open_tree('/etc'), place)\n"
        "print(os.path.exists(sys.argv[1] + '/passwd'))\n"
        "syscalls.move_mount(tree, sys.argv[1])\n"
        "print(os.path.isdir(sys.argv[1] + '/bin'), os.access(sys.argv[1], os.W_OK))"
    )
    assert run(program, tmp_path).split() == ["True", "True", "False"]


@NEEDS_ROOT
def test_the_root_is_pivoted(tmp_path: Path) -> None:
    program = ENTER + (
        "syscalls.mount('x', sys.argv[1], 'tmpfs'); os.mkdir(sys.argv[1] + '/only')\n"
        "os.chdir(sys.argv[1]); syscalls.pivot_root('.', '.')\n"
        "syscalls.umount('.', syscalls.MNT_DETACH); os.chdir('/'); print(os.listdir('/'))"
    )
    assert run(program, tmp_path) == "['only']"


@NEEDS_ROOT
def test_a_namespace_is_entered_by_its_descriptor() -> None:
    program = (
        "name = '/proc/self/ns/uts'; own = os.open(name, os.O_RDONLY)\n"
        "before = os.readlink(name); syscalls.unshare(syscalls.CLONE_NEWUTS)\n"
        "inside = os.readlink(name); syscalls.setns(own, syscalls.CLONE_NEWUTS)\n"
        "print(inside != before, os.readlink(name) == before)"
    )
    assert run(program) == "True True"


@NEEDS_ROOT
def test_a_host_name_is_set_in_a_namespace_of_its_own() -> None:
    program = "syscalls.unshare(syscalls.CLONE_NEWUTS); syscalls.sethostname('elsewhere')\n"
    assert run(program + "print(os.uname().nodename)") == "elsewhere"
    assert os.uname().nodename != "elsewhere"


@NEEDS_ROOT
def test_a_new_network_namespace_gets_its_loopback_up() -> None:
    program = (
        "import socket; syscalls.unshare(syscalls.CLONE_NEWNET); syscalls.loopback_up()\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(server.getsockname(), timeout=5); print('up')"
    )
    assert run(program) == "up"
    assert socket.if_nameindex()


@NEEDS_ROOT
def test_capabilities_and_file_ids_are_set_as_asked() -> None:
    program = (
        "keep = 1 << 0 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 40\n"
        "syscalls.setfsgid(1234); syscalls.setfsuid(1234)\n"
        "syscalls.drop_bounding(21)\n"
        "status = open('/proc/thread-self/status').read().split('\\n')\n"
        "has = int(dict(l.split(':\\t') for l in status if ':\\t' in l)['CapPrm'], 16)\n"
        "syscalls.capset(keep & has, keep & has, 0)\n"
        "fields = dict(l.split(':\\t') for l in open('/proc/thread-self/status') if ':\\t' in l)\n"
        "print(fields['Uid'].split()[3], fields['Gid'].split()[3],"
        " int(fields['CapEff'], 16) == keep & has, int(fields['CapBnd'], 16) >> 21 & 1)"
    )
    assert run(program) == "1234 1234 True 0"


@NEEDS_ROOT
def test_a_refused_file_id_is_an_error() -> None:
    program = (
        "os.setresuid(1234, 1234, 1234)\n"
        "try: syscalls.setfsuid(0)\n"
        "except PermissionError as err: print(err)"
    )
    assert "setfsuid 0" in run(program)
