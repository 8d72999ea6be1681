"""One client's connection: its socket, and what waits to be sent on it."""

import select
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from time import monotonic

from wirechat.rules import Account, Message, Session

RECEIVE = 64 * 1024
"""Octets taken from a socket at once: some hundred frames."""


@dataclass(slots=True)
class Batch:
    """What was put on a connection together, and leaves in one send if it can."""

    frames: list[bytes]
    octets: memoryview
    live: int
    recipient: Account | None


class Connection:
    """A socket to which frames are sent without ever waiting for it.

    What the socket doesn't take at once is queued. Only :meth:`receive` and
    :meth:`wait` block; what sends is called under the server's lock.

    Args:
        sock: The connected socket.
        peer: Who is at the other end, for the log.
    """

    def __init__(self, sock: socket.socket, peer: str) -> None:
        self.peer = peer
        self.session = Session()
        self.writer: Thread | None = None  # there is one as long as octets wait
        self.queued = 0  # octets that wait
        self.live = 0  # of these, of messages that the client did not ask for
        self.broken = False  # nothing can be sent any more
        self.cut_off = False
        self.ended = False  # no octets will come any more
        self.header_begun = -1  # where in the stream, and until when it may take
        self.header_until = 0.0
        self._socket = sock
        self._batches: deque[Batch] = deque()
        self._sent = 0  # octets, of the first batch
        # No frame waits for another's acknowledgement (Nagle's algorithm), and a peer
        # that has vanished is noticed in the end.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def receive(self) -> bytes:
        """Wait for octets: none come when the stream has ended, by a reset too."""
        try:
            octets = self._socket.recv(RECEIVE)
        except OSError:
            octets = b""
        self.ended = not octets
        return octets

    def wait(self, event: int, seconds: float | None = None) -> bool:
        """Wait until the socket is ready, or broken: false says that time is up."""
        poll = select.poll()
        poll.register(self._socket, event)
        return bool(poll.poll(None if seconds is None else seconds * 1000))

    def put(self, frames: list[bytes], live: int = 0) -> None:
        """Send frames; what the socket doesn't take now waits, behind what does.

        ``live`` says that these are messages which the client did not ask for: it is
        the number of the last one.
        """
        if self._batches:
            self.flush()
        octets = b"".join(frames)
        sent = 0 if self._batches else self._send(octets)
        if sent == len(octets):
            return
        self._sent += sent  # of the first batch, which is this one if any was sent
        batch = Batch(frames, memoryview(octets), live, self.session.account)
        self._batches.append(batch)
        self.queued += len(octets) - sent
        if live:
            self.live += len(octets) - sent

    def flush(self) -> None:
        """Send what the socket takes now of what waits."""
        while self._batches:
            batch = self._batches[0]
            sent = self._send(batch.octets[self._sent :])
            self.queued -= sent
            if batch.live:
                self.live -= sent
            self._sent += sent
            if self._sent < len(batch.octets):
                return
            self._sent = 0
            self._batches.popleft()

    def take_unsent(self) -> list[Message]:
        """Empty the queue and return its messages of which no octet was sent."""
        unsent = []
        at = -self._sent  # octets from the first one that waits
        for batch in self._batches:
            for frame in batch.frames:
                if at >= 0 and batch.live and batch.recipient:
                    # Nothing else was accepted for it between those of one batch.
                    unsent.append(Message.of(frame, batch.recipient, batch.live))
                elif at >= 0 and isinstance(frame, Message):
                    unsent.append(frame)
                at += len(frame)
        self._batches.clear()
        self._sent = self.queued = self.live = 0
        return unsent

    def discard(self, octets: int, seconds: float) -> None:
        """Take what the client still sends, up to its end or to these bounds.

        A close with octets that were not taken is a reset, at which the client may
        lose the last reply before it has read it (FRM-13).
        """
        until = monotonic() + seconds
        while octets > 0 and self.wait(select.POLLIN, max(0.0, until - monotonic())):
            taken = self.receive()
            if not taken:
                return
            octets -= len(taken)

    def hang_up(self, how: int) -> None:
        """Shut one side of the socket, or both: whoever waits on it wakes up."""
        with suppress(OSError):  # the peer was first
            self._socket.shutdown(how)

    def close(self) -> None:
        """Close the socket, when no thread waits on it any more."""
        self._socket.close()

    def _send(self, octets: bytes | memoryview) -> int:
        try:
            return self._socket.send(octets, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError:
            self.broken = True
            return 0
