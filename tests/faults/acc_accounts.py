"""Faults in how accounts and sessions begin."""

from threading import Timer

from tests.faults.registry import breaks
from tests.parts import (
    SUCCESS,
    Account,
    Chat,
    Connection,
    Frame,
    Items,
    Loop,
    Outbox,
    Session,
    Unlocked,
    error,
    is_error,
)
from wirechat.codec import Command
from wirechat.rules import NO_ACCOUNT

# ACC-1: CREATE.


@breaks("ACC-1")
class CreateStartsNoSession(Chat):
    """Makes the account, and leaves it to LOGIN to start the session."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        in_session = session.account
        replies = super().create(session, frame)
        if not in_session:
            self.leave(session)
        return replies


@breaks("ACC-1")
class CreateAnsweredWithText(Chat):
    """Answers a successful CREATE with "account created"."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        made = super().create(session, frame) == [(session, SUCCESS)]
        told = "account created" if made else "no account created"
        return [(session, error(told))]


@breaks("ACC-1")
class CreateAnsweredTwice(Chat):
    """Answers CREATE as CREATE, and once more as the LOGIN that it is too."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        replies = super().create(session, frame)
        return replies if is_error(replies[0][1]) else replies * 2


# ACC-2: CREATE of a username that exists.


@breaks("ACC-2")
class CreateTakesOver(Chat):
    """Makes an account anew that exists and is offline."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        (name,) = frame.fields
        if name in self.accounts and not self.accounts[name].session:
            del self.accounts[name]
        return super().create(session, frame)


@breaks("ACC-2")
class CreateLogsIn(Chat):
    """Logs in to an account that exists and is offline."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        account = self.accounts.get(frame.fields[0])
        if account and not account.session:
            return self.login(session, frame)
        return super().create(session, frame)


@breaks("ACC-2")
class CreateTakesOnlineOver(Chat):
    """Makes an account anew that is online; who is logged in keeps the old one."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        account = self.accounts.get(frame.fields[0])
        if account and account.session and not session.account:
            del self.accounts[account.name]
        return super().create(session, frame)


@breaks("ACC-2")
class CreateEmptiesBeforeItRefuses(Chat):
    """Refuses a username that exists, and forgets what is kept for it."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        account = self.accounts.get(frame.fields[0])
        if account:
            self.release(account)
        return super().create(session, frame)


# ACC-7: CREATE in a session.


@breaks("ACC-7")
class CreateSwitches(Chat):
    """Leaves the session for a new account."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        if session.account and not {*frame.fields} & {*self.accounts}:
            self.leave(session)
        return super().create(session, frame)


@breaks("ACC-7")
class CreateMakesAndRefuses(Chat):
    """Makes the account, and says that there is a session already."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        (name,) = frame.fields
        if session.account and self.valid_name(name):
            self.accounts.setdefault(name, Account(name))
        return super().create(session, frame)


@breaks("ACC-7")
class CreateMakesAndStays(Chat):
    """Makes the account, and stays in the session."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        if not session.account:
            return super().create(session, frame)
        aside = Session()
        made = super().create(aside, frame)
        self.leave(aside)
        return [(session, made[0][1])]


@breaks("ACC-7")
class CreateHasTwo(Chat):
    """Has two accounts on one connection after a second CREATE."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        account, session.account = session.account, None
        replies = super().create(session, frame)
        session.account = session.account or account
        return replies


# ACC-8 to ACC-11: LOGIN.


@breaks("ACC-8")
class NumberZeroIsNobody(Chat):
    """Has the first of its accounts as number 0, which means none where it looks."""

    def nobody(self, session: Session, name: str) -> Outbox:
        zero = name == next(iter(self.accounts), None)
        return [(session, NO_ACCOUNT)] if zero and len(self.accounts) > 1 else []

    def login(self, session: Session, frame: Frame) -> Outbox:
        nobody = [] if session.account else self.nobody(session, frame.fields[0])
        return nobody or super().login(session, frame)

    def send(self, session: Session, frame: Frame) -> Outbox:
        nobody = self.nobody(session, frame.fields[1]) if session.account else []
        return nobody or super().send(session, frame)


@breaks("ACC-8")
class LoginAnsweredWithText(Chat):
    """Answers a successful LOGIN with a welcome."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        replies = super().login(session, frame)
        return [(to, error("hi") if o == SUCCESS else o) for to, o in replies]


@breaks("ACC-8")
class LoginWorksOnce(Chat):
    """Refuses the second LOGIN of an account."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def login(self, session: Session, frame: Frame) -> Outbox:
        if self.seen & {*frame.fields}:
            return [(session, error("this account was logged in already"))]
        replies = super().login(session, frame)
        if replies == [(session, SUCCESS)]:
            self.seen |= {*frame.fields}
        return replies


@breaks("ACC-8")
class LoginOnceAConnection(Chat):
    """Takes one LOGIN a connection, a refused one too."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[Session] = set()

    def login(self, session: Session, frame: Frame) -> Outbox:
        if session in self.seen:
            return [(session, error("one try is all you have"))]
        self.seen.add(session)
        return super().login(session, frame)


@breaks("ACC-8")
class LoginToldBeforeItHolds(Unlocked):
    """Answers LOGIN a moment before the session begins."""

    def enter(self, session: Session, account: Account) -> Outbox:
        Timer(0.02, super().enter, (session, account)).start()
        return [(session, SUCCESS)]


@breaks("ACC-9")
class LoginMakes(Chat):
    """Makes an account where LOGIN knows none."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        known = session.account or {*frame.fields} & {*self.accounts}
        return super().login(session, frame) if known else self.create(session, frame)


@breaks("ACC-9")
class LoginOfUnknownUnanswered(Chat):
    """Does not answer LOGIN with an unknown username."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        known = session.account or {*frame.fields} & {*self.accounts}
        return super().login(session, frame) if known else []


@breaks("ACC-9")
class LoginOfUnknownCloses(Loop):
    """Closes at LOGIN with an unknown username."""

    def requests(self, connection: Connection, items: Items) -> None:
        for item in items:
            super().requests(connection, [item])
            connection.cut_off = (
                isinstance(item, Frame)
                and item.command == Command.LOGIN
                and item.fields[0] not in self.chat.accounts
            )


@breaks("ACC-10")
class LoginTakesOver(Chat):
    """Ends the session that an account has when another connection logs in."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        account = self.accounts.get(frame.fields[0])
        if account and account.session and not session.account:
            self.leave(account.session)
        return super().login(session, frame)


@breaks("ACC-10")
class LoginEndsAndRefuses(Chat):
    """Refuses LOGIN to an account that is online, and ends its session."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        account = self.accounts.get(frame.fields[0])
        replies = super().login(session, frame)
        if account and is_error(replies[0][1]) and account.session:
            self.leave(account.session)
        return replies


@breaks("ACC-10")
class LoginRedirects(Chat):
    """Refuses LOGIN to an account that is online, and sends its messages there."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        account = self.accounts.get(frame.fields[0])
        replies = super().login(session, frame)
        if account and account.session and not session.account:
            account.session = session
        return replies


@breaks("ACC-10")
class TwoSessions(Chat):
    """Lets several connections log in to one account."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        account = self.accounts.get(frame.fields[0])
        if account and account.session and not session.account:
            session.account = account
            return [(session, SUCCESS)]
        return super().login(session, frame)


@breaks("ACC-11")
class LoginSwitches(Chat):
    """Leaves the session for another account."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        account = self.accounts.get(frame.fields[0])
        if account and not account.session:
            self.leave(session)
        return super().login(session, frame)


@breaks("ACC-11")
class LoginInSessionEndsIt(Chat):
    """Refuses LOGIN in a session, and ends that."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        replies = super().login(session, frame)
        if is_error(replies[0][1]):
            self.leave(session)
        return replies


@breaks("ACC-11")
class LoginToOneselfSucceeds(Chat):
    """Answers LOGIN to the session's own account with success."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        if session.account and session.account.name == frame.fields[0]:
            return [(session, SUCCESS)]
        return super().login(session, frame)


@breaks("ACC-11")
class LoginMarksBeforeItRefuses(Chat):
    """Marks an account as online before it sees that this connection has a session."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        account = self.accounts.get(frame.fields[0])
        if session.account and account and not account.session:
            account.session = Session(account)
        return super().login(session, frame)
