"""Faults in who may send what to whom, and in what is answered."""

from collections.abc import Iterable

from tests.faults.registry import breaks
from tests.parts import (
    SUCCESS,
    Account,
    Chat,
    Frame,
    Malformed,
    Message,
    Outbox,
    Server,
    Session,
    Steps,
    Unlocked,
    altered,
    error,
    is_error,
    message,
    messages,
)
from wirechat.codec import HEADER_SIZE, Command, encode_data


class Sending(Chat):
    """A chat that makes something of its own of an accepted SEND."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        return replies if is_error(replies[0][1]) else self.sent(session, replies)

    def sent(self, session: Session, replies: Outbox) -> Outbox:
        raise NotImplementedError


# SND-1: live messages.


@breaks("SND-1")
class LiveAsDeliver(Sending):
    """Sends live messages with the command DELIVER."""

    def sent(self, session: Session, replies: Outbox) -> Outbox:
        to, item = replies[0]
        if len(replies) == 2:
            replies = [
                (to, encode_data(Command.DELIVER, item[HEADER_SIZE:])),
                *replies[1:],
            ]
        return replies


@breaks("SND-1")
class LiveToSender(Sending):
    """Sends live messages on the sender's connection."""

    def sent(self, session: Session, replies: Outbox) -> Outbox:
        return [(session, item) for _, item in replies]


@breaks("SND-1")
class LiveWithResponse(Sending):
    """Sends an empty RESPONSE behind each live message."""

    def sent(self, session: Session, replies: Outbox) -> Outbox:
        to, item = replies[0]
        goes = to is not session or isinstance(item, Message)
        return [(to, item), *[(to, SUCCESS)] * goes, *replies[1:]]


@breaks("SND-1")
class LiveWithoutSender(Sending):
    """Sends live messages without the field of their sender."""

    def sent(self, session: Session, replies: Outbox) -> Outbox:
        to, item = replies[0]
        data = item.partition(b"|||")[2]
        if len(replies) == 2:
            replies = [(to, encode_data(Command.SEND, data)), *replies[1:]]
        return replies


@breaks("SND-1")
class LiveBeforeLoginIsAnswered(Unlocked):
    """Begins the session of LOGIN 10 ms before it answers."""

    def login(self, session: Session, frame: Frame) -> Outbox:
        replies = super().login(session, frame)
        if not is_error(replies[0][1]):
            with self.unlocked(0.01):
                pass
        return replies


@breaks("SND-1")
class LiveAfterLoginIsKept(Chat):
    """Keeps messages to an account whose session began with LOGIN."""

    def __init__(self) -> None:
        super().__init__()
        self.kept_for: set[Session] = set()

    def login(self, session: Session, frame: Frame) -> Outbox:
        self.kept_for.add(session)
        return super().login(session, frame)

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        to, item = replies[0]
        if to is not session and to in self.kept_for:
            self.keep(messages(self, to, [item]))
            return replies[1:]
        return replies


@breaks("SND-1")
class LivePolled(Server):
    """Sends live messages once the recipient asks for something."""

    def __init__(self, port: int) -> None:
        super().__init__(port=port)
        self.waiting: dict[Session, list[bytes]] = {}

    def send(self, session: Session, frames: list[bytes], live: bool) -> None:
        before = self.waiting.pop(session, [])
        if live:
            self.waiting[session] = before + frames
        else:
            super().send(session, before + frames, live)


# SND-2: the echo.


@breaks("SND-2")
class EchoMissing(Sending):
    """Sends no echo."""

    def sent(self, session: Session, replies: Outbox) -> Outbox:
        return replies[:-1]


@breaks("SND-2")
class EchoIsSuccess(Sending):
    """Answers SEND with an empty RESPONSE in place of the echo."""

    def sent(self, session: Session, replies: Outbox) -> Outbox:
        return [*replies[:-1], (session, SUCCESS)]


@breaks("SND-2")
class EchoWithSuccess(Sending):
    """Answers SEND with an empty RESPONSE besides the echo."""

    def sent(self, session: Session, replies: Outbox) -> Outbox:
        return [*replies, (session, SUCCESS)]


@breaks("SND-2")
class EchoTwice(Sending):
    """Sends the echo twice."""

    def sent(self, session: Session, replies: Outbox) -> Outbox:
        return [*replies, replies[-1]]


@breaks("SND-2")
class EchoOfLiveMessagesOnly(Sending):
    """Sends no echo of messages that are kept."""

    def sent(self, session: Session, replies: Outbox) -> Outbox:
        return replies if len(replies) == 2 else []


@breaks("SND-2")
class EchoOfKeptIsTold(Sending):
    """Tells with an error text that a message was kept, in place of the echo."""

    def sent(self, session: Session, replies: Outbox) -> Outbox:
        return replies if len(replies) == 2 else [(session, error("offline: kept"))]


@breaks("SND-2")
class EchoTrimmed(Sending):
    """Trims white space from the end of the echo."""

    def sent(self, session: Session, replies: Outbox) -> Outbox:
        data = replies[-1][1][HEADER_SIZE:].rstrip()
        return [*replies[:-1], (session, encode_data(Command.SEND, data))]


# SND-3: messages to who is offline.


@breaks("SND-3")
class OfflineRefused(Chat):
    """Refuses messages to an account that is offline."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        recipient = self.accounts.get(frame.fields[1])
        if session.account and recipient and not recipient.session:
            return [(session, error("the recipient is offline"))]
        return super().send(session, frame)


@breaks("SND-3")
class OfflineDropped(Chat):
    """Drops messages to an account that is offline."""

    def keep(self, messages: Iterable[Message]) -> None:
        pass


@breaks("SND-3")
class OneKept(Chat):
    """Keeps the newest message alone."""

    def keep(self, messages: Iterable[Message]) -> None:
        for newest in messages:
            self.release(newest.recipient)
            super().keep([newest])


@breaks("SND-3")
class OneKeptASender(Chat):
    """Keeps the newest message of each sender alone."""

    def keep(self, messages: Iterable[Message]) -> None:
        for newest in messages:
            kept = self.release(newest.recipient)
            others = [one for one in kept if self.sender(one) != self.sender(newest)]
            super().keep([*others, newest])

    def sender(self, kept: Message) -> bytes:
        return kept[HEADER_SIZE:].partition(b"|||")[0]


@breaks("SND-3")
class EmptyNotKept(Chat):
    """Keeps no empty messages."""

    def keep(self, messages: Iterable[Message]) -> None:
        super().keep(m for m in messages if not m.endswith(b"|||"))


# SND-4 to SND-6: SEND that is refused.


class Senders(Chat):
    """A chat that has an idea of its own of who may be a sender."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        name, own = frame.fields[0], session.account
        if not self.may_send(name, own.name if own else ""):
            return super().send(session, frame)
        session.account = Account(name)
        replies = super().send(session, frame)
        session.account = own
        return replies

    def may_send(self, name: str, own: str) -> bool:
        raise NotImplementedError


@breaks("SND-4")
class SendNeedsNoSession(Senders):
    """Sends, on a connection without a session, in the name of any account."""

    def may_send(self, name: str, own: str) -> bool:
        return not own and name in self.accounts


@breaks("SND-4")
class SendAfterDelete(Senders):
    """Sends, on a connection without a session, in the name of no account."""

    def may_send(self, name: str, own: str) -> bool:
        return not own and name not in self.accounts


@breaks("SND-4")
class SendWithoutSessionSilent(Chat):
    """Does not answer SEND without a session."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        return super().send(session, frame) if session.account else []


@breaks("SND-4")
class SendWithoutSessionKept(Chat):
    """Refuses SEND without a session, and keeps it for its recipient all the same."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        recipient = self.accounts.get(frame.fields[1])
        if not session.account and recipient:
            self.keep([message(recipient, encode_data(Command.SEND, frame.data))])
        return super().send(session, frame)


@breaks("SND-5")
class SenderUnchecked(Senders):
    """Sends in any name."""

    def may_send(self, name: str, own: str) -> bool:
        return own != ""


@breaks("SND-5")
class SenderOfAnyAccount(Senders):
    """Sends in the name of any account."""

    def may_send(self, name: str, own: str) -> bool:
        return own != "" and name in self.accounts


@breaks("SND-5")
class SenderInAnyCase(Senders):
    """Compares the sender without regard to case."""

    def may_send(self, name: str, own: str) -> bool:
        return name.lower() == own.lower()


@breaks("SND-5")
class SenderByItsBeginning(Senders):
    """Compares as many characters as the sender has (strncmp)."""

    def may_send(self, name: str, own: str) -> bool:
        return own.startswith(name)


@breaks("SND-5")
class SenderByOnesBeginning(Senders):
    """Compares as many characters as the session's username has (strncmp)."""

    def may_send(self, name: str, own: str) -> bool:
        return own != "" and name.startswith(own)


@breaks("SND-5")
class SenderEmpty(Senders):
    """Takes an empty sender for the session's account."""

    def may_send(self, name: str, own: str) -> bool:
        return own != "" and not name


@breaks("SND-5")
class SenderCheckedAfterwards(Chat):
    """Keeps a message in another's name, and then refuses it."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        recipient = self.accounts.get(frame.fields[1])
        if session.account and recipient and is_error(replies[0][1]):
            self.keep([message(recipient, encode_data(Command.SEND, frame.data))])
        return replies


@breaks("SND-5")
class SenderCorrected(Chat):
    """Writes the session's username over any other sender."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        if session.account:
            own = session.account.name.encode()
            data = b"|||".join([own, *frame.data.split(b"|||")[1:]])
            frame = frame._replace(data=data)
        return super().send(session, frame)


class Recipients(Chat):
    """A chat that has an idea of its own of what to do for an unknown recipient."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        right = session.account and session.account.name == frame.fields[0]
        if not right or frame.fields[1] in self.accounts:
            return replies
        return self.unknown(session, frame)

    def unknown(self, session: Session, frame: Frame) -> Outbox:
        raise NotImplementedError


@breaks("SND-6")
class RecipientMadeUp(Recipients):
    """Makes an account of an unknown recipient's name."""

    def unknown(self, session: Session, frame: Frame) -> Outbox:
        name = frame.fields[1]
        self.accounts[name] = Account(name)
        return super().send(session, frame)


@breaks("SND-6")
class RecipientAwaited(Recipients):
    """Refuses a message to nobody, and keeps it for who takes that name."""

    def unknown(self, session: Session, frame: Frame) -> Outbox:
        self.awaited = {**getattr(self, "awaited", {}), frame.fields[1]: frame.data}
        return [(session, error("no such account yet"))]

    def create(self, session: Session, frame: Frame) -> Outbox:
        replies = super().create(session, frame)
        data = getattr(self, "awaited", {}).pop(frame.fields[0], None)
        if data and session.account:
            self.keep([message(session.account, encode_data(Command.SEND, data))])
        return replies


@breaks("SND-6")
class RecipientMissingSilent(Recipients):
    """Does not answer SEND to nobody."""

    def unknown(self, session: Session, frame: Frame) -> Outbox:
        return []


@breaks("SND-6")
class RecipientMissingEchoed(Recipients):
    """Echoes SEND to nobody."""

    def unknown(self, session: Session, frame: Frame) -> Outbox:
        return [(session, encode_data(Command.SEND, frame.data))]


@breaks("SND-6")
class RecipientEmptyIsOneself(Recipients):
    """Echoes SEND to an empty name."""

    def unknown(self, session: Session, frame: Frame) -> Outbox:
        if not frame.fields[1]:
            return [(session, encode_data(Command.SEND, frame.data))]
        return super(Recipients, self).send(session, frame)


@breaks("SND-6")
class RecipientIsFilter(Recipients):
    """Sends to everybody whom the recipient matches as a filter."""

    def unknown(self, session: Session, frame: Frame) -> Outbox:
        names = [*self.matching(frame.fields[1])]
        found = [self.accounts[name] for name in names if self.accounts[name].session]
        octets = encode_data(Command.SEND, frame.data)
        if not found:
            return super(Recipients, self).send(session, frame)
        to = [account.session for account in found if account.session]
        return [(one, octets) for one in (*to, session)]


@breaks("SND-6")
class ErrorsQuoteData(Chat):
    """Quotes a message that it refuses, delimiters and all."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        if is_error(replies[0][1]):
            return [(session, encode_data(Command.RESPONSE, frame.data))]
        return replies


# SND-7: to oneself.


@breaks("SND-7")
class OneselfGetsOneCopy(Sending):
    """Sends one copy of a message to oneself."""

    def sent(self, session: Session, replies: Outbox) -> Outbox:
        return replies if replies[0][0] is not session else replies[-1:]


@breaks("SND-7")
class OneselfRefused(Sending):
    """Refuses a message to oneself."""

    def sent(self, session: Session, replies: Outbox) -> Outbox:
        own = [to for to, _ in replies] == [session, session]
        return [(session, error("that is you"))] if own else replies


@breaks("SND-7")
class OneselfGetsItKept(Sending):
    """Keeps a message to oneself."""

    def sent(self, session: Session, replies: Outbox) -> Outbox:
        to, item = replies[0]
        if isinstance(item, Message) and to is session:
            self.keep([item])
            return replies[1:]
        return replies


# SND-10: the number of fields.


class Counting(Steps):
    """A decoder that makes three fields of those of SEND."""

    def frame(self, command: int, data: bytes) -> Frame | Malformed | None:
        if command == Command.SEND:
            data = b"|||".join(self.three(data.split(b"|||")))
        return super().frame(command, data)

    def three(self, fields: list[bytes]) -> list[bytes]:
        raise NotImplementedError


@breaks("SND-10")
class TwoFieldsTaken(Counting):
    """Takes a missing message for an empty one."""

    def three(self, fields: list[bytes]) -> list[bytes]:
        return [*fields, b""] if len(fields) == 2 else fields


@breaks("SND-10")
class FourthFieldDropped(Counting):
    """Delivers the first three fields."""

    def three(self, fields: list[bytes]) -> list[bytes]:
        return fields[:3]


class Extra(Counting):
    """A decoder that does not look at what follows the third field."""

    def fields(self, command: int, data: bytes) -> list[str]:
        found = super().fields(command, data)
        return found[:3] if command == Command.SEND else found

    def three(self, fields: list[bytes]) -> list[bytes]:
        return fields


class KeepingThree(Chat):
    """A chat that keeps three fields."""

    def keep(self, messages: Iterable[Message]) -> None:
        for kept in messages:
            data = b"|||".join(kept[HEADER_SIZE:].split(b"|||")[:3])
            octets = encode_data(Command.SEND, data)
            super().keep([altered(kept, octets)])


@breaks("SND-10")
class FourthFieldNotKept(Server):
    """Delivers SEND with more than three fields as it came, and keeps three of them."""

    def __init__(self, port: int) -> None:
        super().__init__(port=port, chat=KeepingThree(), decoder=Extra)


@breaks("SND-10")
class FieldsJoined(Counting):
    """Joins the fields of a message with bars that part nothing."""

    def three(self, fields: list[bytes]) -> list[bytes]:
        return [*fields[:2], *[b"||".join(fields[2:])] * (len(fields) > 2)]


@breaks("SND-10")
class LastFieldTaken(Counting):
    """Delivers the first two fields and the last."""

    def three(self, fields: list[bytes]) -> list[bytes]:
        return [*fields[:2], *fields[-1:]] if len(fields) > 3 else fields


@breaks("SND-10")
class ShortSendIgnored(Chat):
    """Passes over SEND with another number of fields than three in silence."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        return [] if item.rule == "SND-10" else super().malformed(session, item)
