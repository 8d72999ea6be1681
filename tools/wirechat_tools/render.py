"""How frames are shown: as an annotated hex dump, a line each, or JSON.

What came over the wire is never shown raw: a terminal would obey it.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

from wirechat.codec import SEPARATOR, Command, Malformed
from wirechat_tools.frames import Piece
from wirechat_tools.traffic import Fault, Stream

ROW = 16
"""Octets in a row, as in every hex dump."""
SHOWN = 16 * ROW
"""Data octets of a frame that are shown, where not all are asked for."""
SHOWN_FIELD = 60
"""Characters of a field that are shown, where not all are asked for."""
SHOWN_FIELDS = 12
"""Fields that are shown, where not all are asked for."""

NAMES: Mapping[int | None, str] = {command: command.name for command in Command}
DIRECTIONS = {"": "", ">": "O", "<": "I"}
"""A stream's side in the words of text2pcap: what goes out of a client, or into it."""

Paint = Mapping[str, tuple[str, str]]
"""What is written before and after each part, to colour it."""
PLAIN: Paint = dict.fromkeys(("heading", "remark", "header", "data", "fault"), ("", ""))
COLOURED: Paint = {
    part: (f"\x1b[{code}m", "\x1b[0m")
    for part, code in zip(PLAIN, ("1", "2", "36", "32", "1;31"), strict=True)
}

_PRINTABLE = bytes(octet if 0x20 <= octet < 0x7F else 0x2E for octet in range(256))
_ESCAPES = {n: f"\\x{n:02x}" for n in (*range(0x20), *range(0x7F, 0x100))}
_ESCAPES |= {ord('"'): '\\"', ord("\\"): "\\\\"}


def quote(text: str) -> str:
    """Return characters in quotes, with those escaped that a terminal might obey."""
    if text.isascii() and text.isprintable():  # in a tenth of the time of translate
        text = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{text}"'
    return f'"{text.translate(_ESCAPES)}"'


@lru_cache(16)
def _minute(minutes: int) -> str:
    return datetime.fromtimestamp(60 * minutes, UTC).strftime("%Y-%m-%dT%H:%M")


def timestamp(time: int | None) -> str:
    """Return nanoseconds since the epoch as ISO 8601 has them."""
    if time is None:
        return ""
    seconds, nanoseconds = divmod(time, 10**9)
    minutes, seconds = divmod(seconds, 60)
    return f"{_minute(minutes)}:{seconds:02d}.{nanoseconds:09d}Z"


def name(command: int | None) -> str:
    """Return a command by its name, or what stands in its place."""
    if command is None:
        return "no frame"
    return NAMES.get(command) or f"command {command}"


def size(piece: Piece) -> int:
    """Return the data octets that a frame announces, or those that are no frame."""
    return len(piece.data) if piece.command is None else piece.length


def rows(octets: bytes, first: int = 0) -> list[str]:
    """Return octets as ``hexdump -C`` shows them, with offsets from ``first`` on."""
    end = len(octets)
    text = octets.translate(_PRINTABLE).decode("ascii")
    digits = octets.hex(" ").ljust(-(-end // ROW) * 3 * ROW)
    return [
        f"{first + at:08x}  {digits[3 * at : 3 * at + 23]}  "
        f"{digits[3 * at + 24 : 3 * at + 47]}  |{text[at : at + ROW]}|\n"
        for at in range(0, end, ROW)
    ]


def told(fault: Malformed) -> str:
    """Return what is wrong, with the rule that it breaks where it is one's."""
    return f"{fault.rule} {fault}".lstrip()


class Renderer(Protocol):
    """What shows the pieces of frames, and the faults of a capture."""

    def piece(self, stream: Stream, time: int | None, piece: Piece) -> str:
        """Return the lines that show a piece, each with its end."""

    def fault(self, fault: Fault) -> str:
        """Return the line that shows what is wrong with the capture."""


class _Text:
    """What both forms for people have in common.

    Args:
        full: Whether long data is shown whole.
        paint: How to colour the parts.
    """

    def __init__(self, full: bool = False, paint: Paint = PLAIN) -> None:
        self._full = full
        self._paint = paint

    def fault(self, fault: Fault) -> str:
        """Return the line that shows what is wrong with the capture."""
        where = (
            f"{fault.stream.connection} {fault.stream.name}: " if fault.stream else ""
        )
        return self._line("fault", f"# ! {where}{fault.reason}")

    def _line(self, part: str, text: str) -> str:
        before, after = self._paint[part]
        return f"{before}{text}{after}\n"

    def _faults(self, piece: Piece) -> str:
        if not piece.faults:
            return ""
        lines = [self._line("fault", f"# ! {told(fault)}") for fault in piece.faults]
        return "".join(lines)

    def _fields(self, piece: Piece) -> str:
        if not piece.data or piece.command is None:
            return ""
        if self._full:
            # No escape makes or breaks a separator.
            text = quote(piece.data.decode("latin-1")).replace(SEPARATOR, '" "')
            return text + "..." * (not piece.last)
        # Nothing is taken apart behind the last bar, and little of it is shown.
        end = piece.data.rfind(b"|") + 2 + SHOWN_FIELD
        fields = piece.data[:end].decode("latin-1").split(SEPARATOR)
        shown = [
            quote(field)
            if len(field) <= SHOWN_FIELD
            else quote(field[:SHOWN_FIELD]) + "..."
            for field in fields[:SHOWN_FIELDS]
        ]
        return " ".join(shown) + " ..." * (len(fields) > SHOWN_FIELDS)


class Lines(_Text):
    """A line for each frame: when, who to whom, and what."""

    def piece(self, stream: Stream, time: int | None, piece: Piece) -> str:
        """Return the line of a frame, and one for each thing that is wrong with it."""
        if piece.at or not (piece.header or piece.data):
            return self._faults(piece)
        when = f"{timestamp(time)}  " if time is not None else ""
        who = f"{stream.connection} {stream.name}  " if stream.name else ""
        what = f"{name(piece.command):<12}  {size(piece):>5}  {self._fields(piece)}"
        line = f"{piece.number or '-':>6}  {when}{who}{what}"
        return self._line("data", line.rstrip()) + self._faults(piece)


class Hex(_Text):
    """An annotated hex dump, which ``text2pcap -D -t ISO`` reads.

    Each piece has a heading, the line that text2pcap takes the direction and the time
    from, and its octets with offsets from 0.
    """

    def piece(self, stream: Stream, time: int | None, piece: Piece) -> str:
        """Return a piece's heading, octets, and what is wrong with it."""
        shown = len(piece.data) if self._full else min(len(piece.data), SHOWN)
        if piece.at and not self._full:
            return self._faults(piece)
        dump = ""
        if piece.header or shown:
            direction = f"{DIRECTIONS[stream.side]} {timestamp(time)}".strip()
            data = rows(piece.data[:shown], len(piece.header))
            dump = self._line("remark", direction) if direction else ""
            dump += self._rows("header", rows(piece.header)) + self._rows("data", data)
        left = (len(piece.data) if piece.last else piece.length) - shown
        if left and not self._full:
            dump += self._line("remark", f"# {left} octets more (--full shows them)")
        return self._heading(stream, piece) + dump + self._faults(piece) + "\n"

    def _heading(self, stream: Stream, piece: Piece) -> str:
        number = piece.number or "-"
        who = f"  {stream.connection} {stream.name}" if stream.name else ""
        octets = f"{size(piece)} octet{'s' * (size(piece) != 1)}"
        text = f"# {number}{who}  {name(piece.command)}  {octets}"
        if piece.at:
            text += f", from {piece.at} on"
        text += f"  offset {piece.offset}  {self._fields(piece)}"
        return self._line("heading", text.rstrip())

    def _rows(self, part: str, lines: list[str]) -> str:
        before, after = self._paint[part]
        if not before:
            return "".join(lines)
        return "".join([f"{before}{line[:-1]}{after}\n" for line in lines])


class Json:
    """One object a line, with every octet in hex."""

    def piece(self, stream: Stream, time: int | None, piece: Piece) -> str:
        """Return the object of a piece."""
        whole = piece.header and piece.last
        fields = piece.data.decode("latin-1").split(SEPARATOR) if piece.data else []
        shown = {
            "frame": piece.number or None,
            **self._where(stream, time),
            "offset": piece.offset,
            "command": NAMES.get(piece.command, piece.command),
            "length": piece.length,
            "at": piece.at,
            "last": piece.last,
            "fields": fields if whole else None,
            "octets": (piece.header + piece.data).hex(),
            "faults": [
                {
                    "rule": fault.rule or None,
                    "reason": fault.reason,
                    "offset": fault.offset,
                }
                for fault in piece.faults
            ],
        }
        return json.dumps(shown) + "\n"

    def fault(self, fault: Fault) -> str:
        """Return the object that tells what is wrong with the capture."""
        where = self._where(fault.stream or Stream(connection=0), fault.time)
        return json.dumps({**where, "fault": fault.reason}) + "\n"

    def _where(self, stream: Stream, time: int | None) -> dict[str, object]:
        return {
            "time": timestamp(time) or None,
            "connection": stream.connection or None,
            "stream": stream.name or None,
            "side": stream.side or None,
        }
