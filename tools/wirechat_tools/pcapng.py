"""Write what passes a relay as a capture file, for Wireshark and the like.

The packets are made up: the handshakes, and TCP's own numbers. Addresses, times, octets
and what ended how are those that were seen.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import BinaryIO

from wirechat_tools.pcap import PCAPNG_MAGIC
from wirechat_tools.relay import Address
from wirechat_tools.tcpip import ACK, FIN, RST, SYN
from wirechat_tools.traffic import Stream

_PUSH = 0x08
_WINDOW = 0xFFFF
_RAW_IP = 101
_NANOSECONDS = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)


@dataclass(slots=True)
class _End:
    """One end of a connection: its address, its port, its next sequence number."""

    host: bytes
    port: int
    sequence: int = 0


class Capture:
    """Watches a relay, and writes a pcapng file.

    Args:
        file: Where to; it is written to at once.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._ends: dict[tuple[int, str], _End] = {}
        self._block(
            int.from_bytes(PCAPNG_MAGIC, "little"),
            struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1),
        )
        self._block(1, struct.pack("<HHI", _RAW_IP, 0, 0) + _NANOSECONDS)

    def opened(
        self, connection: int, time: int, client: Address, server: Address
    ) -> None:
        """A client has connected."""
        hosts = [
            ip_address(address[0].partition("%")[0]) for address in (client, server)
        ]
        if hosts[0].version != hosts[1].version:
            hosts = [_mapped(str(host)) for host in hosts]
        for side, host, port in zip("><", hosts, (client[1], server[1]), strict=True):
            self._ends[connection, side] = _End(host.packed, port)
        asking, answering = Stream(connection, side=">"), Stream(connection, side="<")
        self._packet(asking, time, SYN)
        self._packet(answering, time, SYN | ACK)
        self._packet(asking, time, ACK)

    def passed(self, stream: Stream, time: int, octets: bytes) -> None:
        """These octets are about to be passed on."""
        self._packet(stream, time, ACK | _PUSH, octets)

    def ended(self, stream: Stream, time: int) -> None:
        """Whose stream this is has closed its sending side."""
        self._packet(stream, time, ACK | FIN)

    def reset(self, stream: Stream, time: int) -> None:
        """Whose stream this is has reset the connection."""
        self._packet(stream, time, ACK | RST)

    def _packet(
        self, stream: Stream, time: int, flags: int, octets: bytes = b""
    ) -> None:
        other = {">": "<", "<": ">"}[stream.side]
        source = self._ends[stream.connection, stream.side]
        target = self._ends[stream.connection, other]
        packet = _ip(source, target, flags, octets)
        source.sequence += len(octets) + bool(flags & (SYN | FIN))
        source.sequence %= 1 << 32
        high, low = divmod(time, 1 << 32)
        head = struct.pack("<5I", 0, high, low, len(packet), len(packet))
        self._block(6, head + packet)

    def _block(self, kind: int, body: bytes) -> None:
        size = struct.pack("<I", 12 + len(body) + -len(body) % 4)
        padding = bytes(-len(body) % 4)
        self._file.write(struct.pack("<I", kind) + size + body + padding + size)


def _ip(source: _End, target: _End, flags: int, octets: bytes) -> bytes:
    """Return a segment in an IP packet, with the right check sums."""
    hosts = source.host + target.host
    acknowledged = target.sequence if flags & ACK else 0
    tcp = struct.pack(
        ">HHIIBBHHH",
        *(source.port, target.port, source.sequence, acknowledged),
        *(5 << 4, flags, _WINDOW, 0, 0),
    )
    tcp += octets
    tcp = _summed(tcp, 16, hosts + struct.pack(">II", len(tcp), 6))
    if len(hosts) == 32:
        return struct.pack(">IHBB", 6 << 28, len(tcp), 6, 64) + hosts + tcp
    size = 20 + len(tcp)
    head = struct.pack(">BBHHHBBH", 0x45, 0, size, 0, 0x4000, 64, 6, 0) + hosts
    return _summed(head, 10) + tcp


def _summed(octets: bytes, at: int, before: bytes = b"") -> bytes:
    """Return octets with their check sum put in at a place (RFC 1071)."""
    all_ = before + octets + bytes(len(octets) % 2)
    total = sum(struct.unpack(f">{len(all_) // 2}H", all_))
    total = (total & 0xFFFF) + (total >> 16)
    total = ~(total + (total >> 16)) & 0xFFFF
    return octets[:at] + struct.pack(">H", total) + octets[at + 2 :]


def _mapped(host: str) -> IPv6Address:
    return IPv6Address(host if ":" in host else f"::ffff:{host}")
