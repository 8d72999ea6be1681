"""Faults in what is left of what is over: of a connection, a session, a frame."""

import select
from collections import Counter
from collections.abc import Iterable
from time import monotonic

from tests.faults.registry import breaks
from tests.faults.states import MalformedForgetsKept
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
)
from tests.variants.answers import ToldBeforeTheData
from wirechat.codec import HEADER_SIZE, Command

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
class OverTheLimitForgetsKept(MalformedForgetsKept):
    """Forgets what is kept for an account whose session ends at a length too long."""

    rule = "FRM-8"


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


# SND-12, ACC-13: what came together with something bad, and is taken back.


class TakenBack(Loop):
    """A server that takes back what a receive has kept where something in it fails."""

    def requests(self, connection: Connection, items: Items) -> None:
        before = self.chat.accepted
        super().requests(connection, items)
        if any(self.fails(item) for item in items):
            with self.lock:
                for account in self.chat.accounts.values():
                    kept = self.chat.release(account)
                    self.chat.keep(m for m in kept if m.number <= before)

    def fails(self, item: Frame | Malformed) -> bool:
        raise NotImplementedError


@breaks("SND-12")
class MalformedTakesBack(TakenBack):
    """Takes back what is kept where a malformed frame came with it."""

    def fails(self, item: Frame | Malformed) -> bool:
        return isinstance(item, Malformed) and not item.fatal


@breaks("SND-12")
class WrongVersionTakesBack(TakenBack):
    """Takes back what is kept where a wrong version came with it."""

    def fails(self, item: Frame | Malformed) -> bool:
        return isinstance(item, Malformed) and item.fatal


@breaks("SND-12")
class ResetTakesBack(Loop):
    """Takes back what the last receive has kept where a reset follows."""

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        before = after = 0
        while not (decoder.broken or connection.cut_off):
            octets = connection.receive()
            if not octets:
                break
            before = self.chat.accepted
            self.requests(connection, decoder.feed(octets))
            after = self.chat.accepted
        if connection.wait(select.POLLERR, 0):
            with self.lock:
                for account in self.chat.accounts.values():
                    kept = self.chat.release(account)
                    self.chat.keep(m for m in kept if not before < m.number <= after)


@breaks("ACC-13")
class DeleteOnNextRequest(Chat):
    """Removes an account when its connection asks for more, or ends."""

    def __init__(self) -> None:
        super().__init__()
        self.due: dict[Session, Frame] = {}

    def receive(self, session: Session, item: Frame | Malformed) -> Outbox:
        self.settle(session)
        return super().receive(session, item)

    def leave(self, session: Session) -> None:
        self.settle(session)
        super().leave(session)

    def settle(self, session: Session) -> None:
        if session in self.due:
            super().delete(session, self.due.pop(session))

    def delete(self, session: Session, frame: Frame) -> Outbox:
        if not session.account:
            return super().delete(session, frame)
        self.due[session] = frame
        return []


# What a malformed frame leaves behind.


class Marked(Chat):
    """A chat that remembers which sessions have sent a malformed frame."""

    def __init__(self) -> None:
        super().__init__()
        self.marked: set[Session] = set()

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        self.marked.add(session)
        return super().malformed(session, item)


@breaks("ACC-8")
class LoginBehindMalformedRefused(Marked):
    """Refuses LOGIN on a connection that has sent a malformed frame."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        if session in self.marked and not session.account:
            return [(session, error("not you"))]
        return super().login(session, frame)


@breaks("ACC-13")
class DeleteBehindMalformedLeaves(Marked):
    """Ends the session alone at DELETE behind a malformed frame."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        if session in self.marked and session.account:
            self.leave(session)
            return []
        return super().delete(session, frame)


@breaks("SND-1")
class LiveBehindMalformedKept(Marked):
    """Keeps what is for a session that has sent a malformed frame."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        kept = [m for to, m in replies if to in self.marked and to is not session]
        self.keep(m for m in kept if isinstance(m, Message))
        return [r for r in replies if r[1] not in kept]


@breaks("FRM-12")
class HundredMalformedEnd(Chat):
    """Answers nothing more to malformed frames when there were a hundred."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[Session] = Counter()

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        self.count[session] += 1
        return [] if self.count[session] > 100 else super().malformed(session, item)


@breaks("SND-1")
class IdleForTwoSecondsAway(Chat):
    """Keeps what is for a session that has asked for nothing for two seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: dict[Session, float] = {}

    def receive(self, session: Session, item: Frame | Malformed) -> Outbox:
        self.asked[session] = monotonic()
        return super().receive(session, item)

    def send(self, session: Session, frame: Frame) -> Outbox:
        recipient = self.accounts.get(frame.fields[1])
        there = recipient.session if recipient else None
        if recipient is None or there is None or there is session:
            return super().send(session, frame)
        if monotonic() - self.asked[there] < 2:
            return super().send(session, frame)
        recipient.session = None
        replies = super().send(session, frame)
        recipient.session = there
        return replies
