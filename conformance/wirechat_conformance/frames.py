"""The suite's own frames: built octet by octet, and free to lie.

This is a second codec on purpose: the suite shares none with the servers that it
judges, so that a fault in one can't hide in the other.
"""

from typing import NamedTuple

HEADER_SIZE = 42
UNKNOWN = 9
"""A command that nobody knows."""
WRONG = 1
"""A version that no frame has."""
SEPARATOR = b"|||"
CREATE, LIST, SEND, DELIVER, DELETE, LOGIN, RESPONSE, LISTRESPONSE = range(8)
COMMANDS = {
    "CREATE": CREATE,
    "LIST": LIST,
    "SEND": SEND,
    "DELIVER": DELIVER,
    "DELETE": DELETE,
    "LOGIN": LOGIN,
    "RESPONSE": RESPONSE,
    "LISTRESPONSE": LISTRESPONSE,
}
NAMES = {code: name for name, code in COMMANDS.items()}
REPLIES = {SEND, RESPONSE, LISTRESPONSE}
"""The commands that a server sends."""
MAX_RECEIVED = 1 << 30
"""Data octets that are believed of a received header: a LISTRESPONSE of ten million
long names. More is a length in another form than that of FRM-1."""


def header(command: int, length: int, version: int = 0) -> bytes:
    """Return 42 octets of header, true or not."""
    return bytes((version, command)) + length.to_bytes(40, "big")


def frame(command: int, *fields: bytes) -> bytes:
    """Return a frame with these fields, joined as they are."""
    data = SEPARATOR.join(fields)
    return header(command, len(data)) + data


class Received(NamedTuple):
    """One frame as a server sent it."""

    command: int
    data: bytes

    @property
    def octets(self) -> bytes:
        """The frame as it stood on the wire."""
        return header(self.command, len(self.data)) + self.data

    @property
    def fields(self) -> list[bytes]:
        """The data's fields; none where there is no data (DAT-1)."""
        return self.data.split(SEPARATOR) if self.data else []


NO_NAMES = Received(LISTRESPONSE, b"")
"""The reply to a fence."""
SUCCESS = Received(RESPONSE, b"")


class BadFrameError(Exception):
    """What a server sent is no frame: ``rule`` says why, ``octets`` what it was."""

    def __init__(self, rule: str, reason: str, octets: bytes) -> None:
        super().__init__(reason)
        self.rule = rule
        self.octets = octets


def take(buffer: bytearray) -> Received | None:
    """Take the first frame off a buffer of received octets, if it is whole.

    Raises:
        BadFrameError: It is no frame that a server may send (FRM-1, DAT-2).
    """
    if not buffer:
        return None
    seen = bytes(buffer[:HEADER_SIZE])
    if seen[0] != 0:
        raise BadFrameError("FRM-1", f"version {seen[0]} is not 0", seen)
    if len(seen) > 1 and seen[1] not in REPLIES:
        name = NAMES.get(seen[1], "unknown")
        reason = f"command {seen[1]} ({name}) is not one that a server sends"
        raise BadFrameError("FRM-1", reason, seen)
    if len(seen) < HEADER_SIZE:
        return None
    length = int.from_bytes(seen[2:], "big")
    if length > MAX_RECEIVED:
        reason = "the length is beyond all measure: 40 octets, big endian?"
        raise BadFrameError("FRM-1", reason, seen)
    if len(buffer) < HEADER_SIZE + length:
        return None
    data = bytes(buffer[HEADER_SIZE : HEADER_SIZE + length])
    del buffer[: HEADER_SIZE + length]
    if not data.isascii():
        at = next(at for at, octet in enumerate(data) if octet > 0x7F)
        reason = f"octet {at} of the data, 0x{data[at]:02x}, is not ASCII"
        raise BadFrameError("DAT-2", reason, seen + data)
    return Received(seen[1], data)
