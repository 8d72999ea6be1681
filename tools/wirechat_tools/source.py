"""Octets from files and pipes as they come, with a look ahead to tell what they are."""

import io
import os
import stat
import time
import zlib
from collections.abc import Callable, Iterator

CHUNK = 256 * 1024
"""Octets of one read: enough to make the calls cheap, and soon shown."""
POLL = 0.1
"""Seconds between two looks at a file that may grow."""


def read(file: io.FileIO, before: Callable[[], None] = lambda: None) -> Iterator[bytes]:
    """Give what is in a file; call ``before`` ahead of each read, which may block.

    Raises:
        OSError: It can't be read; the error has its name.
    """
    before()
    while octets := _next(file):
        yield octets
        before()


def _next(file: io.FileIO) -> bytes | None:
    try:
        return file.read(CHUNK)
    except OSError as error:
        error.filename = file.name
        raise


def follow(
    file: io.FileIO,
    before: Callable[[], None] = lambda: None,
    wait: Callable[[], None] = lambda: time.sleep(POLL),
) -> Iterator[bytes]:
    """Give what is in a file, and what is added to it: only a pipe has an end."""
    while True:
        yield from read(file, before)
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            break
        wait()


def gunzip(octets: Iterator[bytes], tell: Callable[[str], None]) -> Iterator[bytes]:
    """Give what gzip has packed, one member or several, in chunks of bounded size.

    Where it is damaged or ends too early, say so with ``tell``, and end there.
    """
    unpacker = zlib.decompressobj(wbits=31)
    try:
        for packed in octets:
            while packed:
                if unpacker.eof:
                    unpacker = zlib.decompressobj(wbits=31)
                if unpacked := unpacker.decompress(packed, CHUNK):
                    yield unpacked
                packed = unpacker.unconsumed_tail or unpacker.unused_data
    except zlib.error as error:
        tell(f"damaged gzip data: {error}")
    else:
        if not unpacker.eof:
            tell("the gzip data ends too early")


class Source:
    """Octets in chunks, that can be looked at before they are taken."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._ahead = b""

    def looks(self, most: int) -> Iterator[bytes]:
        """Give the first octets, and more of them each time, up to this many or all."""
        while len(self._ahead) < most and (chunk := next(self._chunks, b"")):
            self._ahead += chunk
            yield self._ahead[:most]

    def __iter__(self) -> Iterator[bytes]:
        """Give all octets, those that were looked at first."""
        if self._ahead:
            yield self._ahead
        yield from self._chunks
