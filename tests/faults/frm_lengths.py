"""Faults in lengths, and in how much data is too much."""

import os

from tests.faults.registry import breaks
from tests.parts import (
    SUCCESS,
    Chat,
    Connection,
    Decoder,
    Frame,
    Loop,
    Malformed,
    Outbox,
    Session,
    Steps,
    error,
)
from wirechat.codec import HEADER_SIZE, REQUESTS

# FRM-6: the size of data.


@breaks("FRM-6")
class LimitOneTooLow(Decoder):
    """Takes data of less than 65,536 octets."""

    def __init__(self) -> None:
        super().__init__(REQUESTS, 65535)


@breaks("FRM-6")
class LimitCountsHeader(Decoder):
    """Takes frames of 65,536 octets with their header."""

    def __init__(self) -> None:
        super().__init__(REQUESTS, 65536 - HEADER_SIZE)


@breaks("FRM-6")
class LimitOfAPage(Decoder):
    """Takes data of 4,096 octets."""

    def __init__(self) -> None:
        super().__init__(REQUESTS, 4096)


@breaks("FRM-6")
class LongFilterRefused(Chat):
    """Refuses filters of more than 1,024 characters."""

    def list_names(self, session: Session, frame: Frame) -> Outbox:
        if len(frame.data) > 1024:
            return [(session, error("the filter is too long"))]
        return super().list_names(session, frame)


@breaks("FRM-6")
class LongMessageRefusedOffline(Chat):
    """Keeps messages of up to 65,000 octets of data."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        recipient = self.accounts.get(frame.fields[1])
        if recipient and not recipient.session and len(frame.data) > 65000:
            return [(session, error("too long to be kept"))]
        return super().send(session, frame)


# FRM-7: the length.


@breaks("FRM-7")
class LengthOf32Bits(Steps):
    """Reads the low 32 bits of the length."""

    def length(self, octets: bytes) -> int:
        return int.from_bytes(octets[-4:], "big")


@breaks("FRM-7")
class LengthOf64Bits(Steps):
    """Reads the low 64 bits of the length."""

    def length(self, octets: bytes) -> int:
        return int.from_bytes(octets[-8:], "big")


@breaks("FRM-7")
class LengthOf24Bits(Steps):
    """Reads the low 24 bits of the length."""

    def length(self, octets: bytes) -> int:
        return int.from_bytes(octets[-3:], "big")


@breaks("FRM-7")
class LengthWithoutFirstOctet(Steps):
    """Reads the length from its second octet on."""

    def length(self, octets: bytes) -> int:
        return int.from_bytes(octets[1:], "big")


@breaks("FRM-7")
class LengthOfFirstAndLast(Steps):
    """Looks at the first and the last 8 octets of the length alone."""

    def length(self, octets: bytes) -> int:
        return int.from_bytes(octets[:8] + octets[-8:], "big")


@breaks("FRM-7")
class LengthSigned32Bits(Steps):
    """Reads a length above 2^31 as a negative number, and that as none."""

    def length(self, octets: bytes) -> int:
        low = int.from_bytes(octets[-4:], "big", signed=True)
        return int.from_bytes(octets[:-4], "big") << 32 or max(0, low)


@breaks("FRM-7")
class LengthSigned(Steps):
    """Reads a length above 2^319 as a negative number, and that as none."""

    def length(self, octets: bytes) -> int:
        return max(0, int.from_bytes(octets, "big", signed=True))


@breaks("FRM-7")
class LengthSigned64Bits(Steps):
    """Reads the low 64 bits as a signed number: above 2^63 it is below the limit."""

    def length(self, octets: bytes) -> int:
        return max(0, int.from_bytes(octets[-8:], "big", signed=True))


@breaks("FRM-7")
class LengthAllocated(Steps):
    """Allocates what the header announces, and ends where there is not so much."""

    def length(self, octets: bytes) -> int:
        length = super().length(octets)
        try:
            bytearray(length)
        except (MemoryError, OverflowError):
            os._exit(1)
        return length


@breaks("FRM-7")
class LockHeldForData(Loop):
    """Serves nobody else while a frame's data is on the way."""

    decoding = Steps

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        assert isinstance(decoder, Steps)
        while not decoder.broken and (octets := connection.receive()):
            items = decoder.feed(octets)
            with self.lock:
                while octets and not items and len(decoder.buffer) >= HEADER_SIZE:
                    octets = connection.receive()
                    items = decoder.feed(octets)
            self.requests(connection, items)


# FRM-8: over the limit.


@breaks("FRM-8")
class TooLongClosesInSilence(Chat):
    """Closes without a word at a frame over the limit."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        return [] if item.rule == "FRM-8" else super().malformed(session, item)


@breaks("FRM-8")
class TooLongToldWithSuccess(Chat):
    """Answers a frame over the limit with an empty RESPONSE, and closes."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        told = super().malformed(session, item)
        return [(session, SUCCESS)] if item.rule == "FRM-8" else told


@breaks("FRM-8")
class TooLongToldTwice(Chat):
    """Answers a frame over the limit with two error replies."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        return super().malformed(session, item) * (1 + (item.rule == "FRM-8"))


@breaks("FRM-8")
class TooLongWaitedFor(Steps):
    """Waits for the data of a frame over the limit before it is refused."""

    def fatal(self, rule: str, reason: str) -> Malformed | None:
        return None if rule == "FRM-8" else super().fatal(rule, reason)


@breaks("FRM-8")
class TooLongToldAndOpen(Steps):
    """Tells of a frame over the limit, and goes on behind its header."""

    def fatal(self, rule: str, reason: str) -> Malformed | None:
        told = super().fatal(rule, reason)
        if rule == "FRM-8":
            self.broken = False
            self.take(HEADER_SIZE)
        return told


@breaks("FRM-8")
class TooLongDropsWhatCameBefore(Steps):
    """Answers a frame over the limit, and not what came before it at once."""

    def feed(self, octets: bytes) -> list[Frame | Malformed]:
        found = super().feed(octets)
        return found[-1:] if self.broken else found


@breaks("FRM-8")
class TooLongOfWrongVersion(Steps):
    """Waits for the data of a frame that is over the limit and of a wrong version."""

    def fatal(self, rule: str, reason: str) -> Malformed | None:
        length = self.length(bytes(self.buffer[2:HEADER_SIZE]))
        if rule == "FRM-2" and not self.whole(length):
            return None
        return super().fatal(rule, reason)
