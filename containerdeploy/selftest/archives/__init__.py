"""Hostile archives, and what must become of each: unpacked as by GNU tar, or refused by name.

raw.py        tar archives, byte by byte
model.py      what a hostile archive is
paths.py      names that lead out
links.py      links, and members that go through them
nodes.py      devices, programs with rights, marks of overlayfs
names.py      names that something stumbles over
overrides.py  headers that say something else than the member
sparse.py     files with holes
bombs.py      what is small and becomes large
framing.py    what ends too early, too late or twice
catalogue.py  all of them, laid out for a helper
described.py  a tree as a value to compare
compare.py    compares bases with GNU tar's own unpacking; runs in a helper
harm.py       an unpacker without protection; runs in a helper
family.py     the family of attacks
"""

from containerdeploy.selftest.archives.family import attempt as attempt
from containerdeploy.selftest.archives.family import control as control
