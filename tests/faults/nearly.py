"""Faults in whose name a name is: what is nearly somebody's is taken for theirs."""

import re
from collections import Counter

from tests.faults.acc_names import NamesEqual
from tests.faults.lst import Matching
from tests.faults.registry import breaks
from tests.parts import (
    Account,
    Chat,
    Connection,
    Frame,
    Loop,
    Outbox,
    Session,
    Steps,
    is_error,
)
from wirechat.codec import Command, encode_data
from wirechat.rules import matcher


class Renaming(Steps):
    """A decoder that makes other usernames of some fields."""

    renames = Command.LOGIN
    at = 0

    def fields(self, command: int, data: bytes) -> list[str]:
        found = super().fields(command, data)
        if command == self.renames and len(found) > self.at:
            found[self.at] = self.renamed(found[self.at])
        return found

    def renamed(self, name: str) -> str:
        raise NotImplementedError


class Trimming(Renaming):
    """A decoder that trims white space from a username."""

    def renamed(self, name: str) -> str:
        return name.strip(" ")


class EndingAtNul(Renaming):
    """A decoder that ends a username at a NUL."""

    def renamed(self, name: str) -> str:
        return name.partition("\0")[0]


# ACC-9: LOGIN.


@breaks("ACC-9")
class LoginTrimmed(Trimming):
    """Trims white space from LOGIN's username."""


@breaks("ACC-9")
class LoginUpToNul(EndingAtNul):
    """Ends LOGIN's username at a NUL."""


@breaks("ACC-9")
class LoginByItsBeginning(Chat):
    """Logs in to an account whose name begins with LOGIN's username."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        (asked,) = frame.fields
        begun = [name for name in self.accounts if name.startswith(asked)]
        if len(begun) == 1:
            frame = frame._replace(data=begun[0].encode())
        return super().login(session, frame)


@breaks("ACC-9")
class LoginOf32(Chat):
    """Looks at the first 32 characters of LOGIN's username (a buffer of 32)."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        return super().login(session, frame._replace(data=frame.data[:32]))


@breaks("SND-6")
class RecipientOf32(Chat):
    """Looks at the first 32 characters of a recipient."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        sender, recipient, text = frame.fields
        data = "|||".join([sender, recipient[:32], text]).encode()
        return super().send(session, frame._replace(data=data))


@breaks("ACC-9")
class RefusalsCounted(Loop):
    """Closes after a hundred error replies."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.count: Counter[Connection] = Counter()

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        super().send(session, frames, live)
        connection = self.connections[session]
        self.count[connection] += sum(map(is_error, frames))
        connection.cut_off = self.count[connection] > 100


# ACC-4, LST-2: names and filters that say something elsewhere.


@breaks("ACC-4")
class NamesInScientificNotation(NamesEqual):
    """Compares usernames like 12e3 as numbers."""

    def same(self, name: str) -> str:
        return str(float(name)) if re.fullmatch(r"\d+(e\d+)?", name) else name


@breaks("LST-2")
class FilterUpToBackslashE(Matching):
    """Puts a filter between \\Q and \\E, which may stand in it as well."""

    def matches(self, pattern: str, name: str) -> bool:
        return matcher(pattern.partition("\\E")[0])(name)


# SND-4: no session.


@breaks("SND-4")
class NoNameIsAWord(Chat):
    """Calls who has no session "undefined", and takes SEND in that name."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        if session.account or frame.fields[0] != "undefined":
            return super().send(session, frame)
        session.account = Account("undefined")
        replies = super().send(session, frame)
        session.account = None
        return replies


@breaks("SND-4")
class NameOutlivesAccount(Chat):
    """Remembers a connection's username when its account is deleted."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        self.remembered = getattr(self, "remembered", {})
        if session.account:
            self.remembered[session] = session.account.name
        return super().delete(session, frame)

    def send(self, session: Session, frame: Frame) -> Outbox:
        name = getattr(self, "remembered", {}).get(session)
        if session.account or name not in self.accounts:
            return super().send(session, frame)
        session.account = self.accounts[name]
        replies = super().send(session, frame)
        session.account = None
        return replies


# SND-5: the sender.


@breaks("SND-5")
class SenderTrimmed(Trimming):
    """Trims white space from a sender before it compares it."""

    renames = Command.SEND


@breaks("SND-5")
class SenderUpToNul(EndingAtNul):
    """Compares a sender up to a NUL."""

    renames = Command.SEND


# SND-6: the recipient.


@breaks("SND-6")
class RecipientTrimmed(Trimming):
    """Trims white space from a recipient."""

    renames = Command.SEND
    at = 1


@breaks("SND-6")
class RecipientUpToNul(EndingAtNul):
    """Ends a recipient at a NUL."""

    renames = Command.SEND
    at = 1


@breaks("SND-6")
class RecipientInherited(Chat):
    """Finds, where it looks for a recipient, what each object inherits."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        if session.account and frame.fields[1] == "__proto__":
            return [(session, encode_data(frame.command, frame.data))]
        return super().send(session, frame)
