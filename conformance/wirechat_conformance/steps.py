"""The steps of a conversation with a server: what is done, and what must be seen."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wirechat_conformance import frames
from wirechat_conformance.text import Text, render


@dataclass(frozen=True, slots=True)
class Step:
    """Something done or seen on one connection.

    ``rules`` are those that are broken if it does not come true. A step with
    ``if_open`` is left out where the server closed the connection in rejecting a frame.
    """

    connection: str
    rules: tuple[str, ...] = field(default=(), kw_only=True)
    if_open: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Open(Step):
    """Connect."""


@dataclass(frozen=True, slots=True)
class Close(Step):
    """Close altogether, with FIN."""


@dataclass(frozen=True, slots=True)
class HalfClose(Step):
    """Close the sending side alone."""


@dataclass(frozen=True, slots=True)
class Reset(Step):
    """Close with RST."""


@dataclass(frozen=True, slots=True)
class Send(Step):
    """Send a frame, or octets as they are where ``command`` is None."""

    command: int | None
    body: Text = ()

    def octets(self, names: Mapping[str, bytes]) -> bytes:
        """Return what goes on the wire, with these values for the usernames."""
        body = render(self.body, names)
        if self.command is None:
            return body
        return frames.header(self.command, len(body)) + body


@dataclass(frozen=True, slots=True)
class Repeat(Send):
    """Send a frame again and again, until it is not answered with an error reply."""


@dataclass(frozen=True, slots=True)
class Fence(Step):
    """All that was asked before has been answered, and nothing else has come."""


@dataclass(frozen=True, slots=True)
class End(Step):
    """The server closes its side, and nothing comes before."""


@dataclass(frozen=True, slots=True)
class Receive(Step):
    """Exactly this frame comes; an ``optional`` one may, before what comes next."""

    command: int
    body: Text = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ReceiveNames(Step):
    """A LISTRESPONSE comes that names these, each once, and nobody twice.

    With ``others`` it may name more, but none of ``without``.
    """

    names: tuple[Text, ...]
    others: bool = False
    without: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiveError(Step):
    """An error reply comes: one RESPONSE with a text."""


@dataclass(frozen=True, slots=True)
class ReceiveRejection(Step):
    """An error reply comes, or the end of the connection, or first one then the other.

    That nothing else comes is seen by a fence behind it.
    """


Action = Close | HalfClose | Reset | Send
"""What is done on a connection: all but these, and the opening, is seen."""
Refusal = ReceiveError | ReceiveRejection
