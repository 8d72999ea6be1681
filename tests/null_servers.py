"""Servers that are none: each does one thing, whatever it is asked.

And servers that are right, until on their nth connection something happens to them.
"""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from wirechat.connection import Connection
from wirechat.server import Server
from wirechat_conformance.frames import HEADER_SIZE, RESPONSE, frame

Manner = Callable[[socket.socket], None]
"""What a server does on one connection."""
GARBAGE = bytes(range(7, 256)) * 256


def silent(connection: socket.socket) -> None:
    """Take all, say nothing."""
    while connection.recv(1 << 16):
        pass


def hangs_up(connection: socket.socket) -> None:
    """End the connection at once."""


def echoes(connection: socket.socket) -> None:
    """Send back what comes."""
    while octets := connection.recv(1 << 16):
        connection.sendall(octets)


def sends_garbage(connection: socket.socket) -> None:
    """Send what is no frame, for as long as somebody takes it."""
    while True:
        connection.sendall(GARBAGE)


def answers(answer: bytes) -> Manner:
    """Give the same answer to each frame."""

    def manner(connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while len(header := stream.read(HEADER_SIZE)) == HEADER_SIZE:
                stream.read(min(int.from_bytes(header[2:]), 1 << 20))
                connection.sendall(answer)

    return manner


MANNERS: dict[str, Manner] = {
    "silent": silent,
    "hangs up": hangs_up,
    "echoes": echoes,
    "answers success": answers(frame(RESPONSE)),
    "answers an error": answers(frame(RESPONSE, b"no")),
    "sends garbage": sends_garbage,
}


class NullServer:
    """Serves each connection in the same manner."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self.address: tuple[str, int] = self._listener.getsockname()
        self.times: list[float] = []
        """When connections began and ended."""

    def __enter__(self) -> "NullServer":
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # it wakes the thread
        self._acceptor.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # there is no listener any more
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(
                    target=self._serve, args=[connection], daemon=True
                ).start()

    def _serve(self, connection: socket.socket) -> None:
        self.times.append(time.monotonic())
        with connection, suppress(OSError):
            self._manner(connection)
        self.times.append(time.monotonic())


class Mortal(Server):
    """Something happens to it when it has served a number of connections."""

    lives = 60

    def serve(self, connection: Connection) -> None:
        with self.lock:
            self.lives -= 1
        if not self.lives:
            self.break_down()
        super().serve(connection)

    def break_down(self) -> None:
        raise NotImplementedError


class Dies(Mortal):
    """It takes no connection any more, and ends those that it has."""

    def break_down(self) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        with self.lock:
            for connection in self.connections.values():
                connection.hang_up(socket.SHUT_RDWR)


class Hangs(Mortal):
    """It takes connections, and answers on none."""

    def __init__(self) -> None:
        super().__init__()
        self._over = threading.Event()

    def break_down(self) -> None:
        with self.lock:
            self._over.wait()

    def stop(self) -> None:
        self._over.set()
        super().stop()
