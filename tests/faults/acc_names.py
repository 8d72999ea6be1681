"""Faults in usernames."""

import re
from collections.abc import Iterable
from zlib import crc32

from tests.faults.registry import breaks
from tests.parts import (
    Chat,
    Frame,
    Outbox,
    Session,
    error,
)

# ACC-3, ACC-4: usernames.


@breaks("ACC-3")
class CreateIgnoresCase(Chat):
    """Refuses a username that exists in other letters' case."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        lower = {name.lower() for name in self.accounts}
        if frame.fields[0].lower() in lower and not session.account:
            return [(session, error("this username is taken"))]
        return super().create(session, frame)


@breaks("ACC-3")
class LoginIgnoresCase(Chat):
    """Logs in to an account whose name differs in case."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        (wanted,) = frame.fields
        for name in self.accounts:
            if wanted not in self.accounts and name.lower() == wanted.lower():
                return super().login(session, frame._replace(data=name.encode()))
        return super().login(session, frame)


@breaks("ACC-3")
class RecipientIgnoresCase(Chat):
    """Sends to an account whose name differs in case from the recipient's."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        wanted = frame.fields[1]
        for name in self.accounts:
            if wanted not in self.accounts and name.lower() == wanted.lower():
                data = frame.data.replace(wanted.encode(), name.encode())
                return super().send(session, frame._replace(data=data))
        return super().send(session, frame)


class NamesRefused(Chat):
    """A chat that does not take certain usernames."""

    refused = re.compile("")

    def valid_name(self, name: str) -> bool:
        return super().valid_name(name) and not self.refused.fullmatch(name)


@breaks("ACC-4")
class NamesQuotedAsTheyAre(Chat):
    """Quotes a username that it refuses, of whatever length."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        name = frame.fields[0]
        if not session.account and not self.valid_name(name):
            return [(session, error(f"this is no username: {name}"))]
        return super().create(session, frame)


@breaks("ACC-4")
class NamesOf32Refused(NamesRefused):
    """Takes usernames of less than 32 characters."""

    refused = re.compile(".{32,}")


@breaks("ACC-4")
class NamesOfOneRefused(NamesRefused):
    """Refuses usernames of one character."""

    refused = re.compile(".")


@breaks("ACC-4")
class NamesOfDigitsRefused(NamesRefused):
    """Refuses usernames that begin with a digit."""

    refused = re.compile("[0-9].*")


@breaks("ACC-4")
class NamesOfObjectsRefused(NamesRefused):
    """Refuses what every object of JavaScript has a property for."""

    refused = re.compile("constructor|toString|valueOf|hasOwnProperty|isPrototypeOf")


@breaks("ACC-4")
class NamesOfNothingRefused(NamesRefused):
    """Takes certain usernames for nothing."""

    refused = re.compile("0|null|None|nil|undefined|false|NaN")


@breaks("ACC-4")
class NamesReserved(NamesRefused):
    """Keeps certain usernames for itself."""

    refused = re.compile("(?i:admin|root|server|system|all)")


@breaks("ACC-4")
class NamesWithLetterZRefused(NamesRefused):
    """Takes letters from A up to, but not including, Z."""

    refused = re.compile(".*[Zz].*")


class NamesEqual(Chat):
    """A chat for which different usernames can be the same."""

    def same(self, name: str) -> str:
        raise NotImplementedError

    def create(self, session: Session, frame: Frame) -> Outbox:
        same = {self.same(name) for name in self.accounts}
        if not session.account and self.same(frame.fields[0]) in same:
            return [(session, error("this username is taken"))]
        return super().create(session, frame)


@breaks("ACC-4")
class NamesOf16Compared(NamesEqual):
    """Compares the first 16 characters of usernames."""

    def same(self, name: str) -> str:
        return name[:16]


@breaks("ACC-4")
class NamesOf31Compared(NamesEqual):
    """Compares the first 31 characters of usernames (a buffer of 32, with its NUL)."""

    def same(self, name: str) -> str:
        return name[:31]


@breaks("LIM-3")
class NamesOfOneSumEqual(NamesEqual):
    """Compares checksums of 16 bits: of a thousand usernames some are the same."""

    def same(self, name: str) -> str:
        return f"{crc32(name.encode()) % 65_521}"


@breaks("ACC-4")
class NamesComparedAsNumbers(NamesEqual):
    """Compares usernames of digits as numbers: 007 is 7."""

    def same(self, name: str) -> str:
        return str(int(name)) if name.isdecimal() else name


@breaks("ACC-4")
class NamesRefusedAsFormats(Chat):
    """Puts a name that it refuses into a format, and says nothing if that is none."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        replies = super().create(session, frame)
        return [] if "%" in frame.fields[0] else replies


@breaks("ACC-4")
class NameOfPrototypeNotListed(Chat):
    """Takes the username __proto__, and doesn't find it where it lists all it has."""

    def valid_name(self, name: str) -> bool:
        return super().valid_name(name) or name == "__proto__"

    def matching(self, pattern: str) -> Iterable[str]:
        return (n for n in super().matching(pattern) if n != "__proto__")


# ACC-5, ACC-6: what is no username.


@breaks("ACC-5")
class NamesWithBarTaken(Chat):
    """Takes every username."""

    def valid_name(self, name: str) -> bool:
        return True


@breaks("ACC-5")
class LastBarOfNameDropped(Chat):
    """Makes an account of a username that ends in a bar, without the bar."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        name = frame.data.rstrip(b"|") or frame.data
        return super().create(session, frame._replace(data=name))


@breaks("ACC-5")
class NamesLineByLine(Chat):
    """Takes usernames of which one line is a username (a pattern's multiline flag)."""

    def valid_name(self, name: str) -> bool:
        return any(map(super().valid_name, name.split("\n")))


@breaks("ACC-6")
class NamesWithStarTaken(Chat):
    """Takes usernames with stars."""

    def valid_name(self, name: str) -> bool:
        return super().valid_name(name.replace("*", "x"))


@breaks("ACC-6")
class NamesWithControlsTaken(Chat):
    """Takes usernames with control characters."""

    def valid_name(self, name: str) -> bool:
        return super().valid_name(re.sub("[\x00-\x1f\x7f]", "x", name))


@breaks("ACC-6")
class NamesWithDeleteTaken(Chat):
    """Takes usernames with DEL."""

    def valid_name(self, name: str) -> bool:
        return super().valid_name(name.replace("\x7f", "x"))


@breaks("ACC-6")
class NamesWithNewlineTaken(Chat):
    """Takes usernames with a newline at the end ($ matches before it)."""

    def valid_name(self, name: str) -> bool:
        return super().valid_name(name.removesuffix("\n"))


@breaks("ACC-6")
class NamesTrimmed(Chat):
    """Makes an account of a username without the white space around it."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        return super().create(session, frame._replace(data=frame.data.strip()))


@breaks("ACC-6")
class NamesEndAtNul(Chat):
    """Makes an account of what comes before a NUL."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        name = frame.data.partition(b"\0")[0]
        return super().create(session, frame._replace(data=name or frame.data))
