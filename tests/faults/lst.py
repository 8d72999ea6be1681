"""Faults in listing."""

import re
from collections.abc import Iterable

from tests.faults.registry import breaks
from tests.parts import SUCCESS, Chat, Frame, Outbox, Session, error
from wirechat.codec import HEADER_SIZE, Command, encode_data


def listing(names: Iterable[str]) -> bytes:
    """Return a LISTRESPONSE with these names."""
    return encode_data(Command.LISTRESPONSE, "|||".join(names).encode())


class Listing(Chat):
    """A chat that answers LIST in a way of its own."""

    def list_names(self, session: Session, frame: Frame) -> Outbox:
        data = super().list_names(session, frame)[0][1][HEADER_SIZE:]
        names = data.decode().split("|||") if data else []
        return self.answer(session, names)

    def answer(self, session: Session, names: list[str]) -> Outbox:
        return [(session, listing(self.listed(session, names)))]

    def listed(self, session: Session, names: list[str]) -> list[str]:
        raise NotImplementedError


# LST-1: every account, once.


@breaks("LST-1")
class OnlineListedTwice(Listing):
    """Lists accounts, and then those that are online."""

    def listed(self, session: Session, names: list[str]) -> list[str]:
        return names + [name for name in names if self.accounts[name].session]


@breaks("LST-1")
class OnlineListedAlone(Listing):
    """Lists the accounts that are online."""

    def listed(self, session: Session, names: list[str]) -> list[str]:
        return [name for name in names if self.accounts[name].session]


@breaks("LST-1")
class OneselfNotListed(Listing):
    """Lists all but who asks."""

    def listed(self, session: Session, names: list[str]) -> list[str]:
        own = session.account.name if session.account else None
        return [name for name in names if name != own]


@breaks("LST-1")
class ListedUpTo64KiB(Listing):
    """Lists no more names than fit into 65,536 octets."""

    def listed(self, session: Session, names: list[str]) -> list[str]:
        while len("|||".join(names)) > 65536:
            names = names[:-1]
        return names


@breaks("LST-1")
class ListedUpTo4KiB(Listing):
    """Lists no more names than fit into 4,096 octets."""

    def listed(self, session: Session, names: list[str]) -> list[str]:
        while len("|||".join(names)) > 4096:
            names = names[:-1]
        return names


@breaks("LST-1")
class ListedUpTo100(Listing):
    """Lists the first 100 accounts."""

    def listed(self, session: Session, names: list[str]) -> list[str]:
        return names[:100]


@breaks("LST-1")
class ListedOnceACase(Listing):
    """Lists one of several names that differ in case alone."""

    def listed(self, session: Session, names: list[str]) -> list[str]:
        return [*{name.lower(): name for name in names}.values()]


@breaks("LST-1")
class ListedInTwoFrames(Listing):
    """Answers with two frames where there are many names."""

    def answer(self, session: Session, names: list[str]) -> Outbox:
        half = len(names) // 2 if len(names) > 3 else 0
        frames = [names[:half], names[half:]] if half else [names]
        return [(session, listing(some)) for some in frames]


@breaks("LST-1")
class ListedFromMemory(Listing):
    """Gives the answer that it gave a moment ago, as long as the number is the same."""

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[int, list[str]] = {}

    def listed(self, session: Session, names: list[str]) -> list[str]:
        return self.last.setdefault(len(self.accounts), names)


@breaks("LST-1")
class ListedWithSeparatorAtEnd(Listing):
    """Writes a separator behind each name, not between them."""

    def listed(self, session: Session, names: list[str]) -> list[str]:
        return [*names, ""] if names else []


# LST-2: filters.


class Matching(Chat):
    """A chat with filters of its own."""

    def matching(self, pattern: str) -> Iterable[str]:
        return [name for name in self.accounts if self.matches(pattern, name)]

    def matches(self, pattern: str, name: str) -> bool:
        raise NotImplementedError

    def stars(self, pattern: str) -> str:
        """Return a filter as a regular expression."""
        return "(?s:.*)".join(map(re.escape, pattern.split("*")))


@breaks("LST-2")
class MatchesPrefix(Matching):
    """Matches a filter with the beginning of a name."""

    def matches(self, pattern: str, name: str) -> bool:
        return bool(re.match(self.stars(pattern), name))


@breaks("LST-2")
class MatchesAnywhere(Matching):
    """Looks for the filter anywhere in a name."""

    def matches(self, pattern: str, name: str) -> bool:
        return bool(re.search(self.stars(pattern), name))


@breaks("LST-2")
class MatchesInAnyCase(Matching):
    """Matches letters of either case."""

    def matches(self, pattern: str, name: str) -> bool:
        return bool(re.fullmatch(self.stars(pattern), name, re.IGNORECASE))


@breaks("LST-2")
class MatchesRegularExpression(Matching):
    """Makes a regular expression of a filter, and escapes nothing."""

    def matches(self, pattern: str, name: str) -> bool:
        try:
            return bool(re.fullmatch(pattern.replace("*", ".*"), name))
        except re.error:
            return False


@breaks("LST-2")
class MatchesDotAsAny(Matching):
    """Escapes what is special in regular expressions, but for the dot."""

    def matches(self, pattern: str, name: str) -> bool:
        return bool(re.fullmatch(self.stars(pattern).replace("\\.", "."), name))


@breaks("LST-2")
class MatchesBeforeNewline(Matching):
    """Ends the regular expression with $, which stands before a newline too."""

    def matches(self, pattern: str, name: str) -> bool:
        pattern = pattern.removesuffix("\n")
        return bool(re.match(self.stars(pattern) + "$", name))


@breaks("LST-2")
class MatchesLikeSql(Matching):
    """Knows % and _ as SQL's LIKE does."""

    def matches(self, pattern: str, name: str) -> bool:
        like = self.stars(pattern).replace("%", ".*").replace("_", ".")
        return bool(re.fullmatch(like, name))


@breaks("LST-2")
class MatchesPlusNotStar(Matching):
    """Wants at least one character for a star."""

    def matches(self, pattern: str, name: str) -> bool:
        return bool(re.fullmatch(self.stars(pattern).replace(".*", ".+"), name))


@breaks("LST-2")
class MatchesOneCharacterForStar(Matching):
    """Takes a star for a single character, unless it stands at an end."""

    def matches(self, pattern: str, name: str) -> bool:
        inner = pattern.strip("*").replace("*", "\0")
        pattern = pattern.replace(pattern.strip("*"), inner) if inner else pattern
        return bool(re.fullmatch(self.stars(pattern).replace("\\\0", "."), name))


@breaks("LST-2")
class MatchesStarAtEndsOnly(Matching):
    """Knows stars at the beginning and the end of a filter alone."""

    def matches(self, pattern: str, name: str) -> bool:
        inner = pattern.strip("*")
        if pattern.startswith("*") and pattern.endswith("*"):
            return inner in name
        if pattern.startswith("*"):
            return name.endswith(inner)
        return name.startswith(inner) if pattern.endswith("*") else name == pattern


@breaks("LST-2")
class MatchesOneStar(Matching):
    """Knows the first star of a filter alone."""

    def matches(self, pattern: str, name: str) -> bool:
        head, star, tail = pattern.partition("*")
        if not star or head == name == pattern:
            return name == pattern
        return name.startswith(head) and name.endswith(tail)


@breaks("LST-2")
class MatchesWithoutGoingBack(Matching):
    """Ends a star's run at the first character that fits what follows."""

    def matches(self, pattern: str, name: str) -> bool:
        at = 0
        for number, piece in enumerate(pattern.split("*")):
            found = name.find(piece, at)
            if found < 0 or (number == 0 and found):
                return False
            at = found + len(piece)
        return at == len(name) or pattern.endswith("*")


@breaks("LST-2")
class MatchesOverlapping(Matching):
    """Lets head and tail of a filter overlap."""

    def matches(self, pattern: str, name: str) -> bool:
        head, *middle, tail = pattern.split("*") if "*" in pattern else (pattern, "")
        if "*" not in pattern:
            return name == pattern
        ends = name.startswith(head) and name.endswith(tail)
        return ends and all(piece in name for piece in middle)


@breaks("LST-2")
class MatchesOutOfOrder(Matching):
    """Looks for the pieces between stars anywhere between head and tail."""

    def matches(self, pattern: str, name: str) -> bool:
        head, *middle, tail = pattern.split("*") if "*" in pattern else (pattern, "")
        if "*" not in pattern:
            return name == pattern
        if len(name) < len(head) + len(tail):
            return False
        inner = name[len(head) : len(name) - len(tail)]
        ends = name.startswith(head) and name.endswith(tail)
        return ends and all(piece in inner for piece in middle)


class Pieces(Matching):
    """Takes a filter's pieces between stars one after another, but with a slip."""

    overlap = 0
    """Characters of a piece in which the next one may begin already."""

    def matches(self, pattern: str, name: str) -> bool:
        head, *middle, tail = pattern.split("*") if "*" in pattern else (pattern, "")
        if "*" not in pattern:
            return name == pattern
        at, end = len(head), len(name) - len(tail)
        if at > end or not (name.startswith(head) and name.endswith(tail)):
            return False
        for piece in filter(None, middle):
            found = name.find(piece, at, self.bound(end, name))
            if found < 0:
                return False
            at = found + max(1, len(piece) - self.overlap)
        return True

    def bound(self, end: int, name: str) -> int:
        return end


@breaks("LST-2")
class MatchesPieceInTail(Pieces):
    """Lets the last piece between two stars reach into what must follow it."""

    def bound(self, end: int, name: str) -> int:
        return len(name)


@breaks("LST-2")
class MatchesPiecesThatOverlap(Pieces):
    """Looks for the next piece from the last character of the one before."""

    overlap = 1


@breaks("LST-2")
class MatchesTrimmed(Chat):
    """Trims white space from filters."""

    def matching(self, pattern: str) -> Iterable[str]:
        return super().matching(pattern.strip())


@breaks("LST-2")
class MatchesUpToNul(Chat):
    """Ends a filter at a NUL."""

    def matching(self, pattern: str) -> Iterable[str]:
        return super().matching(pattern.partition("\0")[0])


@breaks("LST-2")
class MatchesWithEscapes(Chat):
    """Takes a backslash away from what follows it."""

    def matching(self, pattern: str) -> Iterable[str]:
        return super().matching(re.sub(r"\\(.)", r"\1", pattern))


@breaks("LST-2")
class MatchesNegation(Chat):
    """Lists what a filter behind "!" does not match."""

    def matching(self, pattern: str) -> Iterable[str]:
        if not pattern.startswith("!"):
            return super().matching(pattern)
        matched = {*super().matching(pattern[1:])}
        return [name for name in self.accounts if name not in matched]


@breaks("LST-2")
class MatchesAlternatives(Chat):
    """Lists by each of several filters with commas between."""

    def matching(self, pattern: str) -> Iterable[str]:
        matching = super().matching  # no super() inside of what comes: before 3.12
        return dict.fromkeys(n for one in pattern.split(",") for n in matching(one))


@breaks("LST-2")
class MatchesExtendedGlobs(Chat):
    """Takes @(x) and +(x) for x, as bash does, and ksh."""

    def matching(self, pattern: str) -> Iterable[str]:
        return super().matching(re.sub(r"[@+]\((.*)\)", r"\1", pattern))


@breaks("LST-2")
class MatchesNoDotInFront(Chat):
    """Lets no star stand for a dot in front of a name, as shells do."""

    def matching(self, pattern: str) -> Iterable[str]:
        names = super().matching(pattern)
        return [n for n in names if not n.startswith(".") or pattern.startswith(".")]


@breaks("LST-2")
class MatchesNoSlash(Chat):
    """Takes slashes in usernames, and lets no star stand for one (as in paths)."""

    def valid_name(self, name: str) -> bool:
        return super().valid_name(name.replace("/", "-"))

    def matching(self, pattern: str) -> Iterable[str]:
        return [
            n for n in super().matching(pattern) if n.count("/") <= pattern.count("/")
        ]


@breaks("LST-2")
class MatchesFromPrefixToZ(Chat):
    """Searches an ordered list for a prefix, up to that with a "z" behind it."""

    def matching(self, pattern: str) -> Iterable[str]:
        names = super().matching(pattern)
        prefix, star, rest = pattern.partition("*")
        if not (prefix and star) or rest:
            return names
        return [name for name in names if name < prefix + "z"]


@breaks("LST-2")
class MatchesUpTo255(Chat):
    """Looks at the first 255 characters of a filter."""

    def matching(self, pattern: str) -> Iterable[str]:
        return super().matching(pattern[:255])


@breaks("LST-2")
class MatchesOnlineAlone(Chat):
    """Lists, with a filter, the accounts that are online."""

    def matching(self, pattern: str) -> Iterable[str]:
        return [n for n in super().matching(pattern) if self.accounts[n].session]


# LST-3, LST-4: no match, no session.


@breaks("LST-3")
class NoMatchIsAnError(Chat):
    """Answers with an error reply where nothing matches."""

    def list_names(self, session: Session, frame: Frame) -> Outbox:
        replies = super().list_names(session, frame)
        empty = len(replies[0][1]) == HEADER_SIZE
        return [(session, error("no such account"))] if empty else replies


@breaks("LST-3")
class NoMatchUnanswered(Chat):
    """Does not answer where nothing matches."""

    def list_names(self, session: Session, frame: Frame) -> Outbox:
        replies = super().list_names(session, frame)
        return [r for r in replies if len(r[1]) > HEADER_SIZE]


@breaks("LST-3")
class NoMatchIsSuccess(Chat):
    """Answers with an empty RESPONSE where nothing matches."""

    def list_names(self, session: Session, frame: Frame) -> Outbox:
        replies = super().list_names(session, frame)
        empty = len(replies[0][1]) == HEADER_SIZE
        return [(session, SUCCESS)] if empty else replies


@breaks("LST-4")
class ListNeedsSession(Chat):
    """Refuses LIST without a session."""

    def list_names(self, session: Session, frame: Frame) -> Outbox:
        if not session.account:
            return [(session, error("log in first"))]
        return super().list_names(session, frame)


@breaks("LST-4")
class ListWithoutSessionIsEmpty(Listing):
    """Lists nobody without a session."""

    def listed(self, session: Session, names: list[str]) -> list[str]:
        return names if session.account else []


# LST-6: filters that take long.


@breaks("LST-6")
class MatchesWithRegularExpression(Matching):
    """Makes a regular expression of a filter, with a run for each star."""

    def matches(self, pattern: str, name: str) -> bool:
        return bool(re.fullmatch(self.stars(pattern), name))


@breaks("LST-6")
class MatchesByTrying(Matching):
    """Tries all lengths for each star."""

    def matches(self, pattern: str, name: str) -> bool:
        if not pattern or not name:
            return not pattern.strip("*") and not name
        if pattern[0] == "*":
            return self.matches(pattern[1:], name) or self.matches(pattern, name[1:])
        return pattern[0] == name[0] and self.matches(pattern[1:], name[1:])


@breaks("LST-2")
class FiveStarsAtMost(Chat):
    """Matches nobody where a filter has more than five asterisks."""

    def matching(self, pattern: str) -> Iterable[str]:
        return super().matching(pattern) if pattern.count("*") <= 5 else []


@breaks("LST-2")
class NamesSearchedFor20(Chat):
    """Goes back no more than twenty times to look for what is behind an asterisk."""

    def matching(self, pattern: str) -> Iterable[str]:
        ends = pattern.rpartition("*")
        return [
            name
            for name in super().matching(pattern)
            if len(name) - len(ends[0]) - len(ends[2]) < 20 or not ends[2]
        ]


class Remembering(Chat):
    """A chat that looks once for what a filter names."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {}

    def matching(self, pattern: str) -> Iterable[str]:
        if pattern not in self.found:
            self.found[pattern] = list(super().matching(pattern))
        return self.found[pattern]


@breaks("LST-2")
class AnswersRemembered(Remembering):
    """Remembers what filters name, whoever is deleted or made."""


@breaks("LST-3")
class AnswersRememberedUntilCreate(Remembering):
    """Remembers what filters name until an account is made."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        self.found.clear()
        return super().create(session, frame)


@breaks("LST-1")
class ListedWithNothingKept(Listing):
    """Does not list accounts for which messages are kept."""

    def listed(self, session: Session, names: list[str]) -> list[str]:
        return [name for name in names if not self.accounts[name].kept]


@breaks("LST-2")
class OwnNewAccountNotListed(Listing):
    """Does not list to a connection its own account, once it has deleted another."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted: set[Session] = set()

    def delete(self, session: Session, frame: Frame) -> Outbox:
        self.deleted.add(session)
        return super().delete(session, frame)

    def listed(self, session: Session, names: list[str]) -> list[str]:
        own = session.account.name if session.account else None
        return [n for n in names if n != own or session not in self.deleted]


@breaks("LST-2")
class EightPiecesAtMost(Chat):
    """Matches nobody where a filter has more than eight pieces between asterisks."""

    def matching(self, pattern: str) -> Iterable[str]:
        many = sum(map(bool, pattern.split("*"))) > 8
        return [] if many else super().matching(pattern)


@breaks("LST-2")
class FilterUpTo8192(Chat):
    """Looks at the first 8,192 octets of a filter."""

    def matching(self, pattern: str) -> Iterable[str]:
        return super().matching(pattern[:8192])


class ListsCut(Chat):
    """A chat in which lists of certain sizes are not whole."""

    def list_names(self, session: Session, frame: Frame) -> Outbox:
        ((to, reply),) = super().list_names(session, frame)
        names = self.cut(reply[HEADER_SIZE:])
        return [(to, encode_data(Command.LISTRESPONSE, names))]

    def cut(self, names: bytes) -> bytes:
        raise NotImplementedError


@breaks("LST-2")
class ListOf1024Cut(ListsCut):
    """Cuts the last octet from a list of exactly 1,024."""

    def cut(self, names: bytes) -> bytes:
        return names[:-1] if len(names) == 1024 else names


@breaks("LST-2")
class ListOf256Empty(ListsCut):
    """Looks at one octet of a list's length, to see whether it is empty."""

    def cut(self, names: bytes) -> bytes:
        return names if len(names) % 256 else b""
