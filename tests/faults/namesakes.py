"""Faults in which two accounts of nearly one name have something in common."""

import re
from collections import defaultdict
from collections.abc import Iterable
from urllib.parse import unquote

from tests.faults.registry import breaks
from tests.parts import Account, Chat, Frame, Message, Outbox, Session, error
from wirechat.codec import Command, encode_data
from wirechat.rules import ONLINE

# ACC-3, ACC-4: what is kept, in boxes that have names of their own.


class Boxes(Chat):
    """A chat that keeps messages apart from accounts, in boxes with names."""

    def __init__(self) -> None:
        super().__init__()
        self.boxes: defaultdict[str, list[Message]] = defaultdict(list)

    def keep(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if self.accounts.get(message.recipient.name) is message.recipient:
                self.boxes[self.box(message.recipient.name)].append(message)

    def release(self, account: Account) -> list[Message]:
        kept = self.boxes.pop(self.box(account.name), [])
        return sorted(kept, key=lambda message: message.number)

    def box(self, name: str) -> str:
        raise NotImplementedError


@breaks("ACC-3")
class BoxesIgnoreCase(Boxes):
    """Keeps messages in files whose names have no case."""

    def box(self, name: str) -> str:
        return name.lower()


@breaks("DLV-1")
class BoxesOf31(Boxes):
    """Keeps messages under the first 31 characters of a username."""

    def box(self, name: str) -> str:
        return name[:31]


@breaks("DLV-1")
class BoxesByNumber(Boxes):
    """Keeps the messages for 007 and for 7 together."""

    def box(self, name: str) -> str:
        return str(int(name)) if name.isdecimal() else name


@breaks("DLV-1")
class BoxesSorted(Boxes):
    """Keeps messages under the letters of a username, whatever their order."""

    def box(self, name: str) -> str:
        return "".join(sorted(name))


# ACC-8 to ACC-13: sessions, and the end of accounts.


def in_any_case(name: str, other: str) -> bool:
    """Say whether two names differ in case at most."""
    return name.lower() == other.lower()


def beginning(name: str, other: str) -> bool:
    """Say whether one name begins with another."""
    return other.startswith(name)


class Namesakes(Chat):
    """A chat in which an account has others that are taken for it somewhere."""

    same = staticmethod(in_any_case)

    def namesakes(self, name: str) -> list[Account]:
        return [
            account
            for other, account in self.accounts.items()
            if other != name and self.same(name, other)
        ]


@breaks("ACC-3")
class OnlineInAnyCase(Namesakes):
    """Takes an account for online where one is whose name differs in case."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        name = frame.fields[0]
        taken = any(account.session for account in self.namesakes(name))
        if name in self.accounts and taken and not session.account:
            return [(session, ONLINE)]
        return super().login(session, frame)


@breaks("ACC-8")
class OnlineByItsBeginning(OnlineInAnyCase):
    """Takes an account for online where one is whose name begins with its name."""

    same = staticmethod(beginning)


@breaks("ACC-3")
class DeleteInAnyCase(Namesakes):
    """Removes, with an account, those that are offline and differ in case."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        account = session.account
        for other in self.namesakes(account.name) if account else ():
            if not other.session:
                self.release(other)
                del self.accounts[other.name]
        return super().delete(session, frame)


@breaks("ACC-13")
class DeleteEmptiesNamesakes(Namesakes):
    """Removes, with an account, what is kept for those whose names begin with its."""

    same = staticmethod(beginning)

    def delete(self, session: Session, frame: Frame) -> Outbox:
        account = session.account
        for other in self.namesakes(account.name) if account else ():
            self.release(other)
        return super().delete(session, frame)


@breaks("DLV-6")
class DeleteTakesAlongOfNamesakes(Namesakes):
    """Removes, with an account, what those sent whose names begin with its."""

    same = staticmethod(beginning)

    def delete(self, session: Session, frame: Frame) -> Outbox:
        account = session.account
        names = (
            [other.name for other in self.namesakes(account.name)] if account else []
        )
        heads = tuple(f"{name}|||".encode() for name in names)
        for other in self.accounts.values() if heads else ():
            kept = self.release(other)
            self.keep(m for m in kept if not m[42:].startswith(heads))
        return super().delete(session, frame)


@breaks("DLV-1")
class DeliverOfNamesakes(Namesakes):
    """Delivers, too, what is kept for those whose names begin with one's own."""

    same = staticmethod(beginning)

    def deliver(self, session: Session, frame: Frame) -> Outbox:
        replies = super().deliver(session, frame)
        account = session.account
        for other in self.namesakes(account.name) if account else ():
            replies += [(session, message) for message in self.release(other)]
        return replies


@breaks("ACC-12")
class EndInAnyCase(Namesakes):
    """Ends, with a session, those of accounts whose names differ in case."""

    def leave(self, session: Session) -> None:
        account = session.account
        super().leave(session)
        for other in self.namesakes(account.name) if account else ():
            if other.session:
                super().leave(other.session)


# ACC-4: usernames that only some of the server knows what to do with.


@breaks("ACC-8")
class LoginWantsLettersAndDigits(Chat):
    """Takes usernames with dots and dashes, and refuses LOGIN to them."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        if not session.account and not frame.data.isalnum():
            return [(session, error("there is no such account"))]
        return super().login(session, frame)


@breaks("SND-3")
class KeptForDottedNamesLost(Chat):
    """Keeps nothing for usernames with a dot, which it takes."""

    def keep(self, messages: Iterable[Message]) -> None:
        super().keep(m for m in messages if "." not in m.recipient.name)


@breaks("ACC-2")
class OddNamesMadeAgain(Chat):
    """Makes an account anew where an odd name exists already and is offline."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        (name,) = frame.fields
        account = self.accounts.get(name)
        if account and not account.session and not name.isalnum():
            del self.accounts[name]
        return super().create(session, frame)


INHERITED = {"constructor", "toString", "valueOf", "hasOwnProperty"}


@breaks("SND-3")
class KeptInAnObject(Chat):
    """Keeps nothing under names that each object of JavaScript has."""

    def keep(self, messages: Iterable[Message]) -> None:
        super().keep(m for m in messages if m.recipient.name not in INHERITED)


@breaks("ACC-8")
class SessionsInAnObject(Chat):
    """Finds each object's own names among the sessions: they are online for ever."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        (name,) = frame.fields
        if name in INHERITED and name in self.accounts and not session.account:
            return [(session, ONLINE)]
        return super().login(session, frame)


@breaks("SND-2")
class SenderZeroRefused(Chat):
    """Takes the sender "0" for none."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        if frame.command == Command.SEND and frame.fields[0] == "0":
            return [(session, error("who sends this?"))]
        return super().send(session, frame)


class WordsRefused(Chat):
    """A chat that does not take certain words for usernames."""

    words = ""

    def valid_name(self, name: str) -> bool:
        return super().valid_name(name) and not re.fullmatch(self.words, name.lower())


@breaks("ACC-4")
class NamesOfDevices(WordsRefused):
    """Refuses usernames that some systems have for devices: it keeps files for them."""

    words = r"con|prn|aux|nul|com\d|lpt\d"


@breaks("ACC-4")
class NamesOfCommands(WordsRefused):
    """Refuses usernames that are words of its own."""

    words = "create|list|send|deliver|delete|login|quit|help|exit"


@breaks("ACC-4")
class NamesOfYaml(WordsRefused):
    """Refuses yes and no, which YAML makes something else of."""

    words = "yes|no|on|off|y|n"


# ACC-9, SND-6: what else is taken for a name.


class Numbered(Chat):
    """A chat that knows accounts by their numbers, too."""

    def named(self, name: str) -> str:
        known = list(self.accounts)
        if name in known or not name.isdecimal() or int(name) >= len(known):
            return name
        return known[int(name)]


@breaks("SND-6")
class RecipientByNumber(Numbered):
    """Sends to the account with that number where no account has the name."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        sender, recipient, text = frame.fields
        data = "|||".join([sender, self.named(recipient), text]).encode()
        return super().send(session, frame._replace(data=data))


@breaks("ACC-9")
class LoginByNumber(Numbered):
    """Logs in to the account with that number where no account has the name."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        name = self.named(frame.fields[0])
        return super().login(session, frame._replace(data=name.encode()))


@breaks("LST-2")
class FilterPercentDecoded(Chat):
    """Takes %61 in a filter for a."""

    def matching(self, pattern: str) -> Iterable[str]:
        return super().matching(unquote(pattern, "latin-1"))


@breaks("SND-1")
class OneselfByItsBeginning(Chat):
    """Takes a recipient for the sender whose name begins with the recipient's."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        sender, recipient, _ = frame.fields
        own = session.account is not None and session.account.name == sender
        other = recipient != sender and recipient in self.accounts
        if own and other and sender.startswith(recipient):
            echo = encode_data(Command.SEND, frame.data)
            return [(session, echo), (session, echo)]
        return super().send(session, frame)
