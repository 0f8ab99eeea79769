"""What tar complains of, line by line as it comes: what is to be put up with, and what is not.

tar ends with the same code whether a file could not be written or only a device could not be made,
so its words decide. Each pattern is held to a line's end, where tar's own words stand: what is
before them may be any name.
"""

import re

# Ordinary users can't make devices, nor give files to ids that they don't have. Both are marked
# before tar gets to see them; these are what could not be, for only tar understood the archive.
LOSS = re.compile(
    r": Cannot mknod: Operation not permitted$"
    r"|: Cannot change ownership to uid \d+, gid \d+: (Operation not permitted|Invalid argument)$"
)
WARNING = re.compile(
    r"tar: Removing leading `.*' from (member names|hard link targets)$"
    r"|tar: A lone zero block at \d+$"
    r"|tar: Ignoring unknown extended header keyword '.*'$"
    r"|: Unknown file type '.*', extracted as normal file$"
    r"|: implausibly old time stamp \S+$|: time stamp \S+ \S+ is \S+ s in the future$"
    r"|: Cannot set '(?!user\.containerdeploy\.).*' extended attribute for file '.*': [^:]*$"
    r"|Exiting with failure status due to previous errors$"
)
LONGEST_LINE = 1 << 16


class Complaints:
    """Counts what is lost; `are_harmless` when all that was said is, and explains tar's code."""

    def __init__(self, *, rootless: bool) -> None:
        self._rootless = rootless
        self._held = ""
        self._is_serious = False
        self.losses = 0

    @property
    def are_harmless(self) -> bool:
        return self.losses > 0 and not self._is_serious

    def hear(self, text: str) -> None:
        """Take the next piece; it may begin and end anywhere."""
        *lines, self._held = (self._held + text).split("\n")
        for line in lines:
            self._weigh(line)
        if len(self._held) > LONGEST_LINE:
            self._held, self._is_serious = "", True

    def _weigh(self, line: str) -> None:
        if self._rootless and LOSS.search(line):
            self.losses += 1
        elif line.strip() and not WARNING.search(line):
            self._is_serious = True
