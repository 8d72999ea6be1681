"""The reference server: blocking sockets, a thread for each connection, and one lock.

A connection's thread receives, carries out all the frames of one receive under the
lock, and sends what comes of them, each destination's frames at once. A send under the
lock never blocks: what a socket doesn't take waits in its connection's queue, and a
second thread sends it as the socket drains, for as long as something waits.
"""

import argparse
import errno
import logging
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType

from wirechat.codec import MAX_DATA, REQUESTS, Decoder, Frame, Malformed
from wirechat.connection import Connection, octets_of
from wirechat.rules import Chat, Outgoing, Session, error

BACKLOG = 1024
"""Connections that may wait to be accepted: a thousand come at once (LIM-2)."""
MAX_CONNECTIONS = 4096
"""Four times what LIM-2 asks for; each costs a thread."""
MAX_QUEUE = 4 * MAX_DATA
"""Octets that may wait for one connection: four of the largest frames, or some 28,000
messages of 100 octets (SND-14 asks for 1,000)."""
LINGER = 60.0
"""Seconds that a client may take to read the last replies, as long as nothing moves."""
DISCARDED = 1024 * 1024
"""Octets that are taken from a client before its connection is closed: sixteen times
those that FRM-13 allows to be on the way."""
GRACE = 0.8
"""Seconds in which a server that stops finishes what it has received."""
PAUSE = 0.1
"""Seconds before the next try where not even a refusal was possible."""
TOO_MANY = error("the server takes no more connections")

log = logging.getLogger(__name__)


class Server:
    """A server of the protocol, which serves from ``with`` to its end.

    Args:
        host: The name or address to listen on.
        port: The port, or 0 for a free one: ``address`` says which.
        chat: What carries out the requests.
        decoder: What makes the decoder of each connection.
        max_connections: How many are served at a time.
        max_queue: Octets that may wait for one connection.
        header_seconds: How long a header may take once it has begun, or 0 for ever.

    Raises:
        OSError: The address can't be listened on.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        chat: Chat | None = None,
        decoder: Callable[[], Decoder] = Decoder,
        max_connections: int = MAX_CONNECTIONS,
        max_queue: int = MAX_QUEUE,
        header_seconds: float = 0,
    ) -> None:
        self.chat = chat or Chat()
        self.decoder = decoder
        self.max_connections = max_connections
        self.max_queue = max_queue
        self.header_seconds = header_seconds
        self._listener = listen(host, port)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._spare = open(os.devnull, "rb")  # noqa: SIM115 - given up in need
        self._connections: dict[Session, Connection] = {}
        # It guards the chat, all the connections' queues, and the table of them.
        # Nothing that is done under it blocks.
        self._lock = threading.Lock()
        self._gone = threading.Condition(self._lock)
        self._stopping = threading.Event()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> "Server":
        self._acceptor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Accept no more, finish what was received, send what waits, close.

        To each connection it is as if its client had closed its sending side. What
        takes longer than ``GRACE`` seconds is given up.
        """
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        self._spare.close()
        with self._lock:
            for connection in self._connections.values():
                connection.hang_up(socket.SHUT_RD)
            self._gone.wait_for(lambda: not self._connections, GRACE)
            for connection in self._connections.values():
                self.cut_off(connection)
            self._gone.wait_for(lambda: not self._connections, PAUSE)

    # Connections come and go.

    def _accept(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        while not self._stopping.is_set():
            poll.poll()
            try:
                self._welcome(*self._listener.accept())
            except OSError as problem:
                if problem.errno in {errno.EMFILE, errno.ENFILE}:
                    self._refuse_next()

    def _refuse_next(self) -> None:
        """Close the next connection with the descriptor that was kept for this."""
        log.warning("out of file descriptors: a connection is refused")
        self._spare.close()
        try:
            self._listener.accept()[0].close()
        except OSError:
            self._stopping.wait(PAUSE)
        with suppress(OSError):
            self._spare = open(os.devnull, "rb")  # noqa: SIM115

    def _welcome(self, sock: socket.socket, address: tuple[str, int]) -> None:
        connection = Connection(sock, f"{address[0]}:{address[1]}")
        with self._lock:
            if len(self._connections) < self.max_connections:
                self._connections[connection.session] = connection
                if start(self._serve, connection):
                    log.info("%s connected", connection.peer)
                    return
                del self._connections[connection.session]
            connection.put([TOO_MANY])
        connection.close()
        log.warning("%s refused", connection.peer)

    def _serve(self, connection: Connection) -> None:
        """Serve one connection from beginning to end, in a thread of its own."""
        try:
            self.converse(connection, self.decoder())
        finally:
            self.end(connection)
            log.info("%s gone", connection.peer)

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        """Receive and carry out requests until there can be no more of them."""
        while not (decoder.broken or connection.cut_off):
            octets = connection.receive()
            if not octets:
                return
            items = iter(decoder.feed(octets))
            while self.carry_out(connection, items):
                # It gets no more replies before it has read some: its requests wait,
                # and what it sends meanwhile waits in the kernel.
                self.drain(connection, self.max_queue)

    def end(self, connection: Connection) -> None:
        """End the session, let the client read what waits for it, close (FRM-9)."""
        with self._lock:
            self.chat.leave(connection.session)
        self.drain(connection, 0, LINGER)
        connection.hang_up(socket.SHUT_WR)
        connection.discard(DISCARDED, LINGER)
        with self._lock:
            del self._connections[connection.session]
            self._gone.notify_all()
        if connection.writer:
            connection.writer.join()
        connection.close()

    # What the requests of one receive bring about, and how it leaves.

    def carry_out(
        self, connection: Connection, items: Iterator[Frame | Malformed]
    ) -> bool:
        """Carry out requests in order, and send what comes of them.

        Returns:
            Whether it stopped before the last, since much is to be sent already.
        """
        outbox: dict[Session, list[Outgoing]] = {}
        room = self.max_queue
        with self._lock:
            for item in items:
                for session, outgoing in self.chat.receive(connection.session, item):
                    outbox.setdefault(session, []).append(outgoing)
                    room -= len(octets_of(outgoing))
                if room < 0:
                    break
            for session, outgoings in outbox.items():
                live = session is not connection.session
                self._send(self._connections[session], outgoings, live)
        return room < 0

    def _send(
        self, connection: Connection, outgoings: list[Outgoing], live: bool
    ) -> None:
        connection.put(outgoings, live)
        self._settle(connection)
        if connection.live > self.max_queue:
            self.cut_off(connection)
        elif connection.queued and not connection.writer:
            connection.writer = start(self._write, connection)
            if not connection.writer:
                self.cut_off(connection)

    def _settle(self, connection: Connection) -> None:
        """Keep what a broken connection's client will not get (SND-12)."""
        if connection.broken:
            self.chat.keep(connection.take_unsent())

    def cut_off(self, connection: Connection) -> None:
        """Part with a client that does not read, keep what it missed (SND-14)."""
        log.warning("%s cut off: it does not read", connection.peer)
        connection.broken = connection.cut_off = True
        self._settle(connection)
        self.chat.leave(connection.session)
        connection.hang_up(socket.SHUT_RDWR)

    def drain(
        self, connection: Connection, most: int, seconds: float | None = None
    ) -> None:
        """Send until no more than so many octets wait.

        A client that takes none for so many seconds is cut off.
        """
        while connection.queued > most:
            in_time = connection.wait(select.POLLOUT, seconds)
            with self._lock:
                connection.flush()
                self._settle(connection)
                if not in_time:
                    self.cut_off(connection)

    def _write(self, connection: Connection) -> None:
        """Send what waits for one connection, in a thread that ends with it."""
        while connection.writer:
            self.drain(connection, 0)
            with self._lock:
                if not connection.queued:
                    connection.writer = None


def start(
    target: Callable[[Connection], None], connection: Connection
) -> threading.Thread | None:
    """Start a thread and return it, or nothing where the system has no more."""
    thread = threading.Thread(target=target, args=(connection,), daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, at an address of IPv4 or IPv6."""
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family)
    try:
        # The port can be bound again while connections of a former server linger.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a server until SIGINT or SIGTERM, and return the exit status."""
    parser = argparse.ArgumentParser("wirechat-server", description="serve chat")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--max-data", type=int, default=MAX_DATA)
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args(arguments)
    if options.verbose:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # Blocked here and in every thread that starts from here, they wait for sigwait.
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        server = Server(
            options.host,
            options.port,
            decoder=partial(Decoder, REQUESTS, options.max_data),
        )
    except OSError as problem:
        where = f"{options.host}:{options.port}"
        print(f"wirechat-server: {where}: {problem.strerror}", file=sys.stderr)
        return 2
    with server:
        print("listening on {}:{}".format(*server.address), flush=True)
        signal.sigwait(signals)
    return 0


if __name__ == "__main__":
    sys.exit(main())
