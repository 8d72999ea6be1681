"""Faults in what is kept, and in how it is delivered."""

import os
from time import monotonic

from tests.faults.registry import breaks
from tests.parts import (
    SUCCESS,
    Account,
    Chat,
    Frame,
    Message,
    Outbox,
    Server,
    Session,
    altered,
    error,
)
from wirechat.codec import HEADER_SIZE, Command, encode_data

MOMENT = 0.001
"""Seconds that what comes in one segment is within."""

# DLV-1, DLV-2: DELIVER.


class Releasing(Chat):
    """A chat that releases what is kept in a way of its own."""

    def release(self, account: Account) -> list[Message]:
        return self.released(account, super().release(account))

    def released(self, account: Account, messages: list[Message]) -> list[Message]:
        raise NotImplementedError


@breaks("DLV-1")
class NewestFirst(Releasing):
    """Delivers the newest message first."""

    def released(self, account: Account, messages: list[Message]) -> list[Message]:
        return messages[::-1]


@breaks("DLV-1")
class OneADeliver(Releasing):
    """Delivers one message, and keeps the others."""

    def released(self, account: Account, messages: list[Message]) -> list[Message]:
        self.keep(messages[1:])
        return messages[:1]


@breaks("DLV-1")
class TenADeliver(Releasing):
    """Delivers ten messages, and keeps the others."""

    def released(self, account: Account, messages: list[Message]) -> list[Message]:
        self.keep(messages[10:])
        return messages[:10]


@breaks("DLV-1")
class ForgottenAMomentLater(Chat):
    """Forgets what it has delivered a moment later, and may deliver it again."""

    def __init__(self) -> None:
        super().__init__()
        self.delivered: dict[str, tuple[float, list[Message]]] = {}

    def release(self, account: Account) -> list[Message]:
        now = monotonic()
        released = super().release(account)
        until, again = self.delivered.pop(account.name, (now, []))
        if released:
            self.delivered[account.name] = now + MOMENT, released
        return again * (now < until) + released


@breaks("DLV-1")
class LastStaysKept(Releasing):
    """Delivers all messages, and keeps the last one."""

    def released(self, account: Account, messages: list[Message]) -> list[Message]:
        self.keep(messages[-1:])
        return messages


@breaks("DLV-1")
class DeliveredAsOneFrame(Chat):
    """Delivers all that is kept in one frame."""

    def deliver(self, session: Session, frame: Frame) -> Outbox:
        replies = super().deliver(session, frame)
        if not session.account or len(replies) < 2:
            return replies
        data = b"|||".join(item[HEADER_SIZE:] for _, item in replies)
        return [(session, encode_data(Command.SEND, data))]


@breaks("DLV-1")
class DeliveredAsDeliver(Chat):
    """Delivers with the command DELIVER."""

    def deliver(self, session: Session, frame: Frame) -> Outbox:
        replies = super().deliver(session, frame)
        if not session.account:
            return replies
        data = [item[HEADER_SIZE:] for _, item in replies]
        return [(session, encode_data(Command.DELIVER, one)) for one in data]


@breaks("DLV-1")
class DeliveredAgain(Releasing):
    """Delivers what is kept, and keeps it."""

    def released(self, account: Account, messages: list[Message]) -> list[Message]:
        self.keep(messages)
        return messages


@breaks("DLV-1")
class OneListForAll(Chat):
    """Delivers what is kept for anybody."""

    def deliver(self, session: Session, frame: Frame) -> Outbox:
        if not session.account:
            return super().deliver(session, frame)
        every = [self.release(account) for account in self.accounts.values()]
        return [(session, message) for messages in every for message in messages]


@breaks("DLV-2")
class DeliverAnsweredBefore(Chat):
    """Answers DELIVER with an empty RESPONSE before the messages."""

    def deliver(self, session: Session, frame: Frame) -> Outbox:
        replies = super().deliver(session, frame)
        return [(session, SUCCESS), *replies] if session.account else replies


@breaks("DLV-2")
class DeliverAnsweredBehind(Chat):
    """Answers DELIVER with an empty RESPONSE behind the messages, if there are any."""

    def deliver(self, session: Session, frame: Frame) -> Outbox:
        replies = super().deliver(session, frame)
        if not (session.account and replies):
            return replies
        return [*replies, (session, SUCCESS)]


@breaks("DLV-2")
class NothingKeptIsTold(Chat):
    """Answers DELIVER with "no messages" where there are none."""

    def deliver(self, session: Session, frame: Frame) -> Outbox:
        return super().deliver(session, frame) or [(session, error("no messages"))]


# DLV-3, DLV-4: DELIVER without a session, LOGIN without DELIVER.


@breaks("DLV-3")
class DeliverWithoutSessionSilent(Chat):
    """Does not answer DELIVER without a session."""

    def deliver(self, session: Session, frame: Frame) -> Outbox:
        return super().deliver(session, frame) if session.account else []


@breaks("DLV-3")
class DeliverWithoutSessionSucceeds(Chat):
    """Answers DELIVER without a session with success."""

    def deliver(self, session: Session, frame: Frame) -> Outbox:
        reply: Outbox = [(session, SUCCESS)]
        return super().deliver(session, frame) if session.account else reply


@breaks("DLV-3")
class DeliverAfterDeleteFatal(Chat):
    """Ends the server at DELIVER on a connection whose account was deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted: set[Session] = set()

    def delete(self, session: Session, frame: Frame) -> Outbox:
        self.deleted.add(session)
        return super().delete(session, frame)

    def deliver(self, session: Session, frame: Frame) -> Outbox:
        if session in self.deleted and not session.account:
            os._exit(1)
        return super().deliver(session, frame)


@breaks("DLV-4")
class LoginDelivers(Chat):
    """Delivers what is kept at LOGIN."""

    def enter(self, session: Session, account: Account) -> Outbox:
        messages = [(session, message) for message in self.release(account)]
        return super().enter(session, account) + messages


@breaks("DLV-4")
class LoginEmpties(Chat):
    """Begins each session with nothing kept."""

    def enter(self, session: Session, account: Account) -> Outbox:
        self.release(account)
        return super().enter(session, account)


@breaks("DLV-4")
class LogoutEmpties(Chat):
    """Forgets at the end of a session what was kept before it began."""

    def leave(self, session: Session) -> None:
        if session.account:
            self.release(session.account)
        super().leave(session)


# DLV-5, DLV-6: other events.


@breaks("DLV-5")
class LiveReleasesKept(Chat):
    """Delivers what is kept with the first live message."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        to, _ = replies[0]
        if to is not session and to.account:
            return [(to, kept) for kept in self.release(to.account)] + replies
        return replies


@breaks("DLV-5")
class LiveWaitsBehindKept(Chat):
    """Keeps a live message behind others that are kept, until DELIVER."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        to, octets = replies[0]
        if to is not session and to.account and to.account.kept:
            self.keep([Message.of(octets, to.account, self.accepted)])
            return replies[1:]
        return replies


@breaks("DLV-5")
class OneLiveAtOnceWhileKept(Server):
    """Sends one of the live messages that leave together, while others are kept."""

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        behind = live and session.account and session.account.kept
        super().send(session, frames[:1] if behind else frames, live)


@breaks("DLV-5")
class OnceDeliveredThenKept(Chat):
    """Keeps what is live while others are kept, on a connection that has asked once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[Session] = set()

    def deliver(self, session: Session, frame: Frame) -> Outbox:
        self.asked.add(session)
        return super().deliver(session, frame)

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        to, octets = replies[0]
        if to is not session and to.account and to.account.kept and to in self.asked:
            self.keep([Message.of(octets, to.account, self.accepted)])
            return replies[1:]
        return replies


@breaks("DLV-1")
class SenderHasToBeThere(Releasing):
    """Drops what is kept, when it is asked for, of senders that are offline then."""

    def released(self, account: Account, messages: list[Message]) -> list[Message]:
        there = {n.encode() for n, other in self.accounts.items() if other.session}
        return [m for m in messages if m[HEADER_SIZE:].partition(b"|||")[0] in there]


@breaks("DLV-6")
class SenderTakesMessagesAlong(Chat):
    """Removes, with an account, what it has sent and is kept for others."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        begin = session.account.name.encode() if session.account else b"\xff"
        for account in self.accounts.values():
            account.kept = [
                message
                for message in account.kept
                if not message[HEADER_SIZE:].startswith(begin + b"|||")
            ]
        return super().delete(session, frame)


@breaks("DLV-6")
class SenderMadeAnonymous(Chat):
    """Renames a deleted sender in messages that are kept."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        name = session.account.name.encode() if session.account else b"\xff"
        for account in self.accounts.values():
            account.kept = [self.renamed(kept, name) for kept in account.kept]
        return super().delete(session, frame)

    def renamed(self, message: Message, name: bytes) -> Message:
        other = b"x" * len(name)
        return altered(message, message.replace(name + b"|||", other + b"|||", 1))


@breaks("DLV-1")
class ShortFirst(Releasing):
    """Delivers messages of over 4,096 octets behind the others."""

    def released(self, account: Account, messages: list[Message]) -> list[Message]:
        return sorted(messages, key=lambda message: len(message) > 4096)


@breaks("SND-12")
class LongStaysKept(Releasing):
    """Delivers messages of over 60,000 octets, and keeps them."""

    def released(self, account: Account, messages: list[Message]) -> list[Message]:
        self.keep(message for message in messages if len(message) > 60_000)
        return messages


@breaks("DLV-6")
class DeleteTakesManyAlong(Chat):
    """Removes, with an account, what it has sent to who has more than four messages."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        name = session.account.name.encode() if session.account else b""
        for account in self.accounts.values():
            if name and len(account.kept) > 4:
                messages = self.release(account)
                start = HEADER_SIZE, HEADER_SIZE + len(name)
                self.keep(m for m in messages if m[slice(*start)] != name)
        return super().delete(session, frame)
