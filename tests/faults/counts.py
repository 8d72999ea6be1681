"""Faults that show at one size alone, or where there is much of something."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from tests.faults.dlv import Releasing
from tests.faults.lim import Ring
from tests.faults.lst import Listing
from tests.faults.registry import breaks
from tests.faults.snd_messages import Altering
from tests.parts import (
    Account,
    Chat,
    Connection,
    Frame,
    Message,
    Outbox,
    Server,
    Session,
    Steps,
    error,
    messages,
)
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
