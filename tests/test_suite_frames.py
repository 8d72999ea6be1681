"""The suite's own frames, and that they agree with the reference's codec."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirechat import codec
from wirechat_conformance import frames
from wirechat_conformance.frames import BadFrameError, Received, frame, header, take

commands = st.sampled_from(list(codec.Command))
replies = st.sampled_from(sorted(frames.REPLIES))
fields = st.lists(st.text(st.characters(codec="ascii"), max_size=40), max_size=5)
sizes = st.sampled_from([0, 1, 255, 256, 65_535, 65_536, 65_537])


def test_command_codes_are_those_of_the_codec() -> None:
    theirs = {command.name: command.value for command in codec.Command}
    assert theirs == frames.COMMANDS
    assert {code: name for name, code in theirs.items()} == frames.NAMES
    assert set(codec.REPLIES) == frames.REPLIES


@given(commands, fields)
def test_frame_is_that_of_the_codec(command: int, fields: list[str]) -> None:
    ours = frame(command, *map(str.encode, fields))
    assert ours == codec.encode_data(command, "|||".join(fields).encode())
    try:
        theirs = codec.encode(command, *fields)
    except ValueError:
        return  # it would not come back as it is: the suite may send it all the same
    assert ours == theirs


@given(commands, sizes)
def test_header_is_that_of_the_codec(command: int, size: int) -> None:
    assert header(command, size) == codec.encode_data(command, bytes(size))[:42]


@given(replies, st.text(st.characters(codec="ascii")), sizes, st.binary(max_size=9))
def test_received_frame_is_that_of_the_codec(
    command: int, text: str, size: int, rest: bytes
) -> None:
    data = text.encode().ljust(size, b"|")
    octets = codec.encode_data(command, data)
    buffer = bytearray(octets + rest)
    got = take(buffer)
    assert got == Received(command, data)
    assert got.octets == octets
    assert bytes(buffer) == rest
    took_all = {command: (0, codec.ANY)}
    [theirs] = codec.Decoder(took_all, max_data=1 << 20).feed(octets)
    assert isinstance(theirs, codec.Frame)
    assert [name.decode() for name in got.fields] == theirs.fields


def test_header_may_lie() -> None:
    lie = header(frames.LIST, 2**320 - 1, version=9)
    assert lie == b"\x09\x01" + b"\xff" * 40


@pytest.mark.parametrize("length", range(45))
def test_part_of_a_frame_is_none_yet(length: int) -> None:
    buffer = bytearray(frame(frames.RESPONSE, b"no!")[:length])
    assert take(buffer) is None
    assert len(buffer) == length


@pytest.mark.parametrize(
    ("octets", "rule", "reason"),
    [
        (b"\1", "FRM-1", "version 1 is not 0"),
        (b"HTTP/1.1 400", "FRM-1", "version 72 is not 0"),
        (b"\0\x01", "FRM-1", "command 1 (LIST) is not one that a server sends"),
        (b"\0\x2a", "FRM-1", "command 42 (unknown) is not one that a server sends"),
        (
            b"\0\x06" + (2).to_bytes(40, "little"),
            "FRM-1",
            "the length is beyond all measure: 40 octets, big endian?",
        ),
        (
            frame(frames.RESPONSE, b"caf\xe9"),
            "DAT-2",
            "octet 3 of the data, 0xe9, is not ASCII",
        ),
    ],
)
def test_what_no_server_may_send(octets: bytes, rule: str, reason: str) -> None:
    with pytest.raises(BadFrameError) as bad:
        take(bytearray(octets))
    assert str(bad.value) == reason
    assert bad.value.rule == rule
    assert octets.startswith(bad.value.octets)


def test_largest_length_is_believed() -> None:
    octets = header(frames.LISTRESPONSE, frames.MAX_RECEIVED)
    assert take(bytearray(octets)) is None
    more = header(frames.LISTRESPONSE, frames.MAX_RECEIVED + 1)
    with pytest.raises(BadFrameError):
        take(bytearray(more))
