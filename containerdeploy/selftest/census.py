"""Looks into the self-test's store from a helper of its own, on any engine and as any user."""

import json

from containerdeploy import wire
from containerdeploy.selftest import inside, sample
from containerdeploy.selftest.ground import Ground

SHELVES = ["bases", "locks", "tmp"]
LOOK = f"""\
import json, os
found = {{"shelves": sorted(os.listdir("{wire.STORE}")), "tmp": os.listdir("{wire.STORE}/tmp")}}
found["bases"] = [
    sorted(os.path.relpath(os.path.join(directory, name), f"{{tree}}")
           for directory, folders, names in os.walk(tree) for name in folders + names)
    for base in sorted(os.listdir("{wire.STORE}/bases"))
    for tree in [f"{wire.STORE}/bases/{{base}}/tree"]
]
print(json.dumps(found))
"""


def strangers(ground: Ground) -> str:
    """Say what is in the store and not of the sample, or nothing."""
    argv = ("python3", "-I", "-S", "-c", LOOK)
    found = json.loads(inside.run(ground.engine, ground.image, ground.store, argv))
    beyond = sorted({*found["shelves"]} - {*SHELVES})
    left = [f"tmp/{name}" for name in found["tmp"]]
    expected = {*sample.DIRECTORIES, *sample.FILES}
    odd = [name for base in found["bases"] for name in {*base} ^ expected]
    return ", ".join([*beyond, *left, *odd])
