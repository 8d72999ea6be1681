"""Accounts, sessions and messages: the rules ACC, LST, SND and DLV in executable form.

A request on a session goes in; what to send, and to which session, comes out. There is
no socket, thread or clock here, and no lock: whoever calls sees to it that one request
is carried out at a time.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from wirechat.codec import SEPARATOR, Command, Frame, Malformed, encode, encode_data


@dataclass(eq=False, slots=True)
class Account:
    """A username's account, with the messages that are kept for it, oldest first."""

    name: str
    session: "Session | None" = None
    kept: list["Message"] = field(default_factory=list)
    kept_octets: int = 0


@dataclass(eq=False, slots=True)
class Session:
    """What one connection has: an account that is logged in on it, or none."""

    account: Account | None = None


class Message(bytes):
    """The octets of an accepted SEND frame, which are kept where they can't be sent.

    Other frames end with the connection that they were sent on (SND-12). ``number``
    counts what was accepted, so that a message that comes back takes its place among
    those that were kept meanwhile (SND-11).
    """

    number: int
    recipient: Account

    @classmethod
    def of(cls, octets: bytes, recipient: Account, number: int) -> "Message":
        """Return the message that has these octets."""
        message = cls(octets)
        message.recipient, message.number = recipient, number
        return message


Outbox: TypeAlias = list[tuple[Session, bytes]]
"""Frames, each with the session that it goes to.

What goes to another session than the requester's is a message in any case. It need not
be a :class:`Message` before it comes back: that takes as long as all the rest of SEND.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """Where CREATE and SEND are refused for want of room (LIM-3)."""

    accounts: int = 100_000
    """Some 50 MB, and a LISTRESPONSE of 7 MB at most."""
    kept: int = 100_000
    """Messages kept for one account: some 30 MB with what Python adds to each."""
    kept_octets: int = 16 * 1024 * 1024
    """Octets kept for one account: sixteen of the largest frames."""
    all_kept: int = 1_000_000
    """Messages kept in all: ten accounts' worth, some 300 MB."""
    all_kept_octets: int = 256 * 1024 * 1024
    """Octets kept in all: sixteen accounts' worth."""


def error(text: str) -> bytes:
    """Return the frame of an error reply."""
    return encode(Command.RESPONSE, text)


SUCCESS = encode(Command.RESPONSE)
VALID_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
NAME_REFUSED = error("a username is 1 to 64 letters, digits, dots, underscores, dashes")
NAME_TAKEN = error("this username is taken")
NO_ACCOUNT = error("no account has this username")
NO_SESSION = error("log in first")
HAS_SESSION = error("this connection is logged in already")
ONLINE = error("this account is logged in on another connection")
NOT_SENDER = error("the sender is not the account that is logged in")
NO_MORE_ACCOUNTS = error("the server takes no more accounts")
NO_MORE_KEPT = error("no more messages are kept for the recipient")


class Chat:
    """The accounts of one server and all that may be done to them.

    Each command has one method, which carries out a well-formed frame of it and
    returns what is to be sent for it, in order.

    Args:
        limits: How much room there is.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.accounts: dict[str, Account] = {}
        self.kept = 0  # messages, for all accounts together
        self.kept_octets = 0  # of these
        self.accepted = 0  # messages, ever
        self.handlers: Mapping[int, Callable[[Session, Frame], Outbox]] = {
            Command.CREATE: self.create,
            Command.LIST: self.list_names,
            Command.SEND: self.send,
            Command.DELIVER: self.deliver,
            Command.DELETE: self.delete,
            Command.LOGIN: self.login,
        }

    def receive(self, session: Session, item: Frame | Malformed) -> Outbox:
        """Carry out one request and return what is to be sent for it."""
        if isinstance(item, Malformed):
            return self.malformed(session, item)
        return self.handlers[item.command](session, item)

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        """Tell what is wrong with a frame, whatever the session (FRM-11, FRM-12)."""
        return [(session, error(str(item)))]

    def create(self, session: Session, frame: Frame) -> Outbox:
        """Make an account and log it in (ACC-1 to ACC-7, ACC-16)."""
        (name,) = frame.fields
        if session.account:
            return [(session, HAS_SESSION)]
        if not self.valid_name(name):
            return [(session, NAME_REFUSED)]
        if name in self.accounts:
            return [(session, NAME_TAKEN)]
        if len(self.accounts) >= self.limits.accounts:
            return [(session, NO_MORE_ACCOUNTS)]
        self.accounts[name] = Account(name)
        return self.enter(session, self.accounts[name])

    def login(self, session: Session, frame: Frame) -> Outbox:
        """Start the session of an account that is offline (ACC-8 to ACC-11, DLV-4)."""
        (name,) = frame.fields
        account = self.accounts.get(name)
        if session.account:
            return [(session, HAS_SESSION)]
        if not account:
            return [(session, NO_ACCOUNT)]
        if account.session:
            return [(session, ONLINE)]
        return self.enter(session, account)

    def delete(self, session: Session, frame: Frame) -> Outbox:
        """Remove the session's account and what is kept for it (ACC-13 to ACC-15)."""
        account = session.account
        if not account:
            return [(session, NO_SESSION)]
        self.release(account)
        del self.accounts[account.name]
        self.leave(session)
        return []

    def list_names(self, session: Session, frame: Frame) -> Outbox:
        """Name the accounts that the filter matches, or all (LST-1 to LST-4)."""
        names = self.matching(*frame.fields) if frame.data else self.accounts
        data = SEPARATOR.join(names).encode("ascii")
        return [(session, encode_data(Command.LISTRESPONSE, data))]

    def send(self, session: Session, frame: Frame) -> Outbox:
        """Send a message on, or keep it, and echo it (SND-1 to SND-9, DLV-5)."""
        sender, name, _ = frame.fields
        account = session.account
        if not account:
            return [(session, NO_SESSION)]
        if sender != account.name:
            return [(session, NOT_SENDER)]
        recipient = self.accounts.get(name)
        if not recipient:
            return [(session, NO_ACCOUNT)]
        to = recipient.session
        # Where some are kept already a live message needs room too: so neither it
        # nor what comes back unsent can make the kept ones grow for ever.
        if (recipient.kept or not to) and self.full(recipient):
            return [(session, NO_MORE_KEPT)]
        octets = encode_data(frame.command, frame.data)
        self.accepted += 1
        if to and to is not session:
            return [(to, octets), (session, octets)]
        message = Message.of(octets, recipient, self.accepted)
        if to:
            return [(to, message), (session, octets)]
        self.keep([message])
        return [(session, octets)]

    def deliver(self, session: Session, frame: Frame) -> Outbox:
        """Send all that is kept for the account, oldest first (DLV-1 to DLV-3)."""
        if not session.account:
            return [(session, NO_SESSION)]
        return [(session, message) for message in self.release(session.account)]

    def enter(self, session: Session, account: Account) -> Outbox:
        """Bind an account to a session and tell of the success."""
        session.account, account.session = account, session
        return [(session, SUCCESS)]

    def leave(self, session: Session) -> None:
        """End a session, if there is one; the account remains (ACC-12)."""
        if session.account:
            session.account.session = None
            session.account = None

    def keep(self, messages: Iterable[Message]) -> None:
        """Keep messages for their recipients, where these still exist (SND-3, SND-12).

        Those that come back unsent are older than some that are kept already: they
        are put in order when they are asked for.
        """
        for message in messages:
            account = message.recipient
            if self.accounts.get(account.name) is not account:
                continue
            account.kept.append(message)
            account.kept_octets += len(message)
            self.kept += 1
            self.kept_octets += len(message)

    def release(self, account: Account) -> list[Message]:
        """Keep no more messages for an account and return them, oldest first."""
        messages = sorted(account.kept, key=lambda message: message.number)
        self.kept -= len(messages)
        self.kept_octets -= account.kept_octets
        account.kept, account.kept_octets = [], 0
        return messages

    def full(self, account: Account) -> bool:
        """Tell whether a limit leaves no room for one more message (LIM-3)."""
        limits = self.limits
        return (
            len(account.kept) >= limits.kept
            or account.kept_octets >= limits.kept_octets
            or self.kept >= limits.all_kept
            or self.kept_octets >= limits.all_kept_octets
        )

    def valid_name(self, name: str) -> bool:
        """Tell whether this server takes a username (ACC-4 to ACC-6)."""
        return VALID_NAME.fullmatch(name) is not None

    def matching(self, pattern: str) -> Iterable[str]:
        """Return the usernames that a filter matches (LST-2, LST-3)."""
        return filter(matcher(pattern), self.accounts)


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether a filter matches a name as a whole (LST-2).

    Between two stars each run of characters is taken where it first occurs. There is
    never a reason to go back, so the time is linear in what is compared (LST-6).
    """
    head, *rest = pattern.split("*")
    if not rest:
        return pattern.__eq__
    *middle, tail = rest
    middle = [piece for piece in middle if piece]

    def matches(name: str) -> bool:
        at, end = len(head), len(name) - len(tail)
        if at > end or not (name.startswith(head) and name.endswith(tail)):
            return False
        for piece in middle:
            found = name.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True

    return matches
