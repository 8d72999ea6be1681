"""A second server of the chat wire protocol, written from PROTOCOL.md alone.

It shares no code and no approach with the reference. All connections live in one
thread, and one request is carried out before anything else happens, so there are no
locks. Each connection is a pipe of three coroutines with bounded room between them:
`_receive` fills the input, `_work` carries out its frames, `_send` empties the outbox.
They use the socket itself rather than an asyncio transport, which stops reading at the
first failed write, and so loses requests that have arrived (FRM-9).

Of what the protocol leaves open it takes: a wrong version is noticed at the first octet
(FRM-11), any printable username of up to 64 characters is accepted that the rules allow
(ACC-4), DELETE is answered (ACC-14), a SEND of more than three fields is passed on
(SND-10), and messages to somebody who does not read are kept (SND-14).
"""

import argparse
import asyncio
import re
import resource
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from enum import Enum, IntEnum

HEADER = 42  # octets
LIMIT = 65_536  # octets of data; the least that FRM-6 allows
CHUNK = 65_536  # octets received, or sent, in one turn
ROOM = 1 << 20  # octets in each place where they wait; the rules ask for 276,000
LINGER = 5.0  # seconds that a client has to read why it is cut off
DELIMITER = b"|||"
USERNAME = re.compile(rb"[ -)+-~]{1,64}(?<!\|)")  # ACC-5, ACC-6: no `*`, no last `|`


class Command(IntEnum):
    """The codes of the commands."""

    CREATE, LIST, SEND, DELIVER, DELETE, LOGIN, RESPONSE, LISTRESPONSE = range(8)


class Waiting(Enum):
    """Why a frame waits in an outbox: each kind has room of its own."""

    REPLY = "reply"
    LIVE = "live"


class RefusedError(Exception):
    """A request gets an error reply."""


class BrokenError(Exception):
    """The stream cannot be trusted any more, and the connection is closed."""


def encode(command: Command, data: bytes = b"") -> bytes:
    """Make a frame (FRM-1)."""
    return bytes((0, command)) + len(data).to_bytes(40, "big") + data


def matcher(pattern: bytes) -> Callable[[bytes], bool]:
    """Make the test of a filter, which never takes a step back (LST-2, LST-6)."""
    if b"*" not in pattern:
        return pattern.__eq__
    first, *between, last = pattern.split(b"*")
    parts = [part for part in between if part]

    def matches(name: bytes) -> bool:
        if not (name.startswith(first) and name.endswith(last)):
            return False
        start, end = len(first), len(name) - len(last)
        for part in parts:
            start = name.find(part, start, end)
            if start < 0:
                return False
            start += len(part)
        return start <= end

    return matches


class Account:
    """A username, the connection of its session if it is online, and kept frames."""

    def __init__(self, username: bytes) -> None:
        self.username = username
        self.connection: Connection | None = None
        self.kept = bytearray()

    def take(self, frame: bytes) -> None:
        """Send a message live, or else keep it (SND-1, SND-3, SND-14)."""
        if self.connection is not None and self.connection.takes_live():
            self.connection.put(frame, Waiting.LIVE)
        elif len(self.kept) < ROOM:
            self.kept += frame
        else:
            raise RefusedError("too many messages wait for this account")


class Chat:
    """The accounts, and what the commands do to them."""

    def __init__(self) -> None:
        self.accounts: dict[bytes, Account] = {}

    def create(self, connection: "Connection", username: bytes) -> None:
        """Make an account and log it in (ACC-1, ACC-2, ACC-4 to ACC-7)."""
        if connection.account is not None:
            raise RefusedError("already logged in")
        if not USERNAME.fullmatch(username):
            raise RefusedError("not a valid username")
        if username in self.accounts:
            raise RefusedError("this username is in use")
        self.accounts[username] = Account(username)
        self.login(connection, username)

    def login(self, connection: "Connection", username: bytes) -> None:
        """Start a session (ACC-8 to ACC-11)."""
        if connection.account is not None:
            raise RefusedError("already logged in")
        account = self._account(username)
        if account.connection is not None:
            raise RefusedError("this account is online already")
        connection.account, account.connection = account, connection
        connection.put(encode(Command.RESPONSE))

    def list(self, connection: "Connection", pattern: bytes = b"*") -> None:
        """Name the accounts, or those that a filter matches (LST)."""
        names = filter(matcher(pattern), self.accounts)
        connection.put(encode(Command.LISTRESPONSE, DELIMITER.join(names)))

    def send(self, connection: "Connection", *fields: bytes) -> None:
        """Pass a message on, and only then echo it (SND)."""
        sender, recipient, _ = fields
        if sender != connection.session().username:
            raise RefusedError("the sender is not the account that is logged in")
        frame = encode(Command.SEND, DELIMITER.join(fields))
        self._account(recipient).take(frame)
        connection.put(frame)

    def deliver(self, connection: "Connection") -> None:
        """Bring the kept messages (DLV-1 to DLV-3)."""
        account = connection.session()
        if not connection.deaf:  # what is kept is not lost (SND-12)
            connection.put(bytes(account.kept))
            account.kept.clear()

    def delete(self, connection: "Connection") -> None:
        """Remove the account of the session (ACC-13 to ACC-15)."""
        del self.accounts[connection.session().username]
        connection.end_session()
        connection.put(encode(Command.RESPONSE))

    def _account(self, username: bytes) -> Account:
        try:
            return self.accounts[username]
        except KeyError:
            raise RefusedError("no account has this username") from None


# What carries each command out, and how many fields it takes (DAT-3, SND-10).
COMMANDS: dict[int, tuple[Callable[..., None], set[int]]] = {
    Command.CREATE: (Chat.create, {1}),
    Command.LIST: (Chat.list, {0, 1}),
    Command.SEND: (Chat.send, {3}),
    Command.DELIVER: (Chat.deliver, {0}),
    Command.DELETE: (Chat.delete, {0}),
    Command.LOGIN: (Chat.login, {1}),
}


class Connection:
    """One client's socket, and what waits on either side of it."""

    def __init__(self, sock: socket.socket, chat: Chat) -> None:
        self.account: Account | None = None
        self.deaf = False  # nothing more can be sent
        self._sock = sock
        self._chat = chat
        self._input = bytearray()
        self._outbox: deque[tuple[bytes, Waiting]] = deque()
        self._held = dict.fromkeys(Waiting, 0)
        self._ended = False  # nothing more will be received
        self._finished = False  # nothing more will be put into the outbox
        self._changed = asyncio.Event()

    async def serve(self) -> None:
        """Serve the client until the connection ends, and with it the session."""
        with self._sock:
            receiving = asyncio.create_task(self._receive())
            sending = asyncio.create_task(self._send())
            await self._work()
            self.end_session()
            self._finished = True
            self._changed.set()
            await sending
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)
            # Unread input would turn the close into a reset, which overtakes the last
            # reply (FRM-13): the input fills on, up to its bound, and is dropped.
            with suppress(TimeoutError):
                await asyncio.wait_for(receiving, LINGER)

    def session(self) -> Account:
        """Return the account that is logged in; without one, refuse the request."""
        if self.account is None:
            raise RefusedError("not logged in")
        return self.account

    def end_session(self) -> None:
        """Log the account out, if there is one."""
        if self.account is not None:
            self.account.connection = None
            self.account = None

    def takes_live(self) -> bool:
        """Tell whether there is room for one more live message (SND-14)."""
        return not self.deaf and self._has_room(Waiting.LIVE)

    def put(self, frames: bytes, kind: Waiting = Waiting.REPLY) -> None:
        """Queue octets for the client, unless it can get no more."""
        if frames and not self.deaf:
            self._outbox.append((frames, kind))
            self._held[kind] += len(frames)
            self._changed.set()

    def _has_room(self, kind: Waiting) -> bool:
        return self._held[kind] < ROOM

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def _receive(self) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while octets := await loop.sock_recv(self._sock, CHUNK):
                self._input += octets
                self._changed.set()
                await self._until(lambda: len(self._input) <= ROOM)
                await asyncio.sleep(0)  # input that is there already suspends nothing
        self._ended = True
        self._changed.set()

    async def _work(self) -> None:
        try:
            async for command, data in self._requests():
                self._carry_out(command, data)
                await asyncio.sleep(0)  # the others' turn
                # A client that reads nothing waits, but its end is noticed (ACC-12).
                await self._until(lambda: self._has_room(Waiting.REPLY) or self._ended)
        except BrokenError as broken:
            self._put_error(broken)
            self._input.clear()

    async def _requests(self) -> AsyncIterator[tuple[int, bytes]]:
        while await self._has(1):
            if self._input[0] != 0:
                raise BrokenError("the version is not 0")
            if not await self._has(HEADER):
                return
            end = HEADER + int.from_bytes(self._input[2:HEADER], "big")
            if end > HEADER + LIMIT:
                raise BrokenError(f"data length exceeds the limit of {LIMIT} octets")
            if not await self._has(end):
                return
            command, data = self._input[1], bytes(self._input[HEADER:end])
            del self._input[:end]
            self._changed.set()
            yield command, data

    async def _has(self, octets: int) -> bool:
        await self._until(lambda: len(self._input) >= octets or self._ended)
        return len(self._input) >= octets

    def _carry_out(self, command: int, data: bytes) -> None:
        try:
            if command not in COMMANDS:
                raise RefusedError("unknown command")
            if not data.isascii():
                raise RefusedError("the data is not ascii")
            handler, counts = COMMANDS[command]
            # A third field takes all the rest: one of SND-10's ways, and three fields
            # are too many for everybody else.
            fields = data.split(DELIMITER, 2) if data else []
            if len(fields) not in counts:
                raise RefusedError("wrong number of fields")
            handler(self._chat, self, *fields)
        except RefusedError as refused:
            self._put_error(refused)

    def _put_error(self, error: Exception) -> None:
        self.put(encode(Command.RESPONSE, str(error).encode("ascii")))

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while not (self._finished and not self._outbox):
                await self._until(lambda: bool(self._outbox) or self._finished)
                await loop.sock_sendall(self._sock, self._take())
        except OSError:
            self.deaf = True
            self._outbox.clear()
            self._held = dict.fromkeys(Waiting, 0)
            self._changed.set()

    def _take(self) -> bytes:
        batch = bytearray()
        while self._outbox and len(batch) < CHUNK:
            frames, kind = self._outbox.popleft()
            self._held[kind] -= len(frames)
            batch += frames
        self._changed.set()
        return bytes(batch)


async def serve(listener: socket.socket) -> None:
    """Accept connections for good, and serve each by itself (FRM-10)."""
    loop = asyncio.get_running_loop()
    chat = Chat()
    tasks: set[asyncio.Task[None]] = set()
    while True:
        try:
            sock, _ = await loop.sock_accept(listener)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:  # out of descriptors, most likely: some will be free again
            await asyncio.sleep(0.1)
            continue
        task = asyncio.create_task(Connection(sock, chat).serve())
        tasks.add(task)  # the loop alone would let a task be collected
        task.add_done_callback(tasks.discard)


def listen(port: int) -> socket.socket:
    """Listen on the loopback interface, with a backlog long enough for LIM-1."""
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    listener.setblocking(False)
    return listener


def main() -> None:
    """Serve on the port that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="0 stands for any free one")
    port = parser.parse_args().port
    try:
        listener = listen(port)
    except (OSError, OverflowError) as error:
        parser.error(f"cannot listen on port {port}: {error}")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # LIM-2
    with listener, suppress(KeyboardInterrupt):
        print("listening on {}:{}".format(*listener.getsockname()), flush=True)
        asyncio.run(serve(listener))


if __name__ == "__main__":
    main()
