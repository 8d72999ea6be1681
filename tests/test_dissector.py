"""Wireshark's dissector, in a real tshark, says of every frame what the dump says."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.captures import SERVER, Seg, conversation, ip, pcap
from tests.dissected import TSHARK, dissected, dumped, tshark
from wirechat.codec import encode, encode_data

pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(
        not TSHARK, reason="NOT TESTED: the dissector, as there is no tshark here"
    ),
]

SEND = encode(2, "alicia", "bobert", "Hello, Bobert.")
RIGHT = [
    (">", encode(0, "alicia")),
    ("<", encode(6)),
    (">", SEND + encode(2, "alicia", "bobert", "") + encode(1)),
    ("<", SEND + encode(2, "alicia", "bobert", "") + encode(7, "alicia", "bobert")),
    (">", encode(2, "alicia", "bobert", 'a\0b\n"\x1b[2J\\')),
    ("<", encode(2, "alicia", "bobert", "m" * 70_000)),
    (">", encode(1, "a*") + encode(3) + encode(4) + encode(5, "|a|")),
    ("<", encode(7) + encode(6, "no such account")),
]
WRONG = [
    (">", encode_data(3, b"x\xff")),
    (">", encode_data(6, b"x") + encode_data(99, b"a|||b")),
    (">", encode_data(2, b"a|||b") + encode_data(2, b"a|||b|||c|||d")),
    (">", encode_data(0, b"") + encode_data(5, b"a|||||||b")),
    ("<", encode_data(0, b"a")),
    ("<", encode_data(2, b"a|||b|||c|||d")),
    (">", b"\1" + encode(1)[1:]),
    (">", encode(1)),
    ("<", b"\0\6" + b"\1" * 40),
    ("<", encode(6)),
]


def write(path: Path, segments: Iterable[Seg]) -> Path:
    path.write_bytes(pcap(map(ip, segments), link=101))
    return path


def swapped(segments: list[Seg]) -> list[Seg]:
    """Return segments with some out of order, and some doubled."""
    at = [at for at, seg in enumerate(segments) if seg.payload]
    pairs = [(a, b) for a, b in pairwise(at) if b == a + 1]
    found = list(segments)
    for first, second in pairs[::5]:
        found[first], found[second] = segments[second], segments[first]
    return [seg for n, seg in enumerate(found) for _ in range(1 + (n % 4 == 3))]


CAPTURES = {
    "a frame or more in a segment": conversation(RIGHT, size=50_000),
    "a frame over many segments": conversation(RIGHT[:5], size=7),
    "out of order and twice": swapped(conversation(RIGHT, size=1000)),
    "broken rules": conversation(WRONG, size=1000),
    "a frame and the beginning of another": conversation(
        [(">", encode(1) + SEND + encode(3)), ("<", encode(7) + SEND)], size=60
    ),
    **{
        f"a length of 2 to the {power}th": conversation(
            [(">", SEND), ("<", encode(6) + b"\0\6" + length.to_bytes(40, "big"))]
        )
        for power in (63, 64, 319)
        for length in [2**power + 3]
    },
}


@pytest.mark.parametrize("name", CAPTURES)
def test_frames_are_named_as_the_dump_names_them(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "capture.pcap", CAPTURES[name])
    expected = list(dumped(path, capsys))
    assert len(expected) >= 2
    assert list(dissected(path)) == expected


def test_info_column_says_what_a_frame_is(tmp_path: Path) -> None:
    path = write(tmp_path / "capture.pcap", conversation([*RIGHT, *WRONG], 50_000))
    told = tshark(path, "-Y", "wirechat", "-T", "fields", "-e", "_ws.col.Info")
    assert told.splitlines()[:4] == [
        "CREATE alicia, 6 octets",
        "RESPONSE",
        "SEND alicia → bobert, 32 octets; SEND alicia → bobert, 18 octets; LIST",
        "SEND alicia → bobert, 32 octets; SEND alicia → bobert, 18 octets; "
        "LISTRESPONSE of 2 fields, 15 octets",
    ]
    assert "no frame (FRM-2)" in told
    protocols = tshark(path, "-Y", "wirechat", "-T", "fields", "-e", "_ws.col.Protocol")
    assert set(protocols.split()) == {"WIRECHAT"}


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("wirechat.command == 2", 4),
        ('wirechat.recipient == "bobert"', 4),
        ("wirechat.length > 65536", 1),
        ('wirechat.error contains "account"', 1),
        ("wirechat.frm5", 0),
    ],
)
def test_fields_can_be_filtered_by(expression: str, count: int, tmp_path: Path) -> None:
    path = write(tmp_path / "capture.pcap", conversation(RIGHT, size=50_000))
    told = tshark(path, "-Y", expression, "-T", "fields", "-e", "frame.number")
    assert len(told.splitlines()) == count


def test_another_port_is_named_on_the_command_line(tmp_path: Path) -> None:
    segments = conversation([(">", encode_data(6, b""))], server=(SERVER[0], 4321))
    path = write(tmp_path / "capture.pcap", segments)
    assert list(dissected(path)) == []
    (shown,) = dissected(path, "-d", "tcp.port==4321,wirechat")
    assert shown.rules == ["FRM-5"]


def test_two_equal_ports_do_not_tell_who_is_the_server(tmp_path: Path) -> None:
    turns = [(">", encode(0, "ann")), ("<", encode(6))]
    segments = conversation(turns, client=("127.0.0.2", SERVER[1]))
    path = write(tmp_path / "capture.pcap", segments)
    assert [(one.command, one.rules) for one in dissected(path)] == [(0, []), (6, [])]


def test_frame_that_is_not_put_together_is_cut_off(tmp_path: Path) -> None:
    path = write(tmp_path / "capture.pcap", conversation([(">", SEND)], size=60))
    shown = list(dissected(path, "-o", "tcp.desegment_tcp_streams:FALSE"))
    assert [one.rules for one in shown] == [["FRM-1"], ["FRM-1"]]
