r"""Frames out of transcripts, and out of what a run of the suite tells.

A line with a frame is ``A > SEND 14 "ann|||bob|||hi"``; every other line is passed
over, and so are the lines of a twin (``+``).
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from wirechat.codec import Command, encode_data
from wirechat_tools.hextext import lines
from wirechat_tools.traffic import End, Fault, Octets, Stream, Traffic

MAX_REPEATED = 64 * 1024 * 1024
"""Octets that one item stands for at most: a number behind it may be a slip."""
STEP = re.compile(
    rb"\s*(?:-\s+)?(?P<connection>[A-Za-z]\w*)\??\s+(?P<verb>[<>]|repeat)\s+(?:maybe\s+)?"
    rb"(?:octets|(?P<command>[A-Z]+)\s+(?P<length>\d+|of))(?P<items>.*)"
)
_NAME = re.compile(rb"name\s+(?P<name>\w+)\s*=\s*(?P<value>\w+|upper\s+\w+)\s*$")
_ITEM = re.compile(
    rb'\s*(?:"(?P<text>(?:[^"\\]|\\.)*)"|(?P<digits>[0-9a-fA-F]{2})\b)(?:\*(?P<times>\d+))?'
)
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|\{(\w+)\}|(.))")


def transcript(chunks: Iterable[bytes]) -> Iterator[Traffic]:
    """Read the frames of a transcript, each connection's in two streams."""
    names: dict[bytes, bytes] = {}
    streams: dict[tuple[bytes, str], Stream] = {}
    connections: dict[bytes, int] = {}
    for number, line in enumerate(lines(chunks), 1):
        if found := _NAME.match(line):
            value = found["value"].split()
            known = names.get(value[-1], value[-1])
            names[found["name"]] = known.upper() if len(value) > 1 else known
        elif found := STEP.match(line):
            name, side = found["connection"], "<" if found["verb"] == b"<" else ">"
            connection = connections.setdefault(name, len(connections) + 1)
            who = (
                f"{name.decode()} > server"
                if side == ">"
                else f"server > {name.decode()}"
            )
            stream = streams.setdefault((name, side), Stream(connection, who, side))
            try:
                yield Octets(stream, None, _octets(found, names))
            except ValueError as error:
                yield Fault(stream, None, f"line {number}: {error}")
    for stream in streams.values():
        yield End(stream, None)


def _octets(step: re.Match[bytes], names: Mapping[bytes, bytes]) -> bytes:
    items = list(_items(step["items"], names))
    if step["command"] is None:
        return b"".join(items)
    try:
        command = Command[step["command"].decode()]
    except KeyError as error:
        raise ValueError(f"unknown command {error}") from None
    if step["length"] == b"of":
        return encode_data(command, b"|||".join(items))
    data = b"".join(items)
    if len(data) != int(step["length"]):
        raise ValueError(f"{int(step['length'])} is not the length, {len(data)}")
    return encode_data(command, data)


def _items(written: bytes, names: Mapping[bytes, bytes]) -> Iterator[bytes]:
    def escaped(found: re.Match[bytes]) -> bytes:
        if found[2]:
            return names.get(found[2], b"\\{%b}" % found[2])
        return bytes.fromhex(found[1].decode()) if found[1] else found[3]

    at = 0
    while found := _ITEM.match(written, at):
        text, digits = found["text"], found["digits"]
        item = bytes.fromhex(digits.decode()) if digits else _ESCAPE.sub(escaped, text)
        times = int(found["times"] or 1)
        if len(item) * times > MAX_REPEATED:
            raise ValueError(f"{times} times are too many")
        yield item * times
        at = found.end()
