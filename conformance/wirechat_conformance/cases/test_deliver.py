"""What DELIVER brings, and what else waits for a client that does not read."""

import math
import time

import pytest

from wirechat_conformance import frames, grace, steps
from wirechat_conformance.failure import Failure
from wirechat_conformance.frames import SUCCESS
from wirechat_conformance.run import Run
from wirechat_conformance.script import Script, messages_of

SLOW = 0.1
"""Seconds for one of the longest messages, on a server that sends octets one by one."""
MUCH = 80
"""Of these 5 MB are more than a kernel takes for one connection: Linux takes 4 MiB."""
TRIED = 5
"""Messages of which none may be so slow: some are, where the machine is busy."""
GONE = "Left", "Deleted"
"""Who has left, and who has been deleted, when it is read what they have sent."""
LONGEST = 100
"""Octets of a short message, at most."""
ASKED = 50
"""Times that something else is asked for while a server takes note of an end."""
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
        script.hear("D")
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
        settle(run)  # by now the server has it, while all else still waits
        script.hear("F")
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
    script.connections["C"].peer.readable()  # what comes from now on is behind that
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


def fill(script: Script, sender: bytes, recipient: bytes, texts: list[bytes]) -> None:
    """Have these messages kept, or wait; leave the case out where there is no room.

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
        fill(script, sender, recipient, texts)
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
        settle(run)
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


def settle(run: Run) -> None:
    """Give the server time to take note of what is on its way: no event tells of it."""
    for _ in range(run.pace.part(ASKED)):
        run.check_witness()


def made_again(script: Script, connection: str, name: bytes) -> bool:
    """Ask for an account until its name is free; return whether that was soon."""
    until = time.monotonic() + grace.MOST
    while time.monotonic() < until:
        script.send(connection, frames.CREATE, name)
        if script.any(connection) == SUCCESS:
            return True
    return False
