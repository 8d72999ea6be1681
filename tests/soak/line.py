"""One connection to the server, on which requests are sent in bursts."""

import socket
from contextlib import ExitStack
from typing import NamedTuple, Self

from wirechat.codec import REPLIES, Command, Decoder, Frame, encode

Address = tuple[str, int]
PATIENCE = 60.0
"""Seconds that a reply may take on a machine that is kept busy."""
FENCE = encode(Command.LIST, "!")
"""A question that is answered with an empty list."""
FENCED = Frame(Command.LISTRESPONSE, b"")


class Fault(Exception):
    """The server did what it must not."""


class Rest(NamedTuple):
    """What came until the server closed, and whether a frame was cut off there."""

    frames: list[Frame]
    cut: bool


def connect(address: Address, receive_buffer: int = 0) -> socket.socket:
    """Return a connected socket, with a buffer of about so many octets."""
    with ExitStack() as stack:
        sock = stack.enter_context(socket.socket())
        if receive_buffer:  # before the kernels agree on windows
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(PATIENCE)
        sock.connect(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stack.pop_all()
    return sock


class Line:
    """Requests out, frames back.

    A server that closes raises ConnectionError, one that is silent TimeoutError.
    """

    def __init__(self, address: Address, receive_buffer: int = 0) -> None:
        self._socket = connect(address, receive_buffer)
        self._decoder = Decoder(REPLIES, 1 << 30)
        self._frames: list[Frame] = []  # the next one last

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def ask(self, *requests: bytes) -> list[Frame]:
        """Send these together, and return what comes until all are answered."""
        self._socket.sendall(b"".join(requests) + FENCE)
        return list(iter(self._frame, FENCED))

    def finish(self) -> Rest:
        """Close the sending side, and return all that comes until the end."""
        self._socket.shutdown(socket.SHUT_WR)
        frames, self._frames = self._frames[::-1], []
        while octets := self._socket.recv(1 << 20):
            frames += self._decoded(octets)
        return Rest(frames, self._decoder.end() is not None)

    def _frame(self) -> Frame:
        while not self._frames:
            octets = self._socket.recv(1 << 20)
            if not octets:
                raise ConnectionError("the server closed")
            self._frames = self._decoded(octets)[::-1]
        return self._frames.pop()

    def _decoded(self, octets: bytes) -> list[Frame]:
        found = self._decoder.feed(octets)
        frames = [item for item in found if isinstance(item, Frame)]
        if len(frames) < len(found):
            raise Fault(f"malformed: {found}")
        return frames
