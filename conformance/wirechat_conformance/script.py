"""Conversations that are written in Python, for cases that no transcript can hold."""

import math
import time
from collections.abc import Iterable
from typing import NoReturn

from wirechat_conformance import frames, grace, steps
from wirechat_conformance.connection import Connection
from wirechat_conformance.conversation import Conversation
from wirechat_conformance.failure import Failure
from wirechat_conformance.frames import Received
from wirechat_conformance.judge import MismatchError, describe
from wirechat_conformance.peer import TROUBLE, Peer
from wirechat_conformance.run import BACKLOG, Run

REPEATED = 0.5
"""Seconds that no connection takes but one that found no room, and was tried again."""
REPLIES = 100_000
"""Octets of replies that may wait while requests are sent: FRM-4 grants 128 KiB."""


class Script(Conversation):
    """A conversation whose steps are calls; to be used with ``with``.

    Args:
        run: The run that it is part of.
        rules: Those that are broken where something expected does not come.
    """

    def __init__(self, run: Run, *rules: str) -> None:
        super().__init__(run, {})
        self.run = run
        self.rules = rules
        self._opened, self._at_once = 0, BACKLOG

    # --- to set the scene ---

    def open(self, *connections: str) -> None:
        """Connect, no faster than the server accepts."""
        for connection in connections:
            begun = time.monotonic()
            self.perform(steps.Open(connection))
            self._opened += 1
            if time.monotonic() - begun > REPEATED:
                self._at_once = self.run.room = BACKLOG
            if self._opened >= self._at_once:
                self.perform(steps.Fence(connection, rules=self.rules))
                self._opened = 0
                self._at_once = min(2 * self._at_once, self.run.room)

    def open_deaf(self, connection: str) -> None:
        """Connect with as little room for what is not read as there can be."""
        self.connect(connection, receive_buffer=4096)

    def hear(self, connection: str) -> None:
        """Read a connection that was opened deaf as fast as any other from now on."""
        self.connections[connection].peer.widen()

    def go_on(self, connection: str, peer: Peer) -> None:
        """Go on with a connection that was opened before."""
        self.connections[connection] = Connection(connection, peer, self._log)

    def account(self, connection: str, length: int | None = None) -> bytes:
        """Connect and make an account; return its username."""
        name = self.run.names.fresh(length) if length else self.run.names.fresh()
        self.open(connection)
        self.create(connection, name)
        return name

    def create(self, connection: str, name: bytes) -> None:
        """Make an account."""
        self.perform(steps.Send(connection, frames.CREATE, (name,)))
        self.perform(steps.Receive(connection, frames.RESPONSE))

    def login(self, connection: str, name: bytes) -> None:
        """Log in, as soon as the account is offline."""
        self.perform(steps.Repeat(connection, frames.LOGIN, (name,)))
        self.perform(steps.Receive(connection, frames.RESPONSE))

    def enters(self, connection: str, name: bytes) -> bool:
        """Log in as soon as a session that has ended lets that be; say if it does."""
        peer = self.connections[connection].peer
        try:
            return grace.enter(peer, name) < grace.MOST
        except TROUBLE as trouble:
            self.fail("a reply to LOGIN", str(trouble))

    def leave(self, connection: str) -> None:
        """End a connection in good order, and its session with it."""
        self.perform(steps.HalfClose(connection))
        self.perform(steps.End(connection, rules=("FRM-9",)))

    def serves(self, connection: str) -> bool:
        """Say whether there is such a connection, and both sides keep it open."""
        known = self.connections.get(connection)
        return known is not None and known.usable

    def delete(self, connection: str) -> None:
        """Delete the account that is logged in."""
        self.perform(steps.Send(connection, frames.DELETE))
        self.perform(steps.Receive(connection, frames.RESPONSE, optional=True))
        self.perform(steps.Fence(connection))

    # --- what the case is about ---

    def send(self, connection: str, command: int, *fields: bytes) -> None:
        """Send a frame with these fields, as they are."""
        body = (frames.SEPARATOR.join(fields),)
        self.perform(steps.Send(connection, command, body))

    def octets(self, connection: str, octets: bytes) -> None:
        """Send octets as they are."""
        self.perform(steps.Send(connection, None, (octets,)))

    def flood(self, connection: str, octets: bytes) -> None:
        """Send as much as the server takes now, and read nothing; then it is over."""
        known = self.connections[connection]
        known.sending = False
        known.peer.push(octets)

    def receive(self, connection: str, command: int, *fields: bytes) -> None:
        """See that exactly this frame comes."""
        body = (frames.SEPARATOR.join(fields),)
        self.perform(steps.Receive(connection, command, body, rules=self.rules))

    def listed(self, connection: str, *names: bytes, others: bool = False) -> None:
        """See that a LISTRESPONSE comes with these names."""
        bodies = tuple((name,) for name in names)
        step = steps.ReceiveNames(connection, bodies, others, rules=self.rules)
        self.perform(step)

    def rejected(self, *connections: str) -> None:
        """See that a frame is rejected on each, and that there is no other reply."""
        for connection in connections:
            self.perform(steps.ReceiveRejection(connection, rules=self.rules))
        self.see_nothing([self.connections[c] for c in connections], self.rules)

    def error(self, connection: str, *rules: str) -> None:
        """See that an error reply comes."""
        self.perform(steps.ReceiveError(connection, rules=rules or self.rules))

    def errors(
        self, connection: str, command: int, requests: Iterable[tuple[bytes, ...]]
    ) -> None:
        """See that each of these requests gets an error reply.

        Error texts may be long: no more requests are sent ahead than have replies of
        128 KiB in all (FRM-4), if all are as long as the first.
        """
        left, at_once = list(requests), 1
        while left:
            for request in left[:at_once]:
                self.send(connection, command, *request)
            for _ in left[:at_once]:
                self.error(connection)
            left = left[at_once:]
            at_once = max(1, REPLIES // len(self._log.last_frame(connection).octets))

    def fence(self, *connections: str) -> None:
        """See that nothing else has come, on connections that stay open."""
        known = [self.connections[connection] for connection in connections]
        self.see_nothing(known, self.rules, if_open=False)

    def any(self, connection: str) -> Received | None:
        """Return the next frame, whatever it is, None at the end of the connection."""
        try:
            return self.next(self.connections[connection])
        except MismatchError as mismatch:
            failure = self.failure("a frame, or the end", mismatch.got, mismatch.detail)
            failure.late = mismatch.late
            raise failure from None

    def peek(self, connection: str, command: int) -> bool:
        """Say whether a frame with this command comes next, and leave it there."""
        frame = self.coming(connection)
        return frame is not None and frame.command == command

    def coming(self, connection: str) -> Received | None:
        """Return the frame that comes next, None at the end, and leave it there."""
        frame = self.any(connection)
        if frame is None:
            self.connections[connection].ended = False
        else:
            self.connections[connection].put_back(frame)
        return frame

    def fail(
        self, expected: str, got: Received | str | None, detail: str = ""
    ) -> NoReturn:
        """Say that something else came than what was expected."""
        raise self.failure(expected, got, detail)

    def failure(
        self, expected: str, got: Received | str | None, detail: str = ""
    ) -> Failure:
        """Return what says that something else came than what was expected."""
        told = describe(got) if isinstance(got, Received) else got or "closed"
        failure = Failure(self.rules, expected, told, detail, self._log.shown())
        failure.ends = bool(self._ends)
        return failure


def messages_of(
    script: Script, connection: str, most: float = math.inf
) -> tuple[list[bytes], bool]:
    """Return the texts that come before the fence, and whether that came.

    A connection that the server cuts off may end in the middle of a frame.

    Args:
        script: The conversation.
        connection: Where they come.
        most: How many to return, without a fence.
    """
    texts: list[bytes] = []
    try:
        while len(texts) < most and (frame := script.any(connection)) is not None:
            if frame.command != frames.SEND:
                return texts, True
            texts.append(frame.fields[2])
    except Failure:
        if not script.connections[connection].peer.closed:
            raise
    return texts, False
