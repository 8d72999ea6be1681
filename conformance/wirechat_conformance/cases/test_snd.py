"""Sending: what a server may choose, order under load, and who does not read."""

import time
from collections.abc import Iterable, Iterator

import pytest

from wirechat_conformance import frames, steps
from wirechat_conformance.failure import Failure
from wirechat_conformance.pace import in_time
from wirechat_conformance.peer import Patience
from wirechat_conformance.run import Run
from wirechat_conformance.script import Script, messages_of


@pytest.mark.beside(10)
@pytest.mark.rules("SND-10")
@pytest.mark.parametrize(
    "message",
    [b"one|||two", b"|||", b"one||||||", b"a|||b|||c|||d", b"|||".join([b"x"] * 257)],
    ids=["four", "four-empty", "five", "six", "259"],
)
def test_more_than_three_fields(run: Run, message: bytes) -> None:
    """SEND with more than three fields is rejected, or delivered as it came."""
    with Script(run, "SND-10") as script:
        sender, recipient = script.account("A"), script.account("B")
        script.send("A", frames.SEND, sender, recipient, message)
        if script.peek("A", frames.SEND):
            run.chose("SEND of more than three fields", "delivered")
            script.receive("A", frames.SEND, sender, recipient, message)
            script.receive("B", frames.SEND, sender, recipient, message)
            script.leave("B")
            script.send("A", frames.SEND, sender, recipient, message)
            script.receive("A", frames.SEND, sender, recipient, message)
            script.open("C")
            script.login("C", recipient)
            script.send("C", frames.DELIVER)
            script.receive("C", frames.SEND, sender, recipient, message)
        else:
            run.chose("SEND of more than three fields", "rejected")
            script.rejected("A")
            script.fence("B")


@pytest.mark.examples
@pytest.mark.beside(10)
@pytest.mark.rules("SND-13")
def test_ahead_of_whatever_is_asked_then(run: Run) -> None:
    """Once there is the echo, the message is ahead of the reply to a later request."""
    with Script(run, "SND-13") as script:
        sender, recipient = script.account("A"), script.account("B")
        for number in range(run.pace.part(150)):
            message = b"%d" % number
            script.send("A", frames.SEND, sender, recipient, message)
            script.receive("A", frames.SEND, sender, recipient, message)
            script.send("B", frames.LIST, run.unused)
            script.receive("B", frames.SEND, sender, recipient, message)
            script.receive("B", frames.LISTRESPONSE)


@pytest.mark.beside(10)
@pytest.mark.rules("SND-9", "SND-11", "SND-12")
def test_two_senders_at_once(run: Run) -> None:
    """What two send to one at the same time comes whole, each frame behind another."""
    with Script(run, "SND-11", "SND-12") as script:
        names = {connection: script.account(connection) for connection in "ABC"}
        for number in range(8):
            sent: dict[bytes, list[Message]] = {names["A"]: [], names["C"]: []}
            for at in range(6):
                for connection in "AC":
                    text = b"%d %d " % (number, at) + b"x" * (7000 + at)
                    message = names[connection], names["B"], text
                    script.send(connection, frames.SEND, *message)
                    sent[names[connection]].append(message)
            frames_of(script, "B", 12, sent, list(sent))
            for connection in "AC":
                frames_of(script, connection, 6, sent, [names[connection]])


@pytest.mark.examples
@pytest.mark.beside(10)
@pytest.mark.rules("SND-1", "SND-11", "SND-12")
def test_long_conversation(run: Run) -> None:
    """Three accounts write to one another at once, messages of all lengths.

    More than a mebibyte comes to each. What is unread stays under what a server has to
    hold for anybody (SND-14).
    """
    with Script(run, "SND-1", "SND-11", "SND-12") as script:
        names = {connection: script.account(connection) for connection in "ABC"}
        for start in in_time(range(0, 156, 6)):
            sent: dict[bytes, list[Message]] = {name: [] for name in names.values()}
            for number in range(start, start + 6):
                text = b"%d " % number + b"x" * (11 * number * number % 17_011)
                for connection, other in ("AB", "BC", "CA"):
                    message = names[connection], names[other], text
                    script.send(connection, frames.SEND, *message)
                    sent[names[connection]].append(message)
            for connection, sender in ("AC", "BA", "CB"):
                both = [names[connection], names[sender]]
                frames_of(script, connection, 12, sent, both)


Message = tuple[bytes, bytes, bytes]
LONG, SHORT = {"some": 56, "much": 136}, 2200
"""Messages to who does not read: more than Linux holds for a connection (2.6 MB where
its client takes little), and so much that a server may well want no more to wait."""
FIRST = 40
"""Of the messages that a sender left unread so many are looked at."""
LEAST = 2
"""Messages of 64,000 octets that are on their way to who does not read, in any case."""


def frames_of(
    script: Script,
    connection: str,
    count: int,
    sent: dict[bytes, list[Message]],
    senders: list[bytes],
) -> None:
    """See that so many SEND frames come: those of each sender, in their order."""
    expected = {sender: iter(sent[sender]) for sender in senders}
    for _ in range(count):
        frame = script.any(connection)
        fields = tuple(frame.fields) if frame else ()
        following = expected.get(fields[0]) if fields else None
        if following is None or fields != next(following, None):
            altered = all(fields not in messages for messages in sent.values())
            if altered and frame is not None and frame.command == frames.SEND:
                script.rules = ("SND-9",)
            script.fail("the next message of one of its senders", frame)


@pytest.mark.examples
@pytest.mark.rules("SND-14", "SND-12", "SND-2")
def test_a_thousand_unread_messages(run: Run) -> None:
    """A recipient may leave a thousand messages of 100 octets unread, and miss none."""
    with Script(run, "SND-14", "SND-12") as script:
        sender, recipient = script.account("A"), script.account("B")
        texts = [b"%04d" % number + b"m" * 76 for number in range(1000)]
        for start in range(0, 1000, 500):
            batch = texts[start : start + 500]
            octets = [frames.frame(frames.SEND, sender, recipient, t) for t in batch]
            script.octets("A", b"".join(octets))
            script.rules = ("SND-2",)
            for text in batch:
                script.receive("A", frames.SEND, sender, recipient, text)
        script.rules = "SND-14", "SND-12"
        for text in texts:
            script.receive("B", frames.SEND, sender, recipient, text)


def deaf_for(script: Script, connection: str, seconds: float) -> None:
    """Wait longer on a connection that has not been read for so long.

    What the kernel of a server could not get rid of, it tries again at ever longer
    intervals: the next time comes when as much time has passed once more.
    """
    bound = max(script.run.patience.bound, 2 * seconds)
    script.connections[connection].peer.patience = Patience(bound)


def batches(long: int, short: int = SHORT) -> Iterator[list[bytes]]:
    """Give more than kernels hold: long messages, and behind them many short ones."""
    for start in in_time(range(0, long, 8)):
        yield [b"%04d" % n + b"m" * 64_000 for n in range(start, start + 8)]
    texts = [b"%04d" % number for number in range(long, long + short)]
    yield from (texts[start : start + 100] for start in range(0, short, 100))


def accepted_of(
    script: Script, message: tuple[bytes, bytes], texts: Iterable[list[bytes]]
) -> tuple[list[bytes], bool]:
    """Send these from A to who does not read; return those echoed, and if all were."""
    accepted, every = [], True
    for number, batch in enumerate(texts):
        script.hold = number % 2 == 1  # then these come to the server together
        for text in batch:
            script.send("A", frames.SEND, *message, text)
        script.hold = False
        for text in batch:
            if script.peek("A", frames.SEND):
                script.receive("A", frames.SEND, *message, text)
                accepted.append(text)
            else:
                script.error("A", "SND-14", "SND-2")
                every = False
        script.fence("C")
    return accepted, every


@pytest.mark.examples
@pytest.mark.rules("SND-14", "SND-12", "SND-1", "FRM-4")
@pytest.mark.parametrize("much", LONG)
def test_recipient_that_does_not_read(run: Run, much: str) -> None:
    """Whoever sends to a recipient that does not read is answered as ever.

    More is sent than the kernels hold. What was accepted comes once and in order: live
    up to where the server cut the recipient off, if it did, and kept from there on.
    Where it did not, it is the same once more.
    """
    with Script(run, "SND-14") as script:
        sender = script.account("A")
        recipient = run.names.fresh()
        script.open_deaf("B")
        script.create("B", recipient)
        script.open("C")
        message, begun = (sender, recipient), time.monotonic()
        accepted, every = accepted_of(script, message, batches(LONG[much]))
        script.rules = ("SND-12",)
        deaf_for(script, "B", time.monotonic() - begun)
        first, _ = messages_of(script, "B", LEAST)
        connected = script.serves("B")
        live = list(first)
        if connected:
            # Who sends to a server that has closed loses what is on its way.
            script.send("B", frames.LIST, run.unused)
            more, connected = messages_of(script, "B")
            live += more
        if not connected:
            script.open("D")
            script.login("D", recipient)
        reader = "B" if connected else "D"
        script.send(reader, frames.DELIVER)
        script.send(reader, frames.LIST, run.unused)
        kept, _ = messages_of(script, reader)
        got = live + kept
        if len(got) != len(set(got)):
            script.fail("every message once", "some came twice")
        if live != sorted(live) or kept != sorted(kept):
            script.fail("the messages in their order", "another order")
        if connected:
            lost = sorted(got) != accepted
        else:  # what was on its way may be lost, what came behind it was kept
            lost = live != accepted[: len(live)] or kept != accepted[
                -len(kept) :
            ] * bool(kept)
        if lost:
            script.fail(f"all {len(accepted)} messages", f"{len(got)} of them")
        if much == "some":
            if connected and every and not kept:
                for asked in (False, True):
                    behind_again(script, message, asked=asked)
            return
        how = "cut off" if not connected else "kept for" if kept else "waited for"
        refused = "" if every else ", then its senders are refused"
        run.chose("recipient that does not read", how + refused)


def behind_again(script: Script, message: tuple[bytes, bytes], *, asked: bool) -> None:
    """See that who fell behind and caught up is sent to when it is behind once more.

    It only reads at first: what waits until it asks for something is not sent at once.
    The server may have had enough of it by now, and cut it off, or keep the messages.
    """
    script.rules = ("SND-14",)
    accepted, _ = accepted_of(script, message, batches(LONG["some"], short=0))
    if asked and script.serves("B"):
        script.send("B", frames.LIST, script.run.unused)
    script.rules = ("FRM-4",) if asked else ("SND-1",)
    got: list[bytes] = []
    try:
        while len(got) < len(accepted) and (one := messages_of(script, "B", 1)[0]):
            got += one
        if asked and len(got) == len(accepted):
            script.receive("B", frames.LISTRESPONSE)
    except Failure:
        if not asked:
            script.send("B", frames.LIST, script.run.unused)
        if asked or script.peek("B", frames.SEND):
            raise
    if got != accepted[: len(got)]:
        script.fail("the messages in their order", "another order")


@pytest.mark.rules("SND-14", "SND-12")
def test_sender_that_does_not_read(run: Run) -> None:
    """Others are served while somebody sends, and reads neither echo nor message.

    Of what has not left when the connection is reset, the messages may be kept; the
    echoes are none.
    """
    with Script(run, "SND-14") as script:
        name = run.names.fresh()
        script.open_deaf("A")
        script.create("A", name)
        other = script.account("B")
        for start in range(0, 320, 8):
            texts = [b"%04d" % n + b"m" * 32_000 for n in range(start, start + 8)]
            sent = [frames.frame(frames.SEND, name, name, text) for text in texts]
            script.flood("A", b"".join(sent))
            script.send("B", frames.SEND, other, other, b"hi")
            script.receive("B", frames.SEND, other, other, b"hi")
            script.receive("B", frames.SEND, other, other, b"hi")
        script.perform(steps.Reset("A"))
        script.open("C")
        script.login("C", name)
        script.rules = ("SND-12",)
        script.send("C", frames.DELIVER)
        script.send("C", frames.LIST, run.unused)
        kept, _ = messages_of(script, "C", FIRST)
        if len(kept) != len(set(kept)):
            script.fail("every message once", "some came twice")
        script.perform(steps.Reset("C"))
