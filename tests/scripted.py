"""A server of which the test says beforehand what it will say on each connection.

All runs in one thread: what is said waits in the kernel until it is asked for, and so
does what was heard.
"""

import socket
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from wirechat_conformance.frames import LISTRESPONSE, RESPONSE, SEND, frame
from wirechat_conformance.peer import Patience, Peer

FIN, RESET = "FIN", "RESET"
"""How a script may end."""
SUCCESS = frame(RESPONSE)
ERROR = frame(RESPONSE, b"no")
NO_NAMES = frame(LISTRESPONSE)
HI = frame(SEND, b"alice01", b"bobby02", b"hi")
TIMEOUT = 0.05
MUCH = bytes(12 << 20)
"""More than the kernel holds for a reader who does not read."""

Script = tuple[bytes | str, ...]
"""What is said on one connection: octets, and perhaps its end."""


def say(connection: socket.socket, script: Script) -> None:
    """Say all of a script at once."""
    for said in script:
        if isinstance(said, bytes):
            connection.sendall(said)
        elif said == FIN:
            connection.shutdown(socket.SHUT_WR)
        else:
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.close()


class Stage:
    """Stands in for a run: what a conversation asks of one is all that it has."""

    unused = b"nobody0"
    grace = 0.0
    gone = False
    suspects: tuple[str, ...] = ()

    def __init__(self, listener: socket.socket, *scripts: Script) -> None:
        self.patience = Patience(TIMEOUT)
        self.choices: Counter[tuple[str, str]] = Counter()
        self.fences: dict[bool, tuple[str, ...]] = {True: (), False: ()}
        self.asked_for_fences: list[bool] = []
        self.servers: list[socket.socket] = []
        self.peers: list[Peer] = []
        self._listener = listener
        self._scripts = iter(scripts)

    def connect(self, receive_buffer: int | None = None) -> Peer:
        host, port = self._listener.getsockname()
        peer = Peer((host, port), self.patience, receive_buffer)
        server, _ = self._listener.accept()
        self.peers.append(peer)
        self.servers.append(server)
        say(server, next(self._scripts, ()))
        return peer

    def chose(self, choice: str, value: str) -> None:
        self.choices[choice, value] += 1

    def broken_fence(self, session: bool) -> tuple[str, ...]:
        self.asked_for_fences.append(session)
        return self.fences[session]

    def heard(self, number: int, octets: bytes) -> bool:
        """Whether exactly these octets came on a connection, and nothing else yet."""
        server, came = self.servers[number], b""
        server.settimeout(5)
        while len(came) < len(octets):
            came += server.recv(len(octets) - len(came))
        server.setblocking(False)
        try:
            return came == octets and not server.recv(1)
        except BlockingIOError:
            return True


@contextmanager
def staged(*scripts: Script) -> Iterator[Stage]:
    """Give a stage with a script for each connection, in the order of connecting."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stage = Stage(listener, *scripts)
        try:
            yield stage
        finally:
            ends: list[socket.socket | Peer] = [*stage.servers, *stage.peers]
            for end in ends:
                end.close()
