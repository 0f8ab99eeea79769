"""What an extension says can't act on the terminal that shows it."""

import subprocess
from collections.abc import Callable

import pytest
from deploy_world import World
from sites import Site
from terminals import Terminal

from containerdeploy.selftest import attacks

PATIENCE_S = 120.0


@pytest.mark.parametrize("progress", ["plain", "rich"])
def test_escapes_meant_for_the_terminal_do_not_reach_it(
    site: Site, new_world: Callable[[str], World], progress: str
) -> None:
    world = new_world(f"terminal-{progress}")
    script = attacks.files()["loud.configure"]
    world.extension("loud.configure", script)
    world.system("loud", {"loud": {"type": "tar", "location": "loud.tar"}}, "loud")
    argv = world.argv("deploy", f"--progress={progress}")
    with Terminal() as terminal:
        environment = {**site.environment, "TERM": "xterm"}
        streams = {"stdout": terminal.stream, "stderr": terminal.stream}
        subprocess.run(argv, cwd=world.directory, env=environment, timeout=PATIENCE_S, **streams)
    assert "owned" in terminal.sent or progress == "rich"
    assert "deployed" in terminal.sent
    assert "\x1b[2J" not in terminal.sent
    assert "\x1b]0;" not in terminal.sent
