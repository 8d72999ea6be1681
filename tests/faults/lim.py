"""Faults in load and limits."""

import select
from collections.abc import Iterable

from tests.faults.registry import breaks
from tests.parts import (
    Chat,
    Connection,
    Decoder,
    Limits,
    Loop,
    Message,
    Server,
    Steps,
    is_error,
)
from wirechat.codec import HEADER_SIZE

# LIM-1, LIM-2: connections.


@breaks("LIM-1")
class NinetyNineConnections(Server):
    """Serves 99 connections."""

    def __init__(self, port: int) -> None:
        super().__init__(port=port, max_connections=99)


@breaks("LIM-1")
class SixtyFourConnections(Server):
    """Serves 64 connections."""

    def __init__(self, port: int) -> None:
        super().__init__(port=port, max_connections=64)


@breaks("LIM-2")
class Connections999(Server):
    """Serves 999 connections."""

    def __init__(self, port: int) -> None:
        super().__init__(port=port, max_connections=999)


@breaks("LIM-2")
class DescriptorsOfSelect(Server):
    """Serves connections with file descriptors that select takes, below 512."""

    def __init__(self, port: int) -> None:
        super().__init__(port=port, max_connections=500)


# LIM-3: accounts and messages.


@breaks("LIM-3")
class Accounts999(Chat):
    """Has room for 999 accounts."""

    def __init__(self) -> None:
        super().__init__(Limits(accounts=999))


@breaks("LIM-3")
class Accounts256(Chat):
    """Has room for 256 accounts."""

    def __init__(self) -> None:
        super().__init__(Limits(accounts=256))


@breaks("LIM-3")
class Kept999(Chat):
    """Keeps 999 messages for an account."""

    def __init__(self) -> None:
        super().__init__(Limits(kept=999))


@breaks("LIM-3")
class Kept64KiB(Chat):
    """Keeps 65,536 octets for an account."""

    def __init__(self) -> None:
        super().__init__(Limits(kept_octets=65536))


@breaks("LIM-3")
class Kept100(Chat):
    """Keeps 100 messages for an account."""

    def __init__(self) -> None:
        super().__init__(Limits(kept=100))


class Ring(Chat):
    """A chat that forgets the oldest message where it has no room for a new one."""

    size = 0

    def keep(self, messages: Iterable[Message]) -> None:
        for message in messages:
            super().keep([message])
            del message.recipient.kept[: -self.size]


@breaks("LIM-3")
class KeptInRingOf10(Ring):
    """Keeps the ten newest messages."""

    size = 10


@breaks("LIM-3")
class KeptInRingOf255(Ring):
    """Keeps the 255 newest messages."""

    size = 255


@breaks("LIM-3")
class KeptInRingOf999(Ring):
    """Keeps the 999 newest messages."""

    size = 999


# LIM-4: slow clients.


@breaks("LIM-4")
class LockHeldForHeader(Loop):
    """Serves nobody else while a header is on the way."""

    decoding = Steps

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        assert isinstance(decoder, Steps)
        while not decoder.broken and (octets := connection.receive()):
            items = decoder.feed(octets)
            with self.lock:
                while octets and not items and len(decoder.buffer) < HEADER_SIZE:
                    octets = connection.receive()
                    items = decoder.feed(octets)
            self.requests(connection, items)


# LIM-5: idle connections.


class Idle(Connection):
    """A connection that is closed when nothing comes for some seconds."""

    seconds = 0.0
    named = True

    def receive(self) -> bytes:
        idle = self.named or not self.session.account
        if idle and not self.wait(select.POLLIN, self.seconds):
            return b""
        return super().receive()


@breaks("LIM-5", "--idle", "1.5")
class ClosedAfterOneSecond(Idle):
    """Closes after a second of silence."""

    seconds = 1


@breaks("LIM-5", "--idle", "5.5")
class ClosedAfterFiveSeconds(Idle):
    """Closes after five seconds of silence."""

    seconds = 5


@breaks("LIM-5", "--idle", "1.5")
class ClosedWithoutLogin(Idle):
    """Closes a connection that has no session after a second of silence."""

    seconds = 1
    named = False


class IdleBehind(Connection):
    """A connection that is closed when it is silent for long behind something."""

    behind = False

    def receive(self) -> bytes:
        idle = self.behind and not self.session.account
        return super().receive() if not idle or self.comes() else b""

    def comes(self) -> bool:
        return self.wait(select.POLLIN, 1.5)


@breaks("LIM-5", "--idle", "2")
class IdleBehindAnErrorClosed(IdleBehind):
    """Closes an idle connection without a session on which something was refused."""

    def put(self, frames: list[bytes], live: int = 0) -> None:
        self.behind = self.behind or any(map(is_error, frames))
        super().put(frames, live)


@breaks("LIM-5", "--idle", "2")
class IdleBehindDeleteClosed(IdleBehind):
    """Closes an idle connection whose account was deleted."""

    def put(self, frames: list[bytes], live: int = 0) -> None:
        self.behind = self.behind or self.session.account is not None
        super().put(frames, live)
