"""One connection to the server under test. Every wait on it has a bound."""

import math
import select
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from wirechat_conformance import frames

Address = tuple[str, int]
_QUICKACK = getattr(socket, "TCP_QUICKACK", socket.TCP_NODELAY)
"""Without it a server with Nagle's algorithm takes 40 ms a reply. Where there is none,
an option is set that is set already."""
MORE = getattr(socket, "MSG_MORE", 0)
_CHUNK = 1 << 18
_WIDE = 1 << 16
_ROOM = [
    (socket.SOL_SOCKET, socket.SO_RCVBUF),
    # Linux keeps to what the buffer was when it connected.
    *(
        (socket.IPPROTO_TCP, getattr(socket, name))
        for name in ["TCP_WINDOW_CLAMP"]
        if hasattr(socket, name)
    ),
]
"""What says how much the kernel may take before we read it."""
_RESET = select.POLLERR | select.POLLHUP
_ENDED = getattr(select, "POLLRDHUP", 0) | _RESET
CONNECT = 5.0
"""Seconds to wait for a connection: a SYN that was dropped is repeated after 1 s and
3 s, and no rule says how fast connections are accepted."""
WHOLE = 5
"""Time-outs in which a frame that has begun to come, or a segment that has begun to
go, must be through: long ones may take a while, but not for ever."""
STEADY = 1000
"""Octets a second at which they may take longer still: a server that sends octets one
by one, on a machine with much to do, may need half a minute for the longest."""


class SilenceError(Exception):
    """Nothing came, or nothing more could be sent, within the time-out.

    Args:
        reason: How long that was.
        late: Whether something came soon after.
    """

    def __init__(self, reason: str, late: bool = False) -> None:
        super().__init__(reason)
        self.late = late


class GoneError(Exception):
    """The server takes no connection, and why."""


TROUBLE = (GoneError, SilenceError, frames.BadFrameError)
"""What may happen on a connection to a server that is no good."""


class OverdueError(Exception):
    """The time for the whole run is up."""


class Patience:
    """How long to wait for a server: the time-out, until it has been used up too often.

    A server that let several time-outs pass has failed; to find what else it does
    wrong, much shorter waits will do, so that a verdict still comes soon.

    Args:
        seconds: The time-out for a reply.
    """

    FULL_WAITS = 2
    """Time-outs of full length before waits get shorter."""
    MERCY = 5
    """Waits that are not counted, as what was waited for came after all."""
    SHORTENED = 0.1, 8
    """Then a part of the time-out is waited, and so often the longest wait so far."""
    WORN_OUT = 0.025, 2
    """The same where so much was wrong that one wait in vain more tells little."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.slowest = 0.0
        self.until = math.inf
        """When the whole run must be over."""
        self.forgiving = False
        """Whether to find out if what does not come in time comes late."""
        self._shortened = self.SHORTENED
        self._left = self.FULL_WAITS
        self._mercy = self.MERCY

    @property
    def bound(self) -> float:
        """Seconds to wait for the next octet: never less than servers need here."""
        if self._left > 0:
            return self.seconds
        least, times = self._shortened
        return min(self.seconds, max(least * self.seconds, times * self.slowest))

    def waited(self, seconds: float) -> None:
        """Take note of how long an octet took to come."""
        self.slowest = max(self.slowest, seconds)

    def wear_out(self) -> None:
        """Wait in full no more than once, for much less then, and for nothing late."""
        self._left = min(self._left, 1)
        self._shortened = self.WORN_OUT
        self.forgiving = False

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Wait once more for as long as it takes, to be sure."""
        before = self._left
        self._left = max(before, 1)
        try:
            yield
        finally:
            self._left = min(before, self._left)

    def lost(self) -> float:
        """Take note of a wait in vain.

        Returns:
            Seconds to wait for what may only be late: on a machine that was busy with
            something else the same will be in time when it is tried again. None where
            something was waited for in vain before.
        """
        self._left -= 1
        first = self._left == self.FULL_WAITS - 1
        return self.seconds if self.forgiving and first else 0.0

    def came_late(self) -> None:
        """Take back that a wait was in vain, unless that has been done too often."""
        if self._mercy:
            self._mercy -= 1
            self._left += 1


@cache
def _resolved(address: Address) -> tuple[Any, ...]:
    """Return what a socket needs to know of an address, the same at each connection."""
    return socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]


class Peer:
    """One TCP connection, with what has come on it and was not taken yet.

    Args:
        address: Host and port of the server.
        patience: The bound of each wait.
        receive_buffer: Octets that the kernel may hold for us, where that matters.

    Raises:
        OSError: There is no connection to be had.
    """

    def __init__(
        self, address: Address, patience: Patience, receive_buffer: int | None = None
    ) -> None:
        self.patience = patience
        self.buffer = bytearray()
        self.closed = ""
        """How the server ended the connection: nothing yet, "closed" or "reset"."""
        family, kind, protocol, _, target = _resolved(address)
        self.socket = socket.socket(family, kind, protocol)
        try:
            if receive_buffer is not None:
                self._set(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self._set(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.settimeout(max(CONNECT, patience.bound))
            self.socket.connect(target)
            self.socket.setblocking(False)
        except OSError:
            self.socket.close()
            raise

    def _set(self, level: int, option: int, value: int) -> None:
        self.socket.setsockopt(level, option, value)

    def send(self, segments: Iterable[bytes], flags: int = 0) -> None:
        """Send each of these in a segment of its own, reading what comes meanwhile.

        With ``MORE`` for flags the last octets wait for what follows: a close, which
        then leaves with them, before there can be any reply.

        What a server that hung up does not take is dropped: its end is seen when the
        reply to it is read.

        Raises:
            SilenceError: The server takes nothing within the time-out.
        """
        for segment in segments:
            left, until = memoryview(segment), self._until()
            while left and self.closed != "reset":
                try:
                    sent = self.socket.send(left, flags)
                    left, until = left[sent:], until + sent / STEADY
                except BlockingIOError:
                    self._wait(until, sending=True)
                except OSError:
                    return

    def widen(self) -> None:
        """Have the kernel take more at a time than it was told to at first."""
        with suppress(OSError):  # it has ended
            for level, option in _ROOM:
                self._set(level, option, _WIDE)

    def push(self, octets: bytes) -> None:
        """Send what there is room for now, wait for nothing, drop the rest."""
        with suppress(OSError):
            self.socket.send(octets)

    def receive(self) -> frames.Received | None:
        """Return the next frame, or None where the server has ended the connection.

        Raises:
            SilenceError: Nothing comes within the time-out.
            frames.BadFrameError: What comes is no frame.
        """
        until = 0.0
        while (frame := frames.take(self.buffer)) is None:
            if self.closed:
                if self.buffer:
                    seen = bytes(self.buffer)
                    reason = f"the connection ended after {len(seen)} octets of a frame"
                    raise frames.BadFrameError("FRM-1", reason, seen)
                return None
            had = len(self.buffer)
            until = until or self._until()
            self._wait(until)
            until += (len(self.buffer) - had) / STEADY
        return frame

    def _until(self) -> float:
        return time.monotonic() + WHOLE * self.patience.bound

    def _wait(self, until: float, *, sending: bool = False) -> None:
        """Wait for octets or the end, or for room to send."""
        if time.monotonic() > self.patience.until:
            raise OverdueError
        if time.monotonic() > until:
            self.patience.lost()
            raise SilenceError(f"not done within {WHOLE} times the time-out")
        bound, begun = self.patience.bound, time.monotonic()
        poll = select.poll()
        poll.register(
            self.socket,
            select.POLLOUT * sending | select.POLLIN * (not self.closed),
        )
        if not poll.poll(bound * 1000):
            late = bool(poll.poll(self.patience.lost() * 1000))
            if late:
                self.patience.came_late()
            raise SilenceError(f"nothing within {bound:.3g} s", late)
        self.patience.waited(time.monotonic() - begun)
        self._read()

    def _read(self) -> None:
        """Take what has come."""
        if self.closed:
            return
        try:
            self._set(socket.IPPROTO_TCP, _QUICKACK, 1)
            octets = self.socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self.closed = "reset"
            return
        self.buffer += octets
        if not octets:
            self.closed = "closed"

    def readable(self) -> None:
        """Wait until something has come, or the time-out is over, and take nothing."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        poll.poll(self.patience.bound * 1000)

    def comes(self) -> bool:
        """Say whether anything has come that is not yet taken, be it the end."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(self.buffer or self.closed or poll.poll(0))

    def ends(self, seconds: float) -> bool:
        """Say whether the server ends the connection so soon, and read nothing."""
        return bool(self._ending(seconds))

    def end(self, seconds: float) -> str:
        """Wait for the server's end of the connection, reading nothing.

        Returns:
            "closed" or "reset", or nothing where the end did not come.
        """
        events = self._ending(seconds)
        if not events:
            self.patience.lost()
            return ""
        return "reset" if events & _RESET else "closed"

    def _ending(self, seconds: float) -> int:
        """Wait for the server's end of the connection; return poll's events, or 0."""
        poll = select.poll()
        poll.register(self.socket, _ENDED)
        return next((events for _, events in poll.poll(seconds * 1000)), 0)

    def half_close(self) -> None:
        """Close the sending side (FIN)."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close altogether, with FIN where all that came was read."""
        self.socket.close()

    def reset(self) -> None:
        """Close with RST."""
        linger = struct.pack("ii", 1, 0)
        with suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()
