"""Faults in frames: how they are written, and which are refused."""

from tests.faults.registry import breaks
from tests.parts import (
    Chat,
    Connection,
    Decoder,
    Frame,
    Malformed,
    Outbox,
    Server,
    Session,
    Steps,
    Writer,
    error,
)
from wirechat.codec import HEADER_SIZE, REQUESTS, Command

# FRM-1: the layout of what the server sends.


@breaks("FRM-1")
class LengthInDecimal(Writer):
    """Writes the length as 40 decimal digits."""

    def write(self, frame: bytes) -> bytes:
        data = frame[HEADER_SIZE:]
        return frame[:2] + b"%040d" % len(data) + data


@breaks("FRM-1")
class LengthLittleEndian(Writer):
    """Writes the length with its lowest octet first."""

    def write(self, frame: bytes) -> bytes:
        return frame[:2] + frame[HEADER_SIZE - 1 : 1 : -1] + frame[HEADER_SIZE:]


@breaks("FRM-1")
class LengthOfTheWholeFrame(Writer):
    """Writes a length that counts the header too."""

    def write(self, frame: bytes) -> bytes:
        return frame[:2] + len(frame).to_bytes(40, "big") + frame[HEADER_SIZE:]


@breaks("FRM-1")
class LengthOfOneOctet(Writer):
    """Writes lengths modulo 256."""

    def write(self, frame: bytes) -> bytes:
        return frame[:2] + bytes(39) + frame[HEADER_SIZE - 1 :]


@breaks("FRM-1")
class LengthOfTwoOctets(Writer):
    """Writes lengths modulo 65,536."""

    def write(self, frame: bytes) -> bytes:
        return frame[:2] + bytes(38) + frame[HEADER_SIZE - 2 :]


@breaks("FRM-1")
class ShortHeader(Writer):
    """Writes a length of 4 octets."""

    def write(self, frame: bytes) -> bytes:
        return frame[:2] + frame[HEADER_SIZE - 4 :]


@breaks("FRM-1")
class VersionOneInReplies(Writer):
    """Writes version 1."""

    def write(self, frame: bytes) -> bytes:
        return b"\1" + frame[1:]


@breaks("FRM-1")
class NulBehindData(Writer):
    """Sends the NUL that ends each string, and does not count it."""

    def write(self, frame: bytes) -> bytes:
        return frame + b"\0" * (len(frame) > HEADER_SIZE)


@breaks("FRM-1")
class NewlineBehindFrames(Writer):
    """Ends each frame with a newline."""

    def write(self, frame: bytes) -> bytes:
        return frame + b"\n"


@breaks("ACC-1")
class GreetsClients(Server):
    """Sends a banner to whoever connects."""

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        connection.put([error("welcome")])
        super().converse(connection, decoder)


# FRM-2: the version.


@breaks("FRM-2")
class VersionIgnored(Steps):
    """Takes any version for its own."""

    def right_version(self, version: int) -> bool:
        return True


@breaks("FRM-2")
class VersionSigned(Steps):
    """Compares the version as a signed char: from 128 on it is below 1."""

    def right_version(self, version: int) -> bool:
        return version == 0 or version >= 128


@breaks("FRM-2")
class VersionAsDigit(Steps):
    """Takes the digit "0" too."""

    def right_version(self, version: int) -> bool:
        return version in (0, ord("0"))


@breaks("FRM-2")
class VersionOneTaken(Steps):
    """Takes version 1 too."""

    def right_version(self, version: int) -> bool:
        return version <= 1


@breaks("FRM-2")
class VersionOfFirstFrame(Steps):
    """Looks at the version of a connection's first frame alone."""

    seen = False

    def right_version(self, version: int) -> bool:
        seen, self.seen = self.seen, True
        return seen or version == 0


@breaks("FRM-2")
class VersionToldAndDone(Steps):
    """Tells of a wrong version, and carries the frame out nonetheless."""

    def feed(self, octets: bytes) -> list[Frame | Malformed]:
        found = super().feed(octets)
        if self.broken and len(self.buffer) >= HEADER_SIZE:
            self.broken, self.buffer[0] = False, 0
            found += super().feed(b"")
            self.broken = True
        return found


# FRM-5: unknown commands.


@breaks("FRM-5")
class CommandModuloEight(Steps):
    """Looks at the low three bits of the command."""

    def command(self, code: int) -> int:
        return code & 7


@breaks("FRM-5")
class CommandAsDigit(Steps):
    """Takes the digits "0" to "5" too."""

    def command(self, code: int) -> int:
        return code - ord("0") if code >= ord("0") else code


@breaks("FRM-5")
class CommandWithoutHighBit(Steps):
    """Looks at seven bits of the command."""

    def command(self, code: int) -> int:
        return code & 0x7F


@breaks("FRM-5")
class LastCommandIsDefault(Steps):
    """Takes every command that it doesn't know for LIST."""

    def command(self, code: int) -> int:
        return code if code in self.commands else Command.LIST


@breaks("FRM-5")
class UnknownIgnored(Chat):
    """Passes over unknown commands in silence."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        return [] if item.rule == "FRM-5" else super().malformed(session, item)


@breaks("FRM-5")
class RepliesIgnored(Steps):
    """Passes over RESPONSE and LISTRESPONSE in silence."""

    def feed(self, octets: bytes) -> list[Frame | Malformed]:
        known = (Malformed("FRM-5", f"unknown command {code}", 0) for code in (6, 7))
        ignored = list(known)
        return [item for item in super().feed(octets) if item not in ignored]


# FRM-11: a wrong version.


@breaks("FRM-11")
class VersionClosesInSilence(Chat):
    """Closes without a word at a wrong version."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        return [] if item.rule == "FRM-2" else super().malformed(session, item)


@breaks("FRM-11")
class VersionToldAndOpen(Steps):
    """Tells of a wrong version, and goes on behind the frame."""

    def fatal(self, rule: str, reason: str) -> Malformed | None:
        if rule != "FRM-2":
            return super().fatal(rule, reason)
        length = self.length(bytes(self.buffer[2:HEADER_SIZE]))
        if not self.whole(length):
            return None
        self.take(HEADER_SIZE + length)
        return Malformed(rule, reason, 0)


@breaks("FRM-11")
class VersionToldTwice(Chat):
    """Answers a wrong version with two error replies."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        return super().malformed(session, item) * (1 + (item.rule == "FRM-2"))


# FRM-12: other malformed frames.


class Fatal(Steps):
    """A decoder for which the malformed frames of a rule are the last."""

    rule = ""

    def frame(self, command: int, data: bytes) -> Frame | Malformed | None:
        found = super().frame(command, data)
        self.broken = isinstance(found, Malformed) and found.rule == self.rule
        return found


@breaks("FRM-12")
class UnknownCloses(Fatal):
    """Tells of an unknown command, and closes."""

    rule = "FRM-5"


@breaks("FRM-12")
class FieldsClose(Fatal):
    """Tells of a wrong number of fields, and closes."""

    rule = "DAT-3"


@breaks("FRM-12")
class OctetsClose(Fatal):
    """Tells of an octet above 0x7F, and closes."""

    rule = "DAT-2"


@breaks("FRM-12")
class MalformedClosesInSilence(Fatal):
    """Closes without a word at a wrong number of fields."""

    rule = "DAT-3"

    def feed(self, octets: bytes) -> list[Frame | Malformed]:
        found = super().feed(octets)
        return found[:-1] if self.broken else found


@breaks("FRM-12")
class DataOfUnknownNotSkipped(Steps):
    """Tells of an unknown command, and goes on behind its header."""

    def whole(self, length: int) -> bool:
        return self.buffer[1] not in REQUESTS or super().whole(length)

    def take(self, count: int) -> bytes:
        return super().take(HEADER_SIZE if self.buffer[1] not in REQUESTS else count)


@breaks("FRM-5")
class DataOfUnknownSkippedIn16Bits(Steps):
    """Skips of an unknown command's data what the low 16 bits of its length tell."""

    def whole(self, length: int) -> bool:
        return super().whole(self.seen(length))

    def take(self, count: int) -> bytes:
        return super().take(HEADER_SIZE + self.seen(count - HEADER_SIZE))

    def seen(self, length: int) -> int:
        return length if self.buffer[1] in REQUESTS else length & 0xFFFF


@breaks("FRM-5")
class DataOfUnknownSkippedOnce(DataOfUnknownSkippedIn16Bits):
    """Skips an unknown command's data to the end of a buffer of 8 KiB (Java's skip)."""

    def seen(self, length: int) -> int:
        known = self.buffer[1] in REQUESTS
        return length if known else min(length, 8192 - HEADER_SIZE)


@breaks("FRM-12")
class DataOfDeliverNotSkipped(Steps):
    """Tells of DELIVER and DELETE with data, and goes on behind their header."""

    def frame(self, command: int, data: bytes) -> Frame | Malformed | None:
        if command in (Command.DELIVER, Command.DELETE):
            self.buffer[:0] = data
        return super().frame(command, data)
