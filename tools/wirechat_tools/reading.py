"""What a capture is, told by its first octets, and the traffic that is in it."""

import re
from collections.abc import Callable, Iterable, Iterator

from wirechat_tools import hextext, logs
from wirechat_tools.connections import captured
from wirechat_tools.pcap import PCAP_MAGICS, PCAPNG_MAGIC
from wirechat_tools.source import Source, gunzip
from wirechat_tools.traffic import End, Fault, Octets, Stream, Traffic

LOOK = 64 * 1024
"""Octets within which a text shows what it is: the log of a run lists all rules ahead
of the first frame."""
_NO_TEXT = re.compile(rb"[^\t\n\r -\x7e\x80-\xff]")
_PASSED_OVER = re.compile(rb"\s*(#.*|[IO]?( ?\d{4}-\d\d-\d\dT\S+Z)?\s*)$")

Reader = Callable[[Iterable[bytes]], Iterator[Traffic]]


def read_traffic(chunks: Iterable[bytes]) -> Iterator[Traffic]:
    """Read captured octets of any kind."""
    source = Source(iter(chunks))
    yield from recognise(source)(source)


def raw(chunks: Iterable[bytes]) -> Iterator[Traffic]:
    """Read octets as the one stream that they are."""
    stream = Stream()
    for octets in chunks:
        yield Octets(stream, None, octets)
    yield End(stream, None)


def unpacked(chunks: Iterable[bytes]) -> Iterator[Traffic]:
    """Read what is packed with gzip."""
    told: list[str] = []
    source = Source(gunzip(iter(chunks), told.append))
    kind = recognise(source)
    # What is packed twice is not unpacked twice: that need not come to an end.
    yield from (raw if kind is unpacked else kind)(source)
    for reason in told:
        yield Fault(None, None, reason)


def recognise(source: Source) -> Reader:
    """Return what reads this, as soon as that can be told."""
    head = b""
    for head in source.looks(LOOK):
        for magic, reader in _MAGICS:
            if head.startswith(magic):
                return reader
        if _NO_TEXT.search(head) and (len(head) >= 4 or head[0] == 0):
            return raw
        if kind := _text(head[: head.rfind(b"\n") + 1]):
            return kind
    return _text(head) or raw


def _text(head: bytes) -> Reader | None:
    """Tell what kind of text this is: hex begins at once, frames may be anywhere."""
    lines = [line for line in head.splitlines() if not _PASSED_OVER.match(line)]
    if any(map(logs.STEP.match, lines)):
        return logs.transcript
    if lines and _is_row(lines[0]):
        return hextext.rows
    return hextext.plain if lines and hextext.PLAIN.match(lines[0]) else None


def _is_row(line: bytes) -> bool:
    found = hextext.ROW.match(line)
    return found is not None and bool(found["groups"] or found["pairs"])


_MAGICS: tuple[tuple[bytes, Reader], ...] = (
    (b"\x1f\x8b", unpacked),
    (PCAPNG_MAGIC, captured),
    *((magic, captured) for magic in PCAP_MAGICS),
)
