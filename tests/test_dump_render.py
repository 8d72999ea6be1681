"""What is shown of frames: hex that hexdump would print, a line each, or JSON."""

import json
import shutil
import subprocess
from itertools import count

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wirechat.codec import encode, encode_data
from wirechat_tools.frames import PIECE, Scanner
from wirechat_tools.pcap import FAR
from wirechat_tools.render import (
    COLOURED,
    Hex,
    Json,
    Lines,
    Renderer,
    quote,
    rows,
    timestamp,
)
from wirechat_tools.traffic import Fault, Stream

STREAM = Stream(2, "ann > server", ">")
TIME = 1_795_491_300_123_456_789


def shown(renderer: Renderer, octets: bytes, stream: Stream = STREAM) -> str:
    scanner = Scanner(numbers=count(7))
    pieces = scanner.feed(octets) + scanner.end()
    return "".join(renderer.piece(stream, TIME, piece) for piece in pieces)


@settings(deadline=None)
@given(st.text(st.characters(max_codepoint=255)))
@example('printable: \\ and "')
def test_quoting_is_safe_and_can_be_undone(text: str) -> None:
    quoted = quote(text)
    assert quoted.isascii()
    assert quoted.isprintable()
    inner = quoted[1:-1]
    assert inner.encode().decode("unicode_escape") == text


def test_time_keeps_its_nanoseconds() -> None:
    assert timestamp(TIME) == "2026-11-24T03:35:00.123456789Z"
    assert timestamp(TIME + 119 * 10**9) == "2026-11-24T03:36:59.123456789Z"
    assert timestamp(FAR)[:4] == "2262"
    assert timestamp(-FAR)[:4] == "1677"
    assert timestamp(-1) == "1969-12-31T23:59:59.999999999Z"
    assert timestamp(None) == ""


@pytest.mark.skipif(not shutil.which("hexdump"), reason="there is no hexdump")
@pytest.mark.parametrize("size", [1, 7, 8, 9, 15, 16, 17, 256])
def test_rows_are_those_of_hexdump(size: int) -> None:
    octets = bytes(range(size))
    command = ["hexdump", "-C", "-v"]
    theirs = subprocess.run(command, input=octets, stdout=subprocess.PIPE, check=True)
    *lines, _ = theirs.stdout.decode().splitlines(keepends=True)
    assert rows(octets) == lines


def test_hex() -> None:
    octets = encode(5, "ann")
    heading, direction, *lines, blank = shown(Hex(), octets).splitlines()
    assert heading == '# 7  2 ann > server  LOGIN  3 octets  offset 0  "ann"'
    assert direction == "O 2026-11-24T03:35:00.123456789Z"
    assert "\n".join([*lines, blank]) == "".join(rows(octets[:42]) + rows(b"ann", 42))


def test_hex_in_colour_ends_it_on_each_line() -> None:
    text = shown(Hex(paint=COLOURED), encode(5, "ann"))
    for line in text.splitlines()[:-1]:
        assert line.startswith("\x1b[")
        assert line.endswith("\x1b[0m")


@pytest.mark.parametrize("renderer", [Hex(), Lines()])
def test_long_data_is_shortened(renderer: Renderer) -> None:
    for length in (10_000, PIECE * 3):
        text = shown(renderer, encode_data(6, b"x" * length))
        assert len(text) < 2500
        assert f"{length}" in text


def test_hex_tells_how_much_is_left_out() -> None:
    assert "# 44 octets more (--full shows them)\n" in shown(
        Hex(), encode_data(6, b"x" * 300)
    )
    assert "more" not in shown(Hex(), encode_data(6, b"x" * 256))
    assert "more" not in shown(Hex(), encode_data(6, b"x" * 256)[:-1])


def test_full_hex_has_every_octet() -> None:
    octets = encode_data(6, b"x" * (2 * PIECE + 1))
    text = shown(Hex(full=True), octets)
    lines = [line for line in text.splitlines() if line[:1] not in ("#", "O", "")]
    assert bytes.fromhex("".join(line[10:58] for line in lines)) == octets
    assert "65537 octets, from 65536 on  offset 65578" in text


@pytest.mark.parametrize("full", [False, True])
def test_line(full: bool) -> None:
    line = "     7  2026-11-24T03:35:00.123456789Z  2 ann > server  "
    assert (
        shown(Lines(full), encode(2, "ann", "bob", "\x1b[0m"))
        == line + 'SEND             16  "ann" "bob" "\\x1b[0m"\n'
    )
    assert shown(Lines(full), encode(6)) == line + "RESPONSE          0\n"


def test_long_fields_are_shortened() -> None:
    long = encode(7, *["x" * 61] * 13)
    assert shown(Lines(), long).endswith('"' + "x" * 60 + '"... ...\n')
    assert shown(Lines(full=True), long).endswith('"' + "x" * 61 + '"\n')
    assert shown(Lines(full=True), encode_data(6, b"x" * PIECE + b"y")).endswith(
        'x"...\n'
    )


@pytest.mark.parametrize("begin", ["", "|", "||", "x|x||x"])
@pytest.mark.parametrize("length", [60, 61, 62])
def test_a_message_is_shown_up_to_its_limit(begin: str, length: int) -> None:
    message = begin + "x" * (length - len(begin))
    end = f'"{message[:60]}"' + "..." * (length > 60)
    assert shown(Lines(), encode(2, "a", "b", message)).endswith(f'"b" {end}\n')


def test_what_is_wrong_stands_where_it_is() -> None:
    octets = encode_data(9, b"") + b"garbage" + encode(3)
    for renderer in (Hex(), Lines()):
        text = shown(renderer, octets)
        at = [
            text.index(part) for part in ("command 9", "! FRM-5", "no frame", "! FRM-2")
        ]
        assert at == sorted(at)
        assert text.index("DELIVER") > at[-1]


def test_a_gap_without_octets_is_one_remark() -> None:
    (piece,) = Scanner().gap(9)
    told = "# !  9 octets are missing (offset 0)".replace("!  ", "! ")
    assert Lines().piece(STREAM, TIME, piece) == f"{told}\n"
    assert told in Hex().piece(STREAM, TIME, piece)
    assert "\nO" not in Hex().piece(STREAM, TIME, piece)


@pytest.mark.parametrize("renderer", [Hex(), Lines()])
def test_faults_of_the_capture(renderer: Renderer) -> None:
    assert renderer.fault(Fault(None, None, "cut off")) == "# ! cut off\n"
    assert renderer.fault(Fault(STREAM, 5, "odd")) == "# ! 2 ann > server: odd\n"


def test_json() -> None:
    octets = encode_data(5, b"a\xff")
    assert json.loads(shown(Json(), octets)) == {
        "frame": 7,
        "time": "2026-11-24T03:35:00.123456789Z",
        "connection": 2,
        "stream": "ann > server",
        "side": ">",
        "offset": 0,
        "command": "LOGIN",
        "length": 2,
        "at": 0,
        "last": True,
        "fields": ["a\xff"],
        "octets": octets.hex(),
        "faults": [
            {
                "rule": "DAT-2",
                "reason": "octet 0xff in LOGIN is not ASCII",
                "offset": 43,
            }
        ],
    }
    assert json.loads(shown(Json(), encode(3)))["fields"] == []


def test_json_of_octets_that_are_no_frame() -> None:
    shape = json.loads(shown(Json(), b"x" * 42 + encode(1)).splitlines()[0])
    assert (shape["frame"], shape["command"], shape["fields"]) == (None, None, None)
    assert bytes.fromhex(shape["octets"]) == b"x" * 42


def test_json_of_a_fault() -> None:
    shape = {"time": None, "connection": None, "stream": None, "side": None}
    assert json.loads(Json().fault(Fault(None, None, "odd"))) == {
        **shape,
        "fault": "odd",
    }
    assert json.loads(Json().fault(Fault(STREAM, TIME, "odd")))["connection"] == 2
