"""Faults in what becomes of a message: its octets, its order, its one delivery."""

import html
import re
import select
import socket
from collections.abc import Iterable
from threading import Timer, current_thread

from tests.faults.registry import breaks
from tests.parts import (
    Chat,
    Connection,
    Frame,
    Items,
    Loop,
    Malformed,
    Message,
    Outbox,
    Server,
    Session,
    Steps,
    Unlocked,
    altered,
    error,
    messages,
)
from tests.variants.answers import ExtraFieldsDelivered
from wirechat.codec import HEADER_SIZE, Command, encode_data


class Altering(Chat):
    """A chat that alters messages, the echo and the delivery alike."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        *names, text = frame.data.split(b"|||")
        data = b"|||".join([*names, self.text(text)])
        return super().send(session, frame._replace(data=data))

    def text(self, text: bytes) -> bytes:
        raise NotImplementedError


# SND-8: any characters.


@breaks("SND-8")
class EmptyMessageRefused(Chat):
    """Refuses empty messages."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        if frame.data.endswith(b"|||"):
            return [(session, error("nothing to send"))]
        return super().send(session, frame)


@breaks("SND-8")
class FrameAsMessageRefused(Chat):
    """Refuses a message that begins as a SEND frame does."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        if b"|||\0\2\0\0\0\0" in frame.data:
            return [(session, error("this is a frame"))]
        return super().send(session, frame)


@breaks("SND-8")
class TextEndsAtNul(Altering):
    """Ends a message at a NUL."""

    def text(self, text: bytes) -> bytes:
        return text.partition(b"\0")[0]


@breaks("SND-8")
class TextEndsAtNewline(Altering):
    """Ends a message at a newline."""

    def text(self, text: bytes) -> bytes:
        return text.partition(b"\n")[0]


@breaks("SND-8")
class TextEndsAtCtrlZ(Altering):
    """Ends a message at 0x1A (text mode of C's library on Windows)."""

    def text(self, text: bytes) -> bytes:
        return text.partition(b"\x1a")[0]


@breaks("SND-8")
class LineEndsMadeOne(Altering):
    """Makes a newline of each CR LF."""

    def text(self, text: bytes) -> bytes:
        return text.replace(b"\r\n", b"\n")


@breaks("SND-8")
class ControlsDropped(Altering):
    """Drops control characters but white space."""

    def text(self, text: bytes) -> bytes:
        return re.sub(rb"[\x00-\x08\x0e-\x1f\x7f]", b"", text)


@breaks("SND-8")
class DeleteRefused(Chat):
    """Refuses messages with DEL: it takes what is below 0x7F."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        if b"\x7f" in frame.data:
            return [(session, error("not ASCII"))]
        return super().send(session, frame)


@breaks("SND-8")
class BackslashesDoubled(Altering):
    """Escapes backslashes and quotes."""

    def text(self, text: bytes) -> bytes:
        return re.sub(rb"([\\\"'])", rb"\\\1", text)


@breaks("SND-8")
class TextEscapedForHtml(Altering):
    """Escapes messages for HTML."""

    def text(self, text: bytes) -> bytes:
        return html.escape(text.decode(), quote=False).encode()


@breaks("SND-8")
class DotDoubled(Altering):
    """Puts a dot in front of a message that is one (SMTP)."""

    def text(self, text: bytes) -> bytes:
        return b".." if text == b"." else text


# SND-9: octets unaltered.


@breaks("SND-9")
class TextTrimmed(Altering):
    """Trims white space from a message."""

    def text(self, text: bytes) -> bytes:
        return text.strip()


@breaks("SND-9")
class LastNewlineDropped(Altering):
    """Drops a newline at the end of a message."""

    def text(self, text: bytes) -> bytes:
        return text.removesuffix(b"\n")


@breaks("SND-9")
class SpacesMadeOne(Altering):
    """Makes one space of several."""

    def text(self, text: bytes) -> bytes:
        return re.sub(rb"  +", b" ", text)


@breaks("SND-9")
class TextOf1024(Altering):
    """Cuts messages after 1,024 octets."""

    def text(self, text: bytes) -> bytes:
        return text[:1024]


@breaks("SND-9")
class TextOf255(Altering):
    """Cuts messages after 255 octets."""

    def text(self, text: bytes) -> bytes:
        return text[:255]


@breaks("SND-9")
class TextOf65000(Altering):
    """Cuts messages after 65,000 octets."""

    def text(self, text: bytes) -> bytes:
        return text[:65000]


class AlteringKept(Chat):
    """A chat that alters what is kept."""

    def keep(self, messages: Iterable[Message]) -> None:
        for message in messages:
            data = self.data(message[HEADER_SIZE:])
            super().keep([altered(message, encode_data(Command.SEND, data))])

    def data(self, data: bytes) -> bytes:
        raise NotImplementedError


@breaks("SND-9")
class KeptOf1000(AlteringKept):
    """Keeps the first 1,000 octets of data."""

    def data(self, data: bytes) -> bytes:
        return data[:1000]


@breaks("SND-9")
class KeptUpToNul(AlteringKept):
    """Keeps data up to a NUL."""

    def data(self, data: bytes) -> bytes:
        return data.partition(b"\0")[0]


@breaks("SND-9")
class KeptInALine(AlteringKept):
    """Keeps data up to a newline."""

    def data(self, data: bytes) -> bytes:
        return data.partition(b"\n")[0]


@breaks("SND-9")
class KeptInLowerCase(AlteringKept):
    """Keeps data in lower case."""

    def data(self, data: bytes) -> bytes:
        return data.lower()


@breaks("SND-9")
class EachFiftiethCut(Chat):
    """Cuts the last octet from each 50th message."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        if self.accepted % 50 == 49 and not frame.data.endswith(b"|"):
            frame = frame._replace(data=frame.data[:-1])
        return super().send(session, frame)


@breaks("SND-9")
class LiveJoined(Server):
    """Makes one frame of messages that leave together."""

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        if live and len(frames) > 1:
            data = b"".join(frame[HEADER_SIZE:] for frame in frames)
            frames = [encode_data(Command.SEND, data)]
        super().send(session, frames, live)


# SND-11: order.


class Releasing(Chat):
    """A chat that brings what is kept into an order of its own."""

    def deliver(self, session: Session, frame: Frame) -> Outbox:
        replies = super().deliver(session, frame)
        return self.ordered(replies) if session.account else replies

    def ordered(self, replies: Outbox) -> Outbox:
        raise NotImplementedError


@breaks("SND-11")
class KeptInAlphabet(Releasing):
    """Delivers what is kept in the order of the alphabet."""

    def ordered(self, replies: Outbox) -> Outbox:
        return sorted(replies, key=lambda reply: reply[1])


@breaks("SND-11")
class KeptShortestFirst(Releasing):
    """Delivers what is kept with the shortest first."""

    def ordered(self, replies: Outbox) -> Outbox:
        return sorted(replies, key=lambda reply: len(reply[1]))


@breaks("SND-11")
class TenthOverNinth(Releasing):
    """Delivers what is kept by its number as text: the tenth before the second."""

    def ordered(self, replies: Outbox) -> Outbox:
        numbered = sorted(enumerate(replies), key=lambda both: str(both[0]))
        return [reply for _, reply in numbered]


@breaks("SND-11")
class LiveNewestFirst(Server):
    """Sends live messages that leave together in reverse order."""

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        super().send(session, frames[::-1] if live else frames, live)


@breaks("SND-11")
class LongMessagesLater(Loop):
    """Sends live messages of more than 50 octets from another thread."""

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        late = [item for item in frames if live and len(item) > 92]
        super().send(session, [o for o in frames if o not in late], live)
        if late:
            self.later(0.001, session, late, live)


# SND-12: exactly once.


@breaks("SND-12")
class LiveKeptToo(Chat):
    """Keeps what it has sent live."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        to, item = replies[0]
        if to is not session:
            self.keep(messages(self, to, [item]))
        return replies


@breaks("SND-12")
class SameTextOnce(Chat):
    """Drops a message that is the same as the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.last = b""

    def send(self, session: Session, frame: Frame) -> Outbox:
        last, self.last = self.last, frame.data
        replies = super().send(session, frame)
        return replies[-1:] if len(replies) == 2 and frame.data == last else replies


@breaks("SND-12")
class SameTextKeptOnce(Chat):
    """Keeps the same message once."""

    def keep(self, messages: Iterable[Message]) -> None:
        for message in messages:
            kept = [other for other in message.recipient.kept]
            super().keep([message] * (message not in kept))


@breaks("SND-12")
class EachFiftiethLost(Chat):
    """Echoes each 50th message, and does not deliver it."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        return replies[-1:] if self.accepted % 50 == 0 else replies


@breaks("SND-12")
class EachFiftiethTwice(Chat):
    """Delivers each 50th message twice."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        again = replies[:1] * (self.accepted % 50 == 0 and len(replies) == 2)
        return [*again, *replies]


class LateDelivery(Unlocked):
    """A chat that looks at the recipient, gives up the lock, and then delivers."""

    seconds = 0.003


@breaks("SND-12")
class LoginLosesMessages(LateDelivery):
    """Loses a message whose recipient logs in while it is sent."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        recipient = self.accounts.get(frame.fields[1])
        replies = super().send(session, frame)
        if recipient and not recipient.session:
            kept, recipient.kept = recipient.kept, []
            with self.unlocked(self.seconds):
                pass
            if not recipient.session:
                recipient.kept[:0] = kept
        return replies


@breaks("SND-12")
class LogoutLosesMessages(LateDelivery):
    """Loses a message whose recipient logs out while it is sent."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        with self.unlocked(self.seconds):
            pass
        return [(to, item) for to, item in replies if to is session or to.account]


@breaks("SND-12")
class KeptLostWhereRoomGrows(Unlocked):
    """Loses what is kept while a list of more than 50 messages gets room for more."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        recipient = self.accounts.get(frame.fields[1])
        if recipient and len(recipient.kept) > 50 and not len(recipient.kept) % 16:
            kept = list(recipient.kept)
            with self.unlocked(0.0003):
                pass
            recipient.kept = kept
        return replies


@breaks("SND-12")
class LastKeptAtTheEnd(Server):
    """Keeps at a connection's end the live message that it was sent last."""

    def __init__(self, port: int) -> None:
        super().__init__(port=port)
        self.last: dict[Session, list[Message]] = {}

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        super().send(session, frames, live)
        if live:
            self.last[session] = messages(self.chat, session, frames[-1:])

    def end(self, connection: Connection) -> None:
        super().end(connection)
        self.chat.keep(self.last.pop(connection.session, []))


@breaks("SND-12")
class OctetLostInTheQueue(Connection):
    """Loses an octet of what waits each time that the socket takes nothing."""

    def _send(self, octets: bytes | memoryview) -> int:
        return super()._send(octets) or int(not self.broken)


@breaks("SND-12")
class UnreadEchoesKept(Connection):
    """Keeps, as if they were messages, the echoes that have not left at a reset."""

    def take_unsent(self) -> list[Message]:
        for batch in self._batches:
            batch.live = batch.live or 1
        return super().take_unsent()


@breaks("SND-12")
class KeptUntilAllIsSent(Connection):
    """Keeps what DELIVER brings until all of it is sent: all, where a reset comes."""

    def take_unsent(self) -> list[Message]:
        self._sent = 0
        return super().take_unsent()


# SND-13: the echo.


@breaks("SND-13")
class EchoFirst(Loop):
    """Sends the echo, and the message 20 ms later."""

    seconds = 0.02

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        if live:
            self.later(self.seconds, session, frames, live)
        else:
            super().send(session, frames, live)


@breaks("SND-13")
class EchoFirstByAMoment(EchoFirst):
    """Sends the echo, and the message 1 ms later."""

    seconds = 0.001


@breaks("SND-13")
class KeptLater(Chat):
    """Sends the echo, and keeps the message 20 ms later."""

    def keep(self, messages: Iterable[Message]) -> None:
        Timer(0.02, super().keep, [list(messages)]).start()


# SND-14: a recipient that does not read.


@breaks("SND-14")
class BlocksForAll(Connection):
    """Waits, and lets all others wait, until a recipient has taken what it gets."""

    def put(self, frames: list[bytes], live: int = 0) -> None:
        super().put(frames, live)
        while self.queued and not self.broken and self.wait(select.POLLOUT):
            self.flush()


@breaks("SND-14")
class BlocksTheSender(Loop):
    """Lets a sender wait until the recipient has taken the message."""

    def __init__(self, port: int) -> None:
        super().__init__(port=port)
        self.behind: list[Connection] = []

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        super().send(session, frames, live)
        self.behind += [self.connections[session]] * live

    def requests(self, connection: Connection, items: Items) -> None:
        super().requests(connection, items)
        while self.behind:
            recipient = self.behind.pop()
            while recipient.queued and not recipient.broken:
                recipient.wait(select.POLLOUT, 0.1)


class SmallBuffer(Connection):
    """A connection of which the kernel holds no more than a few messages."""

    def __init__(self, sock: socket.socket, peer: str) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        super().__init__(sock, peer)


@breaks("SND-12")
class DropsBehind2000Unread(SmallBuffer):
    """Drops live messages where two thousand wait for the recipient to read."""

    unread = 0

    def put(self, frames: list[bytes], live: int = 0) -> None:
        self.unread = self.unread * bool(self.queued) + len(frames)
        if not live or self.unread <= 2000:
            super().put(frames, live)


@breaks("SND-1")
class SentOnceBehind(Loop):
    """Sends what has had to wait when it can, but only once on each connection."""

    def write(self, connection: Connection) -> None:
        super().write(connection)
        with self.lock:
            connection.writer = connection.writer or current_thread()


@breaks("SND-14")
class CutsOffAtOnce(SmallBuffer):
    """Cuts a recipient off as soon as its socket takes no more."""

    def put(self, frames: list[bytes], live: int = 0) -> None:
        super().put(frames, live)
        if self.live:
            self.hang_up(socket.SHUT_RDWR)


@breaks("SND-14")
class DropsWhatIsNotTaken(SmallBuffer):
    """Drops live messages for as long as the recipient's socket takes no more."""

    def put(self, frames: list[bytes], live: int = 0) -> None:
        if not (live and self.queued):
            super().put(frames, live)


@breaks("SND-9")
class ColoursStripped(Altering):
    """Strips the colours of a terminal from a message."""

    def text(self, text: bytes) -> bytes:
        return re.sub(rb"\x1b\[[0-9;]*m", b"", text)


@breaks("DAT-2")
class LongMessagesUnchecked(Steps):
    """Looks for octets above 0x7F in the first 1,024 octets of data."""

    def ascii(self, data: bytes) -> bool:
        return data[:1024].isascii()


@breaks("SND-10")
class FieldsBehind16Dropped(ExtraFieldsDelivered):
    """Delivers SEND with more than three fields, but no more than sixteen."""

    def frame(self, command: int, data: bytes) -> Frame | Malformed | None:
        if command == Command.SEND:
            data = b"|||".join(data.split(b"|||")[:16])
        return super().frame(command, data)
