"""Requests that are sent at one moment, on several connections."""

import random
import time
from collections.abc import Callable, Mapping

import pytest

from wirechat_conformance import frames, steps
from wirechat_conformance.cases.test_lim import make
from wirechat_conformance.frames import SUCCESS, Received
from wirechat_conformance.judge import is_error
from wirechat_conformance.races import Request, Seen, State, explained, in_order
from wirechat_conformance.run import Run
from wirechat_conformance.script import Script

pytestmark = [
    *(pytest.mark.examples, pytest.mark.drawn, pytest.mark.races),
    pytest.mark.beside(10),
]
Moves = Mapping[str, tuple[Request, ...]]
A, B, C, D, E = "ABCDE"


def messages(sender: bytes, recipient: bytes, count: int) -> tuple[Request, ...]:
    """Return SENDs with numbered texts."""
    return tuple(
        Request(frames.SEND, (sender, recipient, b"%02d" % number))
        for number in range(count)
    )


def login_under_fire(a: bytes, b: bytes, c: bytes) -> Moves:
    """Somebody logs in and asks for messages while they are being sent."""
    enter = Request(frames.LOGIN, (b,)), Request(frames.DELIVER)
    return {A: messages(a, b, 3), C: messages(c, b, 3), D: enter}


def two_logins_under_fire(a: bytes, b: bytes, c: bytes) -> Moves:
    """Two log in to one account while a message is sent to it."""
    enter = (Request(frames.LOGIN, (b,)), Request(frames.DELIVER))
    return {A: messages(a, b, 2), D: enter, E: enter}


def deliver_under_fire(a: bytes, b: bytes, c: bytes) -> Moves:
    """Somebody asks for messages again and again while they are being sent."""
    ask = Request(frames.DELIVER)
    return {A: messages(a, b, 3), C: messages(c, b, 3), B: (ask, ask, ask)}


def delete_under_fire(a: bytes, b: bytes, c: bytes) -> Moves:
    """An account is deleted, and made again, while messages are sent to it."""
    again = Request(frames.DELETE), Request(frames.CREATE, (b,))
    return {A: messages(a, b, 2), C: messages(c, b, 2), B: again}


def create_under_fire(a: bytes, b: bytes, c: bytes) -> Moves:
    """An account is made by one of several while messages are sent to it."""
    make = (Request(frames.CREATE, (b,)),)
    return {A: messages(a, b, 2), B: make, D: make, E: (Request(frames.LIST, (b,)),)}


def cross_fire(a: bytes, b: bytes, c: bytes) -> Moves:
    """All send to one another, and one deletes its account behind that."""
    gone = (*messages(a, b, 2), Request(frames.DELETE))
    return {A: gone, B: messages(b, a, 2), C: messages(c, a, 2)}


RACES: Mapping[str, tuple[Callable[[bytes, bytes, bytes], Moves], str, list[str]]] = {
    "login": (login_under_fire, "offline", ["SND-12"]),
    "two-logins": (two_logins_under_fire, "offline", ["ACC-17"]),
    "deliver": (deliver_under_fire, "online", ["SND-12"]),
    "delete": (delete_under_fire, "online", ["ACC-13"]),
    "create": (create_under_fire, "absent", ["ACC-17"]),
    "all": (cross_fire, "online", ["SND-12"]),
}
"""What races, what the account in the middle is at first, the rules at stake."""
EXAMPLES_PER_ROUND = 2
LEFT = 0.05
"""Seconds in which a session has ended even where the machine is busy."""
BURST = 300
"""Messages of one sender: of three they are fewer than a recipient may leave unread."""
ROW = 200
"""Accounts that several enter one behind another, which takes three requests each."""


@pytest.mark.parametrize(
    "race",
    [pytest.param(r, marks=pytest.mark.rules(*RACES[r][2], "SND-1")) for r in RACES],
)
def test_race(run: Run, race: str) -> None:
    """There is an order of the requests in which what was seen could have come."""
    moves, start, at_stake = RACES[race]
    source = random.Random(run.settings.seed)
    rounds = rounds_of(run)
    names = left(run, rounds) if start == "offline" else [None] * rounds
    for offline in names:
        with Script(run, *at_stake) as script:
            once(script, moves, start, source, offline)


def rounds_of(run: Run) -> int:
    """Return how often a race is run."""
    return -(-run.replies.part(run.settings.examples) // EXAMPLES_PER_ROUND)


def left(run: Run, count: int) -> list[bytes]:
    """Return accounts that were left a good while ago: a race gets no second try."""
    with Script(run, "ACC-12") as script:
        names = [script.account(f"B{number}") for number in range(count)]
        for number in range(count):
            script.leave(f"B{number}")
    time.sleep(max(run.grace, LEFT))  # from outside no event tells that it has ended
    return names


def once(
    script: Script,
    moves: Callable[[bytes, bytes, bytes], Moves],
    start: str,
    source: random.Random,
    offline: bytes | None,
) -> None:
    """Run a race once, about an account that is offline, or of its own."""
    a, c = script.account(A), script.account(C)
    b = offline or script.account(B)
    script.open(D, E)
    state = State({a: (), b: (), c: ()}, {A: a, B: b, C: c})
    if offline:
        state = State(state.kept, {A: a, C: c})
    elif start == "absent":
        script.delete(B)
        state = State({a: (), c: ()}, {A: a, C: c})
    requests = moves(a, b, c)
    fire(script, requests, source)
    seen = look(script, requests, [a, b, c])
    for connection in requests:
        first = next(iter(seen.came[connection]), None)
        if connection not in state.sessions and first and first.command == frames.SEND:
            script.rules = ("SND-1",)
            script.fail("nothing before the RESPONSE that starts a session", first)
        for sender in (a, b, c):
            texts = [
                d.split(b"|||")[2]
                for d in seen.messages[connection]
                if d.startswith(sender)
            ]
            if not in_order(texts):
                script.fail("each sender's messages in order", f"{texts}")
    if not explained(state, requests, seen):
        script.fail(
            "an order of the requests that explains all replies", "none", str(seen)
        )


def fire(script: Script, requests: Moves, source: random.Random) -> None:
    """Send all requests at one moment, in any order but that on each connection."""
    shots = [connection for connection, own in requests.items() for _ in own]
    source.shuffle(shots)
    left = {connection: iter(own) for connection, own in requests.items()}
    for connection in shots:
        command, fields = next(left[connection])
        script.send(connection, command, *fields)


def look(script: Script, requests: Moves, names: list[bytes]) -> Seen:
    """Take note of all that has come, and of how the race has ended."""
    came = {c: until_fence(script, c, own) for c, own in requests.items()}
    for connection in requests:  # all echoes have come, so by now all messages have
        came[connection] += until_fence(script, connection, ())
    after, offline = {}, {}
    for connection in requests:
        after[connection] = kept(script, connection)
    for number, name in enumerate(names):
        connection = f"N{number}"
        script.open(connection)
        script.send(connection, frames.LOGIN, name)
        entered = script.any(connection) == SUCCESS
        offline[name] = kept(script, connection) if entered else None
        if entered:
            script.delete(connection)
    sent = {c: [b"|||".join(r.fields) for r in own] for c, own in requests.items()}
    mine = {
        c: tuple(f for f in got if f.command != frames.SEND or f.data in sent[c])
        for c, got in came.items()
    }
    others = {
        c: tuple(
            f.data for f in got if f.command == frames.SEND and f.data not in sent[c]
        )
        for c, got in came.items()
    }
    return Seen(came, mine, others, after, offline)


def until_fence(
    script: Script, connection: str, requests: tuple[Request, ...]
) -> tuple[Received, ...]:
    """Return what comes before the reply to a fence that is sent now."""
    script.send(connection, frames.LIST, script.run.unused)
    lists = sum(request.command == frames.LIST for request in requests)
    came: list[Received] = []
    while True:
        frame = script.any(connection)
        if frame is None:
            script.fail("replies", frame)
        if frame.command == frames.LISTRESPONSE:
            if not lists:
                return tuple(came)
            lists -= 1
        came.append(frame)


def kept(script: Script, connection: str) -> tuple[bytes, ...] | None:
    """Return what a DELIVER brings, or None where there is no session."""
    script.send(connection, frames.DELIVER)
    came = until_fence(script, connection, ())
    if len(came) == 1 and is_error(came[0]):
        return None
    return tuple(frame.data for frame in came)


@pytest.mark.parametrize("end", [steps.HalfClose, steps.Reset])
@pytest.mark.rules("SND-12", "SND-11")
def test_end_under_fire(run: Run, end: type[steps.Step]) -> None:
    """No message comes twice, none that is kept is lost, when a recipient leaves."""
    source = random.Random(run.settings.seed)
    for _ in range(rounds_of(run)):
        with Script(run, "SND-12") as script:
            sender, recipient = script.account(A), script.account(B)
            texts = [b"%02d" % number for number in range(16)]
            leaving, read = source.randrange(10), source.randrange(3)
            for number, text in enumerate(texts):
                script.send(A, frames.SEND, sender, recipient, text)
                if number == leaving:
                    live = [script.any(B) for _ in range(min(read, number))]
                    script.perform(end(B))
            for text in texts:
                script.receive(A, frames.SEND, sender, recipient, text)
            if end is steps.HalfClose:
                while live[-1:] != [None]:
                    live.append(script.any(B))
            script.open(D)
            script.login(D, recipient)
            script.send(A, frames.SEND, sender, recipient, b"live")
            script.receive(A, frames.SEND, sender, recipient, b"live")
            script.receive(D, frames.SEND, sender, recipient, b"live")
            got = [frame.fields[2] for frame in live if frame is not None]
            later = [data.split(b"|||")[2] for data in kept(script, D) or ()]
            if got + later != sorted(set(got + later)):
                script.fail("each message once, and in order", f"{got}, then {later}")


@pytest.mark.parametrize("recipient_is", ["offline", "online"])
@pytest.mark.rules("SND-12", "SND-11")
def test_bursts(run: Run, recipient_is: str) -> None:
    """What several send to one account without a pause arrives, and in order."""
    with Script(run, "SND-12") as script:
        senders = {connection: script.account(connection) for connection in (A, B, C)}
        recipient, reader = script.account(D), D
        if recipient_is == "offline":
            script.leave(D)
        texts = [b"%03d" % number for number in range(30 if run.slow else BURST)]
        for connection, sender in senders.items():
            burst = [frames.frame(frames.SEND, sender, recipient, t) for t in texts]
            script.octets(connection, b"".join(burst))
        for connection, sender in senders.items():
            for text in texts:
                script.receive(connection, frames.SEND, sender, recipient, text)
        if recipient_is == "offline":
            reader = "E"
            script.open(reader)
            script.login(reader, recipient)
            script.send(reader, frames.DELIVER)
        came = until_fence(script, reader, ())
        for sender in senders.values():
            got = [frame.fields[2] for frame in came if frame.fields[0] == sender]
            script.rules = ("SND-12",)
            if sorted(got) != texts:
                script.fail(f"each of {len(texts)} messages once", f"{len(got)}")
            script.rules = ("SND-11",)
            if got != texts:
                script.fail("each sender's messages in order", f"{got}")


@pytest.mark.parametrize("command", ["CREATE", "LOGIN"])
@pytest.mark.rules("ACC-17")
def test_row(run: Run, command: str) -> None:
    """Several enter the same accounts, one behind another, as quickly as they can.

    Who has entered sends to itself and deletes the account: no other session meddles.
    """
    with Script(run, "ACC-17") as script:
        names = [run.names.fresh() for _ in range(run.replies.part(ROW))]
        if command == "LOGIN":
            make(script, names)
        racers = {connection: connection.encode() for connection in (A, B, C, D)}
        script.open(*racers)
        for connection, text in racers.items():
            tries = (
                frames.frame(frames.COMMANDS[command], name)
                + frames.frame(frames.SEND, name, name, text)
                + frames.frame(frames.DELETE)
                for name in names
            )
            script.octets(connection, b"".join(tries))
        for connection, text in racers.items():
            came = until_fence(script, connection, ())
            sent = [frame.fields for frame in came if frame.command == frames.SEND]
            entered = [name for name in names if [name, name, text] in sent]
            if sent != [[name, name, text] for name in entered for _ in "12"]:
                script.fail("own messages alone, each twice", f"{sent}")
            refused, left = sum(map(is_error, came)), len(names) - len(entered)
            if refused != 3 * left:
                script.fail(f"{3 * left} error replies without a session", f"{refused}")
