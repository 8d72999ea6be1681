"""Pass TCP connections on, octet for octet, and tell those who watch.

Nothing is altered: octets go on as they are received, an end of one side as the end of
that side alone, a reset as a reset. Who does not read holds up the other side, as it
would without anybody between.
"""

import errno
import os
import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from time import time_ns
from typing import Protocol, Self

from wirechat_tools.traffic import Stream

Address = tuple[str, int]

CHUNK = 32 * 1024
"""Octets that are passed on at once: with headers they fit into one IP packet."""
BACKLOG = 1024
"""Connections that may wait to be taken: LIM-2 asks for as many at the same time."""
PAUSE = 0.1
"""Seconds until the next try, where there was no room for a connection."""
_NO_LINGER = struct.pack("ii", 1, 0)


class Watcher(Protocol):
    """Who is told what passes; times are nanoseconds since the epoch."""

    def opened(
        self, connection: int, time: int, client: Address, server: Address
    ) -> None:
        """A client has connected."""

    def passed(self, stream: Stream, time: int, octets: bytes) -> None:
        """These octets are about to be passed on."""

    def ended(self, stream: Stream, time: int) -> None:
        """Whose stream this is has closed its sending side."""

    def reset(self, stream: Stream, time: int) -> None:
        """Whose stream this is has reset the connection."""


def shown(address: Address) -> str:
    """Return an address as people write it."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(eq=False, slots=True)
class _Side:
    """One side of a connection: what it says, and what waits to be sent to it."""

    sock: socket.socket
    stream: Stream
    other: "_Side" = field(init=False)
    connected: bool = True
    pending: bytes = b""
    ended: bool = False  # it has closed its sending side
    told: bool = False  # of the end of the other
    mask: int = -1  # what it is watched for

    @property
    def wanted(self) -> int:
        read = self.connected and not self.ended and self.other.ready
        return select.POLLIN * read | select.POLLOUT * (not self.ready)

    @property
    def ready(self) -> bool:
        return self.connected and not self.pending


class Relay:
    """Takes connections, and makes one to the server for each.

    Args:
        listen: Where to listen; a port of 0 is any that is free.
        server: Where to connect.
        tell: Told why the server is not reached, each time that it isn't.

    Raises:
        OSError: It can't listen there.
    """

    def __init__(
        self, listen: Address, server: Address, tell: Callable[[str], object]
    ) -> None:
        self._server = server
        self._tell = tell
        self.watchers: list[Watcher] = []
        """Who is told what passes."""
        self._sides: dict[int, _Side] = {}
        self._count = 0
        self._full = False
        self._poll = select.poll()
        family = socket.AF_INET6 if ":" in listen[0] else socket.AF_INET
        self._listener = socket.create_server(listen, family=family, backlog=BACKLOG)
        self._listener.setblocking(False)
        self.address: Address = self._listener.getsockname()[:2]
        self._woken, wake = os.pipe()
        self.wake = wake
        """A descriptor that ends :meth:`run` once it is written to, as a signal can."""
        os.set_blocking(self.wake, False)
        self._poll.register(self._woken, select.POLLIN)
        self._poll.register(self._listener, select.POLLIN)

    def stop(self) -> None:
        """End :meth:`run`, from another thread."""
        os.write(self.wake, b"!")

    def run(self) -> None:
        """Pass on what comes, until it is stopped."""
        while self._turn():
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close all that is open."""
        for side in self._sides.values():
            side.sock.close()
        self._listener.close()
        os.close(self._woken)
        os.close(self.wake)

    def _turn(self) -> bool:
        events = dict(self._poll.poll(PAUSE * 1000 if self._full else None))
        for number, event in events.items():
            if side := self._sides.get(number):
                self._serve(side, event)
        # Last, as it may make use of the numbers of sockets that were closed.
        if self._full or self._listener.fileno() in events:
            self._accept()
        return self._woken not in events

    def _accept(self) -> None:
        family = socket.AF_INET6 if ":" in self._server[0] else socket.AF_INET
        try:
            with ExitStack() as stack:
                connecting = stack.enter_context(socket.socket(family))
                accepted, client = self._listener.accept()
                stack.pop_all()
        except (BlockingIOError, ConnectionError):  # it has gone again
            self._be_full(False)
        except OSError as error:
            self._be_full(True, error)
        else:
            self._be_full(False)
            self._join(accepted, connecting, client[:2])

    def _be_full(self, full: bool, why: OSError | None = None) -> None:
        """Have who finds no room wait: to poll for them would take all the time."""
        if why and not self._full:
            self._tell(f"connections wait: {why.strerror}")
        self._full = full
        self._poll.register(self._listener, 0 if full else select.POLLIN)

    def _join(
        self, accepted: socket.socket, connecting: socket.socket, client: Address
    ) -> None:
        """Connect to the server for a client."""
        self._count += 1
        server = self._server
        there = f"{shown(client)} > {shown(server)}"
        back = f"{shown(server)} > {shown(client)}"
        asking = _Side(accepted, Stream(self._count, there, ">"))
        answering = _Side(connecting, Stream(self._count, back, "<"), connected=False)
        asking.other, answering.other = answering, asking
        time = time_ns()
        for watcher in self.watchers:
            watcher.opened(self._count, time, client, server[:2])
        for side in (asking, answering):
            side.sock.setblocking(False)
            side.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sides[side.sock.fileno()] = side
        status = answering.sock.connect_ex(server)
        if status not in (0, errno.EINPROGRESS):
            self._refused(answering, status)
        self._watch(asking)

    def _serve(self, side: _Side, event: int) -> None:
        if not side.connected:
            status = side.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            side.connected = status == 0
            if status:
                self._refused(side, status)
        elif event & select.POLLOUT:
            self._send(side)
        elif side.mask & select.POLLIN:
            self._receive(side)
        elif event & select.POLLERR and side.ended:
            self._reset(side)
        else:  # what is wrong is seen once there is something to be done with it
            self._poll.unregister(side.sock)
        self._watch(side)

    def _refused(self, side: _Side, status: int) -> None:
        self._tell(f"{shown(self._server)}: {os.strerror(status)}")
        self._reset(side)

    @contextmanager
    def _guard(self, side: _Side) -> Iterator[None]:
        """See that what goes wrong with a socket is taken for a reset by its owner."""
        try:
            yield
        except BlockingIOError:
            pass
        except OSError:
            self._reset(side)

    def _receive(self, side: _Side) -> None:
        octets = None
        with self._guard(side):
            octets = side.sock.recv(CHUNK)
        if octets is None:
            return
        time = time_ns()
        for watcher in self.watchers:  # whose own troubles are no reset
            if octets:
                watcher.passed(side.stream, time, octets)
            else:
                watcher.ended(side.stream, time)
        side.ended = not octets
        side.other.pending = octets
        self._send(side.other)

    def _send(self, side: _Side) -> None:
        with self._guard(side):
            if side.pending:
                side.pending = side.pending[side.sock.send(side.pending) :]
            if side.other.ended and not side.pending and not side.told:
                side.told = True
                side.sock.shutdown(socket.SHUT_WR)
            if side.told and side.other.told:
                self._close(side)

    def _reset(self, side: _Side) -> None:
        time = time_ns()
        for watcher in self.watchers:
            watcher.reset(side.stream, time)
        linger = socket.SO_LINGER
        side.other.sock.setsockopt(socket.SOL_SOCKET, linger, _NO_LINGER)
        self._close(side)

    def _close(self, side: _Side) -> None:
        for one in (side, side.other):
            del self._sides[one.sock.fileno()]
            with suppress(KeyError):
                self._poll.unregister(one.sock)
            one.sock.close()

    def _watch(self, side: _Side) -> None:
        for one in (side, side.other):
            if one.sock.fileno() >= 0 and one.mask != one.wanted:
                one.mask = one.wanted
                self._poll.register(one.sock, one.mask)
