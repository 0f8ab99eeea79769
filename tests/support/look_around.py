#!/usr/bin/python3
"""An extension that looks around and prints what it sees as JSON; runs inside, on its own."""

import errno
import json
import os
import resource
import socket
import stat
import sys

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


def lines(path):
    return open(path).read().splitlines()


def attempt(action, *arguments):
    try:
        action(*arguments)
        return "done"
    except OSError as err:
        return errno.errorcode[err.errno]


def make(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def mounts(name):
    for row in lines("/proc/self/mountinfo"):
        words = row.split()
        if words[4] == name:
            return words[5].split(",")
    return None


def is_open(name):
    return os.path.lexists(f"/proc/self/fd/{name}")


def look():
    status = dict(row.split(":\t", 1) for row in lines("/proc/self/status") if ":\t" in row)
    umask = os.umask(0o022)
    os.close(os.open("/tree/made", os.O_CREAT | os.O_WRONLY, 0o666))
    return {
        "ids": [*os.getresuid(), *os.getresgid()],
        "groups": os.getgroups(),
        "status": status,
        "uid_map": open("/proc/self/uid_map").read().split(),
        "namespaces": {name: os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES},
        "interfaces": [name for _, name in socket.if_nameindex()],
        "host": [socket.gethostname(), os.uname().nodename],
        "environment": dict(os.environ),
        "cwd": os.getcwd(),
        "definitions": attempt(make, "/definitions/planted"),
        "root": attempt(make, "/planted"),
        "sysctl": attempt(open, "/proc/sys/kernel/hostname", "w"),
        "core_pattern": attempt(open, "/proc/sys/kernel/core_pattern", "w"),
        "sysrq": attempt(open, "/proc/sysrq-trigger", "w"),
        "tools": {name: attempt(make, f"/{name}/planted") for name in ("usr", "etc", "dev", "sys")},
        "chmod": attempt(os.chmod, "/usr/bin", 0o777),
        "descriptors": {
            int(name): os.readlink(f"/proc/self/fd/{name}").split(":")[0] for name in DESCRIPTORS
        },
        "umask": umask,
        "made": stat.S_IMODE(os.stat("/tree/made").st_mode),
        "dev": sorted(os.listdir("/dev")),
        "null": attempt(open, "/dev/null", "w"),
        "random": len(open("/dev/urandom", "rb").read(8)),
        "tmpdir": [attempt(make, os.environ["TMPDIR"] + "/big"), os.listdir("/var/tmp")],
        "tmp": [attempt(make, "/tmp/x"), os.listdir("/tmp")],
        "shm": attempt(make, "/dev/shm/x"),
        "home": attempt(make, "/root/x"),
        "at_root": sorted(os.listdir("/")),
        "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
        "init": [
            attempt(os.listdir, "/proc/1/fd"),
            attempt(open, "/proc/1/mem"),
            attempt(os.readlink, "/proc/1/exe"),
            attempt(os.listdir, "/proc/1/root/"),
        ],
        "nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "oom": int(open("/proc/self/oom_score_adj").read()),
        "signals": [status[name] for name in ("SigBlk", "SigIgn")],
        "session": [os.getsid(0) == os.getpid(), attempt(open, "/dev/tty")],
        "tree_mount": mounts("/tree"),
        "store": [os.path.exists(f"/{name}") for name in ("store", "sources", "output", "nonce")],
        "arguments": sys.argv,
        "limits": {
            name: int(open(f"/proc/sys/user/{name}").read())
            for name in ("max_user_namespaces", "max_mnt_namespaces")
        },
    }


DESCRIPTORS = [name for name in os.listdir("/proc/self/fd") if is_open(name)]
print(json.dumps(look()))
