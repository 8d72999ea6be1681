"""No damage ends the dump: ``DAMAGED=10000`` in the environment tries so many inputs.

Each is what somebody may have, of which some octets or packets are changed, dropped,
doubled or moved. ``tox -e fuzz`` tries ten thousand, or as many as it is told.
"""

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.captures import conversation, cuts, ethernet, ip, pcap, pcapng
from wirechat.codec import encode
from wirechat_tools.dump import Dump, main
from wirechat_tools.reading import read_traffic
from wirechat_tools.render import Hex, Json, Lines, Renderer

INPUTS = int(os.environ.get("DAMAGED", "500"))
PARTS = 10
"""Into so many tests they are divided, which can run side by side."""
SEND = encode(2, "alicia", "bobert", "hi" * 700)
TURNS = [
    (">", encode(0, "alicia")),
    ("<", encode(6)),
    (">", SEND),
    ("<", SEND),
    (">", encode(1)),
    ("<", encode(7, "alicia", "bobert")),
]
PACKETS = [ethernet(ip(one)) for one in conversation(TURNS, size=300)]
RAW = b"".join(octets for _, octets in TURNS)
SCRIPT = rb"""title T
name a = alice01
A open
A > CREATE 7 "\{a}"
A < RESPONSE 0
A > octets 00 01 00*40
A < LISTRESPONSE of "\{a}" "x"*9
"""


def dumped(octets: bytes, size: int, renderer: Renderer) -> tuple[str, bool]:
    """Return what is shown of octets in chunks, and whether anything is wrong."""
    out: list[str] = []
    dump = Dump(renderer, out.append)
    dump.show(read_traffic(cuts(octets, size)))
    return "".join(out), dump.faulty


def hexed(packets: list[bytes]) -> bytes:
    return dumped(pcapng(packets), 1 << 20, Hex(full=True))[0].encode()


def xxd(octets: bytes) -> bytes:
    rows = enumerate(cuts(octets, 16))
    return b"".join(f"{16 * n:08x}: {row.hex(' ', 2)}\n".encode() for n, row in rows)


FILES: list[Callable[[list[bytes]], bytes]] = [
    pcap,
    pcapng,
    lambda packets: pcap(packets, magic=0xA1B23C4D, order=">"),
    lambda packets: pcapng(packets, order=">"),
    lambda packets: gzip.compress(pcap(packets)),
    hexed,
    lambda _: RAW,
    lambda _: RAW.hex(" ").encode(),
    lambda _: xxd(RAW),
    lambda _: SCRIPT,
]


# What can happen to octets, and to packets: each function takes either.


def drop(items: Any, at: int, chance: Random) -> None:
    del items[at : at + chance.randint(1, 1 + len(items) // 5)]


def double(items: Any, at: int, chance: Random) -> None:
    items[at:at] = items[at : at + chance.randint(1, 1 + len(items) // 5)]


def move(items: Any, at: int, chance: Random) -> None:
    size = chance.randint(1, 1 + len(items) // 5)
    part = items[at : at + size]
    del items[at : at + size]
    to = chance.randrange(len(items) + 1)
    items[to:to] = part


def cut_off(items: Any, at: int, chance: Random) -> None:
    del items[max(at, 5) :]


def flip(octets: bytearray, at: int, chance: Random) -> None:
    size = chance.randint(1, 20)
    octets[at : at + size] = chance.randbytes(size)


def insert(octets: bytearray, at: int, chance: Random) -> None:
    octets[at:at] = chance.randbytes(chance.randint(1, 50))


OF_PACKETS = drop, double, move, cut_off
OF_OCTETS = *OF_PACKETS, flip, insert


def damaged(chance: Random, write: Callable[[list[bytes]], bytes]) -> bytes:
    """Return a file with some of its packets, and then of its octets, damaged."""
    packets = list(PACKETS)
    for _ in range(chance.randint(0, 3)):
        chance.choice(OF_PACKETS)(packets, chance.randrange(len(packets) + 1), chance)
    octets = bytearray(write(packets))
    for _ in range(chance.randint(0, 4)):
        chance.choice(OF_OCTETS)(octets, chance.randrange(len(octets) + 1), chance)
    return bytes(octets)


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_is_damaged_is_shown_safely(part: int) -> None:
    for number in range(part, INPUTS, PARTS):
        chance = Random(number)
        octets = damaged(chance, chance.choice(FILES))
        size = chance.choice([7, 64, 4096, 1 << 20])
        for renderer in (Hex(full=True), Lines(), Json()):
            text, _ = dumped(octets, size, renderer)
            assert text.isascii(), number
            assert "\x1b" not in text, number


@pytest.mark.parametrize("write", [pcap, pcapng])
@pytest.mark.parametrize("of", OF_OCTETS)
def test_what_is_left_of_a_damaged_capture_is_shown(
    write: Callable[[list[bytes]], bytes],
    of: Callable[[Any, int, Random], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    octets = bytearray(write(PACKETS))
    of(octets, octets.index(SEND[:42]), Random(1))
    path = tmp_path / "capture"
    path.write_bytes(octets)
    assert main(["--fields", str(path)]) == 1
    output, errors = capsys.readouterr()
    assert errors == ""
    assert "CREATE" in output


@pytest.mark.parametrize(
    ("of", "wrong"), [(drop, True), (double, False), (move, False)]
)
def test_segments_that_are_dropped_alone_are_missed(
    of: Callable[[Any, int, Random], None], wrong: bool
) -> None:
    packets = list(PACKETS)
    of(packets, len(packets) // 2, Random(1))
    text, faulty = dumped(pcap(packets), 1 << 20, Lines())
    assert faulty is wrong
    assert "LISTRESPONSE" in text
