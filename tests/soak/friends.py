"""Friends: they send numbered messages to each other, and check each that comes."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from random import Random
from threading import Event

from tests.soak.line import Address, Fault, Line, Rest
from wirechat.codec import HEADER_SIZE, Command, Frame, encode

BURST = 30
"""Messages that are sent together at most."""
SIZES = (*(0, 1, 10, 60, 100, 200, 1000) * 7, 20_000)
"""Characters that messages are filled up with: a burst fits in the kernel's buffers."""
SUCCESS = Frame(Command.RESPONSE, b"")
NUMBERED = re.compile("([0-9]{1,9}) ([0-9]{1,9}) ")
"""How a message begins."""
DELIVER, DELETE = encode(Command.DELIVER), encode(Command.DELETE)
TRIES = 600
"""How often a friend comes again who finds the server full."""
AWAY = 0.1
"""Seconds that a friend is away at most, and on average waits before a new try."""


def text_of(sender: str, recipient: str, number: int, size: int) -> str:
    """Return the message of this number and size, which is like no other."""
    filling = Random(f"{sender} {recipient} {number}").choice("!az\n\x1b\x7f ")
    return f"{number} {size} {filling * size}"


def in_order(visit: Sequence[int]) -> list[int]:
    """Return the numbers that came from one sender in one session, as they were sent.

    Those that were kept come when they are asked for: they are older than the live
    ones, but these may come before them (DLV-5). Either stays in its order (SND-11).
    """
    first = visit[0]
    return [n for n in visit if n < first] + [n for n in visit if n >= first]


def problem(count: int, visits: Iterable[Sequence[int]]) -> str:
    """Say what is wrong with the numbers that came in some sessions, or nothing.

    Args:
        count: How many messages were accepted: they are numbered from 1 on.
        visits: What came of them in each session, the first one first.
    """
    came = [number for visit in visits for number in in_order(visit)]
    wanted = list(range(1, count + 1))
    if came == wanted:
        return ""
    lost = sorted(set(wanted) - set(came))
    doubled = sorted({number for number in came if came.count(number) > 1})
    unknown = sorted(set(came) - set(wanted))
    if lost or doubled or unknown:
        return f"of {count} {lost=} {doubled=} {unknown=}"
    at = next(at for at, number in enumerate(came) if number != wanted[at])
    return f"of {count} in the wrong order: {came[max(0, at - 3) : at + 10]}"


class Friend:
    """Somebody who comes, chats and goes, again and again, under one name.

    ``accepted`` has the number of messages that the server took for each recipient,
    and ``came`` the numbers of those that came from each sender, by session.
    """

    def __init__(
        self,
        name: str,
        address: Address,
        sizes: Sequence[int] = SIZES,
        receive_buffer: int = 0,
    ) -> None:
        self.name = name
        self.accepted: defaultdict[str, int] = defaultdict(int)
        self.came: defaultdict[str, list[list[int]]] = defaultdict(list)
        self.visits = 0
        self.refused = 0
        self.exists = False
        self._chance = Random(name)
        self._address = address
        self._sizes = sizes
        self._buffer = receive_buffer
        self._session: dict[str, list[int]] = {}
        self._away = Event()

    def live(self, others: Sequence[str], stop: Event) -> None:
        """Chat with the others until it is time to stop."""
        self._away = stop
        while not stop.is_set():
            self.visit(others, self._chance.randint(1, 20))
            stop.wait(self._chance.uniform(0, AWAY))

    def visit(self, others: Sequence[str] = (), bursts: int = 0) -> None:
        """Log in, fetch what was kept, send bursts to some of the others, and go."""
        with self.enter() as line:
            self.take(line.ask(DELIVER))
            for _ in range(bursts):
                to = self._chance.choice(others)
                self.send(line, to, self._chance.randint(1, BURST))
            self.leave(line)

    def enter(self) -> Line:
        """Return a line on which this friend is logged in."""
        command = Command.LOGIN if self.exists else Command.CREATE
        for _ in range(TRIES):
            try:
                return self._logged_in(encode(command, self.name))
            except ConnectionError:
                self.refused += 1
                self._away.wait(self._chance.uniform(0, 2 * AWAY))
        raise Fault(f"{self.name} found no room in {TRIES} tries")

    def _logged_in(self, request: bytes) -> Line:
        with ExitStack() as stack:
            line = stack.enter_context(Line(self._address, self._buffer))
            reply, *more = line.ask(request)
            if reply != SUCCESS:
                raise Fault(f"{self.name}: {reply}")
            self.visits += 1
            self.exists = True
            self._session = {}
            self.take(more)
            stack.pop_all()
        return line

    def send(self, line: Line, to: str, count: int) -> None:
        """Send some messages together, and see that each is answered with its echo.

        What somebody sends to themselves comes twice: the echo, and the delivery.
        """
        first = self.accepted[to] + 1
        burst = [self._request(to, number) for number in range(first, first + count)]
        self.accepted[to] += count
        frames = line.ask(*burst)
        mine = f"{self.name}|||".encode()
        echoes = [frame for frame in frames if frame.data.startswith(mine)]
        if to == self.name:  # of two that are alike, either may be the echo
            self.take(echoes[::2])
            echoes = echoes[1::2]
        if [echo.data for echo in echoes] != [each[HEADER_SIZE:] for each in burst]:
            raise Fault(f"{self.name} to {to}, {first} and {count - 1} more: {frames}")
        self.take(frame for frame in frames if not frame.data.startswith(mine))

    def _request(self, to: str, number: int) -> bytes:
        text = text_of(self.name, to, number, self._chance.choice(self._sizes))
        return encode(Command.SEND, self.name, to, text)

    def take(self, frames: Iterable[Frame]) -> None:
        """Note what came, and that it is what its sender wrote."""
        for frame in frames:
            sender, number = self._checked(frame)
            if sender not in self._session:
                self._session[sender] = []
                self.came[sender].append(self._session[sender])
            self._session[sender].append(number)

    def _checked(self, frame: Frame) -> tuple[str, int]:
        sender, _, text = frame.fields if frame.command == Command.SEND else "???"
        told = NUMBERED.match(text)
        number, size = map(int, told.groups()) if told else (0, 0)
        if text != text_of(sender, self.name, number, size):
            raise Fault(f"{self.name}: {frame}")
        return sender, number

    def delete(self, line: Line) -> None:
        """Remove the account: what it has sent remains, and nothing else comes."""
        frames = line.ask(DELETE)
        if frames not in ([], [SUCCESS]):
            raise Fault(f"{self.name} was deleted, and got {frames}")
        self.exists = False

    def leave(self, line: Line) -> Rest:
        """End the session, and take what was on its way (FRM-9)."""
        rest = line.finish()
        self.take(rest.frames)
        return rest
