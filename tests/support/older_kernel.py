"""Runs a command as on a kernel that lacks system calls.

python older_kernel.py CALL[,CALL…] COMMAND…
"""

import errno
import os
import struct
import sys

from containerdeploy import syscall_numbers, syscalls

LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000


def main(names: list[str], command: list[str]) -> None:
    numbers = syscall_numbers.NUMBERS[os.uname().machine]
    code = [(LOAD, 0, 0, 0)]
    for name in names:
        code += [(EQUAL, 0, 1, numbers[name]), (RETURN, 0, 0, ERRNO | errno.ENOSYS)]
    code.append((RETURN, 0, 0, ALLOW))
    syscalls.set_no_new_privs()
    syscalls.seccomp_load(b"".join(struct.pack("HBBI", *item) for item in code))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1].split(","), sys.argv[2:])
