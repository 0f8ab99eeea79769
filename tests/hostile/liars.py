"""Agents that lie: these run in a helper in the agent's stead, each for the system of its name.

A liar is given its voice, and its job from the first configuration step on; whoever is not named
here is honest. What is announced beside a lie is what an agent would say.
"""

import hashlib
import os
import sys
import threading
import time
from contextlib import suppress

from containerdeploy import wire

SECRET = "/etc/passwd"
GOOD = b"good\n" * 100_000
ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe\u2066\u200b\u2028a" + "\u0301" * 50 + "\x1bP"


class Voice:
    """Says events; knows the one deployment of its job."""

    def __init__(self, job):
        self.job = job
        (self.deployment,) = job.deployments
        self.configure, self.write = self.deployment.configure[0], self.deployment.write
        self.output = self.deployment.output
        self.place = f"{wire.OUTPUT}/{self.output.slot}"
        self.path = f"{self.place}/{self.output.name}"

    def say(self, *events):
        self.raw(b"".join(wire.encode(event) for event in events))

    def raw(self, data):
        while data:
            data = data[os.write(1, data) :]

    def begin(self, **fields):
        """Greet, pass the check, wait for leave to go on."""
        with open(wire.NONCE) as file:
            told = {"run": self.job.run, "nonce": file.read(), "python": "3.11", "kernel": "6"}
        how = {"version": wire.VERSION, "isolation": "strict", "limits": "rlimits"}
        self.say(wire.Hello(**{**told, **how, **fields}))
        if self.deployment.check:
            self.start(self.deployment.check)
            self.end(self.deployment.check)
        if self.job.waits:
            self.say(wire.Checked())
            while wire.GO not in (heard := os.read(0, 100)):
                assert heard, "the controller went away"

    def start(self, step):
        name = self.deployment.name
        self.say(wire.StepStarted(deployment=name, step=step.id, kind=step.kind, name=step.name))

    def end(self, step, outcome="ok", **fields):
        self.say(wire.StepFinished(step=step.id, outcome=outcome, **fields))

    def log(self, text, stream="stdout", **fields):
        self.say(wire.Log(step=self.configure.id, stream=stream, text=text, **fields))

    def announce(self, **fields):
        what = {"kind": "file", "size_bytes": len(GOOD), "sha256": hashlib.sha256(GOOD).hexdigest()}
        where = {"deployment": self.deployment.name, "slot": self.output.slot}
        self.say(wire.Artifact(**{**what, **where, "name": self.output.name, **fields}))

    def to_the_write_step(self):
        self.start(self.configure)
        self.end(self.configure)
        self.start(self.write)

    def leave(self, **fields):
        """Write what is good, announce it with these lies, and say that all is well."""
        self.to_the_write_step()
        self.put(GOOD)
        self.announce(**fields)
        self.all_is_well()

    def put(self, data):
        with open(self.path, "wb") as file:
            file.write(data)

    def all_is_well(self):
        self.end(self.write)
        self.say(wire.Finished(outcome="ok"))


def floods_text(voice):
    voice.start(voice.configure)
    log = wire.Log(step=voice.configure.id, stream="stdout", text="x" * wire.TEXT_PER_LINE)
    piece = wire.encode(log) * 50
    while True:
        voice.raw(piece)


def floods_lines(voice):
    voice.start(voice.configure)
    piece = wire.encode(wire.Log(step=voice.configure.id, stream="stdout", text="")) * 500
    while True:
        voice.raw(piece)


def floods_changes(voice):
    voice.start(voice.configure)
    changes = (wire.Change(kind="added", path="x" * 100),) * wire.CHANGES_PER_EVENT
    piece = wire.encode(wire.Changed(step=voice.configure.id, changes=changes)) * 10
    while True:
        voice.raw(piece)


def floods_progress(voice):
    voice.start(voice.configure)
    said = wire.Progress(step=voice.configure.id, done=1, total=0, unit="bytes")
    piece = wire.encode(said) * 500
    while True:
        voice.raw(piece)


def never_ends_a_line(voice):
    voice.start(voice.configure)
    while True:
        voice.raw(b"x" * (1 << 20))


def floods_stderr(voice):
    voice.start(voice.configure)
    while True:
        os.write(2, ESCAPES.encode() * 1000)


def falls_silent(voice):
    voice.start(voice.configure)
    time.sleep(3600)


def talks_for_ever(voice):
    voice.start(voice.configure)
    while True:
        voice.log("still here")
        time.sleep(0.05)


def says_it_is_done_undone(voice):
    voice.say(wire.Finished(outcome="ok"))


def gives_a_wrong_digest(voice):
    voice.leave(sha256="0" * 64)


def gives_a_wrong_size(voice):
    voice.leave(size_bytes=len(GOOD) + 1)


def leads_up(voice):
    voice.leave(name="../escaped")


def names_another_system(voice):
    voice.leave(slot="1" if voice.output.slot == "0" else "0", deployment="honest")


def sends_two(voice):
    voice.to_the_write_step()
    voice.put(GOOD)
    voice.announce()
    voice.announce()


def leaves_a_link(voice):
    with open(SECRET, "rb") as file:
        data = file.read()
    voice.to_the_write_step()
    os.symlink(SECRET, voice.path)
    voice.announce(size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    voice.all_is_well()


def leaves_a_link_for_a_directory(voice):
    voice.to_the_write_step()
    os.symlink("/etc", voice.path)
    voice.announce(kind="directory", size_bytes=0, sha256="")
    voice.all_is_well()


def leaves_ten_terabytes_of_nothing(voice):
    voice.to_the_write_step()
    size = 10 << 40
    with open(voice.path, "wb") as file:
        os.truncate(file.fileno(), size)
    voice.announce(size_bytes=size)
    voice.all_is_well()


def leaves_a_device(voice):
    voice.to_the_write_step()
    os.makedirs(f"{voice.path}/a/b")
    try:
        os.mknod(f"{voice.path}/a/b/disk", 0o60666, os.makedev(8, 0))
    except PermissionError:  # an ordinary user's helper can't, and then there is no lie
        voice.say(wire.Finished(outcome="failed", error="no device node can be made"))
        return
    voice.announce(kind="directory", size_bytes=0, sha256="")
    voice.all_is_well()


def digs_deep(voice):
    """Directories, 3,000 levels of them, are in the way of whoever cleans up."""
    voice.to_the_write_step()
    os.chdir(voice.place)
    for _ in range(3000):
        os.mkdir("d")
        os.chdir("d")
    voice.say(wire.Finished(outcome="failed", error="dug"))


def swaps(voice):
    """The good file comes and goes, is a link, is written to, while the controller takes it."""
    voice.to_the_write_step()
    voice.put(GOOD)
    os.link(voice.path, f"{voice.place}/kept")
    threading.Thread(target=_swap, args=(voice,), daemon=True).start()
    threading.Thread(target=_overwrite, args=(voice,), daemon=True).start()
    voice.announce()
    voice.end(voice.write)
    time.sleep(0.3)
    voice.say(wire.Finished(outcome="ok"))
    time.sleep(3600)


def _swap(voice):
    while True:
        for make in (lambda to: os.symlink(SECRET, to), lambda to: os.link("kept", to), os.mkdir):
            try:
                os.chdir(voice.place)
                make("next")
                os.rename("next", voice.output.name)
            except OSError:
                for remove in (os.unlink, os.rmdir):
                    with suppress(OSError):
                        remove("next")


def _overwrite(voice):
    held = os.open(f"{voice.place}/kept", os.O_RDWR)
    while True:
        os.pwrite(held, b"evil\n" * 100, 0)


def writes_for_ever(voice):
    """The step is over, the stream is not."""
    voice.to_the_write_step()
    os.mkfifo(voice.path)
    voice.announce(kind="stream", size_bytes=0, sha256="")
    fifo = os.open(voice.path, os.O_WRONLY)
    threading.Thread(target=_write, args=(fifo,), daemon=True).start()
    time.sleep(0.2)
    voice.all_is_well()
    time.sleep(3600)


def _write(fifo):
    while True:
        os.write(fifo, bytes(1 << 20))


def fills_the_disk(voice):
    voice.to_the_write_step()
    os.mkfifo(voice.path)
    voice.announce(kind="stream", size_bytes=0, sha256="")
    fifo = os.open(voice.path, os.O_WRONLY)
    try:
        _write(fifo)
    except BrokenPipeError:
        voice.end(voice.write)


def streams_from_a_file(voice):
    voice.to_the_write_step()
    voice.put(GOOD)
    voice.announce(kind="stream", size_bytes=0, sha256="")
    voice.all_is_well()


def speaks_in_escapes(voice):
    """Escapes wherever a text may stand."""
    voice.start(voice.configure)
    for stream in ("stdout", "stderr", "log", "agent"):
        voice.log(ESCAPES, stream)
        voice.log(ESCAPES, stream, partial=True)
    changes = tuple(
        wire.Change(kind=kind, path=f"etc/{ESCAPES}\n{kind}", size_after=1, detail=ESCAPES)
        for kind in ("added", "modified", "mode")
    )
    voice.say(wire.Changed(step=voice.configure.id, changes=changes))
    voice.end(voice.configure, "failed", detail=f"{ESCAPES}\n[honest] deployed", exit_code=1)
    os.write(2, ESCAPES.encode())
    voice.say(wire.Finished(outcome="failed", error=f"{ESCAPES}\nroot#", hint=f"{ESCAPES}\nroot#"))


HELLO = {
    "speaks_in_escapes": {
        "python": ESCAPES,
        "kernel": ESCAPES,
        "weaker": (ESCAPES, f"\n{ESCAPES}"),
        "facts": {ESCAPES: ESCAPES},
    },
    "answers_for_another_run": {"run": "containerdeploy-20200101T000000-000000000-0"},
}


def answers_for_another_run(voice):
    """It would go on, but nobody listens."""


def lie(job_line, be_honest):
    """Lie as the system's name says; this is called where the agent would begin."""
    job = wire.decode_job(job_line)
    name = job.system.replace("-", "_")
    liar = globals().get(name) if job.kind == "deploy" else None
    if liar is None:
        be_honest()
        return
    voice = Voice(job)
    try:
        voice.begin(**HELLO.get(name, {}))
        liar(voice)
    except BrokenPipeError:
        sys.exit(1)
