"""A bar on a terminal, for who waits for a large file."""

import io
import os
import stat
from collections.abc import Callable, Iterator
from time import monotonic
from typing import TextIO

AFTER = 1.0
"""Seconds after which it is shown: what is read by then needs none."""
EVERY = 0.1
"""Seconds between two of its states."""
WIDTH = 30


def progress(
    octets: Iterator[bytes],
    file: io.FileIO,
    screen: TextIO | None,
    clock: Callable[[], float] = monotonic,
) -> Iterator[bytes]:
    """Give the octets of a file, and show how many of them have been taken.

    Nothing is shown where the screen is no terminal, or the size is not known.
    """
    status = os.fstat(file.fileno())
    if not (
        screen and screen.isatty() and stat.S_ISREG(status.st_mode) and status.st_size
    ):
        yield from octets
        return
    taken, due, shown = 0, clock() + AFTER, False
    try:
        for chunk in octets:
            yield chunk
            taken += len(chunk)
            if clock() >= due:
                screen.write(f"\r{_bar(taken, status.st_size)}")
                screen.flush()
                due, shown = clock() + EVERY, True
    finally:
        if shown:
            screen.write("\r\x1b[K")
            screen.flush()


def _bar(taken: int, size: int) -> str:
    part = min(taken / size, 1)
    return f"{'#' * int(part * WIDTH):<{WIDTH}} {part:4.0%} of {size / 1e6:.0f} MB"
