"""Connections through a relay: a chat, and what else there is to be done on them."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

from wirechat.codec import REPLIES, Command, Decoder, encode
from wirechat_tools.relay import Relay
from wirechat_tools.traffic import Stream

BOUND = 10.0


class Client:
    """A client that says something, and waits for what comes of it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, BOUND)
        self.decoder = Decoder(REPLIES)
        self.frames: list[object] = []

    def say(self, command: int, *fields: str, replies: int = 1) -> None:
        self.sock.sendall(encode(command, *fields))
        self.take(replies)

    def take(self, count: int) -> list[object]:
        while len(self.frames) < count:
            octets = self.sock.recv(4096)
            assert octets
            self.frames += self.decoder.feed(octets)
        taken, self.frames = self.frames[:count], self.frames[count:]
        return taken

    def leave(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)
        assert self.sock.recv(1) == b""
        self.sock.close()

    def reset(self) -> None:
        reset(self.sock)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextlib.contextmanager
def relaying(
    server: tuple[str, int], *watchers: object, told: list[str] | None = None
) -> Iterator[Relay]:
    heard: list[str] = [] if told is None else told
    with Relay(("127.0.0.1", 0), server, heard.append) as relay:
        relay.watchers += watchers  # type: ignore[arg-type]
        thread = threading.Thread(target=relay.run)
        thread.start()
        try:
            yield relay
        finally:
            relay.stop()
            thread.join(BOUND)
            assert not thread.is_alive()


def chat(address: tuple[str, int]) -> None:
    """Two people: messages live and kept, an error, a list, a second login."""
    alicia, bobert = Client(address), Client(address)
    alicia.say(Command.CREATE, "alicia")
    bobert.say(Command.CREATE, "bobert")
    alicia.say(Command.SEND, "alicia", "bobert", 'hi "bobert" \\ \x1b')
    bobert.take(1)
    bobert.say(Command.SEND, "bobert", "alicia", "m" * 100)
    alicia.take(1)
    alicia.say(Command.SEND, "alicia", "nobody", "?")
    alicia.say(Command.LIST)
    alicia.say(Command.LIST, "b*")
    alicia.say(Command.LIST, "bobert")
    bobert.leave()
    alicia.say(Command.SEND, "alicia", "bobert", "kept 1")
    alicia.say(Command.SEND, "alicia", "bobert", "kept 2")
    again = Client(address)
    again.say(Command.LOGIN, "bobert")
    again.say(Command.DELIVER, replies=2)
    again.sock.sendall(encode(Command.DELETE))
    again.say(Command.LIST, "bobert")
    again.leave()
    alicia.leave()


class Seen:
    """Notes the octets of each stream, with their times."""

    def __init__(self) -> None:
        self.passed_on: list[tuple[int, str, int, bytes]] = []
        self.names: set[str] = set()

    def opened(self, *_: object) -> None:
        pass

    def passed(self, stream: Stream, time: int, octets: bytes) -> None:
        self.passed_on.append((stream.connection, stream.side, time, octets))
        self.names.add(stream.name)

    def ended(self, *_: object) -> None:
        pass

    reset = ended

    def octets(self, side: str) -> list[tuple[int, str, int, bytes]]:
        return [one for one in self.passed_on if one[1] == side]
