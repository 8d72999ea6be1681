"""Servers that are wrong, or right, in a way that is of use to one test alone."""

import socket
from collections.abc import Iterable

from tests.faults.dlv import Releasing
from tests.parts import (
    Account,
    Chat,
    Connection,
    Frame,
    Items,
    Loop,
    Malformed,
    Message,
    Outbox,
    Server,
    Session,
    Steps,
    messages,
)
from tests.variants.limits import SlowRefused
from wirechat.codec import HEADER_SIZE, Command, encode
from wirechat.rules import Limits, error
from wirechat_conformance.cases import test_acc, test_snd

ODD = encode(Command.LISTRESPONSE, "odd")
"""A reply that is right for no request but LIST."""


class ShellFiltersRefused(Chat):
    """Answers filters in the way of shells with an error reply."""

    def list_names(self, session: Session, frame: Frame) -> Outbox:
        if frame.data.endswith(b"?"):
            return [(session, error("no"))]
        return super().list_names(session, frame)


class PropertyAnsweredOddly(Chat):
    """Answers CREATE with what is no reply to it where JavaScript has the name."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        odd = frame.data == test_acc.PROPERTY
        return [(session, ODD)] if odd else super().create(session, frame)


class Afterwards(Server):
    """Does something else with live messages once a recipient has been behind."""

    ONCE = sum(map(len, test_snd.batches(test_snd.LONG["some"])))

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        if live and self.chat.accepted > self.ONCE + 10:
            self.otherwise(session, frames)
        else:
            super().send(session, frames, live)

    def otherwise(self, session: Session, frames: list[bytes]) -> None:
        raise NotImplementedError


class TwiceAfterwards(Afterwards):
    """Sends them twice."""

    def otherwise(self, session: Session, frames: list[bytes]) -> None:
        Server.send(self, session, [*frames, *frames], live=True)


class CutsOffAfterwards(Afterwards):
    """Cuts the recipient off."""

    def otherwise(self, session: Session, frames: list[bytes]) -> None:
        self.chat.keep(messages(self.chat, session, frames))
        self.cut_off(self.connections[session])


class KeepsAfterwards(Afterwards):
    """Keeps them."""

    def otherwise(self, session: Session, frames: list[bytes]) -> None:
        self.chat.keep(messages(self.chat, session, frames))


class TakenAnsweredOddly(Chat):
    """Answers CREATE with what is no reply to it where the name is taken."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        taken = frame.fields[0] in self.accounts
        return [(session, ODD)] if taken else super().create(session, frame)


class MessageBeforeLogin(Chat):
    """Sends a message in front of the reply that begins a session."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        early = encode(Command.SEND, "a", "b", "early")
        return [(session, early), *super().login(session, frame)]


class ThreeInReverse(Chat):
    """Holds live messages back until there are three, and sends the last first."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[Session, Outbox] = {}

    def send(self, session: Session, frame: Frame) -> Outbox:
        *live, echo = super().send(session, frame)
        held = self.held.setdefault(session, [])
        held[:0] = live
        if len(held) < 3:
            return [echo]
        del self.held[session]
        return [*held, echo]


class DeletesAtTheSecondTry(Chat):
    """Ends the session at DELETE, and removes the account at the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def delete(self, session: Session, frame: Frame) -> Outbox:
        account = session.account
        if account is None or account.name in self.asked:
            return super().delete(session, frame)
        self.asked.add(account.name)
        self.leave(session)
        return []


class EndsAtDeliver(Loop):
    """Ends a connection on which DELIVER comes."""

    def requests(self, connection: Connection, items: Items) -> None:
        super().requests(connection, items)
        asked = {item.command for item in items if isinstance(item, Frame)}
        connection.cut_off = Command.DELIVER in asked


class Kept1000(Chat):
    """Keeps a thousand messages for an account."""

    def __init__(self) -> None:
        super().__init__(Limits(kept=1000))


class FortyADeliver(Releasing):
    """Delivers forty messages at a time, and keeps the others until the next."""

    def released(self, account: Account, messages: list[Message]) -> list[Message]:
        self.keep(messages[40:])
        return messages[:40]


class CutsOffAtDeliver(Server):
    """Cuts off who has many messages kept, once they are asked for."""

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        super().send(session, frames, live)
        if len(frames) > 40:
            self.cut_off(self.connections[session])


class SessionOutlastsReplies(Server):
    """Ends a session when all that waited for it has been read."""

    def end(self, connection: Connection) -> None:
        self.drain(connection, 0)
        super().end(connection)


class KeptTwice(Chat):
    """Keeps each message twice."""

    def keep(self, messages: Iterable[Message]) -> None:
        super().keep([message for message in messages for _ in range(2)])


class RefusesWhereMuchWaits(SlowRefused):
    """Answers with an error reply for a recipient for whom anything waits."""

    def crowded(self, session: Session) -> bool:
        return self.connections[session].queued > 0


class EchoNotQueued(Connection):
    """Drops an echo where octets wait to be sent."""

    def put(self, frames: list[bytes], live: int = 0) -> None:
        self.flush()
        sent = [
            one
            for one in frames
            if live or not self._batches or not one[42:].endswith(b"|||own")
        ]
        super().put(sent or [b""], live)


class NamesFreeOnce(Chat):
    """Makes no account under a username that there was before."""

    def __init__(self) -> None:
        super().__init__()
        self.had: set[str] = set()

    def create(self, session: Session, frame: Frame) -> Outbox:
        (name,) = frame.fields
        if name in self.had:
            return [(session, error("there was one once"))]
        self.had.add(name)
        return super().create(session, frame)


class LoginUnanswered(Chat):
    """Answers no LOGIN on a connection that is not the first to ask for one."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        return [] if self.accounts else super().login(session, frame)


class EndsInHalfAFrame(Server):
    """Ends a connection for which much waits, in the middle of a frame."""

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        super().send(session, frames, live)
        if len(frames) > 40:
            self.connections[session].hang_up(socket.SHUT_WR)


class MalformedToldTwice(Chat):
    """Tells of a malformed frame twice."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        return 2 * super().malformed(session, item)


class SkipsNothing(Steps):
    """Takes the data of a frame with an unknown command for the next frame."""

    def whole(self, length: int) -> bool:
        if self.buffer[1] not in self.commands:
            self.buffer[2:HEADER_SIZE] = bytes(HEADER_SIZE - 2)
            return True
        return super().whole(length)

    def take(self, count: int) -> bytes:
        unknown = self.buffer[1] not in self.commands
        return super().take(HEADER_SIZE if unknown else count)
