"""Variants in what is answered."""

import fnmatch
import random
import re
import socket
import struct
from collections.abc import Iterable

from tests.parts import (
    SUCCESS,
    Chat,
    Connection,
    Frame,
    Items,
    Loop,
    Malformed,
    Outbox,
    Session,
    Steps,
    Writer,
    is_error,
)
from tests.variants.registry import permitted
from wirechat.codec import HEADER_SIZE, REQUESTS, Command, encode_data

# What MAY be.


@permitted()
class DeleteAnswered(Chat):
    """Answers DELETE with one empty RESPONSE (ACC-14)."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        return super().delete(session, frame) or [(session, SUCCESS)]


@permitted()
class ExtraFieldsDelivered(Steps):
    """Delivers SEND with more than three fields as it came (SND-10)."""

    def fields(self, command: int, data: bytes) -> list[str]:
        found = super().fields(command, data)
        return found[:3] if command == Command.SEND else found


@permitted()
class FiltersOfShells(Chat):
    """Gives ``?`` and ``[...]`` the meaning that shells give them (LST-5)."""

    def matching(self, pattern: str) -> Iterable[str]:
        escaped = re.sub(r"\*+", "*", pattern)
        return [n for n in self.accounts if fnmatch.fnmatchcase(n, escaped)]


@permitted()
class MostNamesTaken(Chat):
    """Takes every username that need not be refused (ACC-4)."""

    def valid_name(self, name: str) -> bool:
        return not re.search(r"[*\x00-\x1f\x7f]|\|$", name)


@permitted("ACC-6")
class AllNamesTaken(Chat):
    """Takes every username that may be taken, though it should not be (ACC-6)."""

    def valid_name(self, name: str) -> bool:
        return not name.endswith("|")


@permitted()
class FewNamesTaken(Chat):
    """Takes usernames of 1 to 32 letters and digits alone (ACC-4)."""

    def valid_name(self, name: str) -> bool:
        return re.fullmatch("[A-Za-z0-9]{1,32}", name) is not None


@permitted()
class ListedAtRandom(Chat):
    """Lists in random order (LST-1)."""

    def matching(self, pattern: str) -> Iterable[str]:
        names = list(super().matching(pattern))
        random.shuffle(names)
        return names

    def list_names(self, session: Session, frame: Frame) -> Outbox:
        return super().list_names(session, frame._replace(data=frame.data or b"*"))


# Error texts.


class Errors(Writer):
    """A connection on which error replies have another text."""

    text = b""

    def write(self, frame: bytes) -> bytes:
        return encode_data(Command.RESPONSE, self.text) if is_error(frame) else frame


@permitted()
class ErrorsOfOneCharacter(Errors):
    """Has a space for every error text."""

    text = b" "


@permitted()
class ErrorsLong(Errors):
    """Has error texts of 65,536 octets."""

    text = b"no!!" * 16384


@permitted()
class ErrorsOfControls(Errors):
    """Has error texts with control characters and bars."""

    text = bytes(range(32)) + b"\x7f\x1b[2J|no||\r\n\0|"


# Rejections.


class Closing(Loop):
    """A server that closes where it may."""

    told = False
    decoding = Steps

    def requests(self, connection: Connection, items: Items) -> None:
        for item in items:
            if self.rejected(connection, item):
                if self.told:
                    super().requests(connection, [item])
                connection.cut_off = True
                return
            super().requests(connection, [item])

    def rejected(self, connection: Connection, item: Frame | Malformed) -> bool:
        """Tell whether a frame is rejected, and not merely refused."""
        if isinstance(item, Malformed):
            return True
        if item.command != Command.CREATE or connection.session.account:
            return False
        return re.search(r"[*\x00-\x1f\x7f]|\|$", item.fields[0]) is not None


@permitted("FRM-8", "FRM-11", "FRM-12")
class ClosesInSilence(Closing):
    """Rejects by closing, without a word."""


@permitted("FRM-8", "FRM-11", "FRM-12", "FRM-13")
class ClosesWithReset(Closing):
    """Rejects with a reset."""

    def end(self, connection: Connection) -> None:
        if connection.cut_off:
            self.drain(connection, 0)
            linger = struct.pack("ii", 1, 0)
            connection._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            with self.lock:
                self.chat.leave(connection.session)
                del self.connections[connection.session]
            connection.close()
        else:
            super().end(connection)


@permitted("FRM-12")
class ClosesAfterError(Closing):
    """Rejects with an error reply, and then closes."""

    told = True


@permitted("FRM-8", "FRM-11", "FRM-12")
class Wavers(Closing):
    """Rejects now in this way, now in that."""

    def requests(self, connection: Connection, items: Items) -> None:
        self.told = random.random() < 0.5
        super().requests(connection, items)

    def rejected(self, connection: Connection, item: Frame | Malformed) -> bool:
        return random.random() < 0.5 and super().rejected(connection, item)


# When it is noticed.


@permitted()
class VersionAtFirstOctet(Steps):
    """Notices a wrong version at the first octet."""

    def next(self) -> Frame | Malformed | None:
        if self.buffer and self.buffer[0] and not self.broken:
            return self.fatal("FRM-2", "this is not version 0")
        return super().next()


@permitted()
class VersionAtLastOctet(Steps):
    """Notices a wrong version when the frame is whole."""

    def fatal(self, rule: str, reason: str) -> Malformed | None:
        length = self.length(bytes(self.buffer[2:HEADER_SIZE]))
        if rule == "FRM-2" and length <= self.max_data and not self.whole(length):
            return None
        if rule == "FRM-2" and length > self.max_data:
            rule = "FRM-8"
        return super().fatal(rule, reason)


@permitted()
class ToldBeforeTheData(Steps):
    """Tells of a malformed frame when its header is there (FRM-12)."""

    skipping = 0

    def next(self) -> Frame | Malformed | None:
        self.skipping -= len(self.take(self.skipping))
        if self.skipping or len(self.buffer) < HEADER_SIZE:
            return None
        version, command = self.buffer[:2]
        length = self.length(bytes(self.buffer[2:HEADER_SIZE]))
        takes_none = REQUESTS.get(command, (0, 0))[1] == 0
        if version or not takes_none or not 0 < length <= self.max_data:
            return super().next()
        self.take(HEADER_SIZE)
        self.skipping = length
        return Malformed("FRM-12", "this takes no data", 0)
