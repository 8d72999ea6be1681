"""Find the frames of one stream, however long they are and whatever is wrong with it.

The codec's decoder serves who takes part in the protocol: it holds a frame until it
is whole, and gives up where a stream can't be trusted. A :class:`Scanner` serves who
looks on. A long frame comes in pieces, so that none is held whole; octets that are
no frame come out too; and where a header was lost, the next one is searched for.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from wirechat.codec import HEADER_SIZE, REPLIES, REQUESTS, VERSION, Command, Malformed

PIECE = 32 * 1024
"""Most data octets of a piece: enough for nearly every frame, and below the 64 KiB
that text2pcap can put into one packet."""
SANE_LENGTH = 2**63
"""Data octets from which on no server takes a frame (FRM-7): the header is damaged."""
HEADER = re.compile(rb"\0(?:[\x01-\x07]\0{36}|\0{40}[^\0](?!\0))")
"""What looks like a header: a known command and a length below 4 GiB. That of a CREATE
is 1 to 255 with no NUL behind it, or zeros ahead of a header would look like one."""

EITHER: Mapping[int, tuple[int, int]] = {**REQUESTS, **REPLIES}
"""What one of the two sides takes: for a stream of unknown direction."""


class Piece(NamedTuple):
    """A frame, or a part of one that is long, or octets that are no frame.

    ``number`` counts the frames from 1, and ``command`` is None for octets that are no
    frame. ``header`` is empty in every part but the first. ``offset`` counts the
    stream's octets before this piece, ``at`` the frame's data octets before it.
    """

    number: int
    command: int | None
    length: int
    offset: int
    header: bytes
    at: int
    data: bytes
    last: bool
    faults: tuple[Malformed, ...] = ()


@dataclass(slots=True)
class _Frame:
    """The frame whose data is coming, and what is known of it so far."""

    number: int
    command: int
    length: int
    limits: tuple[int, int] | None
    at: int = 0  # data octets that have passed
    separators: int = 0
    bars: int = 0  # at the end of what has passed, that could begin a separator
    whole: bool = True  # no octet is missing so far

    def check(self, data: bytes, offset: int) -> Iterator[Malformed]:
        """Take the next data octets, which begin at this offset; say what is wrong."""
        begin, self.at = self.at, self.at + len(data)
        if self.limits is None:
            if begin == 0:
                reason = f"unknown command {self.command}"
                yield Malformed("FRM-5", reason, offset - HEADER_SIZE + 1)
            return
        if not data.isascii():
            bad = next(at for at, octet in enumerate(data) if octet > 0x7F)
            name = Command(self.command).name
            reason = f"octet 0x{data[bad]:02x} in {name} is not ASCII"
            yield Malformed("DAT-2", reason, offset + bad)
        joined = b"|" * self.bars + data
        self.separators += joined.count(b"|||")
        self.bars = (len(joined) - len(joined.rstrip(b"|"))) % 3
        if self.at == self.length and self.whole:
            yield from self._check_fields(self.limits, offset - begin)

    def _check_fields(
        self, limits: tuple[int, int], offset: int
    ) -> Iterator[Malformed]:
        fields = self.separators + 1 if self.length else 0
        if not limits[0] <= fields <= limits[1]:
            rule = "SND-10" if self.command == Command.SEND else "DAT-3"
            plural = "s" * (fields != 1)
            name = Command(self.command).name
            yield Malformed(
                rule, f"{name} does not take {fields} field{plural}", offset
            )


class Scanner:
    """Take a stream's octets in any cut, give its frames in pieces (FRM-3).

    No more than a piece is held. After a header that can't be trusted (FRM-2, FRM-8)
    or that is missing, what comes is no frame, up to what looks like a header.

    Args:
        commands: The commands that this direction takes, with the fewest and the most
            fields of each.
        numbers: Where the frames get their numbers from.
        lost: Whether the stream may begin in the middle of a frame.
    """

    def __init__(
        self,
        commands: Mapping[int, tuple[int, int]] = EITHER,
        numbers: Iterator[int] | None = None,
        lost: bool = False,
    ) -> None:
        self._commands = commands
        self._numbers = count(1) if numbers is None else numbers
        self._lost = lost
        self._faults: tuple[Malformed, ...] = ()  # that made it lost, to be told
        self._frame: _Frame | None = None
        self._held = bytearray()
        self._wanted = HEADER_SIZE  # octets to hold before looking again
        self._offset = 0  # in the stream, of the first octet held

    def feed(self, octets: bytes) -> list[Piece]:
        """Return the pieces that are whole once these octets have come, in order."""
        if self._held:
            self._held += octets
            if len(self._held) < self._wanted:
                return []
            octets = bytes(self._held)
        found: list[Piece] = []
        start = 0
        while len(octets) - start >= self._wanted:
            if self._lost:
                piece = self._search(octets, start)
            elif self._frame:
                piece = self._part(b"", octets[start : start + self._wanted])
            else:
                piece = self._begin(octets, start)
            if piece:
                found.append(piece)
                start += len(piece.header) + len(piece.data)
        if self._held or start < len(octets):
            self._held = bytearray(octets[start:])
        return found

    def gap(self, size: int) -> list[Piece]:
        """Return what is known of a frame when this many octets are missing here."""
        offset = self._offset + len(self._held)
        piece = self._rest(Malformed("", f"{size} octets are missing", offset))
        self._offset += size
        frame = self._frame
        left = frame.length - frame.at if frame else 0
        if frame and size < left:
            frame.whole = False
            frame.at += size
            self._wanted = min(left - size, PIECE)
            return [piece]
        self._close()
        self._lost = size > left
        return [piece._replace(last=True)]

    def end(self) -> list[Piece]:
        """Return what is left when the stream ends here: a frame that is cut off."""
        came, wanted = len(self._held), HEADER_SIZE
        if self._frame:
            came += self._frame.at + HEADER_SIZE
            wanted += self._frame.length
        elif came >= HEADER_SIZE:
            wanted += int.from_bytes(self._held[2:HEADER_SIZE], "big")
        if not came:
            return []
        if self._lost:
            return [self._rest()]
        offset = self._offset + len(self._held)
        reason = f"cut off: {came} of at least {wanted} octets came"
        return [self._rest(Malformed("FRM-1", reason, offset))._replace(last=True)]

    def _begin(self, octets: bytes, start: int) -> Piece | None:
        """Take the first piece of a frame, unless it isn't there yet or is no frame."""
        body = start + HEADER_SIZE
        length = int.from_bytes(octets[start + 2 : body], "big")
        if octets[start] != VERSION or length >= SANE_LENGTH:
            self._lose(octets[start], length)
            return None
        end = body + min(length, PIECE)
        if end > len(octets):
            self._wanted = end - start
            return None
        header, data = octets[start:body], octets[body:end]
        limits = self._commands.get(header[1])
        # Nearly every frame is right and whole, and needs no more than this.
        if limits and length <= PIECE and data.isascii():
            # One octet is found faster than three: no message is gone through.
            bars = data.rfind(b"|") + 1
            fields = data.count(b"|||", 0, bars) + 1 if data else 0
            if limits[0] <= fields <= limits[1]:
                offset, number = self._offset, next(self._numbers)
                self._offset += end - start
                self._wanted = HEADER_SIZE
                return Piece(number, header[1], length, offset, header, 0, data, True)
        return self._part(header, data)

    def _part(self, header: bytes, data: bytes, *faults: Malformed) -> Piece:
        """Take the next piece of a frame, which is its first where it has a header."""
        frame = self._frame or self._open(header)
        self._frame = frame
        at, offset = frame.at, self._offset
        faults = (*frame.check(data, offset + len(header)), *faults)
        self._offset += len(header) + len(data)
        self._wanted = min(frame.length - frame.at, PIECE)
        done = frame.at == frame.length
        if done:
            self._close()
        return Piece(
            frame.number,
            frame.command,
            frame.length,
            offset,
            header,
            at,
            data,
            done,
            faults,
        )

    def _open(self, header: bytes) -> _Frame:
        length = int.from_bytes(header[2:], "big")
        limits = self._commands.get(header[1])
        return _Frame(next(self._numbers), header[1], length, limits)

    def _close(self) -> None:
        self._frame = None
        self._wanted = HEADER_SIZE

    def _lose(self, version: int, length: int) -> None:
        self._lost = True
        fault = Malformed("FRM-2", f"version {version} is not 0", self._offset)
        if version == VERSION:
            reason = f"data length {length:.3e} is over the limit of every server"
            fault = Malformed("FRM-8", reason, self._offset + 2)
        self._faults = (fault,)

    def _search(self, octets: bytes, start: int) -> Piece | None:
        """Take octets up to what looks like a header, if there are any."""
        look = len(octets) - HEADER_SIZE + 1
        stop = min(look, start + PIECE)
        match = HEADER.search(octets, start, stop + HEADER_SIZE)
        end = match.start() if match else stop
        self._lost = match is None
        return self._scrap(octets[start:end], *self._faults) if end > start else None

    def _scrap(self, octets: bytes, *faults: Malformed) -> Piece:
        offset, self._offset = self._offset, self._offset + len(octets)
        self._faults = ()
        return Piece(0, None, 0, offset, b"", 0, octets, True, faults)

    def _rest(self, *faults: Malformed) -> Piece:
        """Take what is held as it is."""
        held = bytes(self._held)
        self._held.clear()
        if self._lost or (not self._frame and len(held) < HEADER_SIZE):
            return self._scrap(held, *self._faults, *faults)
        header = b"" if self._frame else held[:HEADER_SIZE]
        return self._part(header, held[len(header) :], *faults)
