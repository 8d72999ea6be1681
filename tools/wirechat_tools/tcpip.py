"""TCP segments out of packets, through the layers below."""

import struct
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import NamedTuple

from wirechat_tools.pcap import Packet

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
_TCP = 6
_FRAGMENT = 44
_EXTENSIONS = {0, 43, 60}
"""IPv6 headers that may stand before TCP's: hop-by-hop, routing, destination."""
_VLANS = {0x8100, 0x88A8, 0x9100}
_IP = {0x0800, 0x86DD}
_IPV4 = struct.Struct(">BxHxxHxBxx8s")
_IPV6 = struct.Struct(">IHBx32s")
_PORTS = struct.Struct(">4sIIBB")


class Segment(NamedTuple):
    """A TCP segment; ``ends`` is both addresses, then both ports, sender's first.

    ``size`` is the octets of its payload on the wire: a capture may have cut some off.
    """

    time: int | None
    ends: bytes
    sequence: int
    acknowledged: int
    flags: int
    payload: bytes
    size: int


class Refused(ValueError):
    """A packet with octets of TCP that can't be used, and why."""


def addresses(ends: bytes) -> tuple[str, str]:
    """Return the sender and the recipient, as HOST:PORT."""
    half = (len(ends) - 4) // 2
    hosts = [ip_address(ends[:half]), ip_address(ends[half : 2 * half])]
    sender, recipient = (f"[{h}]" if h.version == 6 else str(h) for h in hosts)
    ports = struct.unpack(">HH", ends[-4:])
    return f"{sender}:{ports[0]}", f"{recipient}:{ports[1]}"


def reverse(ends: bytes) -> bytes:
    """Return the two ends of a connection the other way round."""
    half = (len(ends) - 4) // 2
    return ends[half : 2 * half] + ends[:half] + ends[-2:] + ends[-4:-2]


def segment(packet: Packet) -> Segment | None:
    """Return the TCP segment in a packet, or None where there is none.

    Raises:
        Refused: It is a fragment, or cut off within its headers.
    """
    find = LINKS.get(packet.link)
    if find is None:
        raise Refused(f"link layer of type {packet.link} is unknown")
    try:
        at = find(packet.octets)
        version = packet.octets[at] >> 4 if at is not None else 0
        if at is None or version not in _NETWORKS:
            return None
        found = _NETWORKS[version](packet, at)
        return _transport(packet, *found) if found else None
    except (struct.error, IndexError):
        raise Refused("packet is cut off within its headers") from None


def _transport(packet: Packet, hosts: bytes, at: int, end: int) -> Segment:
    ports, sequence, acknowledged, words, flags = _PORTS.unpack_from(packet.octets, at)
    at += (words >> 4) * 4
    size = max(end - at, 0)
    payload = packet.octets[at : at + size]
    ends = hosts + ports
    return Segment(packet.time, ends, sequence, acknowledged, flags, payload, size)


def _ipv4(packet: Packet, at: int) -> tuple[bytes, int, int] | None:
    first, total, fragment, protocol, hosts = _IPV4.unpack_from(packet.octets, at)
    if protocol != _TCP:
        return None
    if fragment & 0x3FFF:
        raise Refused("IP fragments are not put together")
    # A network card that cuts segments itself leaves the total length 0. Otherwise
    # it tells the packet from what Ethernet pads it with.
    return hosts, at + (first & 0x0F) * 4, at + total if total else packet.length


def _ipv6(packet: Packet, at: int) -> tuple[bytes, int, int] | None:
    _, size, protocol, hosts = _IPV6.unpack_from(packet.octets, at)
    at += 40
    end = at + size if size else packet.length
    while protocol in _EXTENSIONS:
        protocol, words = packet.octets[at], packet.octets[at + 1]
        at += (words + 1) * 8
    if protocol == _FRAGMENT:
        raise Refused("IP fragments are not put together")
    return (hosts, at, end) if protocol == _TCP else None


_NETWORKS = {4: _ipv4, 6: _ipv6}


def _typed(at: int, behind: int) -> Callable[[bytes], int | None]:
    """Return what finds IP behind a link header with a type field."""

    def find(octets: bytes) -> int | None:
        kind, start = int.from_bytes(octets[at : at + 2], "big"), behind
        while kind in _VLANS:
            kind = int.from_bytes(octets[start + 2 : start + 4], "big")
            start += 4
        return start if kind in _IP else None

    return find


def _behind(size: int) -> Callable[[bytes], int | None]:
    """Return what finds IP behind a link header that tells nothing else of use."""
    return lambda octets: size


LINKS: Mapping[int, Callable[[bytes], int | None]] = {
    0: _behind(4),  # BSD loopback
    1: _typed(12, 14),  # Ethernet
    12: _behind(0),  # raw IP, as some systems number it
    101: _behind(0),  # raw IP
    108: _behind(4),  # OpenBSD loopback
    113: _typed(14, 16),  # Linux cooked, version 1
    228: _behind(0),  # IPv4
    229: _behind(0),  # IPv6
    276: _typed(0, 20),  # Linux cooked, version 2
}
"""Where IP begins in a packet, by the type of the link layer."""
