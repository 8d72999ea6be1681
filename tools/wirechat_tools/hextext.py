"""Octets out of hex text as people paste it, with offsets in front or without.

``xxd``, ``hexdump -C``, ``od -A x -t x1``, Wireshark's form, text2pcap's, our own dump
and plain digits are understood. Our own dump gives back connections and times too.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from wirechat_tools.traffic import End, Fault, Gap, Octets, Stream, Traffic

MAX_LINE = 64 * 1024
"""Octets of a line of text that are looked at: no dump has longer ones."""
MAX_REPEATED = 64 * 1024 * 1024
"""Octets that one ``*`` stands for at most: an offset behind it may be damaged."""

ROW = re.compile(
    rb"\s*(?:0x)?(?P<offset>[0-9a-fA-F]{4,16})"
    rb"(?::\s*(?P<groups>[0-9a-fA-F]+(?:\s[0-9a-fA-F]+)*)"
    rb"|(?P<pairs>(?:\s{1,4}[0-9a-fA-F]{2}(?:\s{1,2}[0-9a-fA-F]{2})*)?)"
    rb"(?=\s{2}|\s*$|\s*[|>]))"
)
"""An offset and octets: in groups of any size behind a colon, or else one by one."""
PLAIN = re.compile(rb"[0-9a-fA-F\s]+$")
_NO_DIGIT = re.compile(rb"[^0-9a-fA-F]+")
_HEADING = re.compile(rb"# (?:\d+|-)  (?P<connection>\d+) (?P<name>[!-~]+ > [!-~]+)  ")
_DIRECTION = re.compile(rb"(?P<side>[IO])?\s*(?P<time>\d{4}-\d\d-\d\dT[\d:.]+Z)?\s*$")
_MORE = re.compile(rb"# (?P<size>\d+) octets more ")
_SIDES = {b"I": "<", b"O": ">", None: ""}


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Give the lines of a text; one that is too long comes in parts."""
    held = b""
    for chunk in chunks:
        *whole, held = (held + chunk).split(b"\n")
        yield from whole
        if len(held) > MAX_LINE:
            yield held
            held = b""
    if held:
        yield held


def plain(chunks: Iterable[bytes]) -> Iterator[Traffic]:
    """Read digits in pairs, whatever the spaces between them."""
    stream, odd, strange = Stream(), b"", 0
    for chunk in chunks:
        digits = _NO_DIGIT.sub(b"", chunk)
        strange += len(b"".join(chunk.split())) - len(digits)
        digits = odd + digits
        even = len(digits) // 2 * 2
        odd = digits[even:]
        yield Octets(stream, None, bytes.fromhex(digits[:even].decode("ascii")))
    if strange or odd:
        reason = f"{strange} characters in the hex text are no digits" * bool(strange)
        yield Fault(None, None, reason or "the hex text ends within an octet")
    yield End(stream, None)


def rows(chunks: Iterable[bytes]) -> Iterator[Traffic]:
    """Read rows that begin with an offset."""
    reader = _Rows()
    for number, line in enumerate(lines(chunks), 1):
        yield from reader.take(number, line.rstrip())
    yield from reader.end()


class _Rows:
    """What is known of rows so far: whose octets they are, and which ones come next."""

    def __init__(self) -> None:
        self._streams: dict[tuple[int, str, str], Stream] = {}
        self._connection, self._name, self._side = 1, "", ""
        self._time: int | None = None
        self._expected = 0
        self._row = b""  # the last one, which a star repeats
        self._star = False

    def take(self, number: int, line: bytes) -> Iterable[Traffic]:
        if found := ROW.match(line):
            return self._take_row(number, found)
        if line == b"*":
            self._star = True
        elif found := _MORE.match(line):
            return [Gap(self._stream(), self._time, int(found["size"]))]
        elif found := _HEADING.match(line):
            self._connection = int(found["connection"])
            self._name = found["name"].decode("ascii")
        elif line and not line.startswith(b"#"):
            found = _DIRECTION.match(line)
            if not found:
                return [Fault(None, None, f"line {number} is not of a hex dump")]
            self._side = _SIDES[found["side"]]
            self._time = _nanoseconds(found["time"])
        return ()

    def end(self) -> Iterable[Traffic]:
        return [End(stream, self._time) for stream in self._streams.values()]

    def _take_row(self, number: int, found: re.Match[bytes]) -> Iterator[Traffic]:
        offset, stream = int(found["offset"], 16), self._stream()
        digits = b"".join((found["groups"] or found["pairs"] or b"").split())
        if len(digits) % 2:
            yield Fault(None, None, f"line {number} has half an octet")
        octets = bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))
        missing = offset - self._expected
        if missing < 0 and offset:
            yield Fault(None, None, f"line {number} goes back to offset {offset:#x}")
        if missing > 0 and self._star and self._row and missing <= MAX_REPEATED:
            yield Octets(stream, self._time, _repeat(self._row, missing))
        elif missing > 0:
            yield Gap(stream, self._time, missing)
        if octets:
            yield Octets(stream, self._time, octets)
        self._expected = offset + len(octets)
        self._row, self._star = octets, False

    def _stream(self) -> Stream:
        key = self._connection, self._name, self._side
        if key not in self._streams:
            self._streams[key] = Stream(*key)
        return self._streams[key]


def _repeat(row: bytes, size: int) -> bytes:
    return (row * (size // len(row) + 1))[:size]


def _nanoseconds(time: bytes | None) -> int | None:
    """Return nanoseconds since the epoch, or None where there is no time."""
    whole, _, fraction = (time or b"").decode("ascii").rstrip("Z").partition(".")
    try:
        seconds = datetime.fromisoformat(f"{whole}+00:00").timestamp()
        return int(seconds) * 10**9 + int(fraction[:9].ljust(9, "0"))
    except ValueError:
        return None
