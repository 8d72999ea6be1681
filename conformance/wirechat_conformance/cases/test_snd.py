"""Sending: what a server may choose, order under load, and who does not read."""

import pytest

from wirechat_conformance import frames
from wirechat_conformance.judge import is_error
from wirechat_conformance.run import Run
from wirechat_conformance.script import Script


@pytest.mark.rules("SND-10")
@pytest.mark.parametrize(
    "message",
    [b"one|||two", b"|||", b"one||||||", b"a|||b|||c|||d"],
    ids=["four", "four-empty", "five", "six"],
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
        else:
            run.chose("SEND of more than three fields", "rejected")
            script.rejected("A")
        script.fence("B")


@pytest.mark.rules("SND-13")
def test_ahead_of_whatever_is_asked_then(run: Run) -> None:
    """Once there is the echo, the message is ahead of the reply to a later request."""
    with Script(run, "SND-13") as script:
        sender, recipient = script.account("A"), script.account("B")
        for number in range(150):
            message = b"%d" % number
            script.send("A", frames.SEND, sender, recipient, message)
            script.receive("A", frames.SEND, sender, recipient, message)
            script.send("B", frames.LIST, run.unused)
            script.receive("B", frames.SEND, sender, recipient, message)
            script.receive("B", frames.LISTRESPONSE)


@pytest.mark.rules("SND-11", "SND-12", "SND-9")
def test_long_conversation(run: Run) -> None:
    """Three accounts send one another messages of all lengths, a hundred each."""
    with Script(run, "SND-11", "SND-12", "SND-9") as script:
        names = {connection: script.account(connection) for connection in "ABC"}
        sent: dict[str, list[tuple[bytes, ...]]] = {connection: [] for connection in "ABC"}
        for number in range(100):
            for connection, other in ("AB", "BC", "CA"):
                text = b"%d " % number + b"x" * (number * number % 3001)
                message = names[connection], names[other], text
                script.send(connection, frames.SEND, *message)
                sent[connection].append(message)
        for connection, other in ("AB", "BC", "CA"):
            frames_to_come(script, connection, sent, names)


@pytest.mark.rules("SND-14", "SND-12")
def test_recipient_that_does_not_read(run: Run) -> None:
    """Whoever sends to a recipient that does not read is answered as ever.

    What was accepted comes in order, once: live up to where the server may have cut
    the recipient off, and the rest, which was kept, at a DELIVER.
    """
    with Script(run, "SND-14") as script:
        ...
