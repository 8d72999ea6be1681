"""Faults in what is left of what is over: of a connection, a frame, a queue."""

import select
from collections import Counter, deque
from collections.abc import Iterable
from time import monotonic
from typing import Any

from tests.faults.registry import breaks
from tests.parts import (
    Account,
    Chat,
    Connection,
    Decoder,
    Frame,
    Items,
    Loop,
    Malformed,
    Message,
    Outbox,
    Server,
    Session,
    Steps,
    Unlocked,
    error,
    is_error,
)
from tests.variants.answers import ToldBeforeTheData
from wirechat.codec import HEADER_SIZE, Command, encode_data
from wirechat.connection import Batch

# ACC-12: what the end of a connection leaves.


class Unnoticed(Server):
    """A server that sends to connections that ended in some way until the next LOGIN.

    It ends their sessions then, and what was sent meanwhile is lost.
    """

    def __init__(self, port: int) -> None:
        super().__init__(port=port, chat=Deaf())

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        super().converse(connection, decoder)
        with self.lock:
            account = connection.session.account
            if account and self.unnoticed(connection, decoder):
                self.chat.dead.add(account)

    chat: "Deaf"

    def unnoticed(self, connection: Connection, decoder: Decoder) -> bool:
        raise NotImplementedError


class Deaf(Chat):
    """A chat in which what is for some accounts is lost until they log in."""

    def __init__(self) -> None:
        super().__init__()
        self.dead: set[Account] = set()

    def enter(self, session: Session, account: Account) -> Outbox:
        self.dead.discard(account)
        return super().enter(session, account)

    def keep(self, messages: Iterable[Message]) -> None:
        super().keep(m for m in messages if m.recipient not in self.dead)


@breaks("ACC-12")
class LostBehindRejection(Unnoticed):
    """Sends to a connection that it has rejected, until there is a LOGIN."""

    def unnoticed(self, connection: Connection, decoder: Decoder) -> bool:
        return decoder.broken


@breaks("ACC-12")
class LostBehindEndInFrame(Unnoticed):
    """Sends to a connection that has ended in a frame, until there is a LOGIN."""

    def unnoticed(self, connection: Connection, decoder: Decoder) -> bool:
        return bool(decoder.end())


@breaks("ACC-12")
class OverTheLimitForgetsKept(Chat):
    """Forgets what is kept for an account whose session ends at a length too long."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        if item.rule == "FRM-8" and session.account:
            self.release(session.account)
        return super().malformed(session, item)


@breaks("ACC-12")
class EndInFrameForgetsKept(Server):
    """Forgets what is kept for an account whose connection ends in a frame."""

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        super().converse(connection, decoder)
        with self.lock:
            if decoder.end() and connection.session.account:
                self.chat.release(connection.session.account)


@breaks("ACC-12", "--idle", "5.5")
class KeptForFiveSeconds(Chat):
    """Forgets kept messages that are older than five seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.since: dict[Message, float] = {}

    def keep(self, messages: Iterable[Message]) -> None:
        new = list(messages)
        self.since |= dict.fromkeys(new, monotonic())
        super().keep(new)

    def release(self, account: Account) -> list[Message]:
        young = monotonic() - 5
        return [m for m in super().release(account) if self.since.get(m, 0) > young]


@breaks("ACC-12", "--idle", "5.5")
class OfflineForFiveSeconds(Chat):
    """Removes accounts that have been offline for five seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.left: dict[Account, float] = {}

    def receive(self, session: Session, item: Frame | Malformed) -> Outbox:
        for account, since in list(self.left.items()):
            if monotonic() - since > 5:
                del self.left[account]
                if self.accounts.get(account.name) is account:
                    del self.accounts[account.name]
        return super().receive(session, item)

    def leave(self, session: Session) -> None:
        if session.account:
            self.left[session.account] = monotonic()
        super().leave(session)

    def enter(self, session: Session, account: Account) -> Outbox:
        self.left.pop(account, None)
        return super().enter(session, account)


@breaks("ACC-16")
class DeleteForgetsKeptLater(Unlocked):
    """Removes, 300 ms behind a DELETE, what is kept under the username by then."""

    def __init__(self) -> None:
        super().__init__()
        self.due: dict[str, float] = {}

    def receive(self, session: Session, item: Frame | Malformed) -> Outbox:
        for name, due in list(self.due.items()):
            if monotonic() > due:
                del self.due[name]
                if name in self.accounts:
                    self.release(self.accounts[name])
        return super().receive(session, item)

    def delete(self, session: Session, frame: Frame) -> Outbox:
        if session.account:
            self.due[session.account.name] = monotonic() + 0.3
        return super().delete(session, frame)


# FRM-9, FRM-10, FRM-3: what is left of a frame.


@breaks("FRM-10")
class SkipLeftToTheNext(Server):
    """Leaves what is to be skipped to the next connection with that descriptor."""

    def __init__(self, port: int) -> None:
        super().__init__(port=port)
        self.left: dict[int, int] = {}

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        descriptor = connection._socket.fileno()
        steps = ToldBeforeTheData()
        steps.skipping = self.left.pop(descriptor, 0)
        super().converse(connection, steps)
        if steps.skipping:
            self.left[descriptor] = steps.skipping


@breaks("FRM-9")
class CutOffCarriedOut(Loop):
    """Takes what has come of a SEND for the whole where a reset cuts it off."""

    decoding = Steps

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        super().converse(connection, decoder)
        held = bytes(decoder.buffer) if isinstance(decoder, Steps) else b""
        reset = connection.wait(select.POLLERR, 0)
        if reset and held[1:2] == bytes([Command.SEND]) and len(held) > HEADER_SIZE:
            frame = Steps().frame(Command.SEND, held[HEADER_SIZE:])
            self.requests(connection, [frame] if isinstance(frame, Frame) else [])


@breaks("FRM-9")
class HalfAFrameDropsWhatCameWithIt(Loop):
    """Drops, with half a frame at the end, the requests that came with it."""

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        while not (decoder.broken or connection.cut_off):
            octets = connection.receive()
            items = decoder.feed(octets)
            if not octets or (
                decoder.end() and connection.wait(select.POLLRDHUP, 0.01)
            ):
                return
            self.requests(connection, items)


class LastOneUntold(Loop):
    """A server that tells nothing of some frames that are the last before an end."""

    fatal = False

    def requests(self, connection: Connection, items: Items) -> None:
        last = items[-1] if items else None
        told = not isinstance(last, Malformed) or last.fatal != self.fatal
        if not told and connection.wait(select.POLLRDHUP, 0.01):
            items = items[:-1]
        super().requests(connection, items)


@breaks("FRM-12")
class MalformedAtTheEndUntold(LastOneUntold):
    """Tells nothing of a malformed frame that is the last before the stream's end."""


@breaks("FRM-11")
class WrongVersionAtTheEndUntold(LastOneUntold):
    """Tells nothing of a wrong version that is the last before the stream's end."""

    fatal = True


@breaks("FRM-3")
class PausedDataForgotten(Steps):
    """Forgets what has come of a frame's data where no more comes for 500 ms."""

    came = 0.0

    def feed(self, octets: bytes) -> list[Frame | Malformed]:
        before, self.came = self.came, monotonic()
        if len(self.buffer) > HEADER_SIZE and self.came - before > 0.5:
            self.buffer.clear()
        return super().feed(octets)


# FRM-8: limits.


@breaks("FRM-8")
class OverTheLimitInSilence(Chat):
    """Closes without a word at lengths over the limit that have up to 31 bits."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        short = item.rule == "FRM-8" and "e+" not in item.reason
        return [] if short else super().malformed(session, item)


@breaks("SND-9")
class MessagesCutAt65536(Chat):
    """Takes data of more than 65,536 octets, and leaves out what is beyond that."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        return super().send(session, frame._replace(data=frame.data[:65_536]))


# Refusals: error texts that quote.


def quoting(frame: Frame) -> bytes:
    """Return an error reply that quotes a frame's data."""
    data = frame.data.replace(b"|", b"/")
    return encode_data(Command.RESPONSE, b"I can't do that: " + data)


@breaks("ACC-7")
class CreateInSessionQuoted(Chat):
    """Quotes the username of a CREATE in a session, of whatever length."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        if session.account:
            return [(session, quoting(frame))]
        return super().create(session, frame)


@breaks("ACC-11")
class LoginInSessionQuoted(Chat):
    """Quotes the username of a LOGIN in a session, of whatever length."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        if session.account:
            return [(session, quoting(frame))]
        return super().login(session, frame)


@breaks("SND-5")
class SenderQuoted(Chat):
    """Quotes what was sent in another's name, of whatever length."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        if session.account and frame.fields[0] != session.account.name:
            return [(session, quoting(frame))]
        return super().send(session, frame)


@breaks("SND-5")
class WrongNamesToldTwice(Chat):
    """Tells of a wrong sender, and then of a recipient that does not exist."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        own = session.account.name if session.account else frame.fields[0]
        if frame.fields[0] != own and frame.fields[1] not in self.accounts:
            replies.append((session, error("there is no such account")))
        return replies


@breaks("ACC-8")
class UnknownRemembered(Chat):
    """Remembers the usernames that LOGIN did not know, and never knows them again."""

    def __init__(self) -> None:
        super().__init__()
        self.unknown: set[str] = set()

    def login(self, session: Session, frame: Frame) -> Outbox:
        (name,) = frame.fields
        if name not in self.accounts:
            self.unknown.add(name)
        if name in self.unknown and not session.account:
            return [(session, error("there is no such account"))]
        return super().login(session, frame)


@breaks("ACC-7")
class CreateInSessionFreesName(Chat):
    """Refuses CREATE in a session, and removes the account of that name if offline."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        account = self.accounts.get(frame.fields[0])
        if session.account and account and not account.session:
            self.release(account)
            del self.accounts[account.name]
        return super().create(session, frame)


# SND-2 to SND-12: what waits for a client that does not read.


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


# LIM-2, LIM-3, LIM-5: counts, and idle connections.


@breaks("LIM-2")
class SessionsUpTo256(Chat):
    """Has room for 256 sessions, however many connections there are."""

    online = 0

    def enter(self, session: Session, account: Account) -> Outbox:
        self.online += 1
        return super().enter(session, account)

    def leave(self, session: Session) -> None:
        self.online -= bool(session.account)
        super().leave(session)

    def create(self, session: Session, frame: Frame) -> Outbox:
        if self.online >= 256 and not session.account:
            return [(session, error("too many are here"))]
        return super().create(session, frame)


@breaks("SND-1")
class DescriptorsInAnOctet(Server):
    """Keeps a session's descriptor in an octet: from 256 on messages go elsewhere."""

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        descriptor = self.connections[session]._socket.fileno()
        if live and descriptor > 255:
            for other, connection in self.connections.items():
                if connection._socket.fileno() == descriptor % 256:
                    super().send(other, frames, live)
                    return
        super().send(session, frames, live)


@breaks("LIM-3")
class KeptFrom32Senders(Chat):
    """Keeps messages of no more than 32 senders for an account."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        recipient = self.accounts.get(frame.fields[1])
        own = session.account and session.account.name == frame.fields[0]
        if own and recipient and not recipient.session:
            senders = {m[HEADER_SIZE:].split(b"|||")[0] for m in recipient.kept}
            if len(senders | {frame.fields[0].encode()}) > 32:
                return [(session, error("too many have written"))]
        return super().send(session, frame)


class SessionsCounted(Chat):
    """A chat that counts sessions in an octet, by something."""

    def __init__(self) -> None:
        super().__init__()
        self.had: Counter[Any] = Counter()

    def enter(self, session: Session, account: Account) -> Outbox:
        self.had[self.key(session, account)] += 1
        return super().enter(session, account)

    def key(self, session: Session, account: Account) -> object:
        raise NotImplementedError


@breaks("ACC-1")
class SessionsOfAConnectionInAnOctet(SessionsCounted):
    """Refuses CREATE on a connection that has had 255 sessions."""

    def key(self, session: Session, account: Account) -> object:
        return session

    def create(self, session: Session, frame: Frame) -> Outbox:
        if self.had[session] >= 255 and not session.account:
            return [(session, error("enough"))]
        return super().create(session, frame)


@breaks("ACC-8")
class SessionsOfAnAccountInAnOctet(SessionsCounted):
    """Refuses LOGIN to an account that has had 255 sessions."""

    def key(self, session: Session, account: Account) -> object:
        return account

    def login(self, session: Session, frame: Frame) -> Outbox:
        account = self.accounts.get(frame.fields[0])
        if account and self.had[account] >= 255 and not session.account:
            return [(session, error("enough"))]
        return super().login(session, frame)


class IdleBehind(Connection):
    """A connection that is closed when it is silent for long behind something."""

    behind = False

    def receive(self) -> bytes:
        idle = self.behind and not self.session.account
        return super().receive() if not idle or self.comes() else b""

    def comes(self) -> bool:
        return self.wait(select.POLLIN, 1.5)


@breaks("LIM-5", "--idle", "2")
class IdleBehindAnErrorClosed(IdleBehind):
    """Closes an idle connection without a session on which something was refused."""

    def put(self, frames: list[bytes], live: int = 0) -> None:
        self.behind = self.behind or any(map(is_error, frames))
        super().put(frames, live)


@breaks("LIM-5", "--idle", "2")
class IdleBehindDeleteClosed(IdleBehind):
    """Closes an idle connection whose account was deleted."""

    def put(self, frames: list[bytes], live: int = 0) -> None:
        self.behind = self.behind or self.session.account is not None
        super().put(frames, live)


# ACC-2, LST-2.


@breaks("ACC-2")
class CreateOverAGrave(Chat):
    """Makes an account in a place that is free again, though its name is behind it."""

    size = 2048  # places of a hash table with open addresses

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str | None] = [None] * self.size

    def row(self, name: str) -> list[int]:
        first = sum(c * 31**at for at, c in enumerate(name.encode()))
        return [(first + at) % self.size for at in range(self.size)]

    def create(self, session: Session, frame: Frame) -> Outbox:
        (name,) = frame.fields
        if session.account or not self.valid_name(name):
            return super().create(session, frame)
        at = next(a for a in self.row(name) if self.places[a] in (None, "", name))
        if self.places[at] != name:
            self.accounts.pop(name, None)
            self.places[at] = name
        return super().create(session, frame)

    def delete(self, session: Session, frame: Frame) -> Outbox:
        name = session.account.name if session.account else None
        if name in self.places:
            self.places[self.places.index(name)] = ""
        return super().delete(session, frame)


@breaks("LST-2")
class EightPiecesAtMost(Chat):
    """Matches nobody where a filter has more than eight pieces between asterisks."""

    def matching(self, pattern: str) -> Iterable[str]:
        many = sum(map(bool, pattern.split("*"))) > 8
        return [] if many else super().matching(pattern)


@breaks("LST-2")
class FilterUpTo8192(Chat):
    """Looks at the first 8,192 octets of a filter."""

    def matching(self, pattern: str) -> Iterable[str]:
        return super().matching(pattern[:8192])
