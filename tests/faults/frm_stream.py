"""Faults in the stream: segments, order, the end of a connection, other ones."""

import os
import select
import socket
import struct
from collections import Counter
from time import monotonic, sleep
from typing import Any

from tests.faults.registry import breaks
from tests.parts import (
    Chat,
    Connection,
    Decoder,
    Frame,
    Items,
    Loop,
    Malformed,
    Outbox,
    Server,
    Session,
    Steps,
    error,
    is_error,
)
from wirechat.codec import HEADER_SIZE, Command

# FRM-3: segments.


@breaks("FRM-3")
class PausedHeaderForgotten(Steps):
    """Forgets what has come of a header where no more comes for 50 ms."""

    came = 0.0

    def feed(self, octets: bytes) -> list[Frame | Malformed]:
        before, self.came = self.came, monotonic()
        if len(self.buffer) < HEADER_SIZE and self.came - before > 0.05:
            self.buffer.clear()
        return super().feed(octets)


@breaks("FRM-3")
class OneFrameAReceive(Decoder):
    """Takes one frame from each receive, and forgets what else has come."""

    def feed(self, octets: bytes) -> list[Frame | Malformed]:
        return super().feed(octets)[:1]


@breaks("FRM-3")
class OneReceiveAFrame(Steps):
    """Takes each receive for the beginning of a frame."""

    def feed(self, octets: bytes) -> list[Frame | Malformed]:
        self.buffer.clear()
        return super().feed(octets)


@breaks("FRM-3")
class HeaderInOneReceive(Steps):
    """Forgets a header that has not come whole."""

    def feed(self, octets: bytes) -> list[Frame | Malformed]:
        found = super().feed(octets)
        if len(self.buffer) < HEADER_SIZE:
            self.buffer.clear()
        return found


@breaks("FRM-3")
class DataInOneReceive(Steps):
    """Takes what has come when the header has for the whole of the data."""

    def whole(self, length: int) -> bool:
        return length == 0 or len(self.buffer) > HEADER_SIZE


@breaks("FRM-4")
class MovedInWords(Steps):
    """Moves what is over to the front of a buffer of 64 KiB, 64 octets at a time."""

    word, size = 64, 1 << 16

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.front, self.received = b"", 0

    def feed(self, octets: bytes) -> list[Frame | Malformed]:
        if not self.buffer:
            self.front, self.received = octets[: HEADER_SIZE + 100], 0
        found = super().feed(octets)
        self.received += len(octets)
        if self.received >= self.size and 0 < len(self.buffer) <= len(self.front):
            moved = len(self.buffer) // self.word * self.word
            self.buffer[moved:] = self.front[moved : len(self.buffer)]
        return found


@breaks("FRM-3")
class HeldUntilMoreComes(Decoder):
    """Carries out one frame a receive; the others wait for the next octets."""

    def feed(self, octets: bytes) -> list[Frame | Malformed]:
        self.waiting = [*getattr(self, "waiting", []), *super().feed(octets)]
        return [self.waiting.pop(0)] if self.waiting else []


@breaks("FRM-3")
class LastOctetOfHeaderMissed(Steps):
    """Forgets what it has when exactly one octet of a header is missing."""

    def feed(self, octets: bytes) -> list[Frame | Malformed]:
        found = super().feed(octets)
        if len(self.buffer) == HEADER_SIZE - 1:
            self.buffer.clear()
        return found


@breaks("FRM-3")
class SevenOctetsBehindAFrameMissed(Steps):
    """Forgets what it has when seven octets of a header have come behind a frame."""

    def feed(self, octets: bytes) -> list[Frame | Malformed]:
        found = super().feed(octets)
        if found and len(self.buffer) == 7:
            self.buffer.clear()
        return found


# FRM-4: order, and many requests at once.


@breaks("FRM-4")
class ErrorsOvertake(Server):
    """Sends the error replies of one receive before the others."""

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        first = sorted(frames, key=lambda item: not is_error(item))
        super().send(session, first, live)


@breaks("FRM-4")
class ListsInTheBackground(Loop):
    """Answers LIST from another thread."""

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        late = [item for item in frames if item[1] == Command.LISTRESPONSE]
        super().send(session, [o for o in frames if o not in late], live)
        if late:
            self.later(0.003, session, late, live)


@breaks("FRM-4")
class SixtyFourRequestsAtOnce(Decoder):
    """Has room for 64 requests of one receive."""

    def feed(self, octets: bytes) -> list[Frame | Malformed]:
        return super().feed(octets)[:64]


@breaks("FRM-4")
class FiveHundredRequestsAtOnce(Decoder):
    """Has room for 500 requests of one receive."""

    def feed(self, octets: bytes) -> list[Frame | Malformed]:
        return super().feed(octets)[:500]


@breaks("FRM-4")
class FourThousandRequestsEnd(Loop):
    """Closes a connection behind its 4,096th request."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.asked: Counter[Session] = Counter()

    def requests(self, connection: Connection, items: Items) -> None:
        self.asked[connection.session] += len(items)
        super().requests(connection, items)
        if self.asked[connection.session] >= 4096:
            connection.cut_off = True


@breaks("FRM-4")
class RepeatedRequestsSuppressed(Decoder):
    """Drops a request that equals the one before it in the same receive."""

    def feed(self, octets: bytes) -> list[Frame | Malformed]:
        found = super().feed(octets)
        return [f for n, f in enumerate(found) if n == 0 or f != found[n - 1]]


# FRM-9: the half-close.


@breaks("FRM-9")
class HalfCloseDropsRequests(Loop):
    """Looks for the end of the stream first, and drops what came before it."""

    def requests(self, connection: Connection, items: Items) -> None:
        if not connection.wait(select.POLLRDHUP, 0.001):
            super().requests(connection, items)


@breaks("FRM-9")
class HalfCloseDropsReplies(Connection):
    """Sends nothing more to a client that has closed its sending side."""

    def put(self, frames: list[bytes], live: int = 0) -> None:
        if not self.wait(select.POLLRDHUP, 0.001):
            super().put(frames, live)


@breaks("FRM-9")
class HalfCloseUnanswered(Server):
    """Never closes its side of a connection that the client has half closed."""

    def end(self, connection: Connection) -> None:
        with self.lock:
            self.chat.leave(connection.session)
        connection.wait(0)
        super().end(connection)


@breaks("FRM-9")
class HalfCloseNeedsADrop(Server):
    """Closes its side of a half-closed connection after three idle seconds."""

    def end(self, connection: Connection) -> None:
        with self.lock:
            self.chat.leave(connection.session)
        connection.wait(0, 3)
        super().end(connection)


@breaks("FRM-9")
class IncompleteCarriedOut(Loop):
    """Takes what has come of a frame at the end of the stream for the whole."""

    decoding = Steps

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        super().converse(connection, decoder)
        if isinstance(decoder, Steps) and len(decoder.buffer) > HEADER_SIZE:
            left = bytes(decoder.buffer)
            item = decoder.frame(left[1], left[HEADER_SIZE:])
            self.requests(connection, [item] if item else [])


@breaks("FRM-9")
class IncompleteTold(Loop):
    """Answers a frame that the end of the stream cuts off with an error reply."""

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        super().converse(connection, decoder)
        cut_off = decoder.end()
        self.requests(connection, [cut_off] if cut_off else [])


@breaks("FRM-9")
class StopsWhereNobodyReads(Loop):
    """Carries out one request after the other, until a reply can't be sent."""

    def requests(self, connection: Connection, items: Items) -> None:
        for item in items:
            super().requests(connection, [item])
            if connection.wait(0, 0.001):
                return


# FRM-10: other connections.


@breaks("FRM-10")
class UnknownIsFatal(Chat):
    """Ends the server at an unknown command."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        if item.rule == "FRM-5":
            os._exit(1)
        return super().malformed(session, item)


@breaks("FRM-10")
class ResetIsFatal(Connection):
    """Ends the server at the reset of a connection."""

    def receive(self) -> bytes:
        try:
            return self._socket.recv(4096)
        except ConnectionResetError:
            os._exit(1)


@breaks("FRM-10")
class BrokenPipeIsFatal(Connection):
    """Ends the server when it sends to a client that has gone (SIGPIPE)."""

    def put(self, frames: list[bytes], live: int = 0) -> None:
        super().put(frames, live)
        if self.broken and not self.cut_off:
            os._exit(1)


@breaks("FRM-10")
class ResetBeforeAcceptIsFatal(Server):
    """Asks a new connection for its peer's address, and ends where there is none."""

    def _welcome(self, sock: socket.socket, address: tuple[str, int]) -> None:
        sleep(0.003)
        try:
            super()._welcome(sock, sock.getpeername())
        except OSError:
            os._exit(1)


@breaks("FRM-10")
class OneBufferForAll(Server):
    """Has one decoder for all connections."""

    def __init__(self, port: int) -> None:
        decoder = Decoder()
        super().__init__(port=port, decoder=lambda: decoder)


@breaks("FRM-10")
class MalformedToldToAll(Chat):
    """Tells everybody who is online of a malformed frame."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        told = super().malformed(session, item)
        online = [account.session for account in self.accounts.values()]
        others = [one for one in online if one and one is not session]
        return told + [(one, error(item.reason)) for one in others]


@breaks("FRM-10")
class MalformedLogsAllOut(Chat):
    """Ends all sessions at a malformed frame."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        for account in self.accounts.values():
            if account.session:
                self.leave(account.session)
        return super().malformed(session, item)


# FRM-13: a reply before the close.


@breaks("FRM-13")
class ClosesWithoutReading(Connection):
    """Closes at once, whatever the client is still sending."""

    def discard(self, octets: int, seconds: float) -> None:
        pass


@breaks("FRM-13")
class ClosesWithReset(Connection):
    """Closes without lingering: with a reset."""

    def discard(self, octets: int, seconds: float) -> None:
        linger = struct.pack("ii", 1, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def hang_up(self, how: int) -> None:
        pass


@breaks("FRM-13")
class ReadsALittleBeforeItCloses(Connection):
    """Reads what is there when it closes, and not what is still on its way."""

    def discard(self, octets: int, seconds: float) -> None:
        super().discard(4096, 0)


@breaks("FRM-2")
class LineEndsSkipped(Steps):
    """Skips line ends in front of a frame."""

    def next(self) -> Frame | Malformed | None:
        while self.buffer[:1].isspace():
            del self.buffer[0]
        return super().next()
