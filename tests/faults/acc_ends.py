"""Faults in how sessions and accounts end, and in what several ask for at once."""

import os
from threading import Timer

from tests.faults.registry import breaks
from tests.parts import (
    SUCCESS,
    Account,
    Chat,
    Connection,
    Decoder,
    Frame,
    Items,
    Loop,
    Message,
    Outbox,
    Server,
    Session,
    Steps,
    Unlocked,
    error,
)
from wirechat.codec import HEADER_SIZE, Command, encode_data

# ACC-12: the end of a connection.


@breaks("ACC-12")
class ResetLeavesSession(Loop):
    """Ends the session at the end of the stream, and not at a reset."""

    def end(self, connection: Connection) -> None:
        try:
            connection._socket.recv(1)
            connection._socket.getpeername()
        except OSError:
            connection.session.account = None
        super().end(connection)


@breaks("ACC-12")
class CloseLeavesSession(Server):
    """Never ends a session but by DELETE."""

    def end(self, connection: Connection) -> None:
        connection.session.account = None
        super().end(connection)


@breaks("ACC-12")
class LoginLeavesSession(Chat):
    """Ends at a connection's end the session that CREATE began, not that of LOGIN."""

    def __init__(self) -> None:
        super().__init__()
        self.from_login: set[Session] = set()

    def login(self, session: Session, frame: Frame) -> Outbox:
        replies = super().login(session, frame)
        if replies == [(session, SUCCESS)]:
            self.from_login.add(session)
        return replies

    def leave(self, session: Session) -> None:
        if session not in self.from_login:
            super().leave(session)


@breaks("ACC-12")
class HalfCloseKeepsSession(Server):
    """Ends the session when the client has closed altogether, or in three seconds."""

    def end(self, connection: Connection) -> None:
        self.drain(connection, 0)
        connection.wait(0, 3)
        super().end(connection)


@breaks("ACC-12")
class CloseInFrameKeepsSession(Loop):
    """Ends no session at a connection's end in the middle of a frame."""

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        super().converse(connection, decoder)
        if decoder.end():
            connection.session.account = None


@breaks("ACC-12")
class CloseInHeaderKeepsSession(Loop):
    """Ends no session where the connection ends in the middle of a header."""

    decoding = Steps

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        super().converse(connection, decoder)
        if isinstance(decoder, Steps) and 0 < len(decoder.buffer) < HEADER_SIZE:
            connection.session.account = None


@breaks("ACC-12")
class AccountEndsWithSession(Chat):
    """Removes the account when its connection ends."""

    def leave(self, session: Session) -> None:
        if session.account:
            self.accounts.pop(session.account.name, None)
        super().leave(session)


@breaks("ACC-12")
class KeptEndsWithSession(Chat):
    """Forgets what is kept for an account when its connection ends."""

    def leave(self, session: Session) -> None:
        if session.account:
            self.release(session.account)
        super().leave(session)


@breaks("ACC-12")
class RefusedLoginEndsSession(Loop):
    """Ends, with a connection, the session of the account it failed to log in to."""

    def requests(self, connection: Connection, items: Items) -> None:
        for item in items:
            if isinstance(item, Frame) and item.command == Command.LOGIN:
                connection.peer = item.fields[0]
        super().requests(connection, items)

    def end(self, connection: Connection) -> None:
        account = self.chat.accounts.get(connection.peer)
        if account and account.session:
            self.chat.leave(account.session)
        super().end(connection)


# ACC-13 to ACC-16: DELETE.


@breaks("ACC-13")
class DeleteEndsSessionOnly(Chat):
    """Ends the session, and lets the account be."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        if not session.account:
            return super().delete(session, frame)
        self.leave(session)
        return []


@breaks("ACC-13")
class DeleteKeepsSession(Chat):
    """Removes the account, and not the session."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        account = session.account
        replies = super().delete(session, frame)
        session.account = account
        return replies


@breaks("ACC-13")
class DeleteCloses(Loop):
    """Closes the connection after DELETE."""

    def requests(self, connection: Connection, items: Items) -> None:
        for item in items:
            super().requests(connection, [item])
            if isinstance(item, Frame) and item.command == Command.DELETE:
                connection.cut_off = True
                return


@breaks("ACC-13")
class DeleteRefusedWhileKept(Chat):
    """Does not remove an account for which messages are kept."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        if session.account and session.account.kept:
            return []
        return super().delete(session, frame)


@breaks("ACC-13")
class DeleteRemovesNamesakes(Chat):
    """Removes all accounts whose names begin with that of the session."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        begin = session.account.name if session.account else None
        for name in [*self.accounts] if begin else []:
            if name != begin and name.startswith(begin or name):
                del self.accounts[name]
        return super().delete(session, frame)


@breaks("ACC-13")
class DeleteLater(Chat):
    """Removes the account a moment after it has taken the request."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        if not session.account:
            return super().delete(session, frame)
        Timer(0.02, self.accounts.pop, (session.account.name, None)).start()
        self.leave(session)
        return []


@breaks("ACC-14")
class DeleteAnsweredWithText(Chat):
    """Answers DELETE with "account deleted"."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        return super().delete(session, frame) or [(session, error("account deleted"))]


@breaks("ACC-14")
class DeleteAnsweredTwice(Chat):
    """Answers DELETE with two empty RESPONSEs."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        return super().delete(session, frame) or [(session, SUCCESS)] * 2


@breaks("ACC-14")
class DeleteAnsweredWithList(Chat):
    """Answers DELETE with an empty LISTRESPONSE."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        listed = encode_data(Command.LISTRESPONSE, b"")
        return super().delete(session, frame) or [(session, listed)]


@breaks("ACC-15")
class DeleteWithoutSessionSilent(Chat):
    """Does not answer DELETE without a session."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        return super().delete(session, frame) if session.account else []


@breaks("ACC-15")
class DeleteWithoutSessionSucceeds(Chat):
    """Answers DELETE without a session with success."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        reply: Outbox = [(session, SUCCESS)]
        return super().delete(session, frame) if session.account else reply


@breaks("ACC-15")
class DeleteWithoutSessionFatal(Chat):
    """Ends the server at DELETE without a session."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        if not session.account:
            os._exit(1)
        return super().delete(session, frame)


@breaks("ACC-15")
class SecondDeleteSilent(Chat):
    """Does not answer a second DELETE on one connection."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[Session] = set()

    def delete(self, session: Session, frame: Frame) -> Outbox:
        if session in self.seen and not session.account:
            return []
        self.seen.add(session)
        return super().delete(session, frame)


@breaks("ACC-16")
class NamesUsedOnce(Chat):
    """Refuses usernames that were deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.used: set[str] = set()

    def delete(self, session: Session, frame: Frame) -> Outbox:
        if session.account:
            self.used.add(session.account.name)
        return super().delete(session, frame)

    def valid_name(self, name: str) -> bool:
        return super().valid_name(name) and name not in self.used


@breaks("ACC-16")
class KeptOutlivesAccount(Chat):
    """Gives a new account what was kept for a deleted one of its name."""

    def __init__(self) -> None:
        super().__init__()
        self.left: dict[str, list[Message]] = {}

    def delete(self, session: Session, frame: Frame) -> Outbox:
        if session.account:
            self.left[session.account.name] = session.account.kept[:]
        return super().delete(session, frame)

    def enter(self, session: Session, account: Account) -> Outbox:
        account.kept += self.left.pop(account.name, [])
        return super().enter(session, account)


# ACC-17: several at once.


class CheckThenAct(Unlocked):
    """A chat in which others get a turn between a check and what it was for."""

    seconds = 0.003

    def create_unlocked(self, session: Session, frame: Frame) -> Outbox:
        (name,) = frame.fields
        free = name not in self.accounts
        with self.unlocked(self.seconds):
            if free:
                self.accounts.pop(name, None)
            return super().create(session, frame)

    def login_unlocked(self, session: Session, frame: Frame) -> Outbox:
        account = self.accounts.get(frame.fields[0])
        offline = account and not account.session
        with self.unlocked(self.seconds):
            if account and offline:
                account.session = None
            return super().login(session, frame)


@breaks("ACC-17")
class CreatesRace(CheckThenAct):
    """Looks for the username, and makes the account 3 ms later."""

    create = CheckThenAct.create_unlocked


@breaks("ACC-17")
class CreatesRaceClosely(CheckThenAct):
    """Looks for the username, and makes the account a moment later."""

    seconds = 0.0001
    create = CheckThenAct.create_unlocked


@breaks("ACC-17")
class LoginsRace(CheckThenAct):
    """Looks whether the account is offline, and starts the session 3 ms later."""

    login = CheckThenAct.login_unlocked


@breaks("ACC-17")
class LoginsRaceClosely(CheckThenAct):
    """Looks whether the account is offline, and starts the session a moment later."""

    seconds = 0.0001
    login = CheckThenAct.login_unlocked


@breaks("ACC-17")
class RacingCreatesAllRefused(Unlocked):
    """Takes note of who wants a username; with several of them, nobody gets it."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: list[str] = []

    def create(self, session: Session, frame: Frame) -> Outbox:
        (name,) = frame.fields
        self.wanted.append(name)
        with self.unlocked(0.002):
            alone = self.wanted.count(name) == 1
        with self.unlocked(0.002):
            self.wanted.remove(name)
        if alone:
            return super().create(session, frame)
        return [(session, error("others want this username too"))]
