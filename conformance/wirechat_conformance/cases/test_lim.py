"""Load and limits."""

import resource
import time

import pytest

from wirechat_conformance import frames, steps
from wirechat_conformance.failure import Failure
from wirechat_conformance.frames import NO_NAMES, SUCCESS, Received
from wirechat_conformance.judge import describe, is_error
from wirechat_conformance.run import GoneError, Run, asked
from wirechat_conformance.script import Script

OWN = 3
"""Connections that the run holds besides those of a case."""
LONG = 64
"""Characters of a username that a server may take or not."""
BATCH = 48
"""Connections used at a time where many are not the point."""


@pytest.mark.rules("LIM-1", "SND-1")
def test_a_hundred_connections(run: Run) -> None:
    """A hundred connections, each with a session, pass a message on in a circle."""
    with Script(run, "LIM-1") as script:
        connections = [f"C{number}" for number in range(100 - OWN)]
        script.open(*connections)
        for connection in connections:
            script.send(connection, frames.LIST, run.unused)
        for connection in connections:
            script.receive(connection, frames.LISTRESPONSE)
        names = [run.names.fresh() for _ in connections]
        for connection, name in zip(connections, names, strict=True):
            script.create(connection, name)
        sent = [
            Received(frames.SEND, b"|||".join([name, other, b"pass it on"]))
            for name, other in zip(names, names[1:] + names[:1], strict=True)
        ]
        for connection, message in zip(connections, sent, strict=True):
            script.octets(connection, message.octets)
        for connection, echo, message in zip(
            connections, sent, sent[-1:] + sent[:-1], strict=True
        ):
            got = [script.any(connection), script.any(connection)]
            if got not in ([echo, message], [message, echo]):
                told = [describe(frame) if frame else "closed" for frame in got]
                script.fail("an echo and a message", " and ".join(told))


@pytest.mark.examples
@pytest.mark.rules("LIM-2")
def test_a_thousand_connections(run: Run) -> None:
    """A thousand connections are open at the same time, and each is served."""
    allow_files(1100)
    with Script(run, "LIM-2") as script:
        connections = [f"C{number}" for number in range(1000 - OWN)]
        try:
            script.open(*connections)
        except GoneError as gone:
            script.fail("a thousand connections", str(gone))
        for connection in connections:
            script.send(connection, frames.LIST, run.unused)
        for connection in connections:
            script.receive(connection, frames.LISTRESPONSE)


def allow_files(count: int) -> None:
    """Raise the limit of open files; leave the case out where that is forbidden."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            pytest.skip(f"no more than {hard} open files are allowed here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


@pytest.mark.examples
@pytest.mark.rules("LIM-3", "LST-1")
def test_a_thousand_accounts(run: Run) -> None:
    """A thousand accounts exist, those of others counted, and all are listed.

    The list is to be longer than 64 KiB: that takes names of 64 characters, or a second
    thousand of 32: as many as the server likes.
    """
    with Script(run, "LIM-3", "LST-1") as script:
        script.open("A")
        script.send("A", frames.LIST)
        reply = script.any("A")
        there = len(reply.fields) if reply else 0
        length = long_name(script)
        names = [run.names.fresh(length) for _ in range(1000 - there)]
        more = [run.names.fresh(length) for _ in range(1000)]
        try:
            if make(script, names) < len(names):
                script.fail("a thousand accounts", "an error reply")
            more = more[: BATCH if length == LONG else None]
            made = names + more[: make(script, more)]
            script.send("A", frames.LIST)
            script.listed("A", *made, others=True)
        finally:
            run.sweep()


def long_name(script: Script) -> int:
    """Return a length that usernames may have: 64 if the server likes, or 32."""
    script.open("Long")
    script.send("Long", frames.CREATE, script.run.names.fresh(LONG))
    if script.any("Long") != SUCCESS:
        return 32
    script.delete("Long")
    return LONG


def make(script: Script, names: list[bytes]) -> int:
    """Make accounts, some at a time, and leave them offline.

    Returns:
        How many there are before the first that is refused.
    """
    for start in range(0, len(names), BATCH):
        batch = {name.decode(): name for name in names[start : start + BATCH]}
        for connection, name in batch.items():
            script.open(connection)
            script.send(connection, frames.CREATE, name)
        made = 0
        for connection in batch:
            reply = script.any(connection)
            script.perform(steps.Close(connection))
            made += reply == SUCCESS
            if reply is None or not (reply == SUCCESS or is_error(reply)):
                script.fail("an empty RESPONSE, or an error reply", reply)
        if made < len(batch):
            return start + made
    return len(names)


@pytest.mark.rules("LIM-3", "SND-12", "DLV-1")
def test_a_thousand_kept_messages_of_a_hundred_octets(run: Run) -> None:
    """A thousand messages of 100 octets are kept for one, and delivered."""
    with Script(run, "LIM-3", "SND-12") as script:
        sender, recipient = script.account("A"), script.account("B")
        script.leave("B")
        texts = [b"%04d" % number + b"k" * 76 for number in range(1000)]
        for start in (0, 500):  # of one thousand the echoes were too long (FRM-4)
            batch = texts[start : start + 500]
            octets = [frames.frame(frames.SEND, sender, recipient, t) for t in batch]
            script.octets("A", b"".join(octets))
            for text in batch:
                script.receive("A", frames.SEND, sender, recipient, text)
        script.open("C")
        script.login("C", recipient)
        script.send("C", frames.DELIVER)
        for text in texts:
            script.receive("C", frames.SEND, sender, recipient, text)


@pytest.mark.rules("LIM-4", "FRM-10")
def test_frames_that_take_their_time(run: Run) -> None:
    """Clients that stop in the middle of a frame cost nobody else anything."""
    with Script(run, "LIM-4") as script:
        name = script.account("A")
        message = frames.frame(frames.SEND, name, name, b"hi")
        slow = [f"S{cut}" for cut in range(1, len(message), 3)]
        script.open(*slow)
        for connection in slow:
            script.octets(connection, message[: int(connection[1:])])
            script.octets("A", message)
            script.receive("A", frames.SEND, name, name, b"hi")
            script.receive("A", frames.SEND, name, name, b"hi")
        for connection in slow:
            script.octets(connection, message[int(connection[1:]) :])
            script.perform(steps.ReceiveError(connection, rules=("SND-4", "FRM-3")))


@pytest.mark.last
@pytest.mark.rules("LIM-5")
def test_idle_connections(run: Run) -> None:
    """Connections on which nothing has passed since the run began are still served.

    A run is shorter than the minute that LIM-5 promises: ``--idle`` or ``--thorough``
    makes it longer.
    """
    if not run.idle:
        pytest.skip("no connection could be held")
    wait = run.idle_since + run.settings.idle - time.monotonic()
    time.sleep(max(0.0, wait))  # so long silence is what this is about
    seconds = time.monotonic() - run.idle_since
    run.chose("idle connections", f"held for {min(seconds, 60):.0f} s of 60")
    for peer in run.idle:
        if asked(peer, run.unused) != NO_NAMES:
            told = f"none, after {seconds:.1f} s of silence"
            raise Failure(["LIM-5"], "a reply on an idle connection", told)
