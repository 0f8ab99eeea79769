"""The product where an ordinary account can read it: a checkout may lie in a home of root's own."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sites


@contextmanager
def readable_path() -> Iterator[str]:
    """Yield a PYTHONPATH that leads anybody to the product, through a copy where need be."""
    if all(_is_open_to_all(Path(one)) for one in sites.python_path().split(":")):
        yield sites.python_path()
        return
    with tempfile.TemporaryDirectory(prefix="containerdeploy-product-", dir="/var/tmp") as place:
        os.chmod(place, 0o755)
        shutil.copytree(sites.ROOT / "containerdeploy", Path(place, "containerdeploy"))
        for packages in (path for path in sys.path if path.endswith("site-packages")):
            shutil.copytree(packages, place, dirs_exist_ok=True)
        yield place


def _is_open_to_all(path: Path) -> bool:
    return all(one.stat().st_mode & 0o005 == 0o005 for one in (path, *path.parents))
