"""The product's own helper images: what they are called, and what to do where one is missing."""

HELPER = "containerdeploy-helper:latest"
LEGACY = "containerdeploy-legacy:latest"
OWN = {"helper": HELPER, "legacy": LEGACY}


def full_name(name: str) -> str:
    """Return the image that a short name stands for; any other name is left as it is."""
    return OWN.get(name, name)


def own(name: str) -> str | None:
    """Return the short name of one of our own images, also where a registry is named; else None."""
    base = name.rpartition("/")[2].partition(":")[0]
    return next((short for short, full in OWN.items() if full.partition(":")[0] == base), None)


def how_to_get(name: str) -> str:
    """Say what to do on an engine that has no image `name`."""
    image = " IMAGE=legacy" if own(name) == "legacy" else ""
    return f"build it with `make image{image}`, or name another with --image"
