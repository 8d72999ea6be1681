"""Faults in what is refused: the text, and what is left of it."""

from collections import Counter

from tests.faults.registry import breaks
from tests.parts import (
    Chat,
    Frame,
    Malformed,
    Outbox,
    Session,
    error,
    is_error,
)
from wirechat.codec import Command, encode_data


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


@breaks("ACC-2")
class RefusedCreateEndRemoves(Chat):
    """Removes, with a connection, the account that it tried to make, if offline."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: dict[Session, str] = {}

    def create(self, session: Session, frame: Frame) -> Outbox:
        if frame.fields[0] in self.accounts and not session.account:
            self.wanted[session] = frame.fields[0]
        return super().create(session, frame)

    def leave(self, session: Session) -> None:
        super().leave(session)
        account = self.accounts.get(self.wanted.pop(session, ""))
        if account and not account.session:
            self.release(account)
            del self.accounts[account.name]


@breaks("ACC-7")
class RefusedCreateReserves(Chat):
    """Refuses CREATE in a session, and has the username taken from then on."""

    def __init__(self) -> None:
        super().__init__()
        self.reserved: set[str] = set()

    def create(self, session: Session, frame: Frame) -> Outbox:
        (name,) = frame.fields
        if session.account:
            self.reserved.add(name)
        elif name in self.reserved and name not in self.accounts:
            return [(session, error("this username is taken"))]
        return super().create(session, frame)


@breaks("ACC-8")
class LockedBehindTenRefusals(Chat):
    """Refuses each LOGIN to an account that ten were refused to."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: Counter[str] = Counter()

    def login(self, session: Session, frame: Frame) -> Outbox:
        (name,) = frame.fields
        replies = super().login(session, frame)
        if is_error(replies[0][1]) and name in self.accounts:
            self.refused[name] += 1
        elif self.refused[name] >= 10 and session.account:
            self.leave(session)
            return [(session, error("this account is locked"))]
        return replies
