"""A conversation with the server under test: steps are taken, and judged at once."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

from wirechat_conformance import frames, judge, steps
from wirechat_conformance.cause import Cause, EndedError
from wirechat_conformance.connection import Connection, Cut, whole
from wirechat_conformance.failure import ALIVE, Failure
from wirechat_conformance.frames import NO_NAMES, SUCCESS, Received
from wirechat_conformance.judge import MismatchError
from wirechat_conformance.log import Log
from wirechat_conformance.peer import MORE, GoneError, SilenceError
from wirechat_conformance.plain import symptom
from wirechat_conformance.stage import Stage
from wirechat_conformance.text import render

TELLING = {frames.SEND, frames.LOGIN, None}
"""Requests on which it tells whether a session has ended: the last may be either."""
ANSWERED = {frames.CREATE, frames.LIST, frames.SEND, frames.LOGIN}
"""Requests that always get a reply, by which they have been carried out."""


class Conversation:
    """Steps on named connections, each judged when it is taken.

    Args:
        stage: The run that it is part of.
        names: The values of the usernames.
        cut: Cuts what is sent at once into segments; fences stay whole.
        together: Hold what is sent back until something is expected.
    """

    rules: tuple[str, ...] = ()
    """Those that all of it is about, if it is about the same throughout."""

    def __init__(
        self,
        stage: Stage,
        names: Mapping[str, bytes],
        cut: Cut = whole,
        *,
        together: bool = False,
    ) -> None:
        self.names = names
        self.steps: list[steps.Step] = []
        """What was done and expected so far."""
        self.connections: dict[str, Connection] = {}
        self.hold = False
        """Whether what is sent is to leave with what is done next on its connection."""
        self._stage = stage
        self._cause = Cause(stage)
        self._cut = cut
        self._together = together
        self._ends = 0.0
        """When the server last ended a connection, if it did."""
        self._log = Log(names)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """See that nothing else has come, and leave."""
        try:
            if kind is None:
                self.finish()
        finally:
            self.close()

    def perform(self, step: steps.Step) -> None:
        """Take one step.

        Raises:
            Failure: It did not come true.
            GoneError: The server takes no connection.
        """
        self.steps.append(step)
        if isinstance(step, steps.Open):
            self._open(step)
            return
        connection = self.connections[step.connection]
        if step.if_open and connection.ended:
            return
        self._flush_others(connection)
        if isinstance(step, steps.Action):
            self._cause.done(step, connection)
        else:
            connection.blame = step.rules or connection.blame
        ended = connection.ended
        rejected = connection.rejected is not None
        try:
            _ACTIONS[type(step)](self, connection, step)
        except MismatchError as mismatch:
            if isinstance(step, steps.Receive) and connection.peer.closed == "reset":
                rejected = True  # by a reset, to which replies on their way may be lost
            if not (step.if_open and rejected and isinstance(mismatch, EndedError)):
                raise self._failure(connection, step, mismatch) from None
        if connection.ended and not ended:
            self._cause.ended(connection, step)

    def _open(self, step: steps.Open) -> None:
        self._flush_others(None)
        self._log.note(step.connection, step)
        try:
            self.connect(step.connection)
        except GoneError as gone:
            if not self._stage.gone:
                raise
            rules = self._cause.of_death(self._about)
            shown = self._log.shown()
            raise Failure(rules, ALIVE, str(gone), log=shown) from None
        self._stage.suspects = ()

    def connect(self, name: str, receive_buffer: int | None = None) -> None:
        """Open a connection, with so much room for what is not read.

        Raises:
            GoneError: There is none to be had.
        """
        peer = self._stage.connect(receive_buffer)
        if before := self.connections.get(name):
            before.peer.close()
        self.connections[name] = Connection(name, peer, self._log)

    def finish(self) -> None:
        """See that nothing else has come on any connection that is in use.

        Where no reply told that the last request has been carried out, that is seen
        before all others are asked, at the same time: it may have an effect on them.

        Raises:
            Failure: Something has.
        """
        usable = [c for c in self.connections.values() if c.usable]
        for connection in usable:
            if connection.request not in ANSWERED:
                self.see_nothing([connection])
        self.see_nothing([c for c in usable if c.request in ANSWERED])

    def see_nothing(
        self,
        connections: Sequence[Connection],
        rules: tuple[str, ...] = (),
        *,
        if_open: bool = True,
    ) -> None:
        """See that nothing else has come on any of these, asked at the same time.

        Raises:
            Failure: Something has.
        """
        for connection in connections:
            if connection.usable:
                with suppress(MismatchError):  # what is not taken is not answered
                    self._ask_fence(connection)
                    self._flush(connection)
        for connection in connections:
            step = steps.Fence(connection.name, if_open=if_open, rules=rules)
            self.perform(step)

    def close(self) -> None:
        """Leave: delete the accounts that are logged in, close all connections."""
        for connection in self.connections.values():
            if connection.session and connection.usable:
                with suppress(SilenceError):
                    connection.peer.send([frames.frame(frames.DELETE)])
            connection.peer.close()

    def _note(self, connection: Connection, step: steps.Step) -> None:
        self._log.note(connection.name, step)

    def _failure(
        self, connection: Connection, step: steps.Step, mismatch: MismatchError
    ) -> Failure:
        rules = self._cause.of_failure(connection, step, mismatch, self._about)
        failure = Failure(
            (*mismatch.rules, *rules),
            self._log.told(step),
            mismatch.got,
            mismatch.detail,
            self._log.shown(),
        )
        failure.symptom = symptom(step, connection, mismatch)
        failure.taken = len(self.steps)
        failure.late = mismatch.late
        # No session that ends late makes a request succeed that is to be refused.
        failure.ends = bool(self._ends) and not isinstance(step, steps.Refusal)
        return failure

    @property
    def _about(self) -> tuple[str, ...]:
        """The rules of the whole, once something was done."""
        return self.rules if len(self.steps) > 1 else ()

    def next(self, connection: Connection) -> Received | None:
        """Return the next frame, None at the end, past one that may come before."""
        frame = self._any(connection)
        optional, connection.optional = connection.optional, None
        if optional is not None:
            self._stage.chose("DELETE", "answered" if frame == optional else "silent")
            if frame == optional:
                frame = self._any(connection)
        if connection.rejected is not None:
            self._settle(connection, "error reply" + " and close" * (frame is None))
        return frame

    def _any(self, connection: Connection) -> Received | None:
        self._flush(connection)
        frame = connection.receive()
        if frame is not None:
            self._stage.suspects = ()
        return frame

    def _frame(self, connection: Connection) -> Received:
        """Return the next frame, where the end would be wrong."""
        frame = self.next(connection)
        if frame is None:
            raise EndedError("closed")
        return frame

    def _settle(self, connection: Connection, how: str) -> None:
        """Take note of how a frame was rejected, now that it is known."""
        for rule in connection.rejected or ():
            self._stage.chose(rule, how)
        connection.rejected = None

    def _flush_others(self, connection: Connection | None) -> None:
        """Keep the order between connections."""
        for other in self.connections.values() if self._together else ():
            if other is not connection:
                self._flush(other)

    def _flush(self, connection: Connection, flags: int = 0) -> None:
        """Send what was held back to go with more."""
        connection.flush(self._cut, flags)

    @property
    def _holds(self) -> bool:
        """Whether what is sent now waits for more."""
        return self._together or self.hold

    def _send(self, connection: Connection, step: steps.Send) -> None:
        if step.command in TELLING and not isinstance(step, steps.Repeat):
            wait = self._ends + self._stage.grace - time.monotonic()
            if wait > 0:
                time.sleep(wait)
        self._note(connection, step)
        connection.ask(step.command, step.octets(self.names))
        if not self._holds:
            self._flush(connection)

    def _repeat(self, connection: Connection, step: steps.Repeat) -> None:
        until = time.monotonic() + self._stage.patience.bound
        pause = 0.001
        while True:
            self._send(connection, step)
            connection.repeated = True
            frame = self._frame(connection)
            refused, over = judge.is_error(frame), time.monotonic() > until
            if refused and over:
                self._stage.patience.lost()
            if over or not refused:
                connection.put_back(frame)
                return
            connection.asked.pop()
            time.sleep(pause)  # the pace at which it asks, no wait for an event
            pause = min(2 * pause, 0.05)

    def _fence(self, connection: Connection, step: steps.Fence) -> None:
        self._note(connection, step)
        if not connection.fenced:
            self._ask_fence(connection)
        connection.fenced = False
        judge.exactly(NO_NAMES, self._frame(connection))

    def _ask_fence(self, connection: Connection) -> None:
        connection.fenced, connection.repeated = True, False
        connection.held += frames.frame(frames.LIST, self._stage.unused)
        if not self._holds:
            connection.flush()  # whole: what it stands behind is cut, which is enough

    def _receive(self, connection: Connection, step: steps.Receive) -> None:
        expected = Received(step.command, render(step.body, self.names))
        if step.optional:
            connection.optional = expected
            return
        judge.exactly(expected, self._frame(connection))
        if expected == SUCCESS:
            connection.succeeded()
        elif expected.command == frames.SEND:
            connection.entry = None

    def _receive_names(self, connection: Connection, step: steps.ReceiveNames) -> None:
        inside = [render(name, self.names) for name in step.names]
        outside = [render(name, self.names) for name in step.without]
        judge.naming(self._frame(connection), inside, step.others, outside)

    def _receive_error(self, connection: Connection, step: steps.ReceiveError) -> None:
        judge.error_reply(self._frame(connection))
        connection.asked.clear()

    def _receive_rejection(
        self, connection: Connection, step: steps.ReceiveRejection
    ) -> None:
        frame = self.next(connection)
        connection.asked.clear()
        connection.rejected = step.rules
        if frame is None:
            self._settle(connection, "close")
        else:
            judge.error_reply(frame)

    def _end(self, connection: Connection, step: steps.End) -> None:
        frame = self.next(connection)
        if frame is not None:
            raise MismatchError(judge.describe(frame))
        self._ends = time.monotonic()

    def _half_close(self, connection: Connection, step: steps.HalfClose) -> None:
        self._note(connection, step)
        self._flush(connection, MORE)
        connection.peer.half_close()
        connection.sending = False

    def _close(self, connection: Connection, step: steps.Close) -> None:
        self._note(connection, step)
        self._flush(connection, MORE)
        connection.peer.close()
        connection.sending = False

    def _reset(self, connection: Connection, step: steps.Reset) -> None:
        self._note(connection, step)
        self._flush(connection)
        connection.peer.reset()
        connection.sending = False


_ACTIONS: Mapping[type[steps.Step], Callable[[Conversation, Connection, Any], None]] = {
    steps.Close: Conversation._close,
    steps.End: Conversation._end,
    steps.Fence: Conversation._fence,
    steps.HalfClose: Conversation._half_close,
    steps.Receive: Conversation._receive,
    steps.ReceiveError: Conversation._receive_error,
    steps.ReceiveNames: Conversation._receive_names,
    steps.ReceiveRejection: Conversation._receive_rejection,
    steps.Repeat: Conversation._repeat,
    steps.Reset: Conversation._reset,
    steps.Send: Conversation._send,
}
