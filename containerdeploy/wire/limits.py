"""What a step may use up."""

from containerdeploy.frozen import frozen


@frozen
class Limits:
    """What one extension may use up; None is no limit of its own.

    `disk_bytes` bounds what it may write in its layer, its TMPDIR and its output, `cpus` how many
    processors' time it may take at once. At a limit it is asked to end, and killed after `grace_s`.
    """

    timeout_s: float | None = 1800.0
    idle_timeout_s: float | None = None
    memory_bytes: int | None = None
    pids: int = 4096
    max_output_bytes: int = 1 << 30
    cpus: float | None = None
    disk_bytes: int | None = None
    grace_s: float = 5.0
