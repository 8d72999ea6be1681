"""What a capture is, told by its first octets, and the traffic that is in it."""

import re
from collections.abc import Callable, Iterable, Iterator

from wirechat_tools import hextext, logs
from wirechat_tools.connections import captured
from wirechat_tools.pcap import PCAP_MAGICS, PCAPNG_MAGIC
from wirechat_tools.source import Source, gunzip
from wirechat_tools.traffic import End, Fault, Octets, Stream, Traffic

LOOK = 4096
"""Octets within which a text shows what it is."""
_NO_TEXT = re.compile(rb"[^\t\n\r -\x7e\x80-\xff]")
_PASSED_OVER = re.compile(
    rb"\s*(#.*|title .*|name .*|[IO]?( ?\d{4}-\d\d-\d\dT\S+Z)?\s*)$"
)

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
    """Tell what kind of text this is, by the first line that says something."""
    for line in head.splitlines():
        if _PASSED_OVER.match(line):
            continue
        return next((read for test, read in _TEXTS if test(line)), None)
    return None


def _is_row(line: bytes) -> bool:
    found = hextext.ROW.match(line)
    return found is not None and bool(found["groups"] or found["pairs"])


_MAGICS: tuple[tuple[bytes, Reader], ...] = (
    (b"\x1f\x8b", unpacked),
    (PCAPNG_MAGIC, captured),
    *((magic, captured) for magic in PCAP_MAGICS),
)
_TEXTS: tuple[tuple[Callable[[bytes], object], Reader], ...] = (
    (logs.STEP.match, logs.transcript),
    (_is_row, hextext.rows),
    (hextext.PLAIN.match, hextext.plain),
)
