"""Variants in when things happen, in what pieces, and who else is there."""

import socket
import threading
import time
from contextlib import suppress
from itertools import count
from typing import Any

from tests.parts import Connection, Items, Loop, Server, Session, Steps
from tests.variants.registry import permitted
from wirechat.client import Client, ConnectionLost, Refused
from wirechat.exchange import DISCARDED, LINGER


@permitted()
class InSteps(Steps):
    """Takes frames apart one step at a time, as the decoder of many faults does."""


# Time.


@permitted()
class RepliesLate(Loop):
    """Carries requests out 30 ms after they have come."""

    def requests(self, connection: Connection, items: Items) -> None:
        time.sleep(0.03)
        super().requests(connection, items)


@permitted()
class DeliveriesOneByOne(Server):
    """Sends each frame by itself."""

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        for frame in frames:
            super().send(session, [frame], live)


@permitted()
class SessionsEndLater(Server):
    """Notices the end of a connection after 200 ms (ACC-12)."""

    def end(self, connection: Connection) -> None:
        time.sleep(0.2)
        super().end(connection)


@permitted()
class ClosesFirst(Server):
    """Closes a connection, and ends its session 10 ms later (ACC-12)."""

    def end(self, connection: Connection) -> None:
        self.drain(connection, 0, LINGER)
        connection.hang_up(socket.SHUT_WR)
        time.sleep(0.01)
        super().end(connection)


@permitted()
class SessionsOutlastReplies(Server):
    """Rejects, closes its side, and ends the session when the client has closed, too.

    It waits a second for that (ACC-12).
    """

    def end(self, connection: Connection) -> None:
        self.drain(connection, 0, LINGER)
        connection.hang_up(socket.SHUT_WR)
        connection.discard(DISCARDED, 1)
        super().end(connection)


# Segments.


class Cutting(socket.socket):
    """A socket that sends no more than so many octets at a time."""

    size = 1

    def send(self, octets: Any, flags: int = 0) -> int:
        return super().send(memoryview(octets)[: self.size], flags)


@permitted()
class OctetByOctet(Connection):
    """Sends every octet in a segment of its own."""

    def __init__(self, sock: socket.socket, peer: str) -> None:
        super().__init__(Cutting(fileno=sock.detach()), peer)


@permitted()
class ThreeOctetsWithNagle(Connection):
    """Sends three octets at a time, and leaves it to Nagle's algorithm when."""

    def __init__(self, sock: socket.socket, peer: str) -> None:
        cutting = Cutting(fileno=sock.detach())
        cutting.size = 3
        super().__init__(cutting, peer)
        cutting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)


# Others.


@permitted()
class Strangers(Server):
    """Has others who come and go, and chat among themselves."""

    def __enter__(self) -> "Strangers":
        super().__enter__()
        self.leaving = threading.Event()
        for number in range(3):
            threading.Thread(target=self.chats, args=(number,), daemon=True).start()
        return self

    def stop(self) -> None:
        self.leaving.set()
        super().stop()

    def chats(self, number: int) -> None:
        with suppress(OSError, ConnectionLost):
            for visit in count():
                with Client.connect(*self.address) as client:
                    self.visit(client, f"stranger{number}{visit}", visit)
                if self.leaving.wait(0.01):
                    return

    def visit(self, client: Client, name: str, visit: int) -> None:
        client.create(name)
        for other in client.list("stranger*"):
            with suppress(Refused):
                client.send(other, "hello")
            if self.leaving.wait(0.01):
                return
        client.deliver()
        if visit > 3:  # the first of them leave their accounts
            client.delete()
