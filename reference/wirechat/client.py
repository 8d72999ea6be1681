"""A small blocking client: one request at a time, and the messages that come between.

No thread reads behind the caller's back. What arrives unasked while a reply is waited
for is kept for :meth:`Client.messages`, which also takes what has come since.
"""

import secrets
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic
from typing import NamedTuple, Self

from wirechat.codec import (
    HEADER_SIZE,
    REPLIES,
    SEPARATOR,
    Command,
    Decoder,
    Frame,
    Malformed,
    encode,
)

HOST, PORT = "127.0.0.1", 9000
"""Where a server listens unless told otherwise."""
TIMEOUT = 5.0
"""Seconds to wait for a connection, and for each reply, unless told otherwise."""
MAX_REPLY = 64 * 1024 * 1024
"""Data octets a reply may have: a million usernames, since a list is never cut (LST-1).
"""
RECEIVE_SIZE = 64 * 1024
"""Octets to take from the socket at a time."""


class Refused(Exception):
    """The server's error reply, in the server's words: escape them to show them."""


class ConnectionLost(ConnectionError):
    """The server has closed, is silent, or can't be understood: nothing more comes."""


class Message(NamedTuple):
    """One message, as its sender wrote it: escape it to show it."""

    sender: str
    recipient: str
    text: str

    @classmethod
    def of(cls, frame: Frame) -> Self:
        """Return what a SEND frame says, with all that follows in its text (SND-10)."""
        return cls(*frame.data.decode("ascii").split(SEPARATOR, 2))


class Client:
    """One connection to a server, and the session on it.

    Whatever is asked raises :class:`Refused` for an error reply, after which the
    connection is usable, and :class:`ConnectionLost` when no reply can be had, after
    which it is closed. Fields that can't be sent as they are (DAT-4), or are not ASCII
    (DAT-2), are a ValueError, and nothing is sent.

    Args:
        connection: A connected socket, which belongs to the client from now on.
        timeout: Seconds to wait for each reply.
    """

    username = ""
    """Whose session this is; empty without one."""

    def __init__(self, connection: socket.socket, timeout: float = TIMEOUT) -> None:
        self._connection = connection
        self._timeout = timeout
        self._decoder = Decoder(REPLIES, MAX_REPLY)
        self._frames: deque[Frame | Malformed] = deque()  # not looked at yet
        self._inbox: deque[Message] = deque()
        self._fence = encode(Command.LIST, secrets.token_hex(16))  # nobody's name

    @classmethod
    def connect(
        cls, host: str = HOST, port: int = PORT, timeout: float = TIMEOUT
    ) -> Self:
        """Return a client of the server at this address.

        Raises:
            OSError: There is no such host, or it can't be connected to.
        """
        return cls(socket.create_connection((host, port), timeout), timeout)

    def create(self, username: str) -> None:
        """Make the account, and log in to it (ACC-1)."""
        self._ask(encode(Command.CREATE, username), Command.RESPONSE)
        self.username = username

    def login(self, username: str) -> None:
        """Start a session of the account (ACC-8)."""
        self._ask(encode(Command.LOGIN, username), Command.RESPONSE)
        self.username = username

    def list(self, filter: str = "") -> tuple[str, ...]:
        """Return the usernames that match the filter, or all, in no order (LST-2)."""
        fields = [filter] if filter else []
        return tuple(
            self._ask(encode(Command.LIST, *fields), Command.LISTRESPONSE).fields
        )

    def send(self, recipient: str, text: str) -> None:
        """Send a message; it is accepted once this returns (SND-2)."""
        request = encode(Command.SEND, self.username, recipient, text)
        echo = request[HEADER_SIZE:]
        frame = self._ask(request, Command.SEND, echo=echo)
        if recipient == self.username:  # the echo and the delivery are alike (SND-7)
            self._reply(Command.SEND, echo=echo)
            self._inbox.append(Message.of(frame))

    def deliver(self) -> None:
        """Fetch what was kept for this account into :meth:`messages` (DLV-1)."""
        self._ask_fenced(encode(Command.DELIVER))

    def delete(self) -> None:
        """Remove the account, and end its session (ACC-13)."""
        self._ask_fenced(encode(Command.DELETE))
        self.username = ""

    def messages(self, wait: float = 0) -> Iterator[Message]:
        """Yield the messages that have come, oldest first.

        A server may cut off somebody who leaves many unread (SND-14).

        Args:
            wait: Seconds to wait for each next message; with none by then, this ends.

        Raises:
            ConnectionLost: The server has closed; whatever came before was yielded.
        """
        while True:
            while self._inbox:
                yield self._inbox.popleft()
            if self.closed or not (frame := self._take(monotonic() + wait)):
                return
            self._keep(frame)

    def close(self) -> None:
        """End the session and the connection; nothing is lost, and nothing is raised.

        What still comes until the server closes its side is kept for
        :meth:`messages`, and the session has ended by then (FRM-9).
        """
        with self._connection, suppress(OSError, Refused):
            self._connection.shutdown(socket.SHUT_WR)
            self._reply()

    @property
    def closed(self) -> bool:
        """Whether the connection has ended on this side."""
        return self.fileno() < 0

    def fileno(self) -> int:
        """Return the descriptor to select on while there are no :meth:`messages`."""
        return self._connection.fileno()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _ask(
        self, request: bytes, *expected: Command, echo: bytes | None = None
    ) -> Frame:
        with suppress(OSError):  # why the server closed may still be there to read
            self._connection.settimeout(self._timeout)
            self._connection.sendall(request)
        return self._reply(*expected, echo=echo)

    def _ask_fenced(self, request: bytes) -> None:
        """Ask for what has no reply of its own: a LIST behind it is answered after it.

        What comes before that is an error reply, or the empty one that ACC-14 allows.
        """
        try:
            expected = Command.RESPONSE, Command.LISTRESPONSE
            reply = self._ask(request + self._fence, *expected)
        except Refused:
            self._reply(Command.LISTRESPONSE)
            raise
        if reply.command == Command.RESPONSE:
            self._reply(Command.LISTRESPONSE)

    def _reply(self, *expected: Command, echo: bytes | None = None) -> Frame:
        """Return the next frame that is asked for, and keep the messages before it."""
        deadline = monotonic() + self._timeout
        while monotonic() < deadline and (frame := self._take(deadline)):
            if frame.command == Command.RESPONSE and frame.data:
                raise Refused(*frame.fields)
            if frame.command in expected and echo in (None, frame.data):
                return frame
            self._keep(frame)
        raise self._lost(f"no reply within {self._timeout:g} seconds")

    def _keep(self, frame: Frame) -> None:
        if frame.command != Command.SEND:
            told = " ".join([Command(frame.command).name, *map(repr, frame.fields[:1])])
            raise self._lost(f"the server sent an unexpected {told}")
        self._inbox.append(Message.of(frame))

    def _take(self, deadline: float) -> Frame | None:
        """Return the next frame, or none when there is none by the deadline."""
        while not self._frames:
            if not (octets := self._receive(max(deadline - monotonic(), 0))):
                return None
            self._frames.extend(self._decoder.feed(octets))
        frame = self._frames.popleft()
        if isinstance(frame, Malformed):
            raise self._lost(f"the server sent a malformed frame: {frame}")
        return frame

    def _receive(self, seconds: float) -> bytes | None:
        if self.closed:
            raise self._lost("the connection is closed")
        try:
            self._connection.settimeout(seconds)
            octets = self._connection.recv(RECEIVE_SIZE)
        except (TimeoutError, BlockingIOError):
            return None
        except OSError as error:
            raise self._lost(f"the connection broke: {error.strerror}") from error
        if not octets:
            raise self._lost("the server closed the connection")
        return octets

    def _lost(self, reason: str) -> ConnectionLost:
        """Close, since whatever came next could not be told apart from a late reply."""
        self._connection.close()
        return ConnectionLost(reason)
