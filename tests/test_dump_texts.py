"""Hex text of every form, and transcripts, give the octets that they stand for."""

import gzip
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.captures import TIME, cuts
from wirechat.codec import encode, encode_data
from wirechat_tools import logs
from wirechat_tools.dump import Dump
from wirechat_tools.hextext import MAX_LINE, MAX_REPEATED
from wirechat_tools.reading import raw, read_traffic, recognise, unpacked
from wirechat_tools.render import Hex
from wirechat_tools.source import Source
from wirechat_tools.traffic import Fault, Gap, Octets, Stream, Traffic

CHAT = encode(0, "ann") + encode(6) + encode(2, "ann", "bob", "de ad" * 20)
PLAIN = CHAT.hex().encode()


def read(text: bytes, size: int = 10**6) -> tuple[bytes, list[str]]:
    """Return the octets, with a gap as question marks, and what is wrong."""
    octets, wrong = b"", []
    for event in read_traffic(cuts(text, size)):
        if isinstance(event, Octets):
            octets += event.octets
        elif isinstance(event, Gap):
            octets += b"?" * event.size
        elif isinstance(event, Fault):
            wrong.append(event.reason)
    return octets, wrong


COMMANDS = [
    ["hexdump", "-C"],
    ["hexdump", "-C", "-v"],
    ["xxd"],
    ["xxd", "-u", "-c", "32"],
    ["xxd", "-c", "7", "-g", "1"],
    ["xxd", "-g", "8"],
    ["xxd", "-p"],
    ["od", "-A", "x", "-t", "x1"],
    ["od", "-A", "x", "-t", "x1z", "-v"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("octets", [CHAT, bytes(range(256)), b"\0\5" + bytes(100)])
def test_what_programs_print(command: list[str], octets: bytes) -> None:
    if not shutil.which(command[0]):
        pytest.skip(f"there is no {command[0]}")
    done = subprocess.run(command, input=octets, stdout=subprocess.PIPE, check=True)
    for size in (7, 10**6):
        assert read(done.stdout, size) == (octets, [])


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.upper() + b"\n",
        CHAT.hex(" ").encode(),
        CHAT.hex(" ", -4).encode() + b"\r\n",
        b"\n\n  " + CHAT.hex("\n").encode(),
        b"0000   " + CHAT[:16].hex(" ").encode() + b"   ab.cd\n"
        b"0010   " + CHAT[16:].hex(" ").encode() + b"   ab cd\n",
        b"# a remark\nO 2026-11-24T03:35:00Z\n000000 " + CHAT.hex(" ").encode(),
        b"0x0000: " + CHAT.hex(" ", 2).encode(),
    ],
)
@pytest.mark.parametrize("size", [1, 10**6])
def test_what_people_paste(text: bytes, size: int) -> None:
    assert read(text, size) == (CHAT, [])


def test_rows_that_a_star_stands_for() -> None:
    rows = b"00000000  61 62  |ab|\n*\n00000007  63  |c|\n*\n0000000a\n"
    assert read(rows) == (b"abababacccc"[:7] + b"ccc", [])


@pytest.mark.parametrize(
    ("text", "octets", "wrong"),
    [
        (b"00000000  61\n00000005  62\n", b"a????b", []),
        (b"00000010  61\n00000012  62\n", b"?" * 16 + b"a?b", []),
        (
            b"00000000  61 62\n00000001  63\n00000002  64\n",
            b"abcd",
            ["line 2 goes back to offset 0x1"],
        ),
        (b"00000000  61\nwhat?\n00000001  62", b"ab", ["line 2 is not of a hex dump"]),
        (b"00000000: 616\n", b"a", ["line 1 has half an octet"]),
        (b"6162636", b"abc", ["the hex text ends within an octet"]),
        (b"6162\n63xx\n", b"abc", ["2 characters in the hex text are no digits"]),
        (
            b"00000000  61\n" + b"x" * (MAX_LINE + 5),
            b"a",
            ["line 2 is not of a hex dump"],
        ),
    ],
)
def test_what_is_wrong_in_hex_text(
    text: bytes, octets: bytes, wrong: list[str]
) -> None:
    assert read(text) == (octets, wrong)


def test_a_line_that_is_too_long_is_read_in_parts() -> None:
    assert read(b"00000000  61\n" + b"x" * (MAX_LINE + 5), 1000)[0] == b"a"


def test_a_star_does_not_stand_for_everything() -> None:
    text = f"00000000  61\n*\n{MAX_REPEATED + 2:x}  62\n".encode()
    found = list(read_traffic([text]))
    assert any(isinstance(event, Gap) for event in found)


def dumped(traffic: list[Traffic], full: bool = True) -> bytes:
    out: list[str] = []
    Dump(Hex(full), out.append).show(traffic)
    return "".join(out).encode()


def said(traffic: Iterator[Traffic]) -> dict[tuple[object, ...], bytes]:
    streams: dict[tuple[object, ...], bytes] = {}
    for event in traffic:
        if isinstance(event, Octets):
            stream = event.stream
            key = stream.connection, stream.name, stream.side, event.time
            streams[key] = streams.get(key, b"") + event.octets
    return streams


def test_our_own_dump_gives_back_connections_and_times() -> None:
    ann, server = Stream(1, "a:1 > s:9", ">"), Stream(1, "s:9 > a:1", "<")
    bob = Stream(2, "b:1 > s:9", "")
    traffic: list[Traffic] = [
        Octets(ann, TIME, encode(0, "ann") * 2),
        Octets(bob, TIME + 1, encode(0, "bob")),
        Octets(server, TIME + 2, encode_data(6, b"x" * 100_000)),
    ]
    assert said(read_traffic([dumped(traffic)])) == said(iter(traffic))


def test_our_own_dump_of_a_raw_stream() -> None:
    assert read(dumped([Octets(Stream(), None, CHAT)])) == (CHAT, [])


def test_our_own_dump_tells_what_it_left_out() -> None:
    octets = encode_data(6, b"x" * 300)
    text = dumped([Octets(Stream(), None, octets * 2)], full=False)
    assert read(text) == ((octets[:-44] + b"?" * 44) * 2, [])


TRANSCRIPT = rb"""
# A remark
title   What it is about
name    a = ann
name    b = upper a

  A open
  A > CREATE 3 "\{a}"
  A? < RESPONSE 0                                       ACC-1
- A > octets 01 00*41 "m"*3
+ A > LIST 0
  B repeat LOGIN 3 "\{b}"
  A < maybe SEND 13 "ann|||b|||\x00\"\\\{c}"
  A < error
  A < LISTRESPONSE of "ann" "b"
  A < LISTRESPONSE with "ann"
  A fence
"""


def test_transcript() -> None:
    transcript = TRANSCRIPT.replace(rb"\{c}", b"")
    assert said(read_traffic(cuts(transcript, 50))) == {
        (1, "A > server", ">", None): encode(0, "ann") + b"\1" + bytes(41) + b"mmm",
        (1, "server > A", "<", None): encode(6)
        + encode(2, "ann", "b", '\0"\\')
        + encode(7, "ann", "b"),
        (2, "B > server", ">", None): encode(5, "ANN"),
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'A > SEND 3 "ab"', "line 2: 3 is not the length, 2"),
        (b'A > SHOUT 2 "ab"', "line 2: unknown command 'SHOUT'"),
        (b'A > octets "ab"*99999999999', "line 2: 99999999999 times are too many"),
        (rb'A > SEND 2 "\{a}"', "line 2: 2 is not the length, 4"),
    ],
)
def test_what_is_wrong_in_a_transcript(line: bytes, reason: str) -> None:
    assert read(b"A > LIST 0\n" + line) == (encode(1), [reason])


# What it is


def kind(octets: bytes, size: int = 10**6) -> str:
    return recognise(Source(cuts(octets, size))).__name__


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"", "raw"),
        (CHAT, "raw"),
        (b"\xff\xfe", "raw"),
        (b"a\1", "raw"),
        (b"HTTP/1.1 200 OK\r\n", "raw"),
        (b"beef", "plain"),
        (b"00020000 00000000", "plain"),
        (b"0002 0000 0000 0000", "plain"),
        (b"00 02 00 00", "plain"),
        (b"0000 02 00", "rows"),
        (b"00000000: 0002", "rows"),
        (TRANSCRIPT, "transcript"),
        (gzip.compress(b"", mtime=0), "unpacked"),
        (b"\xd4\xc3\xb2\xa1", "captured"),
        (b"\xa1\xb2\x3c\x4d", "captured"),
        (b"\n\r\r\n", "captured"),
    ],
)
def test_what_it_is_is_told_by_its_content(octets: bytes, name: str) -> None:
    assert kind(octets) == kind(octets, 1) == name


@pytest.mark.parametrize("time", [b"2026-99-24T03:35:00Z", b"2026-11-24T03:35:00.1.2Z"])
def test_a_time_that_is_none(time: bytes) -> None:
    found = list(read_traffic([b"O " + time + b"\n00000000  61\n"]))
    assert found[0].time is None


def test_the_log_of_a_run() -> None:
    log = 'FAIL  dlv/deliver\n  … 6 earlier\n      A > CREATE 3 "ann"\n'
    assert read(log.encode()) == (encode(0, "ann"), [])


def test_packed_with_gzip() -> None:
    assert read(gzip.compress(PLAIN)) == (CHAT, [])
    assert read(gzip.compress(PLAIN)[:-1]) == (CHAT, ["the gzip data ends too early"])
    twice = gzip.compress(gzip.compress(b"x"))
    assert read(twice) == (gzip.decompress(twice), [])
    assert unpacked is not raw


@settings(deadline=None)
@example(b"ffffffffffff")
@given(st.text(st.sampled_from('0123456789abcdef :|*>\n\tAO"\\x{}#')).map(str.encode))
def test_no_text_ends_the_reading(text: bytes) -> None:
    # Not joined: an offset may tell of a gap that no memory holds.
    list(read_traffic([text]))
    list(read_traffic([b"00000000  61\n" + text]))
    list(logs.transcript([b"A > LIST 0\nA > octets " + text]))


def test_headings_with_control_characters_name_nobody() -> None:
    text = b"# 1  1 \x1b[2J > b  LIST\n00000000  00\n"
    streams = [event.stream for event in read_traffic([text]) if event.stream]
    assert {stream.name for stream in streams} == {""}
