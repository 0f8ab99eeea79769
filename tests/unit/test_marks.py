"""What marks an archive for an ordinary user's disk is given whatever there is."""

import io
import random
import subprocess
import sys
import tarfile
from pathlib import Path

import containerdeploy

EXTENSIONS = Path(containerdeploy.__file__).with_name("extensions")
ROUNDS = 60
EVERYBODY, ROOT = "0+4294967295", "0+1"
# Marks every archive of a directory, for one start of Python costs more than all of them.
RUNNER = """
import io, os, sys
sys.path.insert(0, sys.argv[1])
from _marks import Marker
class Sink(io.BytesIO):
    pass
for name in sorted(os.listdir(sys.argv[3])):
    target = Sink()
    with open(f"{sys.argv[3]}/{name}", "rb", buffering=0) as source:
        Marker(sys.argv[2]).run(source, target, sys.argv[4])
    with open(f"{sys.argv[5]}/{name}", "wb") as stream:
        stream.write(target.getvalue())
"""


def archive(form: int, *, devices: bool = True) -> bytes:
    """Make an archive with something of every kind."""
    buffer = io.BytesIO()
    kinds = [tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]
    with tarfile.open(fileobj=buffer, mode="w", format=form) as made:
        for number, kind in enumerate([*kinds, *([tarfile.CHRTYPE] if devices else [])]):
            one = tarfile.TarInfo(f"{number}/" + "n" * (120 if number % 2 else 5))
            one.type, one.linkname, one.uid = kind, "1/x", 1000
            one.devmajor, one.devminor = 1, 3
            one.size = 700 if kind == tarfile.REGTYPE else 0
            if form == tarfile.PAX_FORMAT:
                one.pax_headers = {"SCHILY.xattr.user.a": "b"}
            made.addfile(one, io.BytesIO(b"x" * one.size))
    return buffer.getvalue()


def marked(place: Path, archives: list[bytes], mapped: str) -> list[bytes]:
    """Return what becomes of the archives."""
    for name in ("in", "kept", "out"):
        (place / name).mkdir()
    for number, data in enumerate(archives):
        (place / "in" / f"{number:04}").write_bytes(data)
    argv = [sys.executable, "-S", "-c", RUNNER, EXTENSIONS, mapped]
    subprocess.run(
        [*argv, *(place / name for name in ("in", "kept", "out"))], check=True, timeout=60
    )
    return [(place / "out" / f"{number:04}").read_bytes() for number in range(len(archives))]


FORMS = (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)


def test_an_archive_that_needs_no_marks_goes_through_as_it_is(tmp_path: Path) -> None:
    plain = [archive(form, devices=False) for form in FORMS]
    assert marked(tmp_path, plain, EVERYBODY) == plain


def test_devices_and_foreign_owners_become_what_an_ordinary_user_can_make(tmp_path: Path) -> None:
    for data in marked(tmp_path, [archive(form) for form in FORMS], ROOT):
        with tarfile.open(fileobj=io.BytesIO(data)) as made:
            members = made.getmembers()
        assert len(members) == 6
        assert {one.uid for one in members if not one.islnk()} == {0}
        assert members[-1].isreg()
        assert members[-1].pax_headers["SCHILY.xattr.user.containerdeploy.node"] == "c 1 3"
        assert members[1].pax_headers["SCHILY.xattr.user.containerdeploy.owner"] == "1000:0"


def test_no_damaged_archive_brings_the_marker_down(tmp_path: Path) -> None:
    """Bytes are changed, cut out and doubled; what can't be understood goes through to tar."""
    chance = random.Random(20)
    damaged = []
    for number in range(ROUNDS):
        data = bytearray(archive(FORMS[number % 2]))
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(data))
            match chance.randrange(4):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at:]
                case 2:
                    del data[at : at + chance.choice((1, 512, 1000))]
                case _:
                    data[at:at] = data[at : at + chance.choice((1, 512, 1000))]
            data = data or bytearray(1)
        damaged.append(bytes(data))
    damaged += [b"", b"\0", b"x" * 511, b"\xff" * 4096]
    assert len(marked(tmp_path, damaged, ROOT)) == len(damaged)
