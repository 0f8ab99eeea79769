"""What is seen in an extension's text without running it."""

import time
from pathlib import Path

import pytest

from containerdeploy.migration import demands, python, shell
from containerdeploy.migration.model import Sight
from containerdeploy.migration.sight import look


def see(folder: Path, text: str | bytes, interpreter: str = "/bin/sh") -> Sight:
    path = folder / "x.configure"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return look(path, interpreter)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("echo $A ${B} ${C:-d e} ${D-} ${E:=f}", "A B C=d e D= E=f"),
        ("set -u\necho $A ${B-x} ${C?no}", "A! B=x C!"),
        ("#!/bin/sh -eu\necho $A", "A!"),
        ('set -o nounset\necho "$A"', "A!"),
        (': "${A:?is needed}"', "A!"),
        ("echo '$A' \\$B # $C\necho \"it's $D\"", "D"),
        ("cat <<END\n$A\nEND\ncat <<'END'\n$B\nEND\necho $C", "A C"),
        ('x="$(echo "$A" \'$B\')"', "A"),
        ("A=1\necho $A\nB=${B:-x}\necho $B", "B=x"),
        ("for A in x; do echo $A; done; read -r B C; echo $B $C", ""),
        ("echo ${A#x} ${#B} ${C%%y} ${D[@]}", "A B C D"),
        ("echo $PATH $UPGRADE $BASH_VERSION $1 $# $? ${!}", ""),
        ("env | grep ^HOSTS_ | sort", "HOSTS_*"),
        ("for x in ${!FSTAB_@}; do echo ${!x}; done", "FSTAB_*"),
        ("compgen -v USERS_", "USERS_*"),
    ],
)
def test_a_shell_scripts_parameters_are_seen(text, expected):
    seen = [one for one in shell.reads(text) if one.is_sure]
    told = [
        one.name
        + ("!" if one.is_needed else "")
        + ("" if one.default is None else f"={one.default}")
        for one in seen
    ]
    assert " ".join(told) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mount -o loop a b; umount b", "mount umount"),
        ("if true; then losetup -f; fi", "true losetup fi"),
        ("echo mount 'losetup' # cpio", "echo"),
        ("x=$(cpio -o) && FOO=bar /usr/bin/git clone x | tar x", "cpio /usr/bin/git tar"),
        ("cat <<E\nmount x\nE\n! parted x", "cat parted"),
        ("sudo mount x", "mount"),
    ],
)
def test_a_shell_scripts_commands_are_seen(text, expected):
    assert " ".join(call.program for call in shell.calls(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("os.environ['A']; os.environ.get('B'); os.environ.get('C', 'd')", "A! B C=d"),
        ("os.getenv(\"A\", 'x'); environ[u'B']", "A=x B!"),
        ("env = os.environ.copy()\nenv['A'] = 'x'\nprint env['B']", "B!"),
        ("if 'A' in os.environ: pass\nos.environ.has_key('B'); 'C' not in env", "A B C"),
        ("for k in os.environ:\n  if k.startswith('HOSTS_'): print k", "HOSTS_*"),
        ("# os.environ['A']\n'os.environ[\"B\"]'", ""),
        ("def get(name, default=None):\n  return os.environ.get(name)\nget('A')", "A"),
    ],
)
def test_a_python_programs_parameters_are_seen(text, expected):
    program = python.split(text)
    seen = python.reads(program, python.readers(program))
    told = [
        one.name
        + ("!" if one.is_needed else "")
        + ("" if one.default is None else f"={one.default}")
        for one in seen
    ]
    assert " ".join(told) == expected


def test_what_a_module_beside_it_reads_is_told_with_the_modules_place(tmp_path):
    module = "import os\ndef get_bool(n):\n  return os.environ[n]\nL = os.environ['LABEL']\n"
    (tmp_path / "shared.py").write_text(module)
    seen = see(tmp_path, "import shared\nshared.get_bool('A')\n", "python3")
    a, label = seen.reads
    assert (a.name, a.is_boolean, a.path) == ("A", True, "")
    assert (label.name, label.is_needed, label.path) == (
        "LABEL",
        False,
        str(tmp_path / "shared.py"),
    )


@pytest.mark.parametrize(
    ("interpreter", "text", "told"),
    [
        ("python3", "print 'x'\n", "is no Python 3"),
        ("python", "import cliapp\n", "imports cliapp, which no image"),
        ("python3", "import yaml\n", "imports yaml, which no image"),
        ("python", "x = (\n", "could be read up to here only"),
        ("python3", "import os\nfor k in os.environ: print(k)\n", "goes through all parameters"),
        ("", "x", "is a compiled program"),
        ("ansible-playbook", "x", "is a program for ansible-playbook"),
    ],
)
def test_what_may_not_run_or_can_not_be_seen_is_told(tmp_path, interpreter, text, told):
    assert told in " ".join(one.text for one in see(tmp_path, text, interpreter).oddities)


@pytest.mark.parametrize("text", ["print 'x'\n", "import ConfigParser, yaml, jinja2\n", "x = `1`"])
def test_what_python_2_runs_is_no_oddity_for_python_2(tmp_path, text):
    assert see(tmp_path, text, "/usr/bin/python").oddities == ()


def test_bytes_that_are_no_utf8_stop_nothing(tmp_path):
    seen = see(tmp_path, b"#!/bin/sh\n# Caf\xe9 hosts.\necho $A\n")
    assert [one.name for one in seen.reads] == ["A"]
    assert seen.summary == "Caf\N{REPLACEMENT CHARACTER} hosts"


def test_a_licence_is_no_summary(tmp_path):
    assert see(tmp_path, "#!/bin/sh\n# Copyright (C) 2013\n# Licence: GPL\nx\n").summary == ""


@pytest.mark.parametrize("line", ["ssh x", "rsync -a t/ root@h:/", "git clone x", "curl x"])
def test_what_talks_to_other_hosts_is_seen(line):
    assert demands.network(shell.calls(line)) is not None


@pytest.mark.parametrize("line", ["rsync -a $1/ $2/", "git init x", "echo ssh"])
def test_what_stays_on_this_host_is_no_network(line):
    assert demands.network(shell.calls(line)) is None


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("mount --bind a b", "mounts (mount)"),
        ("mount -o loop a b", None),
        ("systemctl enable x", "speaks to a running init"),
        ('systemctl --root "$1" enable x', None),
        ("mknod x b 7 0", "makes a device node"),
        ("mknod x p", None),
    ],
)
def test_what_no_extension_may_is_told(line, told):
    refused = [one.text for one in demands.refused(shell.calls(line))]
    assert (told in refused[0]) if told else refused == []


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("subprocess.check_call(['mkimage', '-x'])", ["mkimage"]),
        ("os.system('cpio -o')", ["cpio"]),
        ("cmd = ['parted', '-s']", ["parted"]),
        ("users = ['git', 'www']", []),
        ("os.path.join('mount', 'x')", []),
    ],
)
def test_only_what_begins_a_command_is_a_program_of_python(call, expected):
    assert list(demands.tools(tuple(python.calls(python.split(call))))) == expected


def test_loop_devices_are_seen_and_what_a_grant_of_them_brings_is_no_tool():
    calls = shell.calls("losetup -f x; if mount -o loop a b; then mkfs.btrfs x; umount b; fi")
    assert demands.loop(calls) is not None
    assert list(demands.tools(calls)) == ["mkfs.btrfs"]


@pytest.mark.parametrize("piece", ["\n", "rm ", "$A ", "set ", "env ", "<<E\n", "a=b ", '"$(', "("])
@pytest.mark.parametrize("interpreter", ["sh", "python"])
def test_a_text_that_never_ends_is_read_in_seconds(tmp_path, piece, interpreter):
    started = time.process_time()
    seen = see(tmp_path, piece * 100_000, interpreter)
    assert seen.language
    assert time.process_time() - started < 20
