"""A server, and clients that are told what to send, over sockets on loopback."""

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

from wirechat.codec import (
    REPLIES,
    Command,
    Decoder,
    Frame,
    encode,
)
from wirechat.connection import Connection
from wirechat.rules import Chat
from wirechat.server import Server

BOUND = 10.0  # seconds that anything may take


class Peer:
    """A client that is told what to send, octet by octet if need be."""

    def __init__(self, address: tuple[str, int], receive_buffer: int = 0) -> None:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(BOUND)
        self.socket.connect(address)
        self._decoder = Decoder(REPLIES, 1 << 40)
        self._frames: list[Frame] = []

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, command: int, *fields: str) -> None:
        self.socket.sendall(encode(command, *fields))

    def frame(self) -> Frame | None:
        """Return the next frame, or nothing when the server has closed."""
        while not self._frames:
            try:
                octets = self.socket.recv(1 << 20)
            except ConnectionResetError:
                return None
            if not octets:
                return None
            for item in self._decoder.feed(octets):
                assert isinstance(item, Frame), item
                self._frames.append(item)
        return self._frames.pop(0)

    def ask(self, command: int, *fields: str) -> Frame | None:
        self.send(command, *fields)
        return self.frame()

    def rest(self) -> list[Frame]:
        """Return all that comes until the server closes."""
        return list(iter(self.frame, None))

    def quiet(self) -> bool:
        """Tell whether nothing has come that was not taken: a fence says."""
        return self.ask(Command.LIST, "!") == Frame(Command.LISTRESPONSE, b"")

    def finish(self) -> None:
        """Close the sending side."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection with a reset."""
        linger = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()


SUCCESS = Frame(Command.RESPONSE, b"")


def is_error(frame: Frame | None) -> bool:
    return frame is not None and frame.command == Command.RESPONSE and frame.data != b""


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds that nothing else can tell of."""
    end = time.monotonic() + BOUND
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        select.select([], [], [], 0.001)


@contextlib.contextmanager
def serving(chat: Chat | None = None, **options: object) -> Iterator[Server]:
    """Run a server, and see that it leaves nothing behind."""
    threads = set(threading.enumerate())
    with Server(chat=chat, **options) as running:  # type: ignore[arg-type]
        yield running
    wait_for(lambda: set(threading.enumerate()) <= threads)
    assert not running.connections


@contextlib.contextmanager
def chatting(
    names: str = "ab", receive_buffer: int = 0, **options: object
) -> Iterator[tuple[Server, list[Peer]]]:
    """Run a server with some who are logged in."""
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(serving(**options))  # type: ignore[arg-type]
        peers = [
            stack.enter_context(Peer(running.address, receive_buffer)) for _ in names
        ]
        for name, peer in zip(names, peers, strict=True):
            assert peer.ask(Command.CREATE, name) == SUCCESS
        yield running, peers


def numbers(frames: list[Frame]) -> list[int]:
    return [int(frame.fields[2][:8]) for frame in frames]


def text(number: int, size: int) -> str:
    """Return a message of a size that tells its number."""
    return f"{number:08}".ljust(size, ".")


def flood(ann: Peer, count: int, size: int = 60_000) -> None:
    for at in range(count):
        assert ann.ask(Command.SEND, "a", "b", text(at, size))


def delivered(running: Server, name: str) -> list[Frame]:
    with Peer(running.address) as peer:
        assert peer.ask(Command.LOGIN, name) == SUCCESS
        peer.send(Command.DELIVER)
        peer.finish()
        return peer.rest()


def connection_of(running: Server, name: str) -> Connection:
    session = running.chat.accounts[name].session
    assert session
    return running.connections[session]
