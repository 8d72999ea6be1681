"""Faults that show in a certain state alone, or for certain names."""

import socket
from collections import Counter
from threading import Timer

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
    Outbox,
    Server,
    Session,
    Steps,
    error,
    is_error,
)
from wirechat.codec import Command, encode_data

# What was refused before.


@breaks("ACC-9")
class TwelveRefusalsEnd(Loop):
    """Closes a connection on which twelve requests were refused."""

    most = 12

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.refused: Counter[Session] = Counter()

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        super().send(session, frames, live)
        self.refused[session] += sum(map(is_error, frames))
        if self.refused[session] >= self.most:
            self.connections[session].cut_off = True


@breaks("FRM-4")
class SecondRefusalDropsTheRest(Loop):
    """Drops what came together with the second request that it refuses."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.refused: Counter[Session] = Counter()

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        super().send(session, frames, live)
        self.refused[session] += sum(map(is_error, frames))

    def requests(self, connection: Connection, items: Items) -> None:
        for item in items:
            before = self.refused[connection.session]
            super().requests(connection, [item])
            if before < 2 <= self.refused[connection.session]:
                return


class Remembering(Chat):
    """A chat that knows the sessions to which something was refused."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[Session] = set()

    def receive(self, session: Session, item: Frame | Malformed) -> Outbox:
        replies = super().receive(session, item)
        self.refused |= {to for to, frame in replies if is_error(frame)}
        return replies


@breaks("ACC-1")
class CreateAfterRefusedLogin(Remembering):
    """Refuses CREATE where something was refused before."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        if session in self.refused and not session.account:
            return [(session, error("this is no connection for CREATE"))]
        return super().create(session, frame)


@breaks("SND-1")
class LiveAfterRefusalLost(Remembering):
    """Loses what is for a connection on which something was refused before."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        return [
            (to, octets)
            for to, octets in replies
            if to is session or to not in self.refused
        ]


@breaks("ACC-10")
class RefusedLoginForgetsKept(Chat):
    """Refuses LOGIN to an account that is online, and forgets what is kept for it."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        account = self.accounts.get(frame.fields[0])
        if account and account.session and not session.account:
            self.release(account)
        return super().login(session, frame)


# What was deleted before.


class Deleting(Chat):
    """A chat that knows what was deleted on which connection."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted: dict[Session, str] = {}

    def delete(self, session: Session, frame: Frame) -> Outbox:
        if session.account:
            self.deleted[session] = session.account.name
        return super().delete(session, frame)


@breaks("ACC-13")
class LoginAfterDeleteRefused(Deleting):
    """Refuses LOGIN on a connection whose account was deleted."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        if session in self.deleted and not session.account:
            return [(session, error("this connection has had its account"))]
        return super().login(session, frame)


@breaks("SND-5")
class SenderOfDeletedAccount(Deleting):
    """Takes, besides the session's, the account that was deleted for the sender."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        sender = frame.fields[0]
        if session.account and sender == self.deleted.get(session):
            return [(session, encode_data(frame.command, frame.data))]
        return super().send(session, frame)


@breaks("ACC-13")
class DeleteRefusedWhileMuchIsKept(Chat):
    """Ends the session, and does not remove an account with several kept messages."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        account = session.account
        if account and len(account.kept) > 1:
            self.leave(session)
            return []
        return super().delete(session, frame)


# How often there was a session, and how a connection ended.


@breaks("SND-1")
class ThirdSessionGetsNothing(Chat):
    """Loses what is for the third session of an account, and each further one."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: Counter[Account] = Counter()

    def enter(self, session: Session, account: Account) -> Outbox:
        self.sessions[account] += 1
        return super().enter(session, account)

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        return [
            (to, octets)
            for to, octets in replies
            if to is session or not to.account or self.sessions[to.account] < 3
        ]


@breaks("ACC-12")
class RejectionKeepsSession(Chat):
    """Ends no session where a malformed frame ended the connection."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        if item.fatal and session.account:
            session.account.session = Session()
            session.account = None
        return super().malformed(session, item)


@breaks("ACC-10")
class EndComesTwice(Chat):
    """Ends, 300 ms behind a session, the session that its account has by then."""

    def leave(self, session: Session) -> None:
        account = session.account
        super().leave(session)
        if account:
            Timer(0.3, setattr, (account, "session", None)).start()


@breaks("ACC-10")
class EndOfConnectionEndsNewSession(Server):
    """Ends, with a connection that was cut off, the session that is there by then."""

    def end(self, connection: Connection) -> None:
        account = connection.session.account
        super().end(connection)
        if account:
            account.session = None


@breaks("ACC-12")
class EndOfWhatWaitedEndsNewSession(Server):
    """Ends, once what waited for a client that left has gone, the session there is."""

    def end(self, connection: Connection) -> None:
        account, waits = connection.session.account, connection.queued
        super().end(connection)
        if account and waits:
            account.session = None


@breaks("FRM-11")
class RejectionDropsWhatWaits(Server):
    """Drops, at a frame that ends the connection, what waits to be sent."""

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        super().converse(connection, decoder)
        if decoder.broken:
            with self.lock:
                connection.take_unsent()


@breaks("FRM-10")
class DescriptorClosedLater(Server):
    """Closes, 300 ms behind a rejection, whoever has the descriptor by then."""

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        super().converse(connection, decoder)
        if decoder.broken:
            Timer(0.3, self.hang_up, (connection._socket.fileno(),)).start()

    def hang_up(self, descriptor: int) -> None:
        with self.lock:
            for connection in self.connections.values():
                if connection._socket.fileno() == descriptor:
                    connection.hang_up(socket.SHUT_RDWR)


@breaks("SND-4")
class DescriptorHasItsLastName(Loop):
    """Takes SEND, without a session, in the name of who had the descriptor before."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.last: dict[int, Account] = {}

    def end(self, connection: Connection) -> None:
        account = connection.session.account
        if account:
            self.last[connection._socket.fileno()] = account
        super().end(connection)

    def requests(self, connection: Connection, items: Items) -> None:
        session = connection.session
        for item in items:
            before = session.account
            if isinstance(item, Frame) and item.command == Command.SEND:
                session.account = before or self.last.get(connection._socket.fileno())
                super().requests(connection, [item])
                session.account = before
            else:
                super().requests(connection, [item])


# Which command, and what name.


@breaks("FRM-5")
class UnknownInSessionIgnored(Chat):
    """Passes over unknown commands in silence where there is a session."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        if item.rule == "FRM-5" and session.account:
            return []
        return super().malformed(session, item)


@breaks("SND-6")
class RecipientByItsBeginning(Chat):
    """Sends to a name that begins as the recipient's, where there is none of it."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        sender, wanted, *text = frame.fields
        for name in self.accounts:
            if wanted and wanted not in self.accounts and name.startswith(wanted):
                data = "|||".join([sender, name, *text]).encode()
                return super().send(session, frame._replace(data=data))
        return super().send(session, frame)


@breaks("SND-3")
class NamesOf32NotKept(Chat):
    """Keeps nothing for an account whose name has 32 characters."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        recipient = self.accounts.get(frame.fields[1])
        if recipient and len(recipient.name) == 32:
            self.release(recipient)
        return replies


# How much, and how far.


@breaks("LIM-3")
class Kept128KiB(Chat):
    """Echoes, and does not keep, what is more than 128 KiB for an account."""

    most = 1 << 17

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        recipient = self.accounts.get(frame.fields[1])
        while recipient and recipient.kept_octets > self.most:
            recipient.kept_octets -= len(recipient.kept.pop())
        return replies


@breaks("SND-12")
class KeptOneMiB(Kept128KiB):
    """Echoes, and does not keep, what is more than a mebibyte for an account."""

    most = 1 << 20


@breaks("DAT-2")
class OctetsBehind1000Unchecked(Steps):
    """Looks for octets above 0x7F in the first thousand."""

    def ascii(self, data: bytes) -> bool:
        return data[:1000].isascii()


# What is refused, and done by half.


@breaks("SND-6")
class SendToNobodyEndsSession(Chat):
    """Refuses SEND to nobody, and ends the sender's session."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        if frame.fields[1] not in self.accounts:
            self.leave(session)
        return replies


@breaks("SND-12")
class CreateInSessionEmpties(Chat):
    """Refuses CREATE in a session, and forgets what is kept for its account."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        if session.account:
            self.release(session.account)
        return super().create(session, frame)


@breaks("DAT-3")
class ThirdMalformedEndsSession(Chat):
    """Tells of malformed frames, and ends the session with the third."""

    def __init__(self) -> None:
        super().__init__()
        self.malformations: Counter[Session] = Counter()

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        self.malformations[session] += item.rule == "DAT-3"
        if self.malformations[session] == 3:
            self.leave(session)
        return super().malformed(session, item)


@breaks("DAT-3")
class DataBeforeLoginIgnored(Chat):
    """Passes over DELIVER and DELETE with data in silence where there is no session."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        ours = item.rule == "DAT-3" and item.reason.startswith(("DELIVER", "DELETE"))
        return [] if ours and not session.account else super().malformed(session, item)


@breaks("DAT-3")
class TwoFiltersEndTheSession(Chat):
    """Tells of several filters, and ends the session."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        if item.rule == "DAT-3" and item.reason.startswith("LIST"):
            self.leave(session)
        return super().malformed(session, item)


@breaks("ACC-9")
class LoginBehindRefusedForgets(Remembering):
    """Forgets what is kept at a LOGIN on a connection where one was refused."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        replies = super().login(session, frame)
        if session.account and session in self.refused:
            self.release(session.account)
        return replies


@breaks("SND-1")
class DeliverTwiceEndsLive(Chat):
    """Keeps what is for a session that has asked twice for what is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[Session] = Counter()

    def deliver(self, session: Session, frame: Frame) -> Outbox:
        self.asked[session] += 1
        return super().deliver(session, frame)

    def send(self, session: Session, frame: Frame) -> Outbox:
        recipient = self.accounts.get(frame.fields[1])
        to = recipient.session if recipient else None
        if not recipient or not to or self.asked[to] < 2 or to is session:
            return super().send(session, frame)
        recipient.session = None
        replies = super().send(session, frame)
        recipient.session = to
        return replies


@breaks("SND-12")
class FourthSessionGetsTwice(Chat):
    """Sends twice what is for the fourth session of an account, and for later ones."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: Counter[Account] = Counter()

    def enter(self, session: Session, account: Account) -> Outbox:
        self.sessions[account] += 1
        return super().enter(session, account)

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        live = [
            (to, octets)
            for to, octets in replies
            if to is not session and to.account and self.sessions[to.account] >= 4
        ]
        return [*live, *replies]


@breaks("DLV-1")
class NoMoreThanTwoDelivers(Chat):
    """Passes over DELIVER on a connection that has asked twice before."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[Session] = Counter()

    def deliver(self, session: Session, frame: Frame) -> Outbox:
        self.asked[session] += bool(session.account)
        return super().deliver(session, frame) if self.asked[session] <= 2 else []


@breaks("DAT-2")
class MalformedForgetsKept(Chat):
    """Tells of an octet above 0x7F, and forgets what is kept for the session."""

    rule = "DAT-2"

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        if item.rule == self.rule and session.account:
            self.release(session.account)
        return super().malformed(session, item)


@breaks("ACC-13")
class DeleteOfThirdSessionLeaves(Chat):
    """Ends the session alone where the account has had more than two."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: Counter[Account] = Counter()

    def enter(self, session: Session, account: Account) -> Outbox:
        self.sessions[account] += 1
        return super().enter(session, account)

    def delete(self, session: Session, frame: Frame) -> Outbox:
        if session.account and self.sessions[session.account] > 2:
            self.leave(session)
            return []
        return super().delete(session, frame)


@breaks("SND-1")
class ThirdCreateGetsNothing(Chat):
    """Sends nothing to a connection that has made its third account."""

    def __init__(self) -> None:
        super().__init__()
        self.made: Counter[Session] = Counter()

    def create(self, session: Session, frame: Frame) -> Outbox:
        replies = super().create(session, frame)
        self.made[session] += not is_error(replies[0][1])
        return replies

    def send(self, session: Session, frame: Frame) -> Outbox:
        return [
            (to, octets)
            for to, octets in super().send(session, frame)
            if to is session or self.made[to] < 3
        ]


# The second session of a connection.


class Later(Chat):
    """A chat that knows whether a connection had a session before the one it has."""

    def __init__(self) -> None:
        super().__init__()
        self.entered: Counter[Session] = Counter()

    def enter(self, session: Session, account: Account) -> Outbox:
        self.entered[session] += 1
        return super().enter(session, account)

    def later(self, session: Session) -> bool:
        return bool(session.account) and self.entered[session] > 1


@breaks("ACC-12")
class SecondSessionStays(Later):
    """Ends at a connection's end its first session, and none that came later."""

    def leave(self, session: Session) -> None:
        if self.later(session):
            session.account = None
        super().leave(session)


@breaks("ACC-11")
class SecondSessionSwitches(Later):
    """Leaves a connection's second session for another account at LOGIN."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        if self.later(session):
            self.leave(session)
        return super().login(session, frame)


@breaks("ACC-7")
class SecondSessionCreates(Later):
    """Leaves a connection's second session for a new account at CREATE."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        if self.later(session):
            self.leave(session)
        return super().create(session, frame)
