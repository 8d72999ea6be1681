"""Frames to octets and back: the wire format alone, with no socket, clock or thread.

A frame is a header of 42 octets (version, command, length) and ASCII data, whose
fields are joined by ``|||``. Octets go into a :class:`Decoder` in whatever cut they
arrive; frames come out, and what is malformed comes out in its place among them.
"""

import re
from collections.abc import Mapping
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

VERSION = 0
HEADER = Struct(">H32sQ")
"""Version and command in one number, and the length in two parts (FRM-1)."""
HEADER_SIZE = HEADER.size
"""Octets of a header: one of version, one of command, 40 of length."""
HIGH = bytes(32)
"""The high octets of every length that is acceptable (FRM-7)."""
HIGH_OCTET = re.compile(rb"[\x80-\xff]")
"""What is not ASCII (DAT-2)."""
SEPARATOR = "|||"
"""What joins the fields of a data list (DAT-1)."""
MAX_DATA = 1024 * 1024
"""Data octets a frame may have unless told otherwise: sixteen times the least that
FRM-7 asks for, and little enough to be held for each of a thousand connections."""


class Command(IntEnum):
    """What a frame is for, by its code on the wire."""

    CREATE = 0
    LIST = 1
    SEND = 2
    DELIVER = 3
    DELETE = 4
    LOGIN = 5
    RESPONSE = 6
    LISTRESPONSE = 7


ANY = 1 << 62
REQUESTS: Mapping[int, tuple[int, int]] = {
    Command.CREATE: (1, 1),
    Command.LIST: (0, 1),
    Command.SEND: (3, 3),
    Command.DELIVER: (0, 0),
    Command.DELETE: (0, 0),
    Command.LOGIN: (1, 1),
}
"""What a server takes (FRM-5): the least and the most fields of each command (DAT-3,
SND-10)."""
REPLIES: Mapping[int, tuple[int, int]] = {
    Command.SEND: (3, ANY),
    Command.RESPONSE: (0, 1),
    Command.LISTRESPONSE: (0, ANY),
}
"""What a client takes: the least and the most fields of each command."""


class Frame(NamedTuple):
    """One well-formed frame: its command, and its data as the octets that came."""

    command: int
    data: bytes

    @property
    def fields(self) -> list[str]:
        """The data taken apart at each ``|||`` from the left (DAT-1)."""
        # ASCII is a part of UTF-8, which is decoded in half the time by this name.
        return self.data.decode().split(SEPARATOR) if self.data else []


class Malformed(NamedTuple):
    """What stands in a stream where a frame should be.

    ``rule`` is the one that it breaks, ``offset`` counts the stream's octets up to
    what is wrong, and after a ``fatal`` one nothing in the stream can be trusted.
    """

    rule: str
    reason: str
    offset: int
    fatal: bool = False

    def __str__(self) -> str:
        """Say what is wrong, and where in the stream."""
        return f"{self.reason} (offset {self.offset})"


class Decoder:
    """Take a stream's octets in any cut, give its frames (FRM-1, FRM-3).

    The cost grows with the octets alone, however they are cut, and what a header
    announces takes no room before it has come (FRM-7).

    Args:
        commands: The commands to accept, with the fewest and the most fields of each.
        max_data: The most data octets of one frame.
    """

    def __init__(
        self,
        commands: Mapping[int, tuple[int, int]] = REQUESTS,
        max_data: int = MAX_DATA,
    ) -> None:
        self._commands = commands
        self._max_data = max_data
        self._held = bytearray()  # of a frame that is not whole yet
        self._wanted = HEADER_SIZE  # octets to hold before looking again
        self._offset = 0  # in the stream, of the first octet held
        self.broken = False  # nothing that follows can be trusted

    @property
    def header_begun(self) -> int | None:
        """Where in the stream a header began that is not whole yet, if one did."""
        return self._offset if 0 < len(self._held) < HEADER_SIZE else None

    def feed(self, octets: bytes) -> list[Frame | Malformed]:
        """Return the frames that are whole once these octets have come, in order.

        After a fatal :class:`Malformed` everything that follows is ignored.
        """
        if self.broken:
            return []
        if self._held:
            self._held += octets
            if len(self._held) < self._wanted:
                return []
            octets = bytes(self._held)
        return self._take_apart(octets)

    def end(self) -> Malformed | None:
        """Say what is wrong when the stream ends here: a frame that is cut off."""
        held = len(self._held)
        if not held or self.broken:
            return None
        reason = f"cut off: {held} of at least {self._wanted} octets came"
        return Malformed("FRM-1", reason, self._offset + held)

    def _take_apart(self, octets: bytes) -> list[Frame | Malformed]:
        found: list[Frame | Malformed] = []
        start, size, wanted = 0, len(octets), HEADER_SIZE
        max_data, commands = self._max_data, self._commands
        unpack, new = HEADER.unpack_from, tuple.__new__
        while (body := start + HEADER_SIZE) <= size:
            command, high, length = unpack(octets, start)
            if high != HIGH or length > max_data or command > 0xFF:
                self.broken = True
                found.append(self._fatal(octets[start:], self._offset + start))
                return found
            end = body + length
            if end > size:
                wanted = HEADER_SIZE + length
                break
            data = octets[body:end]
            count = data.count(b"|||") + 1 if data else 0
            fewest, most = commands.get(command, (1, 0))
            if fewest <= count <= most and data.isascii():
                # Half the time of Frame(command, data).
                found.append(new(Frame, (command, data)))
            else:
                found.append(self._harmless(command, data, self._offset + start))
            start = end
        self._held, self._wanted = bytearray(octets[start:]), wanted
        self._offset += start
        return found

    def _fatal(self, octets: bytes, offset: int) -> Malformed:
        if octets[0] != VERSION:
            reason = f"version {octets[0]} is not {VERSION}"
            return Malformed("FRM-2", reason, offset, fatal=True)
        length = int.from_bytes(octets[2:HEADER_SIZE], "big")
        told = length if length < 10**12 else f"{length:.3e}"
        reason = f"data length {told} exceeds the limit of {self._max_data} octets"
        return Malformed("FRM-8", reason, offset + 2, fatal=True)

    def _harmless(self, command: int, data: bytes, offset: int) -> Malformed:
        if command not in self._commands:
            return Malformed("FRM-5", f"unknown command {command}", offset + 1)
        name = Command(command).name
        if bad := HIGH_OCTET.search(data):
            reason = f"octet 0x{bad[0][0]:02x} in {name} is not ASCII"
            return Malformed("DAT-2", reason, offset + HEADER_SIZE + bad.start())
        count = data.count(b"|||") + 1 if data else 0
        rule = "SND-10" if command == Command.SEND else "DAT-3"
        reason = f"{name} does not take {count} field{'s' * (count != 1)}"
        return Malformed(rule, reason, offset + HEADER_SIZE)


def encode(command: int, *fields: str) -> bytes:
    """Return the octets of one frame (FRM-1).

    Raises:
        ValueError: The fields would not come back as they are (DAT-4), or hold
            characters that are not ASCII (DAT-2).
    """
    for field in fields:
        if SEPARATOR in field:
            raise ValueError(f"field {field!r} contains {SEPARATOR!r}")
    for field in fields[:-1]:
        if field.endswith("|"):
            raise ValueError(f"field {field!r} ends in '|' and is not the last")
    if fields == ("",):
        raise ValueError("a single empty field can't be told from no field")
    text = SEPARATOR.join(fields)
    if not text.isascii():
        raise ValueError("a field holds characters that are not ASCII")
    return encode_data(command, text.encode("ascii"))


def encode_data(command: int, data: bytes) -> bytes:
    """Return the octets of one frame with this data, which is taken as it is."""
    return HEADER.pack(command, HIGH, len(data)) + data
