"""Captures are read as others read them: dpkt, tshark, and the simplest reassembly.

The conversation is mutated as networks and captures do it: segments that come twice,
out of order or in overlaps, sequence numbers that wrap, a start in mid-stream,
keep-alives, losses.
"""

import io
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from subprocess import run

import dpkt
import pytest

from tests.captures import (
    CLIENT,
    CLIENT6,
    SERVER,
    SERVER6,
    Seg,
    conversation,
    ethernet,
    heard,
    ip,
    pcap,
    pcapng,
)
from wirechat.codec import encode
from wirechat_tools.connections import captured
from wirechat_tools.pcap import Packet, packets
from wirechat_tools.reassembly import WRAP
from wirechat_tools.tcpip import FIN, SYN, addresses, segment

pytestmark = pytest.mark.whole

TSHARK = shutil.which("tshark")
OCTETS = Random(1).randbytes(20_000)
TURNS = [
    (">", encode(0, "alicia")),
    ("<", encode(6)),
    (">", encode(2, "alicia", "bobert", "hi" * 700)),
    *((side, OCTETS[at : at + 5000]) for at, side in enumerate("><><")),
]
SPEAK = {4: (CLIENT, SERVER), 6: (CLIENT6, SERVER6)}


def talk(version: int = 4, first: int = 1000) -> list[Seg]:
    client, server = SPEAK[version]
    return conversation(TURNS, 300, client, server, first)


def twice(segments: list[Seg], chance: Random) -> list[Seg]:
    found = list(segments)
    for one in chance.sample(segments, 20):
        found.insert(chance.randrange(found.index(one), len(found)) + 1, one)
    return found


def out_of_order(segments: list[Seg], chance: Random) -> list[Seg]:
    middle = segments[3:-3]
    order = sorted(range(len(middle)), key=lambda at: at + chance.uniform(0, 5))
    return [*segments[:3], *(middle[at] for at in order), *segments[-3:]]


def overlapping(segments: list[Seg], chance: Random) -> list[Seg]:
    """Have some segments end with what the next one from the same side begins with."""
    found = list(segments)
    for at, one in enumerate(segments):
        after = next((s for s in segments[at + 1 :] if s.source == one.source), one)
        if one.payload and after.sequence == one.sequence + len(one.payload):
            more = after.payload[: chance.randint(0, len(after.payload))]
            found[at] = one._replace(payload=one.payload + more)
    return found


def wrapped(segments: list[Seg], chance: Random) -> list[Seg]:
    by = 2**32 - chance.randint(1000, 9000)
    return [
        one._replace(
            sequence=(one.sequence + by) % WRAP,
            acknowledged=(one.acknowledged + by) % WRAP,
        )
        for one in segments
    ]


def in_mid_stream(segments: list[Seg], chance: Random) -> list[Seg]:
    return segments[chance.randint(4, 20) :]


def keep_alives(segments: list[Seg], chance: Random) -> list[Seg]:
    found = []
    for one in segments:
        found.append(one)
        if one.payload and chance.random() < 0.3:
            end = one.sequence + len(one.payload)
            found.append(one._replace(sequence=end - 1, payload=b"\0"))
    return found


def losses(segments: list[Seg], chance: Random) -> list[Seg]:
    lost = chance.sample([one for one in segments if one.payload], 10)
    return [one for one in segments if one not in lost]


MUTATIONS: list[Callable[[list[Seg], Random], list[Seg]]] = [
    twice,
    out_of_order,
    overlapping,
    wrapped,
    in_mid_stream,
    keep_alives,
    losses,
]

Row = tuple[str, str, int, int, int, bytes]
"""A segment: sender, recipient, sequence number, acknowledged, flags, payload."""


def by_us(file: bytes) -> list[Row]:
    rows: list[Row] = []
    for packet in packets([file]):
        assert isinstance(packet, Packet)
        found = segment(packet)
        assert found
        sender, recipient = addresses(found.ends)
        numbers = found.sequence, found.acknowledged, found.flags
        rows.append((sender, recipient, *numbers, found.payload))
    return rows


def by_dpkt(file: bytes) -> list[Row]:
    rows: list[Row] = []
    for _, octets in dpkt.pcap.UniversalReader(io.BytesIO(file)):
        packet = dpkt.ethernet.Ethernet(octets).data
        sender, recipient = map(dpkt.utils.inet_to_str, (packet.src, packet.dst))
        tcp = packet.data
        ends = named(sender, tcp.sport), named(recipient, tcp.dport)
        rows.append((*ends, tcp.seq, tcp.ack, tcp.flags, tcp.data))
    return rows


COLUMNS = [
    *("ip.src", "ipv6.src", "tcp.srcport"),
    *("ip.dst", "ipv6.dst", "tcp.dstport"),
    *("tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.payload"),
]


def by_tshark(path: Path) -> list[Row]:
    columns = [word for column in COLUMNS for word in ("-e", column)]
    told = run(
        [str(TSHARK), "-r", str(path), "-T", "fields", "-E", "separator=,", *columns],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    rows: list[Row] = []
    for line in told.splitlines():
        four, six, port, four_to, six_to, port_to, *numbers, payload = line.split(",")
        ends = named(four or six, int(port)), named(four_to or six_to, int(port_to))
        sequence, acknowledged, flags = (int(number, 0) for number in numbers)
        octets = bytes.fromhex(payload)
        rows.append((*ends, sequence, acknowledged, flags, octets))
    return rows


def named(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reassembled(rows: Iterable[Row]) -> dict[str, bytes]:
    """Put each octet where its number says, the first one that comes; ? is missing."""
    found: defaultdict[str, dict[int, int]] = defaultdict(dict)
    first: dict[str, int] = {}
    end: Counter[str] = Counter()
    for sender, _, sequence, _, flags, payload in rows:
        side = ">" if sender.endswith(f":{CLIENT[1]}") else "<"
        at = (sequence + bool(flags & SYN)) % WRAP
        start = (at - first.setdefault(side, at)) % WRAP
        if payload or flags & FIN:
            end[side] = max(end[side], start + len(payload))
        for offset, octet in enumerate(payload, start):
            found[side].setdefault(offset, octet)
    return {
        side: bytes(octets.get(at, ord("?")) for at in range(end[side]))
        for side, octets in found.items()
    }


@pytest.mark.parametrize("mutate", MUTATIONS)
@pytest.mark.parametrize("version", SPEAK)
@pytest.mark.parametrize("write", [pcap, pcapng])
def test_a_mutated_capture_is_read_as_dpkt_reads_it(
    write: Callable[[Iterable[bytes]], bytes],
    version: int,
    mutate: Callable[[list[Seg], Random], list[Seg]],
) -> None:
    for seed in range(5):
        segments = mutate(talk(version), Random(seed))
        file = write(ethernet(ip(one)) for one in segments)
        rows = by_dpkt(file)
        assert by_us(file) == rows
        assert heard(captured([file])) == reassembled(rows)


@pytest.mark.skipif(not TSHARK, reason="NOT TESTED: what tshark reads, without it")
@pytest.mark.parametrize("version", SPEAK)
def test_mutated_captures_are_read_as_tshark_reads_them(
    version: int, tmp_path: Path
) -> None:
    segments = [one for mutate in MUTATIONS for one in mutate(talk(version), Random(1))]
    file, path = pcapng(ethernet(ip(one)) for one in segments), tmp_path / "capture"
    path.write_bytes(file)
    assert by_us(file) == by_tshark(path)
