"""The hex dump of a conversation is what text2pcap makes a capture of, without loss."""

import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from subprocess import run

import pytest

from tests.captures import TIME, conversation, ip, pcap
from wirechat.codec import encode, encode_data
from wirechat_tools.dump import Dump
from wirechat_tools.reading import read_traffic
from wirechat_tools.render import Hex
from wirechat_tools.traffic import Fault, Octets, Traffic

TEXT2PCAP = shutil.which("text2pcap")
pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(
        not TEXT2PCAP, reason="NOT TESTED: what text2pcap reads, as there is none here"
    ),
]
HEXLIKE = "0000 41 42  00000010 ff |00 11| I 2026-11-24T03:35:00Z\n00000000  ff\n"
TURNS = [
    (">", encode(0, "alicia") + encode(1)),
    ("<", encode(6) + encode(7, "alicia", "bobert")),
    (">", encode(2, "alicia", "bobert", HEXLIKE)),
    ("<", encode(2, "alicia", "bobert", "".join(map(chr, range(0x7C))))),
    (">", encode(2, "alicia", "bobert", "0123456789abcdef " * 20_000)),
    ("<", encode_data(99, bytes(range(256))) + b"\1no frame\xff\n0000 41\n"),
]


def heard(traffic: Iterable[Traffic]) -> dict[str, list[tuple[int | None, bytes]]]:
    """Return what each side has said, and when."""
    said: dict[str, list[tuple[int | None, bytes]]] = defaultdict(list)
    for event in traffic:
        assert not isinstance(event, Fault), event
        if isinstance(event, Octets):
            said[event.stream.side].append((event.time, event.octets))
    return said


def test_octets_directions_and_times_come_back(tmp_path: Path) -> None:
    segments = conversation(TURNS, size=5000)
    out: list[str] = []
    Dump(Hex(full=True), out.append).show(
        read_traffic([pcap(map(ip, segments), 101, 0xA1B23C4D)])
    )
    text, capture = tmp_path / "dump.txt", tmp_path / "dump.pcapng"
    text.write_text("".join(out), "ascii")
    options = ["-q", "-D", "-t", "ISO", "-T", "9000,51234"]
    run([str(TEXT2PCAP), *options, str(text), str(capture)], check=True)
    said = heard(read_traffic([capture.read_bytes()]))
    for side in "<>":
        octets = b"".join(octets for who, octets in TURNS if who == side)
        assert b"".join(octets for _, octets in said[side]) == octets
        # Each frame has the time of the segment that completed it.
        times = [time for time, _ in said[side] if time]
        assert times == sorted(times)
        assert TIME <= times[0] < times[-1] < TIME + len(segments)
