"""Servers of which one part is replaced: by a faulty one, or by one that differs.

A part is a class that stands in for one of the reference's. Where those give nothing
to take hold of, the classes here do: they are the same things, in smaller steps.
"""

import re
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock, Timer
from time import sleep
from typing import TypeAlias
from unittest.mock import patch

from wirechat import server
from wirechat.codec import (
    HEADER_SIZE,
    MAX_DATA,
    REQUESTS,
    Command,
    Decoder,
    Frame,
    Malformed,
)
from wirechat.connection import Connection
from wirechat.rules import (
    SUCCESS,
    Account,
    Chat,
    Limits,
    Message,
    Outbox,
    Session,
    error,
)
from wirechat.server import Server

__all__ = [
    "SUCCESS",
    "Account",
    "Chat",
    "Connection",
    "Decoder",
    "Frame",
    "Items",
    "Limits",
    "Loop",
    "Malformed",
    "Message",
    "Outbox",
    "Part",
    "Server",
    "Session",
    "Steps",
    "Unlocked",
    "Writer",
    "altered",
    "dashed",
    "error",
    "is_error",
    "message",
    "run",
]

Part: TypeAlias = type[Chat] | type[Decoder] | type[Connection] | type[Server]
Items: TypeAlias = list[Frame | Malformed]


def is_error(frame: bytes) -> bool:
    """Tell whether a frame is an error reply."""
    return frame[1] == Command.RESPONSE and len(frame) > HEADER_SIZE


def message(recipient: Account, octets: bytes, number: int = 0) -> Message:
    """Return a message; unless told otherwise it is older than all others."""
    return Message.of(octets, recipient, number)


def messages(chat: Chat, to: Session, frames: Iterable[bytes]) -> list[Message]:
    """Return frames as the messages that they are where they are sent live."""
    account = to.account
    return (
        [Message.of(one, account, chat.accepted) for one in frames] if account else []
    )


def altered(original: Message, octets: bytes) -> Message:
    """Return a message with other octets."""
    return message(original.recipient, octets, original.number)


class Parsed(Frame):
    """A frame that was taken apart by other means than its own."""

    names: list[str]

    @property
    def fields(self) -> list[str]:
        return self.names


class Steps(Decoder):
    """The decoder, one step at a time."""

    def __init__(
        self,
        commands: Mapping[int, tuple[int, int]] = REQUESTS,
        max_data: int = MAX_DATA,
    ) -> None:
        super().__init__(commands, max_data)
        self.commands = commands
        self.max_data = max_data
        self.buffer = bytearray()

    def feed(self, octets: bytes) -> list[Frame | Malformed]:
        self.buffer += octets
        return list(iter(self.next, None))

    def next(self) -> Frame | Malformed | None:
        if self.broken or len(self.buffer) < HEADER_SIZE:
            return None
        version, command = self.buffer[:2]
        length = self.length(bytes(self.buffer[2:HEADER_SIZE]))
        if not self.right_version(version):
            return self.fatal("FRM-2", f"version {version}")
        if length > self.max_data:
            return self.fatal("FRM-8", "too long")
        if not self.whole(length):
            return None
        return self.frame(command, self.take(HEADER_SIZE + length)[HEADER_SIZE:])

    def right_version(self, version: int) -> bool:
        return version == 0

    def length(self, octets: bytes) -> int:
        return int.from_bytes(octets, "big")

    def fatal(self, rule: str, reason: str) -> Malformed | None:
        self.broken = True
        return Malformed(rule, reason, 0, fatal=True)

    def whole(self, length: int) -> bool:
        return len(self.buffer) >= HEADER_SIZE + length

    def take(self, count: int) -> bytes:
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def frame(self, command: int, data: bytes) -> Frame | Malformed | None:
        command = self.command(command)
        if command not in self.commands:
            return Malformed("FRM-5", f"unknown command {command}", 0)
        if not self.ascii(data):
            return Malformed("DAT-2", "not ASCII", 0)
        frame = Parsed(command, data)
        frame.names = self.fields(command, data)
        fewest, most = self.commands[command]
        if not fewest <= len(frame.names) <= most:
            return Malformed("DAT-3", f"{len(frame.names)} fields", 0)
        return frame

    def command(self, code: int) -> int:
        return code

    def ascii(self, data: bytes) -> bool:
        return data.isascii()

    def fields(self, command: int, data: bytes) -> list[str]:
        return data.decode("latin-1").split("|||") if data else []


class Writer(Connection):
    """A connection on which each frame is written by a method of its own."""

    def put(self, frames: list[bytes], live: int = 0) -> None:
        super().put([self.written(frame) for frame in frames], live)

    def written(self, frame: bytes) -> bytes:
        octets = self.write(frame)
        return altered(frame, octets) if isinstance(frame, Message) else octets

    def write(self, frame: bytes) -> bytes:
        return frame


class Loop(Server):
    """A server that receives, and carries out what it has received.

    What it sends can wait for a while.
    """

    decoding: Callable[[], Decoder] = Decoder

    def __init__(self, port: int) -> None:
        super().__init__(port=port, decoder=self.decoding)

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        while not (decoder.broken or connection.cut_off):
            octets = connection.receive()
            if not octets:
                return
            self.requests(connection, decoder.feed(octets))

    def requests(self, connection: Connection, items: Items) -> None:
        left = iter(items)
        while self.carry_out(connection, left):
            pass

    def later(
        self, seconds: float, session: Session, frames: list[bytes], live: bool
    ) -> None:
        Timer(seconds, self.now, (session, frames, live)).start()

    def now(self, session: Session, frames: list[bytes], live: bool) -> None:
        with self.lock:
            if session in self.connections:
                Server.send(self, session, frames, live)


class Unlocked(Chat):
    """A chat that can give up the server's lock in the middle of a request."""

    lock: Lock

    @contextmanager
    def unlocked(self, seconds: float) -> Iterator[None]:
        self.lock.release()
        sleep(seconds)
        self.lock.acquire()
        yield


def assemble(part: Part, port: int) -> Server:
    """Return the reference server with one part replaced."""
    if issubclass(part, Server):
        return part(port=port)
    if issubclass(part, Decoder):
        return Server(port=port, decoder=part)
    if issubclass(part, Connection):
        patch.object(server, "Connection", part).start()
        return Server(port=port)
    whole = Server(port=port, chat=part())
    if isinstance(whole.chat, Unlocked):
        whole.chat.lock = whole.lock
    return whole


def run(parts: Mapping[str, Part], what: str) -> None:
    """Run, as a command, the server with the part that is asked for."""
    parser = server.Parser(description=f"run the server with one {what}")
    parser.add_argument("id", metavar="ID")
    parser.add_argument("--port", type=server.number(0, 65535), default=0)
    options = parser.parse_args()
    if options.id not in parts:
        parser.error(f"no {what} {options.id!r}")
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with assemble(parts[options.id], options.port) as assembled:
        print("listening on {}:{}".format(*assembled.address), flush=True)
        signal.sigwait(signals)


def dashed(name: str) -> str:
    """Return a class's name as words: "EchoFirst" is "echo-first"."""
    return re.sub(r"(?<=.)(?=[A-Z])", "-", name).lower()
