"""What controller and agent say to each other: one Job down, a stream of Events up, as JSON lines.

The controller writes to the helper's stdin the payload (see helper/payload.py), the Job as one
line, then a heartbeat (an empty line) every HEARTBEAT_S seconds: stdin is a lease, and its end, or
silence for LEASE_S, tells the agent to kill what it started and go. Events are lines of at most
MAX_LINE bytes; longer text is split, never cut. Bytes that are not UTF-8 travel as lone surrogates
(PEP 383), JSON-escaped, so that a line is pure ASCII. Standard library only: the agent imports
this room too.
"""

from containerdeploy.wire.bounds import *  # noqa: F403
from containerdeploy.wire.codec import WireError as WireError
from containerdeploy.wire.codec import decode as decode
from containerdeploy.wire.codec import decode_job as decode_job
from containerdeploy.wire.codec import encode as encode
from containerdeploy.wire.events import *  # noqa: F403
from containerdeploy.wire.inside import *  # noqa: F403
from containerdeploy.wire.job import *  # noqa: F403
from containerdeploy.wire.limits import *  # noqa: F403
from containerdeploy.wire.traffic import *  # noqa: F403
from containerdeploy.wire.upkeep import *  # noqa: F403
from containerdeploy.wire.words import *  # noqa: F403
