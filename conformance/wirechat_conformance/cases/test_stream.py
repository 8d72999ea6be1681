"""The stream: cuts everywhere, thousands of requests, and its end."""

import random

import pytest

from wirechat_conformance import frames, steps
from wirechat_conformance.bystanders import answer
from wirechat_conformance.failure import Failure
from wirechat_conformance.frames import NO_NAMES
from wirechat_conformance.judge import describe, is_error
from wirechat_conformance.run import Run
from wirechat_conformance.script import Script, messages_of

KEPT = 2200
"""Messages for one account: more than the 1,000 that it has room for, or 2,048."""
LETTERS, FILL = bytes(range(97, 123)), b"x" * 12
MESSAGES = 7
"""Of ten requests so many are messages: more would have echoes of over 128 KiB."""
HUNDREDS = 150
"""Requests of a connection that is closed by then: more than a program may take at a
time, and few enough for one segment."""
THOUSANDS = 4200
"""Requests on one connection: more than 4,096 and, of messages, than 2,048."""


@pytest.mark.beside(10)
@pytest.mark.rules("FRM-3")
def test_every_cut(run: Run) -> None:
    """A frame is cut at each place; between the halves another connection is served."""
    with Script(run, "FRM-3") as script:
        name = script.account("A")
        script.open("B")
        fields = name, name, b"hi"
        octets = frames.frame(frames.SEND, *fields)
        for cut in range(1, len(octets)):
            script.octets("A", octets[:cut])
            script.fence("B")
            script.octets("A", octets[cut:])
            script.receive("A", frames.SEND, *fields)
            script.receive("A", frames.SEND, *fields)


@pytest.mark.examples
@pytest.mark.beside(10)
@pytest.mark.rules("FRM-3")
def test_cuts_between_two_frames(run: Run) -> None:
    """Two frames are sent, cut in the second one or between them."""
    with Script(run, "FRM-3") as script:
        name = script.account("A")
        script.open("B")
        fields = name, name, b"hi"
        octets = frames.frame(frames.SEND, *fields)
        for cut in range(0, len(octets), 7 if run.slow else 1):
            script.octets("A", octets + octets[:cut])
            script.receive("A", frames.SEND, *fields)
            script.receive("A", frames.SEND, *fields)
            script.fence("B")
            script.octets("A", octets[cut:])
            script.receive("A", frames.SEND, *fields)
            script.receive("A", frames.SEND, *fields)


@pytest.mark.last
@pytest.mark.rules("FRM-3")
def test_frames_with_a_pause(run: Run) -> None:
    """A frame of which the first half came a while ago is as good as any.

    A server may also have lost its patience, and end the connection.
    """
    if not run.bystanders.paused:
        pytest.skip("no frame was begun, as a server may serve nobody else then")
    impatient = False
    for peer, rest in run.bystanders.paused:
        if not peer.ends(0):
            peer.send([rest])
        got = answer(peer)
        if peer.closed or (got and is_error(got)):
            impatient = True
        elif got != NO_NAMES:
            told = describe(got) if got else "no reply"
            raise Failure(["FRM-3"], "a reply to a frame with a pause in it", told)
    if impatient:
        pytest.skip("the server ends a connection that stops in a frame")


@pytest.mark.examples
@pytest.mark.rules("FRM-4", "LIM-3", "SND-5", "SND-11", "SND-12", "DLV-1")
def test_a_thousand_messages_ahead_of_their_echoes(run: Run) -> None:
    """A thousand messages are sent without waiting, kept, and delivered.

    So are some more, if there is room; and afterwards there is room again.
    """
    with Script(run, "FRM-4") as script:
        sender, recipient = script.account("A"), script.account("B")
        script.leave("B")
        messages = [b"%04d" % number + b"m" * 56 for number in range(KEPT)]
        sent = [frames.frame(frames.SEND, sender, recipient, m) for m in messages]
        script.octets("A", b"".join(sent[:1000]))
        for message in messages[:1000]:
            if not script.peek("A", frames.SEND):
                script.rules = ("LIM-3",)
            script.receive("A", frames.SEND, sender, recipient, message)
        accepted = messages[:1000]
        for start in range(1000, KEPT, 600):
            script.octets("A", b"".join(sent[start : start + 600]))
            for message in messages[start : start + 600]:
                if script.peek("A", frames.SEND):
                    script.receive("A", frames.SEND, sender, recipient, message)
                    accepted.append(message)
                else:
                    script.error("A")
        script.open("C")
        script.login("C", recipient)
        script.send("C", frames.DELIVER)
        script.send("C", frames.LIST, run.unused)
        kept, _ = messages_of(script, "C")
        if len(kept) < len(accepted):
            script.rules = "LIM-3", "SND-12", "DLV-1"
            script.fail(f"{len(accepted)} kept messages", f"{len(kept)} of them")
        if kept != accepted:
            script.rules = "DLV-1", "SND-11"
            script.fail("the messages as they were sent, oldest first", "others")
        script.rules = ("LIM-3",)
        script.leave("C")
        script.send("A", frames.SEND, recipient, recipient, b"in another's name")
        script.error("A", "SND-5")
        script.send("A", frames.SEND, sender, recipient, b"again")
        script.receive("A", frames.SEND, sender, recipient, b"again")


@pytest.mark.rules("FRM-4")
def test_a_thousand_requests_of_a_hundred_octets(run: Run) -> None:
    """A thousand filters of 100 octets go out at once; each tenth names somebody."""
    with Script(run, "FRM-4") as script:
        name = script.account("A")
        somebody, nobody = name.ljust(100, b"*"), name.ljust(100, b"n")
        filters = [nobody if number % 10 else somebody for number in range(1000)]
        requests = [frames.frame(frames.LIST, pattern) for pattern in filters]
        script.octets("A", b"".join(requests))
        for pattern in filters:
            found = [name] if pattern == somebody else []
            script.receive("A", frames.LISTRESPONSE, *found)


@pytest.mark.examples
@pytest.mark.rules("FRM-4", "SND-2")
def test_a_thousand_requests_that_differ(run: Run) -> None:
    """A thousand requests go out at once, of other lengths and texts each, then more.

    So what is left of one in a buffer can't pass for what belongs to another.
    """
    source = random.Random(run.settings.seed)
    with Script(run, "FRM-4") as script:
        sender = script.account("A")
        for connection in "BC":
            recipient = script.account(connection)
            script.leave(connection)
            requests = []
            for number in range(1000):
                text = bytes(source.choices(LETTERS, k=source.randrange(72, 81)))
                message = frames.SEND, sender, recipient, text
                listing = frames.LIST, run.unused + text + FILL
                requests.append(message if number % 10 < MESSAGES else listing)
            octets = [frames.frame(*request) for request in requests]
            script.octets("A", b"".join(octets))
            for command, *fields in requests:
                if command == frames.SEND:
                    script.receive("A", frames.SEND, *fields)
                else:
                    script.receive("A", frames.LISTRESPONSE)


@pytest.mark.examples
@pytest.mark.beside(10)
@pytest.mark.rules("FRM-4", "SND-12")
def test_thousands_of_requests(run: Run) -> None:
    """However many requests there were on a connection, the next one is as good.

    Each second one is a message to oneself: so there are as many of these as replies.
    """
    with Script(run, "FRM-4", "SND-12") as script:
        name = script.account("A")
        texts = [b"%04d" % number for number in range(run.pace.part(THOUSANDS // 2))]
        listing = frames.frame(frames.LIST, run.unused)
        for start in range(0, len(texts), 250):
            batch = texts[start : start + 250]
            sent = [frames.frame(frames.SEND, name, name, text) for text in batch]
            script.octets("A", b"".join(message + listing for message in sent))
            for text in batch:
                script.receive("A", frames.SEND, name, name, text)
                script.receive("A", frames.SEND, name, name, text)
                script.receive("A", frames.LISTRESPONSE)


@pytest.mark.rules("FRM-9", "FRM-4")
def test_half_close_behind_a_thousand_requests(run: Run) -> None:
    """A thousand requests, and the end behind them: all are answered, then it ends."""
    with Script(run, "FRM-9") as script:
        name = script.account("A")
        request = frames.frame(frames.LIST, name)
        script.octets("A", request * 1000)
        script.perform(steps.HalfClose("A"))
        for _ in range(1000):
            script.receive("A", frames.LISTRESPONSE, name)
        script.perform(steps.End("A", rules=script.rules))


@pytest.mark.rules("FRM-9", "SND-3")
def test_close_behind_hundreds(run: Run) -> None:
    """Hundreds of requests are carried out though their client has closed by then."""
    with Script(run, "FRM-9", "SND-3") as script:
        sender, recipient = script.account("A"), script.account("B")
        script.leave("B")
        texts = [b"%03d" % number for number in range(HUNDREDS)]
        octets = [frames.frame(frames.SEND, sender, recipient, t) for t in texts]
        script.hold = True  # the close goes with them: a reply would be met by a reset
        script.octets("A", b"".join(octets))
        script.perform(steps.Close("A"))
        script.hold = False
        script.open("C", "D")
        script.login("D", sender)  # by now all that was received has been carried out
        script.login("C", recipient)
        script.send("C", frames.DELIVER)
        for text in texts:
            script.receive("C", frames.SEND, sender, recipient, text)


@pytest.mark.rules("FRM-10")
def test_reset_ahead_of_replies(run: Run) -> None:
    """Who asks much and is gone before there is a reply disturbs nobody."""
    with Script(run, "FRM-10") as script:
        script.open("B")
        for connection in ("A1", "A2", "A3"):
            script.open(connection)
            script.octets(connection, 300 * frames.frame(frames.LIST, run.unused))
            script.perform(steps.Reset(connection))
            script.fence("B")


@pytest.mark.rules("FRM-13")
@pytest.mark.parametrize("sent", ["at-once", "meanwhile"])
@pytest.mark.parametrize("damage", ["version", "length"])
def test_reply_can_be_read_before_a_reset(run: Run, damage: str, sent: str) -> None:
    """The reply that comes before the end of a connection is not lost to a reset.

    Behind the frame go octets that the server has no reason to take, with it or while
    the reply is on its way.
    """
    length, version = {"version": (0, 1), "length": (2**320 - 1, 0)}[damage]
    header, more = frames.header(frames.LIST, length, version), b"x" * 20_000
    with Script(run, "FRM-13") as script:
        script.open("A")
        peer = script.connections["A"].peer
        if sent == "at-once":
            script.octets("A", header + 3 * more)
        else:
            script.octets("A", header + b"x")
            peer.readable()
            for _ in range(3):
                peer.push(more)
        peer.end(run.patience.bound)
        run.check_witness()  # by now a reset behind the end has come, too
        end = peer.end(0)
        reply = script.any("A")
        script.connections["A"].ended = True
        if not end or reply is None or not is_error(reply):
            pytest.skip("the server does not close the connection after a reply")
        if end == "reset":
            script.fail("an end that leaves the reply to be read", "a reset")
