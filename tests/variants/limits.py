"""Variants in how much there is room for, and in what is done where there is none."""

from tests.parts import (
    Chat,
    Connection,
    Decoder,
    Frame,
    Limits,
    Outbox,
    Server,
    Session,
    error,
    messages,
)
from tests.variants.registry import permitted
from wirechat.codec import HEADER_SIZE, REQUESTS

UNREAD = 1000 * (HEADER_SIZE + 100)
"""Octets of the messages that must be taken for a recipient that does not read."""


@permitted()
class DataOf65536(Decoder):
    """Takes data of up to 65,536 octets (FRM-7)."""

    def __init__(self) -> None:
        super().__init__(REQUESTS, 65536)


@permitted()
class DataOf1GiB(Decoder):
    """Takes data of up to a gibibyte (FRM-7)."""

    def __init__(self) -> None:
        super().__init__(REQUESTS, 1 << 30)


@permitted()
class AccountsOf1000(Chat):
    """Has room for 1,000 accounts, and for 1,000 messages for each (LIM-3)."""

    def __init__(self) -> None:
        super().__init__(Limits(accounts=1000, kept=1000))


@permitted()
class KeptOf100000Octets(Chat):
    """Has room for 100,000 octets for each account (LIM-3)."""

    def __init__(self) -> None:
        super().__init__(Limits(kept_octets=100_000 + 1000 * HEADER_SIZE))


@permitted("LIM-2")
class ConnectionsOf100(Server):
    """Serves 100 connections (LIM-1)."""

    def __init__(self, port: int) -> None:
        super().__init__(port=port, max_connections=100)


# A recipient that does not read (SND-14).


class Queueing(Server):
    """A server that lets no more wait than it has to."""

    def __init__(self, port: int) -> None:
        super().__init__(port=port, max_queue=UNREAD)


@permitted()
class SlowCutOff(Queueing):
    """Cuts off a recipient that does not read."""


@permitted()
class SlowCutOffAndForgotten(Queueing):
    """Cuts off a recipient that does not read, and forgets what it missed."""

    def settle(self, connection: Connection) -> None:
        if connection.broken:
            connection.take_unsent()


@permitted()
class SlowKept(Queueing):
    """Keeps the messages for a recipient that does not read."""

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        if live and self.connections[session].live >= self.max_queue:
            self.chat.keep(messages(self.chat, session, frames))
        else:
            super().send(session, frames, live)


class Asking(Chat):
    """A chat that asks whether a recipient has room for one more message."""

    server: "SlowRefused"

    def send(self, session: Session, frame: Frame) -> Outbox:
        recipient = self.accounts.get(frame.fields[1])
        if recipient and recipient.session and self.server.crowded(recipient.session):
            return [(session, error("the recipient does not read"))]
        return super().send(session, frame)


@permitted()
class SlowRefused(Server):
    """Answers with an error reply for a recipient that does not read."""

    def __init__(self, port: int) -> None:
        chat = Asking()
        chat.server = self
        super().__init__(port=port, chat=chat)

    def crowded(self, session: Session) -> bool:
        return self.connections[session].live >= UNREAD
