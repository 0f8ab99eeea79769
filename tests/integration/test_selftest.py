"""The self-test as a command: what of it does not depend on the attacks."""

import os
import signal
import time
from pathlib import Path

from sites import Site

PATIENCE_S = 60.0


def test_an_interrupted_self_test_finds_nothing_and_leaves_nothing(any_site: Site) -> None:
    before = any_site.residue()
    *command, engine = any_site.argv("selftest")
    argv = [*command, "isolation", engine, "--only=extensions"]
    process = any_site.start(argv, Path("/"))
    time.sleep(3)  # somewhere in the attacks
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, said
    assert "GOT THROUGH" not in said
    assert any_site.left_since(before) == {}
