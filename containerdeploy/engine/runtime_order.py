"""What the local engine asks its launcher to run, as it travels down a pipe.

Plain classes and marshal instead of dataclasses and JSON: a launcher starts for every container,
and those modules would take longer to load than the container takes to make. Both ends are the
same Python.
"""

import marshal


class Place:
    """A mount of the container, decided: `source` is a path of this host, or empty for a tmpfs."""

    __slots__ = ("mode", "read_only", "size_bytes", "source", "target")

    def __init__(
        self, *, source: str, target: str, read_only: bool, size_bytes: int | None, mode: int
    ) -> None:
        self.source = source
        self.target = target
        self.read_only = read_only
        self.size_bytes = size_bytes
        self.mode = mode


class Order:
    """What to run and what it may; `program` is a seccomp filter as BPF, or empty for none."""

    __slots__ = (
        "argv",
        "capabilities",
        "cpus",
        "environment",
        "id",
        "keep",
        "memory_bytes",
        "network",
        "pids",
        "places",
        "program",
    )

    def __init__(
        self,
        *,
        id: str,
        argv: list[str],
        environment: dict[str, str],
        places: list[Place],
        capabilities: list[str],
        program: bytes,
        network: bool,
        memory_bytes: int | None,
        pids: int | None,
        cpus: float | None,
        keep: bool,
    ) -> None:
        self.id = id
        self.argv = argv
        self.environment = environment
        self.places = places
        self.capabilities = capabilities
        self.program = program
        self.network = network
        self.memory_bytes = memory_bytes
        self.pids = pids
        self.cpus = cpus
        self.keep = keep


def encode(order: Order) -> bytes:
    """Return the order as bytes for `decode`."""
    fields = {name: getattr(order, name) for name in Order.__slots__}
    fields["places"] = [
        {name: getattr(place, name) for name in Place.__slots__} for place in order.places
    ]
    return marshal.dumps(fields)


def decode(data: bytes) -> Order:
    """Return the order in `data`."""
    fields = marshal.loads(data)
    fields["places"] = [Place(**place) for place in fields["places"]]
    return Order(**fields)
