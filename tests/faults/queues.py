"""Faults in what waits for a client that does not read."""

import select
from collections import Counter, deque
from collections.abc import Iterable

from tests.faults.registry import breaks
from tests.parts import (
    Account,
    Chat,
    Connection,
    Frame,
    Message,
    Outbox,
    Server,
    Session,
    is_error,
)
from wirechat.codec import HEADER_SIZE, Command
from wirechat.connection import Batch


@breaks("SND-9")
class LiveAheadOfHalfAReply(Connection):
    """Sends live messages first, be it between the halves of a reply."""

    def put(self, frames: list[bytes], live: int = 0) -> None:
        self.flush()
        if live and self._batches and not self._batches[0].live and self._sent:
            rest = self._batches[0].octets[self._sent :]
            self._batches[0] = Batch([], rest, 0, self.session.account)
            octets = memoryview(b"".join(frames))
            self._batches.appendleft(Batch(frames, octets, live, self.session.account))
            self._sent = 0
            self.queued += len(octets)
            self.live += len(octets)
        else:
            super().put(frames, live)


@breaks("SND-12")
class DoublesNotQueued(Connection):
    """Does not queue a frame that equals the last one that waits."""

    def put(self, frames: list[bytes], live: int = 0) -> None:
        self.flush()
        waiting = self._batches[-1].frames[-1] if self._batches else b""
        if new := [frame for frame in frames if frame != waiting]:
            super().put(new, live)


@breaks("FRM-4")
class ErrorsNotQueued(Connection):
    """Drops an error reply where octets wait to be sent."""

    def put(self, frames: list[bytes], live: int = 0) -> None:
        self.flush()
        if new := [one for one in frames if not (self._batches and is_error(one))]:
            super().put(new, live)


@breaks("SND-12")
class DeletedTakesAlongWhatWaits(Server):
    """Drops, with an account, its live messages that wait to be read."""

    def __init__(self, port: int) -> None:
        super().__init__(port=port)
        handlers = {**self.chat.handlers, Command.DELETE: self.delete}
        self.chat.handlers = handlers

    def delete(self, session: Session, frame: Frame) -> Outbox:
        account = session.account
        for connection in self.connections.values() if account else ():
            connection._batches = deque(
                batch
                for batch in connection._batches
                if not (batch.live and self.from_(account, batch))
            )
        return Chat.delete(self.chat, session, frame)

    def from_(self, account: Account | None, batch: Batch) -> bool:
        name = account.name.encode() if account else b""
        return bytes(batch.octets[HEADER_SIZE:]).startswith(name + b"|||")


@breaks("SND-12")
class DeliveredAgainWhileUnread(Server):
    """Brings with DELIVER again what it has brought and is not read yet."""

    def __init__(self, port: int) -> None:
        super().__init__(port=port)
        handlers = {**self.chat.handlers, Command.DELIVER: self.deliver}
        self.chat.handlers = handlers

    def deliver(self, session: Session, frame: Frame) -> Outbox:
        connection = self.connections[session]
        waiting, at = [], -connection._sent
        for batch in connection._batches:
            for octets in batch.frames:
                if at >= 0 and isinstance(octets, Message):
                    waiting.append((session, octets))
                at += len(octets)
        return waiting + Chat.deliver(self.chat, session, frame)


@breaks("SND-11")
class UnsentComesBackBehind(Chat):
    """Puts what was not sent to a client behind what was kept meanwhile."""

    def release(self, account: Account) -> list[Message]:
        kept = list(account.kept)
        super().release(account)
        return kept


@breaks("ACC-16")
class UnsentComesBackByName(Chat):
    """Keeps what was not sent to a client for who has its username by then."""

    def keep(self, messages: Iterable[Message]) -> None:
        super().keep(
            Message.of(m, self.accounts.get(m.recipient.name, m.recipient), m.number)
            for m in messages
        )


@breaks("FRM-4")
class ErrorsAheadOfWhatWaits(Connection):
    """Sends error replies ahead of what waits, behind the frame that is on its way."""

    def put(self, frames: list[bytes], live: int = 0) -> None:
        if others := [frame for frame in frames if not is_error(frame)]:
            super().put(others, live)
        errors = [frame for frame in frames if is_error(frame)]
        if errors and not self._batches:
            super().put(errors, live)
        elif errors:
            self.insert(b"".join(errors))

    def insert(self, octets: bytes) -> None:
        first, recipient = self._batches[0], self.session.account
        cut = at = 0
        while cut < self._sent:
            cut += len(first.frames[at])
            at += 1
        rest = Batch(first.frames[at:], first.octets[cut:], first.live, recipient)
        begun = first.octets[self._sent : cut]
        self._batches[0] = rest
        self._batches.appendleft(Batch([], memoryview(octets), 0, recipient))
        self._batches.appendleft(Batch([], begun, 0, recipient))
        self._sent = 0
        self.queued += len(octets)


@breaks("FRM-4")
class PausedForGood(Server):
    """Reads nothing more of a client when much waits for it the second time."""

    def __init__(self, port: int) -> None:
        super().__init__(port=port)
        self.paused: Counter[Connection] = Counter()

    def drain(
        self, connection: Connection, most: int, seconds: float | None = None
    ) -> None:
        if seconds is None and connection.queued > 131_072:
            self.paused[connection] += 1
            if self.paused[connection] > 1:
                connection.wait(select.POLLHUP)
        super().drain(connection, most, seconds)
