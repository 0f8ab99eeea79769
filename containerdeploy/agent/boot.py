"""Brings the agent up from its archive; the few lines before it are in helper/payload.py."""

import json
import os
from zipimport import zipimporter

from containerdeploy.agent import main

INDEX = "extensions/index.json"


def boot(archive: str, job_line: bytes) -> None:
    """Run the agent; `archive` is the path of the zip file that it was loaded from."""
    loader = zipimporter(archive)

    def install_extensions(directory: str) -> None:
        modes = json.loads(loader.get_data(f"{archive}/{INDEX}"))
        for name, mode in modes.items():
            path = f"{directory}/{name}"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(loader.get_data(f"{archive}/extensions/{name}"))
            os.chmod(path, mode)

    main.main(job_line, install_extensions)
