"""Load and limits."""

import resource
import time
from collections.abc import Callable

import pytest

from wirechat_conformance import frames, steps, sweep
from wirechat_conformance.bystanders import WHOLE, asked
from wirechat_conformance.failure import Failure
from wirechat_conformance.frames import NO_NAMES, SUCCESS, Received
from wirechat_conformance.judge import describe, is_error
from wirechat_conformance.peer import GoneError
from wirechat_conformance.run import Run
from wirechat_conformance.script import Script
from wirechat_conformance.settings import MINUTE

OWN = 8
"""Connections that the run holds besides those of a case."""
SESSIONS = 260
"""Sessions at the same time: more than an octet counts."""
LONG = 64
"""Characters of a username that a server may take or not."""
PREFIX = 3
"""Characters with which all usernames of a run begin."""
THIN = 16
"""Of so many accounts one is deleted: enough for each to have had neighbours. Of a
server that is slow, the first few alone."""
FEW = 4
"""Of so many accounts one is asked for again: that is hundreds."""
AT_ONCE = 250
"""Requests that are sent ahead of their replies."""
TOGETHER = 100
"""Connections on which something is asked at the same time."""
ANEW = "FRM-10", "LIM-1"
"""What a server breaks that does not serve a hundred connections behind a reset."""
TRIES = 10
"""Times that room for a thousand accounts is looked for."""
BATCH = 48
"""Connections used at a time where many are not the point."""
LISTED = 1 << 16
"""Octets of a list that are more than some think can be."""


@pytest.mark.rules("LIM-1", "LIM-3", "SND-1", "SND-3", "DLV-1")
def test_a_hundred_connections(run: Run) -> None:
    """A hundred connections, each with a session, pass a message on in a circle.

    Each writes to somebody offline, too, for whom all that is kept.
    """
    patiently(run, lambda: a_hundred(run))


def a_hundred(run: Run) -> None:
    """Have a hundred connections, with sessions, that write to one another."""
    run.sweep()  # there may be no room for more than a thousand accounts, of all
    with Script(run, "LIM-1") as script:
        offline = script.account("Offline")
        script.leave("Offline")
        connections = [f"C{number}" for number in range(100 - OWN)]
        opened(script, connections)
        names = with_sessions(script, connections)
        circle(script, connections, names)
        script.rules = "SND-3", "LIM-3"
        for connection, name in zip(connections, names, strict=True):
            script.send(connection, frames.SEND, name, offline, b"kept")
        for connection, name in zip(connections, names, strict=True):
            script.receive(connection, frames.SEND, name, offline, b"kept")
        script.rules = "DLV-1", "SND-3"
        script.delete(connections[0])  # of one more there may be no connection
        script.login(connections[0], offline)
        script.send(connections[0], frames.DELIVER)
        kept = {script.any(connections[0]) for _ in names}
        wanted = {
            Received(frames.SEND, b"|||".join([name, offline, b"kept"]))
            for name in names
        }
        if kept != wanted:
            script.fail(f"a message of each of {len(names)}", f"{len(kept & wanted)}")


def with_sessions(script: Script, connections: list[str]) -> list[bytes]:
    """Make an account on each of these connections; return the usernames."""
    names = [script.run.names.fresh() for _ in connections]
    for connection, name in zip(connections, names, strict=True):
        script.send(connection, frames.CREATE, name)
    for connection in connections:
        script.receive(connection, frames.RESPONSE)
    return names


def circle(script: Script, connections: list[str], names: list[bytes]) -> None:
    """Pass messages on in a circle of connections that have these usernames."""
    sent = [
        Received(frames.SEND, b"|||".join([name, other, b"pass it on"]))
        for name, other in zip(names, names[1:] + names[:1], strict=True)
    ]
    for connection, message in zip(connections, sent, strict=True):
        script.send(connection, frames.SEND, message.data)
    for connection, echo, message in zip(
        connections, sent, sent[-1:] + sent[:-1], strict=True
    ):
        got = [script.any(connection), script.any(connection)]
        if got not in ([echo, message], [message, echo]):
            told = [describe(frame) if frame else "closed" for frame in got]
            script.fail("an echo and a message", " and ".join(told))


@pytest.mark.examples
@pytest.mark.rules("LIM-2", "LIM-1", "SND-1", "FRM-10")
def test_a_thousand_connections(run: Run) -> None:
    """A thousand connections are open at the same time, and each is served.

    The last of them have sessions, more than an octet counts, and pass a message on.
    Then all there are, fewer on some servers, are reset, half of them in a frame:
    nothing is left of them.
    """
    allow_files(1100)
    run.sweep()
    with Script(run, "LIM-2") as script:
        connections = [f"C{number}" for number in range(1000 - OWN)]
        failures = failures_of(script, lambda: opened(script, connections))
        if not failures:
            last = connections[-SESSIONS:]
            failures = failures_of(script, lambda: sessions(script, last))
        left = [connection for connection in connections if script.serves(connection)]
        for connection in left[::2]:
            script.octets(connection, frames.header(frames.SEND, LONG) + run.unused)
        for connection in left:
            script.perform(steps.Reset(connection))
        script.rules = ANEW
        with run.patience.renewed():
            failures += failures_of(script, lambda: patiently(run, lambda: anew(run)))
        if failures:
            raise failures[0].joined_by(failures[1:])


def sessions(script: Script, connections: list[str]) -> None:
    """Pass messages on, where there is room for so many accounts in any case."""
    script.send(connections[0], frames.LIST)
    reply = script.any(connections[0])
    if reply and len(reply.fields) + len(connections) <= 1000:
        script.rules = "ACC-1", "LIM-2"
        names = with_sessions(script, connections)
        script.rules = "SND-1", "LIM-2"
        circle(script, connections, names)


def failures_of(script: Script, attempt: Callable[[], None]) -> list[Failure]:
    """Return how an attempt to have many connections fails, if it does."""
    try:
        attempt()
    except Failure as failure:
        return [failure]
    except GoneError as gone:
        return [script.failure("as many connections as are asked for", str(gone))]
    return []


def opened(script: Script, connections: list[str]) -> None:
    """Open connections, and see that each is served when all are open."""
    script.open(*connections)
    served(script, connections)


def served(script: Script, connections: list[str]) -> None:
    """See that each of these connections is served, some at the same time."""
    for first in range(0, len(connections), TOGETHER):
        some = connections[first : first + TOGETHER]
        for connection in some:
            script.send(connection, frames.LIST, script.run.unused)
        for connection in some:
            script.receive(connection, frames.LISTRESPONSE)


def anew(run: Run) -> None:
    """See that a hundred connections are served that are opened now."""
    with Script(run, *ANEW) as script:
        opened(script, [f"N{number}" for number in range(100 - OWN)])


def patiently(run: Run, attempt: Callable[[], None]) -> None:
    """Try something once more where it fails, as connections may count that have ended.

    Their sessions have to end soon, and no sooner.
    """
    try:
        attempt()
    except (Failure, GoneError):
        if run.gone:
            raise
        time.sleep(run.patience.bound)  # so long a server may take to notice
        attempt()


def allow_files(count: int) -> None:
    """Raise the limit of open files; leave the case out where that is forbidden."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            pytest.skip(f"no more than {hard} open files are allowed here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


@pytest.mark.examples
@pytest.mark.rules("LIM-3", "LST-1", "LST-2", "SND-3", "ACC-2", "ACC-12", "ACC-13")
def test_a_thousand_accounts(run: Run) -> None:
    """A thousand accounts exist, those of others counted, and all are listed.

    The list is to be longer than 64 KiB: that takes a thousand names of 64 characters,
    or two thousand of 32: as many as the server likes. Who was there before still is,
    and so is everybody else when some are deleted.
    """
    run.sweep()
    try:
        with Script(run, "LIM-3", "LST-1") as script:
            crowd(script)
    finally:
        run.sweep()


def crowd(script: Script) -> None:
    """Make accounts, delete some, and then most, and look for the others each time."""
    name, kept = script.account("A"), script.account("B")
    script.leave("B")
    script.send("A", frames.SEND, name, kept, b"kept")
    script.receive("A", frames.SEND, name, kept, b"kept")
    length = long_name(script)
    made = thousand(script, length)
    # What others have is no part of it: their names may be short, or go away.
    listed = 1 + LISTED // (length + len(frames.SEPARATOR))
    more = max(BATCH, listed - len(made))
    made += make(script, [script.run.names.fresh(length) for _ in range(more)])
    script.send("A", frames.LIST)
    script.listed("A", name, kept, *made, others=True)
    script.rules = "LST-2", "LST-1"
    script.send("A", frames.LIST, name[:PREFIX] + b"*")
    script.listed("A", name, kept, *made, others=True)
    script.rules = "ACC-13", "LST-1"
    few = script.run.pace.part(len(made) // THIN)
    gone = made[::THIN][:few]
    left = sorted({*made} - {*gone})
    delete(script, gone)
    still_there(script, name, left, gone)
    script.rules = ("ACC-2",)
    made_once(script, left[::FEW])
    script.rules = "ACC-13", "LST-1"
    if not script.run.slow:
        most = [name for at, name in enumerate(left) if at % THIN]
        sweep.desert(script.run.connect, most)
        still_there(script, name, left[::THIN], gone)
    script.rules = "ACC-12", "ACC-8"
    script.leave("A")
    script.open("A")
    script.perform(steps.Repeat("A", frames.LOGIN, (name,)))
    script.receive("A", frames.RESPONSE)
    script.rules = "SND-3", "ACC-12"
    script.open("K")
    script.login("K", kept)
    script.send("K", frames.DELIVER)
    script.receive("K", frames.SEND, name, kept, b"kept")


def thousand(script: Script, length: int) -> list[bytes]:
    """Make accounts until there are a thousand, those of others counted.

    Others come and go meanwhile: a server that has room for a thousand and no more may
    refuse one of ours, though a moment later there are less. It then takes the same
    username that it has refused.
    """
    made: list[bytes] = []
    refused: list[bytes] = []
    for _ in range(TRIES):
        script.send("A", frames.LIST)
        reply = script.any("A")
        missing = 1000 - len(reply.fields if reply else ())
        fresh = range(missing - len(refused))
        names = [*refused, *(script.run.names.fresh(length) for _ in fresh)]
        names = names[: max(missing, 0)]
        got = make(script, names)
        made += got
        refused = [name for name in names if name not in got]
        if not refused:
            return made
    script.fail("a thousand accounts", "an error reply")


def delete(script: Script, names: list[bytes]) -> None:
    """Delete accounts that are offline."""
    script.open("D")
    for name in names:
        script.perform(steps.Repeat("D", frames.LOGIN, (name,)))
        login = steps.Receive("D", frames.RESPONSE, rules=(*script.rules, "ACC-8"))
        script.perform(login)  # unless it went with one before it
        script.delete("D")


def still_there(
    script: Script, sender: bytes, left: list[bytes], gone: list[bytes]
) -> None:
    """See that these accounts are listed and written to, and those are not."""
    script.send("A", frames.LIST)
    listed = steps.ReceiveNames(
        *("A", tuple((name,) for name in left), True),
        without=tuple((name,) for name in gone),
        rules=script.rules,
    )
    script.perform(listed)
    for start in range(0, len(left), AT_ONCE):
        for name in left[start : start + AT_ONCE]:
            script.send("A", frames.SEND, sender, name, b"hi")
        for name in left[start : start + AT_ONCE]:
            script.receive("A", frames.SEND, sender, name, b"hi")


def made_once(script: Script, names: list[bytes]) -> None:
    """See that none of these accounts can be made again."""
    script.open("Twice")
    for start in range(0, len(names), AT_ONCE):
        batch = names[start : start + AT_ONCE]
        script.errors("Twice", frames.CREATE, [(name,) for name in batch])


def long_name(script: Script) -> int:
    """Return a length that usernames may have: 64 if the server likes, or 32."""
    script.open("Long")
    script.send("Long", frames.CREATE, script.run.names.fresh(LONG))
    if script.any("Long") != SUCCESS:
        return 32
    script.delete("Long")
    return LONG


def make(script: Script, names: list[bytes]) -> list[bytes]:
    """Make accounts, some at a time, until one is refused, and leave them offline.

    Returns:
        Those made.
    """
    made: list[bytes] = []
    for start in range(0, len(names), BATCH):
        batch = {name.decode(): name for name in names[start : start + BATCH]}
        for connection, name in batch.items():
            script.open(connection)
            script.send(connection, frames.CREATE, name)
        for connection, name in batch.items():
            reply = script.any(connection)
            script.perform(steps.Close(connection))
            if reply == SUCCESS:
                made.append(name)
            elif reply is None or not is_error(reply):
                script.fail("an empty RESPONSE, or an error reply", reply)
        if len(made) < start + len(batch):
            break
    return made


@pytest.mark.examples
@pytest.mark.rules("LIM-3", "SND-2", "SND-12", "DLV-1")
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
            script.rules = "LIM-3", "SND-2"
            for text in batch:
                script.receive("A", frames.SEND, sender, recipient, text)
        script.rules = "LIM-3", "SND-12"
        script.open("C")
        script.login("C", recipient)
        script.send("C", frames.DELIVER)
        for text in texts:
            script.receive("C", frames.SEND, sender, recipient, text)


@pytest.mark.rules("LIM-4", "FRM-10", "FRM-3")
def test_frames_that_take_their_time(run: Run) -> None:
    """Clients that stop in the middle of a frame cost nobody else anything."""
    with Script(run, "LIM-4") as script:
        name = script.account("A")
        message = frames.frame(frames.SEND, name, name, b"hi")
        slow = [f"S{cut}" for cut in range(1, len(message))][:: 3 if run.slow else 1]
        script.open(*slow)
        for connection in slow:
            script.octets(connection, message[: int(connection[1:])])
            fields = name, name, connection.encode()
            script.send("A", frames.SEND, *fields)
            script.receive("A", frames.SEND, *fields)
            script.receive("A", frames.SEND, *fields)
        for connection in slow:
            script.octets(connection, message[int(connection[1:]) :])
            script.perform(steps.ReceiveError(connection, rules=("SND-4", "FRM-3")))
    run.bystanders.pause()


@pytest.mark.last
@pytest.mark.rules("LIM-5")
def test_idle_connections(run: Run) -> None:
    """Connections on which nothing has passed since the run began are still served.

    A run is shorter than the minute that LIM-5 promises: ``--idle`` or ``--thorough``
    makes it longer.
    """
    if not run.bystanders.idle:
        pytest.skip("no connection could be held")
    wait = run.bystanders.idle_since + min(run.settings.idle, WHOLE) - time.monotonic()
    time.sleep(max(0.0, wait))  # so long silence is what this is about
    seconds = time.monotonic() - run.bystanders.idle_since
    run.chose("idle connections", f"held for {min(seconds, MINUTE):.0f} s of 60")
    for peer in run.bystanders.idle:
        if asked(peer, run.unused) != NO_NAMES:
            if run.bystanders.overslept:
                pytest.skip("the run has taken more than the minute that is promised")
            told = f"none, after {seconds:.1f} s of silence"
            raise Failure(["LIM-5"], "a reply on an idle connection", told)


@pytest.mark.last
@pytest.mark.rules("FRM-10", "ACC-10", "SND-1")
def test_sessions_behind_others(run: Run) -> None:
    """A session is its own: nothing happens to it when an earlier one is done with.

    They began with the run, in accounts whose sessions had just ended, and are idle.
    """
    if not run.bystanders.successors or run.bystanders.overslept:
        pytest.skip("no session could be held, or not for so long")
    with Script(run, "FRM-10") as script:
        script.open("C")
        sender = script.account("Sender")
        for number, (name, peer) in enumerate(run.bystanders.successors.items()):
            connection = f"B{number}"
            script.go_on(connection, peer)
            script.rules = "ACC-10", "SND-1", "FRM-10"
            script.send("Sender", frames.SEND, sender, name, b"still there?")
            script.receive("Sender", frames.SEND, sender, name, b"still there?")
            script.receive(connection, frames.SEND, sender, name, b"still there?")
            script.rules = ("FRM-10",)
            script.fence(connection)
            script.rules = "ACC-10", "SND-1"
            script.send("C", frames.LOGIN, name)
            script.error("C")
            script.send(connection, frames.SEND, name, name, b"hi")
            script.receive(connection, frames.SEND, name, name, b"hi")
            script.receive(connection, frames.SEND, name, name, b"hi")
            script.delete(connection)
