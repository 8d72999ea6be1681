"""The scanner finds every frame in every cut, and goes on where it safely can."""

from itertools import chain, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wirechat.codec import REPLIES, REQUESTS, Decoder, Frame, encode, encode_data
from wirechat_tools.frames import EITHER, PIECE, Piece, Scanner

LONG = 3 * PIECE + 1
ALL = (
    encode(0, "ann") + encode(6) + encode(2, "ann", "bob", "hi|") + encode(7, "a", "b")
)


def told(pieces: list[Piece]) -> list[str]:
    return [f"{fault.rule} {fault}" for piece in pieces for fault in piece.faults]


def scan(octets: bytes, *cuts: int, lost: bool = False) -> list[Piece]:
    scanner = Scanner(lost=lost)
    parts = [octets[a:b] for a, b in pairwise([0, *cuts, len(octets)])]
    return [*chain.from_iterable(map(scanner.feed, parts)), *scanner.end()]


def joined(pieces: list[Piece]) -> bytes:
    return b"".join(piece.header + piece.data for piece in pieces)


@pytest.mark.parametrize("cut", range(len(ALL) + 1))
def test_every_cut_gives_the_same_frames(cut: int) -> None:
    assert scan(ALL, cut) == scan(ALL)
    assert [piece.command for piece in scan(ALL)] == [0, 6, 2, 7]


def test_octet_by_octet_gives_the_same_frames() -> None:
    assert scan(ALL, *range(1, len(ALL))) == scan(ALL)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60)), st.integers(1, 50))
def test_agrees_with_the_codec(datas: list[bytes], step: int) -> None:
    octets = b"".join(encode_data(2, data) for data in datas)
    decoded = Decoder().feed(octets)
    pieces = scan(octets, *range(step, len(octets), step))
    assert joined(pieces) == octets
    for piece, frame in zip(pieces, decoded, strict=True):
        if isinstance(frame, Frame):
            assert (piece.command, piece.data, piece.faults) == (2, frame.data, ())
        else:
            assert piece.faults[0] == frame


@pytest.mark.parametrize("length", [PIECE - 1, PIECE, PIECE + 1, LONG])
@pytest.mark.parametrize("step", [1000, PIECE, 10**6])
def test_a_long_frame_comes_in_pieces(length: int, step: int) -> None:
    octets = encode_data(6, b"x" * length) + encode(6)
    *pieces, after = scan(octets, *range(step, len(octets), step))
    assert joined(pieces) == octets[: 42 + length]
    assert [piece.at for piece in pieces] == [*range(0, length, PIECE)]
    assert [piece.last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert {piece.number for piece in pieces} == {1}
    assert (after.number, after.offset, told(pieces)) == (2, 42 + length, [])


@pytest.mark.parametrize("bars", range(1, 10))
@pytest.mark.parametrize("before", range(1, 5))
def test_a_separator_across_pieces_counts_once(bars: int, before: int) -> None:
    data = b"x" * (PIECE - before) + b"|" * bars + b"y"
    fault = f"DAT-3 CREATE does not take {bars // 3 + 1} fields (offset 42)"
    assert told(scan(encode_data(0, data))) == ([fault] if bars >= 3 else [])


@pytest.mark.parametrize(
    ("octets", "faults"),
    [
        (encode_data(0, b""), ["DAT-3 CREATE does not take 0 fields (offset 42)"]),
        (encode_data(2, b"a"), ["SND-10 SEND does not take 1 field (offset 42)"]),
        (
            encode_data(1, b"a\x80"),
            ["DAT-2 octet 0x80 in LIST is not ASCII (offset 43)"],
        ),
        (encode_data(8, b"\xff"), ["FRM-5 unknown command 8 (offset 1)"]),
        (encode_data(8, b"x" * LONG), ["FRM-5 unknown command 8 (offset 1)"]),
        (
            encode_data(6, b"x" * LONG + b"\xff"),
            [f"DAT-2 octet 0xff in RESPONSE is not ASCII (offset {42 + LONG})"],
        ),
        (b"\1" + bytes(41), ["FRM-2 version 1 is not 0 (offset 0)"]),
        (
            b"\0\2" + b"\xff" * 40,
            [
                "FRM-8 data length 2.136e+96 is over the limit of every server"
                " (offset 2)"
            ],
        ),
    ],
)
def test_what_is_wrong_is_told_and_the_next_frame_found(
    octets: bytes, faults: list[str]
) -> None:
    pieces = scan(octets + encode(3))
    assert told(pieces) == faults
    assert (pieces[-1].command, pieces[-1].offset) == (3, len(octets))


def test_each_side_has_its_commands() -> None:
    assert Scanner(REQUESTS).feed(encode(6))[0].faults[0].rule == "FRM-5"
    assert Scanner(REPLIES).feed(encode(3))[0].faults[0].rule == "FRM-5"
    assert {*REQUESTS, *REPLIES} == {*EITHER}


@pytest.mark.parametrize("cut", range(1, len(encode(5, "ann"))))
def test_cut_off_frame(cut: int) -> None:
    wanted = 42 if cut < 42 else 45
    (piece,) = scan(encode(5, "ann")[:cut])
    assert joined([piece]) == encode(5, "ann")[:cut]
    assert piece.last
    assert told([piece]) == [
        f"FRM-1 cut off: {cut} of at least {wanted} octets came (offset {cut})"
    ]


def test_cut_off_long_frame() -> None:
    octets = encode_data(6, b"x" * LONG)
    *pieces, last = scan(octets[:-1])
    assert joined([*pieces, last]) == octets[:-1]
    assert told([last]) == [
        f"FRM-1 cut off: {LONG + 41} of at least {LONG + 42} octets came"
        f" (offset {LONG + 41})"
    ]


@pytest.mark.parametrize("before", range(1, 90))
@pytest.mark.parametrize("octets", [encode(0, "ann"), encode(2, "a", "b", "c")])
def test_a_stream_joined_late_is_found_into(before: int, octets: bytes) -> None:
    tail = (encode(2, "ann", "bob", "x" * 40))[-before:]
    *scraps, frame = scan(tail + octets, lost=True)
    assert joined(scraps) == tail
    assert joined([frame]) == octets
    assert told([*scraps, frame]) == []


def test_garbage_comes_out_whole_in_pieces() -> None:
    octets = b"garbage" * PIECE
    pieces = scan(octets, *range(10_000, len(octets), 10_000))
    assert joined(pieces) == octets
    assert max(len(piece.data) for piece in pieces) <= PIECE + 3
    assert len(told(pieces)) == 1


def gapped(before: bytes, size: int, after: bytes) -> list[Piece]:
    scanner = Scanner()
    parts = [scanner.feed(before), scanner.gap(size), scanner.feed(after)]
    return [*chain.from_iterable(parts), *scanner.end()]


@pytest.mark.parametrize("length", [9, LONG])
def test_a_gap_within_data_keeps_the_frames(length: int) -> None:
    octets = encode_data(2, b"a|||b||||" + b"x" * (length - 9))
    part, *rest, after = gapped(octets[:45], 5, octets[50:] + encode(3))
    assert told([part, *rest]) == [" 5 octets are missing (offset 45)"]
    assert (rest[0].at, rest[0].number, rest[-1].last) == (8, 1, True)
    assert (after.command, after.offset) == (3, len(octets))


def test_a_gap_up_to_the_end_of_a_frame_keeps_the_frames() -> None:
    octets = encode(5, "ann")
    part, after = gapped(octets[:43], 2, b"\1")
    assert (part.last, part.data, len(part.faults)) == (True, b"a", 1)
    assert told([after]) == ["FRM-1 cut off: 1 of at least 42 octets came (offset 46)"]


@pytest.mark.parametrize("kept", [0, 10, 42, 44])
def test_a_gap_over_a_header_loses_the_frames_up_to_the_next(kept: int) -> None:
    octets = encode(5, "ann")
    part, scrap, after = gapped(octets[:kept], 100, b"tail" + encode(3))
    assert told([part]) == [f" 100 octets are missing (offset {kept})"]
    assert part.header + part.data == octets[:kept]
    assert (scrap.command, scrap.data, scrap.faults) == (None, b"tail", ())
    assert (after.command, after.offset) == (3, kept + 104)


def test_a_gap_while_lost() -> None:
    pieces = gapped(b"\1" * 50, 7, b"\1" * 50)
    assert joined(pieces) == b"\1" * 100
    assert len(told(pieces)) == 2


@settings(deadline=None)
@given(st.binary() | st.just(ALL), st.data())
def test_no_octet_is_lost_whatever_comes(octets: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(octets)))))
    assert joined(scan(octets, *cuts)) == octets
