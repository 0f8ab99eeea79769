"""Brings the agent up from its bundle; the few lines before it are in helper/payload.py."""

import gc
import os
from collections.abc import Mapping

from containerdeploy.agent import main


def boot(extensions: Mapping[str, tuple[int, bytes]], job_line: bytes) -> None:
    """Run the agent; `extensions` are the built-in ones by name: mode and content."""

    def install_extensions(directory: str) -> None:
        for name, (mode, content) in extensions.items():
            path = f"{directory}/{name}"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
            os.chmod(path, mode)

    # The bootstrap loads everything with the collector off. What is loaded stays: children that
    # are forked share its memory longer when no collection touches it.
    gc.freeze()
    gc.enable()
    main.main(job_line, install_extensions)
