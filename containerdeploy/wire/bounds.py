"""How much of what, and how often: the numbers that both sides hold to."""

VERSION = 3
MAX_LINE = 64 * 1024
MAX_JOB = 64 * 1024 * 1024
TEXT_PER_LINE = 5 * 1024  # twelve bytes for the worst character, and room for the rest
MOST_LISTED = 20_000  # paths that a step changed; all are counted
CHANGES_PER_EVENT = 64
HEARTBEAT_S = 2.0
LEASE_S = 15.0
GO = b"g"  # what the controller answers to Checked; a heartbeat is a line's end
