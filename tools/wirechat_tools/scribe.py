"""Write down what passes a relay: frames, and what is none, in the order seen."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from wirechat.codec import HEADER_SIZE, Command
from wirechat_tools.relay import Address
from wirechat_tools.traffic import Stream
from wirechat_tools.transcript import NAMES, SEPARATOR, USERNAME, Line, Writer

MAX_HELD = 16 * 1024 * 1024
"""Octets of a frame that is held whole; a longer one is written as octets."""


class Splitter:
    """Takes a stream apart into frames, and octets that are none, and loses nothing."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._wanted = HEADER_SIZE
        self._loose = 0  # octets to come of a frame that can't be written as one

    def feed(self, octets: bytes) -> Iterator[tuple[int | None, bytes]]:
        """Give each command with its data, and None with octets that are no frame."""
        if self._loose:
            loose, octets = octets[: self._loose], octets[self._loose :]
            self._loose -= len(loose)
            yield None, loose
        self._held += octets
        while self._held and (self._held[0] or len(self._held) >= self._wanted):
            if item := self._take():
                yield item

    def flush(self) -> Iterator[tuple[int | None, bytes]]:
        """Give what has come of a frame whose header is known; the rest is octets."""
        if len(self._held) >= HEADER_SIZE:
            self._loose = self._wanted - len(self._held)
            yield self._part(len(self._held))

    def end(self) -> Iterator[tuple[int | None, bytes]]:
        """Give what is left."""
        if self._held:
            yield self._part(len(self._held))

    def _take(self) -> tuple[int | None, bytes] | None:
        held, trusted = self._held, self._held[0] == 0
        size = HEADER_SIZE + int.from_bytes(held[2:HEADER_SIZE], "big")
        if not trusted or size > MAX_HELD:
            # Behind another version nothing can be told apart any more (FRM-11).
            size = size if trusted else 1 << 400
            self._loose = max(size - len(held), 0)
            return self._part(size)
        self._wanted = size
        if len(held) < size:
            return None
        command, whole = held[1], self._part(size)[1]
        if command in NAMES:
            return command, whole[HEADER_SIZE:]
        return None, whole

    def _part(self, size: int) -> tuple[None, bytes]:
        part = bytes(self._held[:size])
        del self._held[:size]
        self._wanted = HEADER_SIZE
        return None, part


@dataclass(eq=False, slots=True)
class _Talk:
    """What is known of one connection."""

    requests: Splitter = field(default_factory=Splitter)
    replies: Splitter = field(default_factory=Splitter)
    lines: list[Line] = field(default_factory=list)
    sessions: deque[Line] = field(default_factory=deque)  # asked for, not answered yet
    filters: deque[bytes] = field(default_factory=deque)  # of lists, not answered yet
    names: set[bytes] = field(default_factory=set)  # with which a session was asked for
    over: bool = False  # closed by the server, or reset


class Scribe:
    """Watches a relay, and writes down what passed.

    All of it is held until the end: which usernames there are is known only then.

    Args:
        loose: Whether any text will do in an error reply.
    """

    def __init__(self, loose: bool = False) -> None:
        self._loose = loose
        self._server = ""
        self._talks: dict[int, _Talk] = {}
        self._lines: list[Line] = []
        self._sent: dict[bytes, Line] = {}  # the last message with this data
        self._made: set[bytes] = set()  # accounts that a CREATE was seen to make
        self._before: dict[bytes, None] = {}  # accounts that there were already
        self._gone: set[bytes] = set()  # names whose connection has ended

    def opened(
        self, connection: int, time: int, client: Address, server: Address
    ) -> None:
        """A client has connected."""
        self._talks[connection] = _Talk()
        self._add(connection, "open")

    def passed(self, stream: Stream, time: int, octets: bytes) -> None:
        """These octets are about to be passed on."""
        talk, number = self._talks[stream.connection], stream.connection
        if stream.side == ">":
            for command, data in talk.requests.feed(octets):
                self._asked(number, command, data)
            return
        for command, data in talk.replies.feed(octets):
            # What comes may be the answer to a header alone.
            for part in talk.requests.flush():
                self._asked(number, *part)
            self._answered(number, command, data)

    def ended(self, stream: Stream, time: int) -> None:
        """Whose stream this is has closed its sending side."""
        talk = self._talks[stream.connection]
        if stream.side == "<":
            self._finish(stream.connection)
            self._add(stream.connection, "eof")
            talk.over = True
        else:
            self._finish(stream.connection)
            self._add(stream.connection, "close" if talk.over else "half-close")

    def reset(self, stream: Stream, time: int) -> None:
        """Whose stream this is has reset the connection."""
        talk = self._talks[stream.connection]
        self._finish(stream.connection)
        if stream.side == ">" or not talk.over:
            self._add(stream.connection, "reset" if stream.side == ">" else "eof")
        talk.over = True

    def text(self) -> str:
        """Return the transcript of what has passed so far."""
        return Writer(self._lines, self._before, self._loose).text()

    def _finish(self, number: int) -> None:
        talk = self._talks[number]
        for part in talk.requests.end():
            self._asked(number, *part)
        self._gone |= talk.names

    def _add(self, number: int, verb: str, *rest: object) -> Line:
        line = Line(number, verb, *rest)  # type: ignore[arg-type]
        self._lines.append(line)
        self._talks[number].lines.append(line)
        return line

    def _asked(self, number: int, command: int | None, data: bytes) -> None:
        talk = self._talks[number]
        line = self._add(number, ">", command, data)
        if command in (Command.CREATE, Command.LOGIN):
            talk.names.add(data)
            talk.sessions.append(line)
        elif command == Command.LIST and SEPARATOR not in data:
            talk.filters.append(data)
        elif command == Command.SEND:
            self._sent[data] = line

    def _answered(self, number: int, command: int | None, data: bytes) -> None:
        talk, cause, about = self._talks[number], None, None
        request = talk.lines[-1]
        if command == Command.SEND:
            cause = self._sent.get(data)
            self._existed(data.split(SEPARATOR, 2)[:2])
        elif command == Command.LISTRESPONSE:
            about = talk.filters.popleft() if talk.filters else None
        elif command == Command.RESPONSE:
            about = request.data
            if talk.sessions and (not data or request is talk.sessions[0]):
                asked = talk.sessions.popleft()
                if not data:
                    self._session(talk, asked)
        self._add(number, "<", command, data, about, cause)

    def _session(self, talk: _Talk, request: Line) -> None:
        """Take note of the account that a request made or logged in to."""
        if request.command == Command.CREATE:
            self._made.add(request.data)
            return
        self._existed([request.data])
        late = request.data in self._gone or request.data in self._before
        if late and request is talk.lines[-1]:
            # A session ends a moment behind its connection (ACC-12): what is to be
            # replayed asks until it has, and the tries before this one are left out.
            request.verb = "repeat"
            tries = talk.lines[:-1]
            while (
                len(tries) > 1
                and tries[-2].data == request.data
                and (tries[-2].command, tries[-1].command)
                == (Command.LOGIN, Command.RESPONSE)
            ):
                tries.pop().verb = ""
                tries.pop().verb = ""

    def _existed(self, names: Iterable[bytes]) -> None:
        for name in names:
            if name not in self._made and USERNAME.fullmatch(name):
                self._before[name] = None
