"""Clients that make a load: blocking sockets, particular about what comes back."""

import secrets
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from time import perf_counter
from typing import Self

from wirechat.codec import REPLIES, Command, Decoder, Frame, Malformed, encode
from wirechat_tools.render import quote

TIMEOUT = 5.0
"""Seconds to wait for a reply, before it counts as lost."""
RECEIVE = 64 * 1024
"""Octets to take from a socket at once."""
MAX_REPLY = 64 * 1024 * 1024
"""Data octets a reply may have: a list of a million usernames."""
SHOWN = 60
"""Octets that are shown of a reply that was not asked for."""
FENCE = encode(Command.LIST, secrets.token_hex(16))
"""A LIST for nobody: its answer says that all before it has been answered (FRM-4)."""

Address = tuple[str, int]


class Lost(Exception):
    """A reply is missing, or is another one than the request calls for."""


def fresh_names() -> Iterator[str]:
    """Yield usernames of one length, which nobody else has."""
    run = secrets.token_hex(4)
    return (f"b{run}x{number:06}" for number in count())


def told(octets: bytes) -> str:
    """Say what a server sent that was not asked for: fit to be shown."""
    first, *_ = [*Decoder(REPLIES, MAX_REPLY).feed(octets), None]
    if isinstance(first, Frame):
        data = first.data[:SHOWN].decode("ascii")
        return f"the server sent {Command(first.command).name} {quote(data)}"
    return f"the server sent {quote(octets[:SHOWN].decode('latin-1'))}"


class Peer:
    """One connection, with an account or without.

    Whatever is asked raises :class:`Lost` where the reply is not the right one.

    Args:
        address: Where the server listens.
        name: The username of the account that is logged in, or that will be.

    Raises:
        OSError: There is nobody to connect to.
    """

    def __init__(self, address: Address, name: str = "") -> None:
        self.name = name
        self.socket = socket.create_connection(address, TIMEOUT)
        # No message waits for the acknowledgement of another (Nagle's algorithm).
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._frames: deque[Frame | Malformed] = deque()
        self._decoder = Decoder(REPLIES, MAX_REPLY)

    def create(self) -> Self:
        """Make the account (ACC-1)."""
        return self._enter(Command.CREATE)

    def login(self) -> Self:
        """Start a session of the account (ACC-8)."""
        return self._enter(Command.LOGIN)

    def fence(self) -> None:
        """Learn that everything before this has been answered (FRM-4)."""
        self.ask(FENCE, Command.LISTRESPONSE)

    def ask(self, request: bytes, command: int) -> Frame:
        """Send a request and return its reply, which has this command."""
        self.socket.sendall(request)
        frame = self.frame()
        if frame.command != command:
            raise Lost(told(encode(frame.command, *frame.fields)))
        return frame

    def frame(self) -> Frame:
        """Return the next frame that comes."""
        while not self._frames:
            self._frames.extend(self._decoder.feed(self.receive()))
        frame = self._frames.popleft()
        if isinstance(frame, Malformed):
            raise Lost(f"the server sent a malformed frame: {frame}")
        return frame

    def exactly(self, expected: bytes) -> None:
        """Receive these octets, and no others."""
        at = 0
        while at < len(expected):
            octets = self.receive()
            if octets != expected[at : at + len(octets)]:
                raise Lost(told(octets))
            at += len(octets)

    def receive(self) -> bytes:
        """Return the octets that come next."""
        try:
            octets = self.socket.recv(RECEIVE)
        except TimeoutError:
            raise Lost(f"no reply within {TIMEOUT:g} seconds") from None
        except OSError as error:
            raise Lost(f"the connection broke: {error.strerror}") from None
        if not octets:
            raise Lost("the server closed the connection")
        return octets

    def close(self) -> None:
        """End the session and the connection: both have ended once this returns."""
        with self.socket, suppress(OSError):
            self.socket.settimeout(TIMEOUT)
            self.socket.shutdown(socket.SHUT_WR)
            while self.socket.recv(RECEIVE):
                pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _enter(self, command: int) -> Self:
        reply = self.ask(encode(command, self.name), Command.RESPONSE)
        if reply.data:
            raise Lost(f"no session for {self.name}: {told(encode(6, *reply.fields))}")
        return self


class Pair:
    """Two who are logged in, and one message at a time from the one to the other.

    Args:
        sender: Who sends.
        recipient: Who receives.
        size: Data octets of each message.
    """

    def __init__(self, sender: Peer, recipient: Peer, size: int) -> None:
        self.sender = sender
        self.recipient = recipient
        self.frame = message(sender.name, recipient.name, "", size)

    def relay(self) -> float:
        """Send a message and return the seconds until it is delivered.

        The echo is taken too, but its time does not count.
        """
        begin = perf_counter()
        self.sender.socket.sendall(self.frame)
        self.recipient.exactly(self.frame)
        seconds = perf_counter() - begin
        self.sender.exactly(self.frame)
        return seconds


def message(sender: str, recipient: str, text: str, size: int) -> bytes:
    """Return a SEND frame whose text is filled up to so many data octets."""
    room = size - len(f"{sender}|||{recipient}|||")
    return encode(Command.SEND, sender, recipient, text.ljust(room, "."))
