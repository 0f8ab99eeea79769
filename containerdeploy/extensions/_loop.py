#!/usr/bin/env python3
"""What losetup, mount and umount are for an extension that was granted loop devices.

They ask the agent, through a socket, to do what the extension itself may not. An image is opened
here, with the extension's own rights, and handed over.
"""

import array
import json
import os
import socket
import stat
import sys
from typing import Any, NoReturn

SOCKET = "/loops/socket"
LONGEST = 16 * 1024
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def main() -> None:
    name = sys.argv[0].rpartition("/")[2]
    programs = {"losetup": losetup, "mount": mount, "umount": umount}
    programs[name](sys.argv[1:])


def losetup(words: list[str]) -> None:
    """losetup [--find] [--show] [--offset N] [--sizelimit N] [--read-only] FILE; -d, -D, -a, -j."""
    values = {"-o": "--offset", "-d": "--detach", "-j": "--associated"}
    flags = {"-f": "--find", "-r": "--read-only", "-a": "--all", "-D": "--detach-all"}
    flags |= {"-P": "--partscan", "--show": "--show", "-v": "--verbose"}
    options, rest = parse(words, values | {"--sizelimit": "--sizelimit"}, flags)
    if "--partscan" in options:
        say("losetup: --partscan is ignored: attach each partition with --offset and --sizelimit")
    if "--detach" in options or "--detach-all" in options:
        devices = [*options.get("--detach", []), *rest]
        for device in (
            list(ask({"do": "list"})["devices"]) if "--detach-all" in options else devices
        ):
            ask({"do": "detach", "device": device})
    elif "--find" in options and rest:
        attach(rest[-1], options)
    elif len(rest) == 2:
        die("losetup: let it choose a device, with --find --show")
    else:
        show(options, rest)


def attach(path: str, options: dict[str, list[str]]) -> None:
    request = {"do": "attach", "name": path, "read-only": "--read-only" in options}
    request |= spans(options.get("--offset"), options.get("--sizelimit"))
    answer = ask(request, path)
    if "--show" in options:
        sys.stdout.write(f"{answer['device']}\n")


def show(options: dict[str, list[str]], devices: list[str]) -> None:
    """List what is attached: all, of one file, or one device."""
    wanted = [os.path.realpath(path) for path in options.get("--associated", [])]
    for device, name in ask({"do": "list"})["devices"].items():
        if (not wanted or os.path.realpath(name) in wanted) and (not devices or device in devices):
            sys.stdout.write(f"{device}: []: ({name})\n")


def mount(words: list[str]) -> None:
    """mount [-t TYPE] [-o OPTIONS] DEVICE-OR-IMAGE DIRECTORY; without arguments, a list."""
    values = {"-t": "--types", "-o": "--options"}
    flags = {"-r": "--read-only", "-v": "--verbose", "-n": "--no-mtab", "-w": "--rw"}
    options, rest = parse(words, values, flags)
    if not rest:
        with open("/proc/self/mounts", "rb") as file:
            sys.stdout.buffer.write(file.read())
        return
    if len(rest) != 2:
        die("mount: give a loop device or an image, and a directory")
    given = [word for group in options.get("--options", []) for word in group.split(",") if word]
    apart = dict(word.split("=", 1) for word in given if word.startswith(("offset=", "sizelimit=")))
    plain = [word for word in given if word.partition("=")[0] not in ("offset", "sizelimit")]
    if "--read-only" in options:
        plain.append("ro")
    request: dict[str, Any] = {"do": "mount", "target": os.path.realpath(rest[1])}
    request |= {"options": plain, "read-only": "ro" in plain}
    if (fstype := options.get("--types", ["auto"])[-1]) != "auto":
        request["type"] = fstype
    if stat.S_ISBLK(os.stat(rest[0]).st_mode):
        ask({**request, "device": rest[0]})
    else:
        offset, limit = apart.get("offset"), apart.get("sizelimit")
        span = spans([offset] if offset else None, [limit] if limit else None)
        ask({**request, **span, "name": rest[0]}, rest[0])


def umount(words: list[str]) -> None:
    """umount DIRECTORY-OR-DEVICE..."""
    flags = dict.fromkeys(["-l", "-f", "-v", "-n", "-d", "-R", "-r"], "--ignored")
    flags |= dict.fromkeys(["--lazy", "--force", "--detach-loop", "--recursive"], "--ignored")
    _, rest = parse(words, {}, flags)
    for target in rest:
        known = target if target.startswith("/dev/") else os.path.realpath(target)
        ask({"do": "umount", "target": known})


def parse(
    words: list[str], values: dict[str, str], flags: dict[str, str]
) -> tuple[dict[str, list[str]], list[str]]:
    """Sort words into options with their values, by long name, and the rest; as getopt does."""
    found: dict[str, list[str]] = {}
    rest: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        name, equals, value = word.partition("=")
        if word == "--":
            return found, rest + queue
        if name in values.values() or word in values:
            given = value if equals else queue.pop(0) if queue else die(f"{word} needs a value")
            found.setdefault(values.get(word, name), []).append(given)
        elif word in flags or word in flags.values():
            found.setdefault(flags.get(word, word), [])
        elif len(word) > 2 and word[0] == "-" and word[:2] in values:
            found.setdefault(values[word[:2]], []).append(word[2:])
        elif len(word) > 2 and word[0] == "-" and word[:2] in flags:
            queue[:0] = [word[:2], f"-{word[2:]}"]
        elif len(word) > 1 and word[0] == "-":
            die(f"the option {word} can't be had here")
        else:
            rest.append(word)
    return found, rest


def spans(offset: list[str] | None, limit: list[str] | None) -> dict[str, int]:
    return {"offset": size(offset), "limit": size(limit)}


def size(words: list[str] | None) -> int:
    """Read a size in bytes, or with a unit such as 4M."""
    if not words:
        return 0
    number, unit = words[-1], 1
    for letter, factor in UNITS.items():
        for ending in (f"{letter}iB", letter):
            if number.endswith(ending):
                number, unit = number.removesuffix(ending), factor
    try:
        return int(number, 0) * unit
    except ValueError:
        die(f"{words[-1]!r} is no size")


def ask(request: dict[str, Any], image: str | None = None) -> dict[str, Any]:
    """Send a request, with an image's descriptor; end the program where the answer is a refusal."""
    read_only = request.get("read-only")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(SOCKET)
        data, rights = json.dumps(request).encode("ascii"), []
        if image is not None:
            descriptor = os.open(image, (os.O_RDONLY if read_only else os.O_RDWR) | os.O_CLOEXEC)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        connection.sendmsg([data], rights)
        answer: dict[str, Any] = json.loads(connection.recv(LONGEST) or b"null") or {}
    if answer.get("code") != 0:
        about = image or request.get("target") or request.get("device") or ""
        die(f"{about}: {answer.get('text') or 'no answer'}", answer.get("code", 1))
    return answer


def say(words: str) -> None:
    sys.stderr.write(words + "\n")


def die(words: str, code: int = 1) -> NoReturn:
    name = sys.argv[0].rpartition("/")[2]
    say(words if words.startswith(name) else f"{name}: {words}")
    sys.exit(code)


if __name__ == "__main__":
    try:
        main()
    except OSError as err:
        die(f"{err.filename or SOCKET}: {err.strerror or err}")
