"""Captures to be read: TCP segments, packed into packets and files of any kind."""

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import NamedTuple

from wirechat_tools.traffic import Gap, Octets, Traffic

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
TIME = 1_795_491_300_123_456_000
CLIENT, SERVER = ("127.0.0.1", 51234), ("127.0.0.1", 9000)
CLIENT6, SERVER6 = ("2001:db8::1", 51234), ("2001:db8::2", 9000)


class Seg(NamedTuple):
    """A segment to be: who sends it to whom, and what."""

    source: tuple[str, int]
    target: tuple[str, int]
    sequence: int
    acknowledged: int
    flags: int
    payload: bytes = b""


def conversation(
    turns: Iterable[tuple[str, bytes]],
    size: int = 1000,
    client: tuple[str, int] = CLIENT,
    server: tuple[str, int] = SERVER,
    first: int = 1000,
    close: bool = True,
) -> list[Seg]:
    """Return the segments of a connection on which the two sides say this in turn."""
    ends = {">": (client, server), "<": (server, client)}
    at = {">": first, "<": first + 5000}
    other = {">": "<", "<": ">"}
    found: list[Seg] = []

    def add(side: str, flags: int, payload: bytes = b"") -> None:
        there = at[other[side]] if flags & ACK else 0
        sequence = at[side] % 2**32
        found.append(Seg(*ends[side], sequence, there % 2**32, flags, payload))
        at[side] += len(payload) + bool(flags & (SYN | FIN))

    add(">", SYN)
    add("<", SYN | ACK)
    add(">", ACK)
    for side, octets in turns:
        for begin in range(0, len(octets), size):
            add(side, ACK | PSH, octets[begin : begin + size])
        add(other[side], ACK)
    if close:
        add(">", FIN | ACK)
        add("<", FIN | ACK)
        add(">", ACK)
    return found


def ip(seg: Seg, extensions: bytes = b"", fragment: int = 0, options: int = 0) -> bytes:
    """Return a segment in an IP packet, of the version that its addresses have."""
    words = 5 + options
    ports = struct.pack(">HH", seg.source[1], seg.target[1])
    rest = struct.pack(
        ">IIBBHHH", seg.sequence, seg.acknowledged, words << 4, seg.flags, 65535, 0, 0
    )
    tcp = ports + rest + bytes(4 * options) + seg.payload
    hosts = ip_address(seg.source[0]).packed + ip_address(seg.target[0]).packed
    if len(hosts) == 32:
        first = extensions[0:1] and bytes([extensions[0]])
        body = extensions[1:] + tcp
        return (
            struct.pack(">IH", 6 << 28, len(body))
            + (first or b"\6")
            + b"\x40"
            + hosts
            + body
        )
    total = 20 + 4 * options + len(tcp)
    head = struct.pack(">BBHHHBBH", 0x45 + options, 0, total, 0, fragment, 64, 6, 0)
    return head + hosts + bytes(4 * options) + tcp


def ethernet(packet: bytes, vlans: Sequence[int] = ()) -> bytes:
    """Return an IP packet in an Ethernet frame, padded to its least length."""
    tags = b"".join(struct.pack(">HH", vlan, 7) for vlan in vlans)
    kind = b"\x08\0" if packet[0] >> 4 == 4 else b"\x86\xdd"
    return (bytes(12) + tags + kind + packet).ljust(60, b"\x55")


def pcap(
    packets: Iterable[bytes], link: int = 1, magic: int = 0xA1B2C3D4, order: str = "<"
) -> bytes:
    """Return a pcap file."""
    unit = 1 if magic == 0xA1B23C4D else 1000
    head = struct.pack(f"{order}IHHIIII", magic, 2, 4, 0, 0, 65535, link)
    return head + b"".join(
        struct.pack(
            f"{order}IIII", TIME // 10**9, TIME % 10**9 // unit + at, *[len(p)] * 2
        )
        + p
        for at, p in enumerate(packets)
    )


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """Return a block of a pcapng file."""
    body += bytes(-len(body) % 4)
    size = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    """Return the block that begins a section of a pcapng file."""
    body = struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1)
    return block(0x0A0D0D0A, body, order)


def interface(link: int = 1, options: bytes = b"", order: str = "<") -> bytes:
    """Return the block that tells of an interface."""
    return block(1, struct.pack(f"{order}HHI", link, 0, 0) + options, order)


def enhanced(
    packet: bytes, units: int = TIME // 1000, number: int = 0, order: str = "<"
) -> bytes:
    """Return the block of a packet."""
    head = struct.pack(f"{order}I", number)
    head += struct.pack(f"{order}IIII", units >> 32, units % 2**32, *[len(packet)] * 2)
    return block(6, head + packet, order)


def pcapng(packets: Iterable[bytes], link: int = 1, order: str = "<") -> bytes:
    """Return a pcapng file."""
    blocks = [enhanced(p, TIME // 1000 + at, 0, order) for at, p in enumerate(packets)]
    return section(order) + interface(link, order=order) + b"".join(blocks)


def cuts(octets: bytes, size: int) -> Iterator[bytes]:
    """Give octets in chunks of this size."""
    return (octets[at : at + size] for at in range(0, len(octets), size))


def heard(traffic: Iterable[Traffic]) -> dict[str, bytes]:
    """Return what each side has said, a gap as so many question marks."""
    said: dict[str, bytes] = defaultdict(bytes)
    for event in traffic:
        if isinstance(event, Octets):
            said[event.stream.side] += event.octets
        elif isinstance(event, Gap):
            said[event.stream.side] += b"?" * event.size
    return dict(said)
