"""Packets from capture files: pcap and pcapng, of either byte order and any resolution.

Where a file is damaged that is told, and the next record that makes sense is searched.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from wirechat_tools.traffic import Fault

MAX_RECORD = 1024 * 1024
"""Octets of one record: four times the longest packet that tcpdump and Wireshark take,
as a length above it is a damaged one."""
FAR = 2**63
"""Nanoseconds from the epoch that are damage, not a time: nearly 300 years."""
PCAP_MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 10**6),
    b"\xa1\xb2\xc3\xd4": (">", 10**6),
    b"\x4d\x3c\xb2\xa1": ("<", 10**9),
    b"\xa1\xb2\x3c\x4d": (">", 10**9),
}
"""How a pcap file begins: its byte order, and the units that it counts in a second."""
PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
_BYTE_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 1, 2, 3, 6
_RESOLUTION, _OFFSET = 9, 14


class Packet(NamedTuple):
    """A packet as captured; ``length`` is what it had on the wire.

    ``time`` is nanoseconds since the epoch, ``link`` the type of the link layer.
    """

    time: int | None
    link: int
    octets: bytes
    length: int


class _Format(Protocol):
    """Where the records of a file begin and end, and what is in them."""

    head: int  # octets from which the size of a record is known
    marker: tuple[bytes, int]  # what records have in common, and how far inside

    def size(self, octets: bytes, at: int) -> int:
        """Return the octets of the record that begins here, 0 if that is none."""

    def packet(self, octets: bytes, at: int, size: int) -> Packet | None:
        """Return the packet that the record is, if it is one.

        Raises:
            ValueError: It makes no sense.
        """


class _Pcap:
    head = 16

    def __init__(self, order: str, fractions: int, link: int) -> None:
        self._record = struct.Struct(f"{order}IIII")
        self._hour = 2 if order == "<" else 0  # where it is told, or nearly: 2^16 s
        self._fractions = fractions
        self._nanoseconds = 10**9 // fractions
        self._link = link
        self.marker = (b"", 0)

    def size(self, octets: bytes, at: int) -> int:
        _, fraction, captured, length = self._record.unpack_from(octets, at)
        if fraction >= self._fractions or not captured <= length <= MAX_RECORD:
            return 0
        return 16 + int(captured)

    def packet(self, octets: bytes, at: int, size: int) -> Packet:
        seconds, fraction, _, length = self._record.unpack_from(octets, at)
        self.marker = (octets[at + self._hour : at + self._hour + 2], self._hour)
        time = seconds * 10**9 + fraction * self._nanoseconds
        return Packet(time, self._link, octets[at + 16 : at + size], length)


class _Interface(NamedTuple):
    """Where packets of a pcapng file come from; times are in units of 1/fractions s."""

    link: int
    fractions: int = 10**6
    seconds: int = 0

    def time(self, high: int, low: int) -> int | None:
        """Return nanoseconds since the epoch, or None where that can be no time."""
        units = high << 32 | low
        time = units * 10**9 // self.fractions + self.seconds * 10**9
        return time if abs(time) < FAR else None


class _Pcapng:
    head = 12

    def __init__(self) -> None:
        self._order = "<"
        self._interfaces: list[_Interface] = []
        self.marker = (PCAPNG_MAGIC, 0)

    def size(self, octets: bytes, at: int) -> int:
        order = self._order
        if octets[at : at + 4] == PCAPNG_MAGIC:
            order = _BYTE_ORDERS.get(octets[at + 8 : at + 12], "")
            if not order:
                return 0
        (size,) = struct.unpack_from(f"{order}I", octets, at + 4)
        return int(size) if 12 <= size <= MAX_RECORD and size % 4 == 0 else 0

    def packet(self, octets: bytes, at: int, size: int) -> Packet | None:
        if octets[at + 4 : at + 8] != octets[at + size - 4 : at + size]:
            raise ValueError("its two lengths differ")
        body = octets[at + 8 : at + size - 4]
        if octets[at : at + 4] == PCAPNG_MAGIC:
            self._order = _BYTE_ORDERS[body[:4]]
            self._interfaces = []
            self.marker = (struct.pack(f"{self._order}I", _PACKET), 0)
            return None
        (kind,) = struct.unpack_from(f"{self._order}I", octets, at)
        try:
            return self._packet(kind, body)
        except (struct.error, IndexError):
            raise ValueError("it is too short, or of an unknown interface") from None

    def _packet(self, kind: int, body: bytes) -> Packet | None:
        order = self._order
        if kind == _PACKET:
            number, high, low, captured, length = struct.unpack_from(f"{order}5I", body)
        elif kind == _OLD_PACKET:
            number, _, high, low, captured, length = struct.unpack_from(
                f"{order}HHIIII", body
            )
        elif kind == _SIMPLE_PACKET:
            (length,) = struct.unpack_from(f"{order}I", body)
            octets = body[4 : 4 + length]
            return Packet(None, self._interfaces[0].link, octets, length)
        else:
            if kind == _INTERFACE:
                self._interfaces.append(self._interface(body))
            return None
        interface = self._interfaces[number]
        time = interface.time(high, low)
        return Packet(time, interface.link, body[20 : 20 + captured], length)

    def _interface(self, body: bytes) -> _Interface:
        interface = _Interface(*struct.unpack_from(f"{self._order}H", body))
        at = 8
        while at + 4 <= len(body):
            code, size = struct.unpack_from(f"{self._order}HH", body, at)
            value = body[at + 4 : at + 4 + size]
            if code == _RESOLUTION and size == 1:
                base, power = (
                    (2, value[0] & 0x7F) if value[0] & 0x80 else (10, value[0])
                )
                interface = interface._replace(fractions=base**power)
            elif code == _OFFSET and size == 8:
                (seconds,) = struct.unpack(f"{self._order}q", value)
                interface = interface._replace(seconds=seconds)
            at += 4 + size + -size % 4
        return interface


def packets(chunks: Iterable[bytes]) -> Iterator[Packet | Fault]:
    """Give the packets of a capture file, and what is wrong with it, where it is."""
    octets = iter(chunks)
    first = b""
    while len(first) < 24 and (chunk := next(octets, b"")):
        first += chunk
    if len(first) < 24:
        return iter([Fault(None, None, "the capture file ends within its header")])
    if first[:4] == PCAPNG_MAGIC:
        return _records(_Pcapng(), first, octets)
    order, fractions = PCAP_MAGICS[first[:4]]
    (link,) = struct.unpack_from(f"{order}I", first, 20)
    # The upper bits of the link type may tell of a check sequence behind each packet.
    return _records(_Pcap(order, fractions, link & 0xFFFF), first, octets, 24)


def _records(
    form: _Format, held: bytes, chunks: Iterator[bytes], at: int = 0
) -> Iterator[Packet | Fault]:
    gone = 0  # octets of the file before those that are held
    lost = False
    while True:
        while at + form.head <= len(held):
            if lost:
                at, lost = _search(form, held, at)
                if lost:
                    break
            size = form.size(held, at)
            if at + size > len(held):
                break
            packet = None
            try:
                packet = form.packet(held, at, size) if size else None
            except ValueError:
                size = 0
            if packet:
                yield packet
            if not size:
                yield Fault(None, None, f"damaged capture file (offset {gone + at})")
                lost = True
            at += size or 1
        gone, held, at = gone + at, held[at:], 0
        chunk = next(chunks, b"")
        if not chunk:
            break
        held += chunk
    if held and not lost:
        yield Fault(
            None, None, f"the capture file ends within a packet (offset {gone})"
        )


def _search(form: _Format, held: bytes, at: int) -> tuple[int, bool]:
    """Return where a record is that has another one behind it, or how far none is."""
    marker, inside = form.marker
    while True:
        found = held.find(marker, at + inside) - inside
        if found < at or found + form.head > len(held):
            return max(at, len(held) - form.head), True
        size = form.size(held, found)
        after = found + size
        if size and (after == len(held) or after + form.head > len(held)):
            return found, after != len(held)
        if size and form.size(held, after):
            return found, False
        at = found + 1
