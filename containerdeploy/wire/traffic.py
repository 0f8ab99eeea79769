"""What is told of the connections of a step that may reach listed hosts only."""

from containerdeploy.frozen import frozen

MAX_CONNECTIONS = 1000  # of one step, that are told one by one


@frozen
class Connection:
    """A connection of a step with a listed network, when it is over.

    `address` is what was connected to, if anything; `refused` says why it got nowhere. Of one step
    the first MAX_CONNECTIONS are told.
    """

    step: str
    host: str
    port: int
    address: str = ""
    sent_bytes: int = 0
    received_bytes: int = 0
    refused: str = ""


@frozen
class Traffic:
    """All of a step's connections together; `refused` ones are not among `connections`."""

    connections: int = 0
    refused: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
