"""What is seen of a conversation, wherever it was captured: the words of every reader.

A reader takes octets of its own format apart and gives these, in the order seen. Times
are nanoseconds since the epoch, or None where the format has none.
"""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(eq=False, slots=True)
class Stream:
    """One direction of one connection.

    ``name`` says who sends to whom, and ``side`` is ``>`` for what a client sends and
    ``<`` for what a server sends; both are empty where that is not known. A stream
    that was ``joined`` had begun before.
    """

    connection: int = 1
    name: str = ""
    side: str = ""
    joined: bool = False


class Octets(NamedTuple):
    """The next octets of a stream."""

    stream: Stream
    time: int | None
    octets: bytes


class Gap(NamedTuple):
    """Octets of a stream that are known to be missing here."""

    stream: Stream
    time: int | None
    size: int


class End(NamedTuple):
    """The end of a stream, as far as it was seen."""

    stream: Stream
    time: int | None


class Fault(NamedTuple):
    """What is wrong with the capture itself, on a stream or on the whole."""

    stream: Stream | None
    time: int | None
    reason: str


Traffic = Octets | Gap | End | Fault
