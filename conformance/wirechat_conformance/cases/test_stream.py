"""The stream: cuts everywhere, thousands of requests, and its end."""

import math
import random
import time

import pytest

from wirechat_conformance import frames, grace, steps
from wirechat_conformance.bystanders import answer
from wirechat_conformance.failure import Failure
from wirechat_conformance.frames import NO_NAMES, SUCCESS
from wirechat_conformance.judge import describe, is_error
from wirechat_conformance.run import Run
from wirechat_conformance.script import Script, messages_of

SLOW = 0.1
"""Seconds for one of the longest messages, on a server that sends octets one by one."""
MUCH = 80
"""Of these 5 MB are more than a kernel takes for one connection: Linux takes 4 MiB."""
KEPT = 2200
"""Messages for one account: more than the 1,000 that it has room for, or 2,048."""
TRIED = 5
"""Messages of which none may be so slow: some are, where the machine is busy."""
LETTERS, FILL = bytes(range(97, 123)), b"x" * 12
MESSAGES = 7
"""Of ten requests so many are messages: more would have echoes of over 128 KiB."""
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


@pytest.mark.examples
@pytest.mark.rules("FRM-9", "DLV-1", "SND-12", "SND-9", "FRM-4", "ACC-12", "FRM-11")
def test_end_behind_much_to_deliver(run: Run) -> None:
    """What DELIVER brings is sent to its end, though no more requests will come.

    The client has half closed, or what it sent last was malformed. It is more than
    the kernels hold: the server has to wait until there is room. Where it cuts off who
    lets so much wait (SND-14), this shows nothing. It may keep a part, too, but lose
    none, and so with all else that comes meanwhile.
    """
    texts = [b"%02d" % number + b"m" * 65_000 for number in range(MUCH)]
    with Script(run, "FRM-9", "DLV-1") as script:
        sender, recipient = script.account("A"), script.account("B")
        script.leave("B")
        deliver_and_more(script, sender, recipient, texts)
        script.rules = "FRM-9", "DLV-1"
        script.leave("C")
        deliver_much(script, "D", sender, recipient, texts)
        script.perform(steps.HalfClose("D"))
        script.open("E")
        script.rules = ("SND-14",)
        entered = script.enters("E", recipient)
        script.rules = "FRM-9", "DLV-1"
        for text in texts:
            script.receive("D", frames.SEND, sender, recipient, text)
        script.receive("D", frames.LISTRESPONSE)
        script.perform(steps.End("D", rules=("FRM-9",)))
        if entered:  # which the end of what is done by now does not change
            script.rules = "ACC-12", "SND-2"
            script.send("E", frames.SEND, recipient, recipient, b"hi")
            script.receive("E", frames.SEND, recipient, recipient, b"hi")
            script.receive("E", frames.SEND, recipient, recipient, b"hi")
        script.leave("E")
        script.rules = ("FRM-11",)
        deliver_much(script, "F", sender, recipient, texts)
        script.octets("F", frames.header(frames.LIST, 0, frames.WRONG))
        run.check_witness()  # by now the server has it, while all else still waits
        got, connected = messages_of(script, "F")
        if script.connections["F"].peer.closed == "reset":
            return  # a rejection, too: what is on its way may be lost to it
        if got != texts or not connected:
            script.fail(f"{len(texts)} kept messages and a list", f"{len(got)} of them")
        script.rejected("F")


def deliver_and_more(
    script: Script, sender: bytes, recipient: bytes, texts: list[bytes]
) -> None:
    """See what else comes on a connection that has much to read: it is whole, and once.

    These are replies, live messages, of which two are alike, of senders that are gone
    by then, and what a second DELIVER does not bring again. The case is left out where
    the server does not let so much wait.
    """
    others = {connection: script.account(connection) for connection in GONE}
    deliver_much(script, "C", sender, recipient, texts)
    script.send("C", frames.DELIVER)
    script.send("C", frames.SEND, recipient, recipient, b"own")
    script.send("C", frames.SEND, sender, recipient, b"in another's name")
    script.send("C", frames.LIST, script.run.unused)
    own = [recipient, b"own"]
    live = [own]
    for connection in ("A", "A", *GONE):
        name = others.get(connection, sender)
        script.send(connection, frames.SEND, name, recipient, b"alike")
        if script.peek(connection, frames.SEND):
            script.receive(connection, frames.SEND, name, recipient, b"alike")
            live.append([name, b"alike"])
        else:
            script.error(connection, "SND-14", "SND-2")
    script.leave(GONE[0])
    script.delete(GONE[1])
    script.rules = "SND-12", "SND-9"
    messages, replies = all_of(script, "C", 2)
    if not script.serves("C"):
        pytest.skip("the server does not let so much wait")
    script.send("C", frames.DELIVER)  # what was kept instead is brought now
    script.send("C", frames.LIST, script.run.unused)
    more, _ = all_of(script, "C", 1)
    errors = [at for command, at in replies if command == frames.RESPONSE]
    if len(errors) not in (1, 2):
        script.rules = "FRM-4", "SND-5"
        script.fail("an error reply", f"{len(errors)} of them")
    # One error reply is for the other's name; the other says that too much waits.
    if len(errors) == 2:
        live.remove(own)
    elif messages.count(own) != 2:
        script.rules = "SND-2", "SND-7"
        script.fail("a message to oneself, and its echo", f"{messages.count(own)}")
    else:
        messages.remove(own)
    every = messages + more
    got = sorted(message for message in every if len(message[1]) <= LONGEST)
    if got != sorted(live):
        script.fail(f"{len(live)} live messages", f"{len(got)} of them")
    if [text for _, text in every if len(text) > LONGEST] != texts:
        script.rules = "SND-12", "DLV-1"
        script.fail(f"{len(texts)} kept messages, once", f"{len(every)} in all")
    if min(errors) < len(texts):
        script.rules = ("FRM-4",)
        script.fail("an error reply behind what DELIVER brings", "one amid that")
    if min(at for _, at in replies) < len(texts):
        pytest.skip("the server does not let so much wait")


GONE = "Left", "Deleted"
"""Who has left, and who has been deleted, when it is read what they have sent."""
LONGEST = 100
"""Octets of a short message, at most."""


def all_of(
    script: Script, connection: str, lists: int
) -> tuple[list[list[bytes]], list[tuple[int, int]]]:
    """Return what comes up to so many lists, or to the end.

    Returns:
        The sender and the text of each message, and the commands of all else, each
        with the number of long messages that were ahead of it.
    """
    messages: list[list[bytes]] = []
    replies: list[tuple[int, int]] = []
    long = 0
    try:
        while lists and (frame := script.any(connection)):
            if frame.command == frames.SEND:
                messages.append([frame.fields[0], frame.fields[2]])
                long += len(frame.fields[2]) > LONGEST
            else:
                replies.append((frame.command, long))
                lists -= frame.command == frames.LISTRESPONSE
    except Failure:
        if not script.connections[connection].peer.closed:
            raise
    return messages, replies


def deliver_much(
    script: Script,
    connection: str,
    sender: bytes,
    recipient: bytes,
    texts: list[bytes],
) -> None:
    """Have messages kept, and ask for them where they are not read for now."""
    script.open_deaf(connection)
    fill(script, sender, recipient, texts)
    script.login(connection, recipient)
    script.send(connection, frames.DELIVER)
    script.send(connection, frames.LIST, script.run.unused)


@pytest.mark.examples
@pytest.mark.rules("SND-11", "SND-12", "ACC-16")
@pytest.mark.parametrize("deleted", [False, True])
def test_reset_amid_live_messages(run: Run, *, deleted: bool) -> None:
    """What was not read of live messages may be kept when the connection is reset.

    Then it is in front of what was sent later; but an account that has the username
    by then, and is another, does not get it.
    """
    texts = [b"%02d" % number + b"m" * 65_000 for number in range(MUCH)]
    with Script(run, "SND-11", "SND-12") as script:
        sender, recipient = script.account("A"), run.names.fresh()
        script.open_deaf("B")
        script.create("B", recipient)
        script.open("C")
        for text in texts:
            script.send("A", frames.SEND, sender, recipient, text)
            if not script.peek("A", frames.SEND):
                pytest.skip("the server does not let so much wait")
            script.receive("A", frames.SEND, sender, recipient, text)
        script.rules = ("SND-14",)
        if deleted:
            script.send("B", frames.DELETE)
            if not made_again(script, "C", recipient):
                pytest.skip("the server reads nothing of who does not read")
        else:
            script.perform(steps.HalfClose("B"))
            if not script.enters("C", recipient):
                pytest.skip("the session lasts until all has been read")
            script.leave("C")
            script.send("A", frames.SEND, sender, recipient, b"later")
            script.receive("A", frames.SEND, sender, recipient, b"later")
        script.rules = "SND-11", "SND-12"
        script.perform(steps.Reset("B"))
        run.check_witness()
        if not deleted:
            script.open("C")
            script.login("C", recipient)
        script.send("C", frames.DELIVER)
        script.send("C", frames.LIST, run.unused)
        kept, _ = messages_of(script, "C")
        if deleted and kept:
            script.rules = ("ACC-16",)
            script.fail("nothing that was for another account", f"{len(kept)} messages")
        if not deleted and (kept != sorted(set(kept)) or kept[-1:] != [b"later"]):
            script.fail("what is left, once, in order, and the last", f"{len(kept)}")


def made_again(script: Script, connection: str, name: bytes) -> bool:
    """Ask for an account until its name is free; return whether that was soon."""
    until = time.monotonic() + grace.MOST
    while time.monotonic() < until:
        script.send(connection, frames.CREATE, name)
        if script.any(connection) == SUCCESS:
            return True
    return False


MANY = 150
"""Messages that DELIVER brings: more than a program may take at a time."""
BEHIND: dict[str, bytes] = {
    "nothing": b"",
    "DELIVER": frames.frame(frames.DELIVER),
    "DELETE": frames.frame(frames.DELETE),
    "half-close": b"",
}
"""What comes in one segment with DELIVER, behind it."""


@pytest.mark.examples
@pytest.mark.beside(10)
@pytest.mark.rules("DLV-1", "SND-12", "FRM-4", "FRM-9")
@pytest.mark.parametrize("behind", BEHIND)
def test_many_to_deliver_and_more(run: Run, behind: str) -> None:
    """All that is kept is brought, and once, whatever comes behind DELIVER."""
    with Script(run, "DLV-1", "SND-12", "FRM-4") as script:
        sender, recipient = script.account("A"), script.account("B")
        script.leave("B")
        sent = [(sender, recipient, b"%03d" % number) for number in range(MANY)]
        octets = [frames.frame(frames.SEND, *message) for message in sent]
        script.octets("A", b"".join(octets))
        for message in sent:
            script.receive("A", frames.SEND, *message)
        script.open("C")
        script.login("C", recipient)
        script.octets("C", frames.frame(frames.DELIVER) + BEHIND[behind])
        if behind == "half-close":
            script.perform(steps.HalfClose("C"))
        for message in sent:
            script.receive("C", frames.SEND, *message)
        if behind == "DELETE":
            script.perform(steps.Receive("C", frames.RESPONSE, optional=True))
        if behind != "half-close":
            script.fence("C")


@pytest.mark.rules("FRM-9", "SND-3")
def test_close_behind_hundreds(run: Run) -> None:
    """Hundreds of requests are carried out though their client has closed by then."""
    with Script(run, "FRM-9", "SND-3") as script:
        sender, recipient = script.account("A"), script.account("B")
        script.leave("B")
        texts = [b"%03d" % number for number in range(MANY)]
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


@pytest.mark.examples
@pytest.mark.drawn
@pytest.mark.rules("SND-12")
def test_reset_amid_what_is_delivered(run: Run) -> None:
    """Who has read a part of what DELIVER brings does not get that part again.

    The rest may be lost with the connection, or kept (SND-12).
    """
    texts = [b"%02d" % number + b"m" * 65_000 for number in range(MUCH)]
    with Script(run, "SND-12") as script:
        sender, recipient = script.account("A"), script.account("B")
        script.leave("B")
        script.open_deaf("C")
        fill(script, sender, recipient, texts)
        script.login("C", recipient)
        script.send("C", frames.DELIVER)
        got, _ = messages_of(script, "C", 3)
        script.perform(steps.Reset("C"))
        script.open("D")
        script.login("D", recipient)
        script.send("D", frames.DELIVER)
        script.send("D", frames.LIST, run.unused)
        kept, _ = messages_of(script, "D")
        if set(got) & set(kept):
            script.fail("every message once", "some came twice")


def fill(script: Script, sender: bytes, recipient: bytes, texts: list[bytes]) -> None:
    """Have these messages kept; leave the case out where there is no room for them.

    Or where it would go on for minutes: octets may leave one by one.
    """
    fastest = math.inf
    for number, text in enumerate(texts):
        begun = time.monotonic()
        script.send("A", frames.SEND, sender, recipient, text)
        message = script.peek("A", frames.SEND)
        fastest = min(fastest, time.monotonic() - begun)
        if number == TRIED and fastest > SLOW:
            pytest.skip("the server takes its time over long messages")
        if not message:
            script.error("A", "SND-2", "LIM-3")
            pytest.skip("the server does not keep so much")
        script.receive("A", frames.SEND, sender, recipient, text)


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
