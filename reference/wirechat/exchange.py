"""What connections have to do with each other: requests carried out, frames passed on.

Each connection has a thread that receives, carries out all the frames of one receive
under the lock, and sends what comes of them, each destination's frames at once. A send
under the lock never blocks: what a socket doesn't take waits in its connection's queue,
and a second thread sends it as the socket drains, for as long as something waits.
"""

import select
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from time import monotonic, sleep

from wirechat.codec import MAX_DATA, Decoder, Frame, Malformed
from wirechat.connection import Connection
from wirechat.rules import Chat, Session

MAX_QUEUE = 4 * MAX_DATA
"""Octets that may wait for one connection: four of the largest frames, or some 28,000
messages of 100 octets (SND-14 asks for 1,000)."""
LINGER = 60.0
"""Seconds for which a connection that ends waits for a client that takes nothing."""
DISCARDED = 1024 * 1024
"""Octets that are taken from a client before its connection is closed: sixteen times
those that FRM-13 allows to be on the way."""

SLICE = 0.005
"""Seconds after which a client's requests make room for those of others: what takes
long is LIST, with a hostile filter some milliseconds for a thousand accounts."""
YIELD = 0.0005
"""Seconds in which somebody else gets the lock, which is not fair by itself."""


class Exchange:
    """A chat, and the connections on which it is held.

    Args:
        chat: What carries out the requests.
        decoder: What makes the decoder of each connection.
        max_queue: Octets from which on no more is put behind those that wait for one
            connection: a message has it cut off, its own requests are put off.
        header_seconds: How long a header may take once it has begun, or 0 for ever.
    """

    def __init__(
        self,
        chat: Chat | None = None,
        decoder: Callable[[], Decoder] = Decoder,
        max_queue: int = MAX_QUEUE,
        header_seconds: float = 0,
    ) -> None:
        self.chat = chat or Chat()
        self.decoder = decoder
        self.max_queue = max_queue
        self.header_seconds = header_seconds
        self.connections: dict[Session, Connection] = {}
        # It guards the chat, the connections' queues, and the table of them, so that
        # frames leave in the order in which they were made. Nothing under it waits for
        # a client. No use is made of an interpreter's own lock, since what is read
        # outside of this one may be old without harm:
        # - queued, of one's own connection: what is old lets one batch more wait, or
        #   looks again under the lock. Once the session has ended, which is under the
        #   lock, nobody adds to it, nor makes a writer.
        # - cut_off: whoever sets it shuts the socket down behind it, so that a thread
        #   that missed it receives the end of the stream.
        # The decoder and the times of headers belong to one thread, that of receiving.
        self.lock = threading.Lock()
        self.gone = threading.Condition(self.lock)

    def serve(self, connection: Connection) -> None:
        """Serve one connection of the table from its beginning to its end."""
        try:
            self.converse(connection, self.decoder())
        finally:
            self.end(connection)

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        """Receive and carry out requests until there can be no more of them."""
        while not (decoder.broken or connection.cut_off):
            if not self.in_time(connection, decoder):
                return
            octets = connection.receive()
            if not octets:
                return
            items = iter(decoder.feed(octets))
            while self.carry_out(connection, items):
                sleep(YIELD)

    def in_time(self, connection: Connection, decoder: Decoder) -> bool:
        """Wait for a header that has begun, and tell the client if it takes too long.

        Only where that was asked for: it costs a call for each receive.
        """
        begun = decoder.header_begun
        if not self.header_seconds or begun is None:
            return True
        if begun != connection.header_begun:
            connection.header_begun = begun
            connection.header_until = monotonic() + self.header_seconds
        left = connection.header_until - monotonic()
        if connection.wait(select.POLLIN, max(left, 0)):
            return True
        reason = f"header not whole after {self.header_seconds:g} seconds"
        late = Malformed("LIM-4", reason, begun, fatal=True)
        self.carry_out(connection, iter([late]))
        return False

    def carry_out(
        self, connection: Connection, items: Iterator[Frame | Malformed]
    ) -> bool:
        """Carry out requests in order, and send what comes of them.

        A client that does not read its replies gets no more of them: its requests
        wait, first here and then in the kernel.

        Returns:
            Whether requests may be left, since it took long or much is to be sent.
        """
        self.drain(connection, self.max_queue)
        outbox: defaultdict[Session, list[bytes]] = defaultdict(list)
        room, left = self.max_queue, False
        own, receive = connection.session, self.chat.receive
        with self.lock:
            until = monotonic() + SLICE
            for item in items:
                for session, frame in receive(own, item):
                    outbox[session].append(frame)
                    room -= len(frame)
                left = room < 0 or monotonic() > until
                if left:
                    break
            for session, frames in outbox.items():
                self.send(session, frames, live=session is not own)
        return left

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        """Send frames, or see to it that they are sent; called under the lock."""
        connection = self.connections[session]
        behind = connection.live >= self.max_queue
        connection.put(frames, self.chat.accepted if live else 0)
        if connection.broken:
            self.chat.keep(connection.take_unsent())
        elif live and behind:
            self.cut_off(connection)
        elif connection.queued and not connection.writer:
            connection.writer = start(self.write, connection)
            if not connection.writer:
                self.cut_off(connection)

    def flush(self, connection: Connection) -> None:
        """Send what the socket takes, or keep what it never will (SND-12)."""
        connection.flush()
        if connection.broken:
            self.chat.keep(connection.take_unsent())

    def cut_off(self, connection: Connection) -> None:
        """Part with a client that does not read, keep what it missed (SND-14)."""
        connection.broken = connection.cut_off = True
        self.chat.keep(connection.take_unsent())
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
            with self.lock:
                self.flush(connection)
                if not in_time:
                    self.cut_off(connection)

    def write(self, connection: Connection) -> None:
        """Send what waits for one connection, as long as something does."""
        while True:
            connection.wait(select.POLLOUT)
            with self.lock:
                self.flush(connection)
                if not connection.queued:
                    connection.writer = None
                    return

    def end(self, connection: Connection) -> None:
        """End the session, let the client read what waits for it, close (FRM-9)."""
        with self.lock:
            self.chat.leave(connection.session)
        self.drain(connection, 0, LINGER)
        if not connection.ended:
            connection.hang_up(socket.SHUT_WR)
            connection.discard(DISCARDED, LINGER)
        writer = connection.writer
        if writer:
            writer.join()
        connection.close()
        with self.lock:
            del self.connections[connection.session]
            self.gone.notify_all()


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
