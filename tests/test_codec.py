"""The wire format: golden vectors, every cut of them, and every way to be wrong."""

import itertools
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirechat.codec import (
    HEADER_SIZE,
    MAX_DATA,
    REPLIES,
    REQUESTS,
    Command,
    Decoder,
    Frame,
    Malformed,
    encode,
    encode_data,
)

Item = Frame | Malformed
EVERYTHING = {**REQUESTS, **REPLIES}
FIELDS = ["", "a", "|", "a|", "|a", "||", "|||", "a||b", "a|||b"]


def header(command: int, length: int, version: int = 0) -> bytes:
    return bytes([version, command]) + length.to_bytes(40, "big")


GOLDEN = [
    (Command.CREATE, ["ann"], header(0, 3) + b"ann"),
    (Command.LIST, [], header(1, 0)),
    (Command.LIST, ["a*"], header(1, 2) + b"a*"),
    (Command.SEND, ["a", "b", ""], header(2, 8) + b"a|||b|||"),
    (Command.SEND, ["a", "b", "|x\n|"], header(2, 12) + b"a|||b||||x\n|"),
    (Command.DELIVER, [], header(3, 0)),
    (Command.DELETE, [], header(4, 0)),
    (Command.LOGIN, ["x" * 256], bytes([0, 5, *[0] * 38, 1, 0]) + b"x" * 256),
    (Command.RESPONSE, ["no"], header(6, 2) + b"no"),
    (Command.LISTRESPONSE, ["a", "b", "c", "d"], header(7, 13) + b"a|||b|||c|||d"),
]

# What comes, and the rule, the reason, the offset, and whether it is fatal.
MALFORMED = [
    (header(1, 0, version=1), "FRM-2", "version 1 is not 0", 0, True),
    (header(9, 1 << 319, version=255), "FRM-2", "version 255 is not 0", 0, True),
    (
        header(2, MAX_DATA + 1),
        "FRM-8",
        "data length 1048577 exceeds the limit of 1048576 octets",
        2,
        True,
    ),
    (
        header(9, 2**320 - 1),
        "FRM-8",
        "data length 2.136e+96 exceeds the limit of 1048576 octets",
        2,
        True,
    ),
    (
        header(2, 1 << 64),
        "FRM-8",
        "data length 1.845e+19 exceeds the limit of 1048576 octets",
        2,
        True,
    ),
    (header(6, 0), "FRM-5", "unknown command 6", 1, False),
    (header(7, 1) + b"a", "FRM-5", "unknown command 7", 1, False),
    (header(255, 1) + b"\xff", "FRM-5", "unknown command 255", 1, False),
    (header(0, 0), "DAT-3", "CREATE does not take 0 fields", 42, False),
    (header(5, 7) + b"a|||b|c", "DAT-3", "LOGIN does not take 2 fields", 42, False),
    (header(1, 4) + b"a|||", "DAT-3", "LIST does not take 2 fields", 42, False),
    (header(3, 1) + b"a", "DAT-3", "DELIVER does not take 1 field", 42, False),
    (header(4, 1) + b"a", "DAT-3", "DELETE does not take 1 field", 42, False),
    (header(2, 5) + b"a|||b", "SND-10", "SEND does not take 2 fields", 42, False),
    (
        header(2, 13) + b"a|||b|||c|||d",
        "SND-10",
        "SEND does not take 4 fields",
        42,
        False,
    ),
    (
        header(2, 9) + b"a|||b|||\x80",
        "DAT-2",
        "octet 0x80 in SEND is not ASCII",
        50,
        False,
    ),
]


def decoded(
    stream: bytes, *cuts: int, commands: dict[int, tuple[int, int]] = EVERYTHING
) -> list[Item]:
    decoder = Decoder(commands)
    ends = [*cuts, len(stream)]
    found: list[Item] = []
    for start, end in itertools.pairwise([0, *ends]):
        found += decoder.feed(stream[start:end])
    return found


def at_every_cut(stream: bytes, commands: dict[int, tuple[int, int]]) -> list[Item]:
    """Return what a stream holds, having seen that no cut of it makes a difference."""
    whole = decoded(stream, commands=commands)
    for cut in range(len(stream) + 1):
        assert decoded(stream, cut, commands=commands) == whole
    assert decoded(stream, *range(1, len(stream)), commands=commands) == whole
    return whole


@pytest.mark.parametrize(("command", "fields", "octets"), GOLDEN)
def test_golden_vector(command: Command, fields: list[str], octets: bytes) -> None:
    assert encode(command, *fields) == octets
    (frame,) = at_every_cut(octets, EVERYTHING)
    assert frame == Frame(command, octets[HEADER_SIZE:])
    assert isinstance(frame, Frame)
    assert frame.fields == fields


def test_golden_vectors_in_one_stream() -> None:
    stream = b"".join(octets for _, _, octets in GOLDEN)
    frames = [Frame(command, octets[HEADER_SIZE:]) for command, _, octets in GOLDEN]
    assert at_every_cut(stream, EVERYTHING) == frames


@pytest.mark.parametrize(("octets", "rule", "reason", "offset", "fatal"), MALFORMED)
def test_malformed_frame(
    octets: bytes, rule: str, reason: str, offset: int, fatal: bool
) -> None:
    before, after = encode(Command.LIST), encode(Command.LIST, "x")
    found = at_every_cut(before + octets + after, dict(REQUESTS))
    malformed = Malformed(rule, reason, len(before) + offset, fatal)
    rest = [] if fatal else [Frame(Command.LIST, b"x")]
    assert found == [Frame(Command.LIST, b""), malformed, *rest]
    assert str(malformed) == f"{reason} (offset {len(before) + offset})"


@pytest.mark.parametrize("command", range(256))
def test_only_requests_are_known_to_a_server(command: int) -> None:
    (item,) = Decoder().feed(encode_data(command, b"a|||b|||c"))
    assert (getattr(item, "rule", "") == "FRM-5") == (command not in range(6))


@pytest.mark.parametrize("length", [0, 1, 65536, MAX_DATA - 1, MAX_DATA])
def test_length_up_to_the_limit(length: int) -> None:
    octets = encode_data(Command.LISTRESPONSE, b"x" * length)
    assert decoded(octets) == [Frame(Command.LISTRESPONSE, b"x" * length)]


@pytest.mark.parametrize("count", range(4))
def test_encoded_fields_come_back_or_are_refused(count: int) -> None:
    for fields in itertools.product(FIELDS, repeat=count):
        text = "|||".join(fields)
        if (text.split("|||") if text else []) == list(fields):
            (frame,) = Decoder({7: (0, 9)}).feed(encode(7, *fields))
            assert isinstance(frame, Frame)
            assert frame.fields == list(fields)
        else:
            with pytest.raises(ValueError, match="field"):
                encode(7, *fields)


def test_encoder_refuses_what_is_not_ascii() -> None:
    with pytest.raises(ValueError, match="a field holds characters that are not ASCII"):
        encode(Command.CREATE, "ä")


@given(st.lists(st.tuples(st.sampled_from([1, 7]), st.binary(max_size=300))), st.data())
def test_any_stream_in_any_cut(
    parts: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(encode_data(command, octets) for command, octets in parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    found = decoded(stream, *cuts)
    assert found == decoded(stream)
    assert len(found) == len(parts)


@given(st.binary(max_size=200))
def test_garbage_is_told_and_never_raises(octets: bytes) -> None:
    decoder = Decoder()
    for item in decoder.feed(octets):
        str(item)
    assert decoder.end() is None or not decoder.broken


def test_end_of_a_stream() -> None:
    decoder = Decoder()
    assert decoder.end() is None
    decoder.feed(encode(Command.LIST) + header(0, 7)[:10])
    assert str(decoder.end()) == "cut off: 10 of at least 42 octets came (offset 52)"
    decoder.feed(header(0, 7)[10:] + b"abc")
    assert str(decoder.end()) == "cut off: 45 of at least 49 octets came (offset 87)"
    decoder.feed(b"defg\1" + bytes(41))
    assert decoder.broken
    assert decoder.end() is None
    assert decoder.feed(encode(Command.LIST)) == []


def test_header_begun() -> None:
    decoder = Decoder()
    assert decoder.header_begun is None
    decoder.feed(encode(Command.LIST) + b"\0")
    assert decoder.header_begun == HEADER_SIZE
    decoder.feed(header(0, 7)[1:])
    assert decoder.header_begun is None


def test_announced_data_takes_no_room() -> None:
    decoder = Decoder(max_data=1 << 62)
    tracemalloc.start()
    decoder.feed(header(2, 1 << 62))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000


def feed_singly(octets: bytes) -> None:
    decoder = Decoder()
    for at in range(len(octets)):
        found = decoder.feed(octets[at : at + 1])
    assert len(found) == 1


def test_single_octets_take_time_in_proportion() -> None:
    begin = time.thread_time()
    feed_singly(encode_data(Command.LIST, b"x" * 200_000))
    # To copy what is there for each octet would be 20 GB.
    assert time.thread_time() - begin < 1


def test_single_octets_take_room_in_proportion() -> None:
    octets = encode_data(Command.LIST, b"x" * 10_000)
    tracemalloc.start()
    feed_singly(octets)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * len(octets)
