"""Faults that show at one size alone, or where there is much of something."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from tests.faults.dlv import Releasing
from tests.faults.lim import Ring
from tests.faults.lst import Listing
from tests.faults.registry import breaks
from tests.faults.snd_messages import Altering
from tests.faults.states import TwelveRefusalsEnd
from tests.parts import (
    Account,
    Chat,
    Connection,
    Frame,
    Malformed,
    Message,
    Outbox,
    Server,
    Session,
    Steps,
    error,
    is_error,
    messages,
)
from tests.variants.answers import ToldBeforeTheData
from wirechat.codec import HEADER_SIZE

# FRM-3, FRM-7: buffers and lengths.


@breaks("FRM-3")
class FullBufferWaits(Steps):
    """Waits for more where a frame has filled a buffer of 4,096 octets."""

    def whole(self, length: int) -> bool:
        return super().whole(length) and len(self.buffer) != 4096


@breaks("FRM-7")
class LengthWithoutOneOctet(Steps):
    """Reads the length in five numbers of 8 octets, the third without its first."""

    def length(self, octets: bytes) -> int:
        return super().length(octets[:16] + b"\0" + octets[17:])


# SND-9: messages of a size, and of a kind.


@breaks("SND-9")
class TextOf1024Cut(Altering):
    """Cuts the last octet from messages of exactly 1,024 octets."""

    def text(self, text: bytes) -> bytes:
        return text[:1023] if len(text) == 1024 else text


@breaks("SND-9")
class FrameOf8192Cut(Altering):
    """Cuts the last octet from messages whose frame has exactly 8,192 octets."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        self.size = HEADER_SIZE + len(frame.data)
        return super().send(session, frame)

    def text(self, text: bytes) -> bytes:
        return text[:-1] if self.size == 8192 else text


@breaks("SND-9")
class TextUnquoted(Altering):
    """Makes an octet of % and two hexadecimal digits."""

    def text(self, text: bytes) -> bytes:
        return unquote_to_bytes(text)


@breaks("SND-9")
class RowsMadeShorter(Altering):
    """Makes two newlines of three or more."""

    def text(self, text: bytes) -> bytes:
        return text.replace(b"\n\n\n", b"\n\n")


@breaks("SND-8")
class WordsEndTheSession(Chat):
    """Takes the message "quit" for a command."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        if frame.data.endswith(b"|||quit"):
            return [(session, error("bye"))]
        return super().send(session, frame)


# LST-1, DLV-1, LIM-3: a thousand, and what comes behind.


@breaks("LST-1")
class ListedUpTo1000(Listing):
    """Lists the first 1,000 accounts."""

    def listed(self, session: Session, names: list[str]) -> list[str]:
        return names[:1000]


@breaks("DLV-1")
class ThousandADeliver(Releasing):
    """Delivers 1,000 messages, and keeps the others."""

    def released(self, account: Account, messages: list[Message]) -> list[Message]:
        self.keep(messages[1000:])
        return messages[:1000]


@breaks("LIM-3")
class KeptInRingOf1000(Ring):
    """Keeps the thousand newest messages, and forgets others that it has echoed."""

    size = 1000


@breaks("SND-12")
class KeptInRingOf2000(Ring):
    """Keeps the two thousand newest messages, and forgets others that it has echoed."""

    size = 2000


@breaks("LIM-3")
class KeptCountedForEver(Chat):
    """Keeps a thousand messages for an account, those delivered counted."""

    def __init__(self) -> None:
        super().__init__()
        self.ever: Counter[str] = Counter()

    def keep(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.ever[message.recipient.name] += 1
            super().keep([message])

    def full(self, account: Account) -> bool:
        return self.ever[account.name] >= 1000


# FRM-9, SND-12: much that is on its way.


@breaks("FRM-9")
class HalfCloseDropsUnsent(Server):
    """Closes behind the requests of a client that has half closed, sent or unsent."""

    def end(self, connection: Connection) -> None:
        with self.lock:
            connection.take_unsent()
        super().end(connection)


@breaks("SND-12")
class CutOffKeepsAll(Server):
    """Keeps for a recipient that it cuts off what it has sent to it before, too."""

    def __init__(self, port: int) -> None:
        super().__init__(port=port, max_queue=142_000)
        self.sent: defaultdict[Session, list[bytes]] = defaultdict(list)

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        if live:
            self.sent[session] += frames
        super().send(session, frames, live)

    def cut_off(self, connection: Connection) -> None:
        connection.take_unsent()
        sent = self.sent.pop(connection.session, [])
        self.chat.keep(messages(self.chat, connection.session, sent))
        super().cut_off(connection)


@breaks("SND-1")
class LiveCountedForEver(Chat):
    """Keeps what is live once a session has been sent a mebibyte, read or unread."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: Counter[Session] = Counter()

    def send(self, session: Session, frame: Frame) -> Outbox:
        account = self.accounts.get(frame.fields[1])
        to = account.session if account else None
        if not account or not to or self.sent[to] < 2**20:
            replies = super().send(session, frame)
            if to and not is_error(replies[0][1]):
                self.sent[to] += len(frame.data)
            return replies
        account.session = None
        try:
            return super().send(session, frame)
        finally:
            account.session = to


# A thousand times, or twenty.


@breaks("ACC-9")
class ThousandRefusalsEnd(TwelveRefusalsEnd):
    """Closes a connection on which a thousand requests were refused."""

    most = 1000


@breaks("ACC-8")
class TwentySessionsAnAccount(Chat):
    """Refuses LOGIN to an account that has had twenty sessions."""

    def __init__(self) -> None:
        super().__init__()
        self.entered: Counter[Account] = Counter()

    def login(self, session: Session, frame: Frame) -> Outbox:
        account = self.accounts.get(frame.fields[0])
        if account and not session.account and self.entered[account] >= 20:
            return [(session, error("this account was used too often"))]
        return super().login(session, frame)

    def enter(self, session: Session, account: Account) -> Outbox:
        self.entered[account] += 1
        return super().enter(session, account)


@breaks("DLV-1")
class NoMoreThan1024AtOnce(Releasing):
    """Loses what is more than the system sends with one call (IOV_MAX)."""

    def released(self, account: Account, messages: list[Message]) -> list[Message]:
        return messages[:1024]


@breaks("DLV-1")
class KeptCountedInAnOctet(Releasing):
    """Delivers nothing where it has counted to 256, which is 0."""

    def released(self, account: Account, messages: list[Message]) -> list[Message]:
        return messages if len(messages) % 256 else []


@breaks("LST-1")
class FilteredUpTo500(Chat):
    """Names the first 500 that match a filter."""

    def matching(self, pattern: str) -> Iterable[str]:
        return list(super().matching(pattern))[:500]


@breaks("ACC-13")
class DeleteLosesNeighbours(Chat):
    """Removes with an account those behind it in its place of a hash table."""

    def delete(self, session: Session, frame: Frame) -> Outbox:
        name = session.account.name if session.account else ""
        place = hash(name) % 4096
        others = [n for n in self.accounts if hash(n) % 4096 == place and n != name]
        replies = super().delete(session, frame)
        for other in others:
            if not self.accounts[other].session:
                del self.accounts[other]
        return replies


@breaks("ACC-13")
class FewerPlacesLoseAccounts(Chat):
    """Loses what is beyond half its table when that shrinks behind many a DELETE."""

    most = 0

    def delete(self, session: Session, frame: Frame) -> Outbox:
        self.most = max(self.most, len(self.accounts))
        replies = super().delete(session, frame)
        if self.most > 256 and len(self.accounts) < self.most // 4:
            self.most //= 2
            offline = [name for name, a in self.accounts.items() if not a.session]
            for name in offline[::2]:
                del self.accounts[name]
        return replies


@breaks("FRM-10")
class ResetsAreNotCounted(Server):
    """Has room for 1,090 connections, and gives none back that was reset."""

    slots = 1090

    def __init__(self, port: int) -> None:
        super().__init__(port=port, max_connections=self.slots)

    def end(self, connection: Connection) -> None:
        try:
            connection._socket.getpeername()
        except OSError:
            self.max_connections -= 1
        super().end(connection)


@breaks("FRM-10")
class ResetsAreNotCountedIn256(ResetsAreNotCounted):
    """Has room for 256 connections, and gives none back that was reset."""

    slots = 256


@breaks("ACC-4")
class NamesCountedInAnOctet(Chat):
    """Makes of a username as many characters as an octet says."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        name = frame.data[: len(frame.data) % 256] or frame.data
        return super().create(session, frame._replace(data=name))


@breaks("DAT-2")
class WholeWordsChecked(Steps):
    """Looks for octets above 0x7F eight at a time, and at none that are over."""

    def ascii(self, data: bytes) -> bool:
        return data[: len(data) & ~7].isascii()


@breaks("DAT-3")
class FieldsCountedInAnOctet(Steps):
    """Takes 257 fields for one."""

    def fields(self, command: int, data: bytes) -> list[str]:
        found = super().fields(command, data)
        return found[: len(found) % 256]


@breaks("DAT-3")
class NoMoreThanEightFieldsCounted(Steps):
    """Takes the first of more than eight fields."""

    def fields(self, command: int, data: bytes) -> list[str]:
        found = super().fields(command, data)
        return found if len(found) <= 8 else found[:1]


@breaks("SND-5")
class SenderTrustedAfterAThousand(Chat):
    """Looks at the sender of a connection's first thousand messages."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: Counter[Session] = Counter()

    def send(self, session: Session, frame: Frame) -> Outbox:
        self.sent[session] += 1
        account = session.account
        if account and self.sent[session] > 1000:
            _, *others = frame.fields
            data = "|||".join([account.name, *others]).encode()
            return super().send(session, frame._replace(data=data))
        return super().send(session, frame)


@breaks("FRM-12")
class SkipsNoMoreThan65535(ToldBeforeTheData):
    """Counts in two octets how much is to be skipped."""

    def next(self) -> Frame | Malformed | None:
        found = super().next()
        self.skipping %= 65536
        return found


@breaks("SND-7")
class LongToOneselfOnce(Chat):
    """Gives one copy of a message to oneself that has more than 32,768 octets."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        once = len(frame.data) > 32768 and all(to is session for to, _ in replies)
        return replies[-1:] if once else replies


@breaks("SND-2")
class EchoOfThe257thMissing(Chat):
    """Sends no echo for one message of a connection, behind 256 others."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: Counter[Session] = Counter()

    def send(self, session: Session, frame: Frame) -> Outbox:
        self.sent[session] += 1
        replies = super().send(session, frame)
        return replies[:-1] if self.sent[session] == 257 else replies


@breaks("SND-7")
class ToOneselfOnceWhileKept(Chat):
    """Gives one copy of a message to oneself while others are kept."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        own = all(to is session for to, _ in replies)
        kept = session.account and session.account.kept
        return replies[-1:] if own and kept else replies


@breaks("LIM-2")
class SessionsUpTo256(Chat):
    """Has room for 256 sessions, however many connections there are."""

    online = 0

    def enter(self, session: Session, account: Account) -> Outbox:
        self.online += 1
        return super().enter(session, account)

    def leave(self, session: Session) -> None:
        self.online -= bool(session.account)
        super().leave(session)

    def create(self, session: Session, frame: Frame) -> Outbox:
        if self.online >= 256 and not session.account:
            return [(session, error("too many are here"))]
        return super().create(session, frame)


@breaks("SND-1")
class DescriptorsInAnOctet(Server):
    """Keeps a session's descriptor in an octet: from 256 on messages go elsewhere."""

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        descriptor = self.connections[session]._socket.fileno()
        if live and descriptor > 255:
            for other, connection in self.connections.items():
                if connection._socket.fileno() == descriptor % 256:
                    super().send(other, frames, live)
                    return
        super().send(session, frames, live)


@breaks("LIM-3")
class KeptFrom32Senders(Chat):
    """Keeps messages of no more than 32 senders for an account."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        recipient = self.accounts.get(frame.fields[1])
        own = session.account and session.account.name == frame.fields[0]
        if own and recipient and not recipient.session:
            senders = {m[HEADER_SIZE:].split(b"|||")[0] for m in recipient.kept}
            if len(senders | {frame.fields[0].encode()}) > 32:
                return [(session, error("too many have written"))]
        return super().send(session, frame)


class SessionsCounted(Chat):
    """A chat that counts sessions in an octet, by something."""

    def __init__(self) -> None:
        super().__init__()
        self.had: Counter[object] = Counter()

    def enter(self, session: Session, account: Account) -> Outbox:
        self.had[self.key(session, account)] += 1
        return super().enter(session, account)

    def key(self, session: Session, account: Account) -> object:
        raise NotImplementedError


@breaks("ACC-1")
class SessionsOfAConnectionInAnOctet(SessionsCounted):
    """Refuses CREATE on a connection that has had 255 sessions."""

    def key(self, session: Session, account: Account) -> object:
        return session

    def create(self, session: Session, frame: Frame) -> Outbox:
        if self.had[session] >= 255 and not session.account:
            return [(session, error("enough"))]
        return super().create(session, frame)


@breaks("ACC-8")
class SessionsOfAnAccountInAnOctet(SessionsCounted):
    """Refuses LOGIN to an account that has had 255 sessions."""

    def key(self, session: Session, account: Account) -> object:
        return account

    def login(self, session: Session, frame: Frame) -> Outbox:
        account = self.accounts.get(frame.fields[0])
        if account and self.had[account] >= 255 and not session.account:
            return [(session, error("enough"))]
        return super().login(session, frame)


@breaks("ACC-2")
class CreateOverAGrave(Chat):
    """Makes an account in a place that is free again, though its name is behind it."""

    size = 2048  # places of a hash table with open addresses

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str | None] = [None] * self.size

    def row(self, name: str) -> list[int]:
        first = sum(c * 31**at for at, c in enumerate(name.encode()))
        return [(first + at) % self.size for at in range(self.size)]

    def create(self, session: Session, frame: Frame) -> Outbox:
        (name,) = frame.fields
        if session.account or not self.valid_name(name):
            return super().create(session, frame)
        at = next(a for a in self.row(name) if self.places[a] in (None, "", name))
        if self.places[at] != name:
            self.accounts.pop(name, None)
            self.places[at] = name
        return super().create(session, frame)

    def delete(self, session: Session, frame: Frame) -> Outbox:
        name = session.account.name if session.account else None
        if name in self.places:
            self.places[self.places.index(name)] = ""
        return super().delete(session, frame)
