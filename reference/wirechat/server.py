"""The reference server: blocking sockets and a thread for each connection."""

import argparse
import errno
import logging
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import NoReturn

from wirechat.codec import MAX_DATA, REQUESTS, Decoder
from wirechat.connection import Connection
from wirechat.exchange import MAX_QUEUE, Exchange, start
from wirechat.rules import Chat, Limits, error

BACKLOG = 1024
"""Connections that may wait to be accepted: a thousand may come at once (LIM-2)."""
MAX_CONNECTIONS = 4096
"""Four times what LIM-2 asks for; each has a thread, at some 50 KB."""
GRACE = 0.7
"""Seconds in which a server that stops finishes what it has received: with what goes
before and after, it ends within a second."""
PAUSE = 0.1
"""Seconds until the next try, where not even a refusal was possible."""
IDLE = 100
"""Threads that wait for another connection at most: to start one takes longer than to
serve a client that asks little."""
TOO_MANY = error("the server takes no more connections")

log = logging.getLogger(__name__)


class Server(Exchange):
    """A server of the protocol, which serves inside of ``with``.

    Args:
        host: The name or address to listen on.
        port: The port, or 0 for a free one: ``address`` says which.
        chat: What carries out the requests.
        decoder: What makes the decoder of each connection.
        max_queue: Octets from which on no more is put behind those that wait for one
            connection: a message has it cut off, its own requests are put off.
        header_seconds: How long a header may take once it has begun, or 0 for ever.
        max_connections: How many are served at a time.

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
        max_queue: int = MAX_QUEUE,
        header_seconds: float = 0,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        super().__init__(chat, decoder, max_queue, header_seconds)
        self.max_connections = max_connections
        self._listener = listen(host, port)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._spare = open(os.devnull, "rb")  # noqa: SIM115 - closed when in need
        self._stopping = threading.Event()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._idle = 0  # threads that wait for another connection, under the lock
        self._given: SimpleQueue[Connection | None] = SimpleQueue()

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
        with suppress(OSError):  # stopped before
            self._listener.shutdown(socket.SHUT_RDWR)  # it wakes the thread
        self._acceptor.join()
        self._listener.close()
        self._spare.close()
        with self.lock:
            for connection in self.connections.values():
                connection.hang_up(socket.SHUT_RD)
            self.gone.wait_for(lambda: not self.connections, GRACE)
            for connection in self.connections.values():
                self.cut_off(connection)
            self.gone.wait_for(lambda: not self.connections, PAUSE)
            for _ in range(self._idle):
                self._given.put(None)
            self._idle = 0

    def serve(self, connection: Connection) -> None:
        """Serve one connection from its beginning to its end, and log both."""
        log.info("%s connected", connection.peer)
        super().serve(connection)
        how = "was cut off: it did not read" if connection.cut_off else "is gone"
        log.info("%s %s", connection.peer, how)

    def _accept(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        while not self._stopping.is_set():
            poll.poll()  # out of descriptors, accept would not wait for a connection
            try:
                self._welcome(*self._listener.accept())
            except OSError as problem:
                if problem.errno in {errno.EMFILE, errno.ENFILE}:
                    self._turn_away()
                else:
                    self._stopping.wait(PAUSE)

    def _welcome(self, sock: socket.socket, address: tuple[str, int]) -> None:
        connection = Connection(sock, shown(address))
        with self.lock:
            welcome = len(self.connections) < self.max_connections
            if welcome:
                self.connections[connection.session] = connection
            idle = welcome and self._idle > 0
            self._idle -= idle
        if idle:
            self._given.put(connection)
        elif not (welcome and start(self._work, connection)):
            self._refuse(connection)

    def _work(self, connection: Connection) -> None:
        """Serve a connection, and then others, as they come."""
        given: Connection | None = connection
        while given:
            self.serve(given)
            with self.lock:
                idle = self._idle < IDLE and not self._stopping.is_set()
                self._idle += idle
            given = self._given.get() if idle else None

    def _refuse(self, connection: Connection) -> None:
        """Tell a client that there is no room for it, and close."""
        log.warning("%s refused: there are too many connections", connection.peer)
        with self.lock:
            self.connections.pop(connection.session, None)
        connection.put([TOO_MANY])
        connection.hang_up(socket.SHUT_WR)
        connection.discard(len(TOO_MANY), 0)
        connection.close()

    def _turn_away(self) -> None:
        """Close the next connection, with the descriptor that was kept for this."""
        log.warning("a connection refused: out of file descriptors")
        self._spare.close()
        try:
            self._listener.accept()[0].close()
        except OSError:  # somebody was faster
            self._stopping.wait(PAUSE)
        with suppress(OSError):
            self._spare = open(os.devnull, "rb")  # noqa: SIM115


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


def shown(address: tuple[str, int]) -> str:
    """Return an address as it is written: HOST:PORT or [HOST]:PORT."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def number(least: int, most: int = 2**63 - 1) -> Callable[[str], int]:
    """Return what reads an option's number between these bounds."""

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not {least} to {most}")
        return int(text)

    return read


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and exit."""
        self.exit(2, f"{self.prog}: {message}\n")


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    room = Limits()
    parser = Parser(
        "wirechat-server", description="Serve the chat wire protocol, version 0."
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen")
    parser.add_argument("--port", type=number(0, 65535), default=9000, help="0: any")
    for name, least, default, meaning in (
        ("data", 65536, MAX_DATA, "data octets of a frame"),
        ("accounts", 1, room.accounts, "accounts"),
        ("kept", 1, room.kept, "messages kept for an account"),
        ("kept-octets", 1, room.kept_octets, "octets of these"),
        ("all-kept", 1, room.all_kept, "messages kept in all"),
        ("all-kept-octets", 1, room.all_kept_octets, "octets of these"),
        ("connections", 1, MAX_CONNECTIONS, "connections at a time"),
        ("queue", 1, MAX_QUEUE, "octets that wait for a connection"),
    ):
        parser.add_argument(
            f"--max-{name}",
            type=number(least),
            default=default,
            metavar="N",
            help=f"{meaning} (%(default)s)",
        )
    parser.add_argument(
        "--header-seconds",
        type=number(1),
        default=0,
        metavar="N",
        help="close a connection whose header takes longer, once begun (never)",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="log to stderr")
    return parser.parse_args(arguments)


def server_of(options: argparse.Namespace) -> Server:
    """Return the server that the command line asks for."""
    return Server(
        options.host,
        options.port,
        chat=Chat(
            Limits(
                options.max_accounts,
                options.max_kept,
                options.max_kept_octets,
                options.max_all_kept,
                options.max_all_kept_octets,
            )
        ),
        decoder=partial(Decoder, REQUESTS, options.max_data),
        max_queue=options.max_queue,
        header_seconds=options.header_seconds,
        max_connections=options.max_connections,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM, and return the exit status."""
    options = options_of(arguments)
    if options.verbose:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        server = server_of(options)
    except (OSError, UnicodeError) as problem:
        return fail(shown((options.host, options.port)), problem)
    # Held back here, and in every thread that is started from here, for sigwait.
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with server:
        try:
            print(f"listening on {shown(server.address)}", flush=True)
        except OSError as problem:  # and nobody learns where it listens
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return fail("standard output", problem)
        signal.sigwait(signals)
    return 0


def fail(what: str, problem: OSError | UnicodeError) -> int:
    """Say on stderr why nothing is served, and return the exit status."""
    reason = getattr(problem, "strerror", None) or problem
    print(f"wirechat-server: {what}: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
