"""What the commands have in common: short errors, and an output that may end early."""

import argparse
import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn, TextIO

from wirechat_tools.render import quote


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and exit."""
        self.exit(2, f"{self.prog}: {message}\n")


def address_of(written: str, default: str = "", least: int = 1) -> tuple[str, int]:
    """Return the host and the port that HOST:PORT names.

    Args:
        written: What somebody wrote.
        default: The host where a port alone is written; empty: there must be one.
        least: The least port.

    Raises:
        argparse.ArgumentTypeError: It is no address, or there is no such host.
    """
    host, colon, port = written.rpartition(":")
    host = host if colon else default
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    digits = port.isascii() and port.isdigit()
    if not host or not (digits and least <= int(port) < 1 << 16):
        raise argparse.ArgumentTypeError(f"{quote(written)} is not HOST:PORT")
    try:
        socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise argparse.ArgumentTypeError(f"no host {quote(host)}") from None
    return host, int(port)


@contextmanager
def output() -> Iterator[TextIO]:
    """Give standard output; that whoever reads it has seen enough ends the block.

    Raises:
        OSError: It is closed or full: only these name no file.
    """
    if not sys.stdout:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    try:
        try:
            yield sys.stdout
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.filename is None:  # what is left over must not fail once more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise


def blamed(error: OSError) -> str:
    """Say which file or address could not be had, and why."""
    name = "standard output" if error.filename is None else quote(str(error.filename))
    return f"{name}: {os.strerror(error.errno or 0)}"
