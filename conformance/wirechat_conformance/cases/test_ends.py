"""Sessions that end in all ways: nothing is lost that is for their accounts."""

import time

import pytest

from wirechat_conformance import frames, steps
from wirechat_conformance.bystanders import WHOLE
from wirechat_conformance.run import Run
from wirechat_conformance.script import Script
from wirechat_conformance.sweep import desert

HEADER = frames.header(frames.SEND, 0)[:20]
DATA = frames.frame(frames.LIST, b"cut off")[:-2]
MALFORMED = frames.header(frames.UNKNOWN, 60) + b"cut off"
REJECTED = {
    "version": frames.header(frames.LIST, 0, frames.WRONG),
    "length": frames.header(frames.LIST, 2**320 - 1),
}
End = type[steps.HalfClose] | type[steps.Close] | type[steps.Reset]
ENDS: dict[str, tuple[bytes, End]] = {
    f"{how.__name__} {where}": (last, how)
    for how in (steps.HalfClose, steps.Close, steps.Reset)
    for where, last in [
        ("between frames", b""),
        ("in a header", HEADER),
        ("in the data", DATA),
        ("in a malformed frame", MALFORMED),
    ]
} | {f"wrong {what}": (octets, steps.Close) for what, octets in REJECTED.items()}
"""What is sent last on a connection, and how it ends."""
AGAIN = "made again"
"""How an account is called that was deleted, and made again at once."""


@pytest.mark.examples
@pytest.mark.rules("FRM-10", "FRM-9", "SND-3", "ACC-12")
def test_each_end(run: Run) -> None:
    """However a connection ends, the one that is opened next is served.

    The accounts are those that ``test_written_to_behind_each_end`` asks for.
    """
    with Script(run, "FRM-10") as script:
        sender = script.account("Sender")
        for kind, (last, how) in ENDS.items():
            name = run.bystanders.away_by(kind)
            script.open(kind)
            script.rules = "FRM-10", "ACC-1"
            script.send(kind, frames.CREATE, name)
            script.receive(kind, frames.RESPONSE)
            keep_for(script, sender, name, kind)
            script.rules = ("FRM-9",)
            script.octets(kind, last)
            end(script, kind, last, how)
            script.rules = ("FRM-10",)
            script.open("Next")
            script.fence("Next")
            script.leave("Next")
        name = run.bystanders.away_by(AGAIN)
        script.open(AGAIN)
        script.create(AGAIN, name)
        script.delete(AGAIN)
        script.create(AGAIN, name)
        keep_for(script, sender, name, AGAIN)
        script.leave(AGAIN)


def keep_for(script: Script, sender: bytes, name: bytes, connection: str) -> None:
    """Have a message kept for an account, and its session begun anew."""
    script.leave(connection)
    script.rules = "SND-3", "SND-2"
    script.send("Sender", frames.SEND, sender, name, b"early")
    script.receive("Sender", frames.SEND, sender, name, b"early")
    script.open(connection)
    script.login(connection, name)


def end(script: Script, connection: str, last: bytes, how: End) -> None:
    """End a connection behind these octets, which the server has by then."""
    script.run.check_witness()
    if last in REJECTED.values():
        script.connections[connection].peer.end(script.run.patience.bound)
    script.perform(how(connection))
    if how is steps.HalfClose:
        while script.any(connection):
            pass  # a malformed frame may be told of before its data is there


PRELUDES: dict[str, bytes] = {
    "a-malformed-frame": frames.frame(frames.UNKNOWN, b"x"),
    "a-wrong-count": frames.frame(frames.DELETE, b"x"),
    "a-refusal": frames.frame(frames.SEND, b"nobody", b"nobody", b"no"),
    "a-list": frames.frame(frames.LIST, b"nobody"),
    "a-delivery": frames.frame(frames.DELIVER),
}
"""Requests that change nothing, of which a program may remember something."""


@pytest.mark.beside(10)
@pytest.mark.parametrize(
    "prelude",
    [
        pytest.param(p, marks=pytest.mark.rules("ACC-1", "ACC-8", "ACC-13", "SND-1"))
        for p in PRELUDES
    ],
)
def test_life_behind(run: Run, prelude: str) -> None:
    """Whatever came before, a connection serves two accounts as it serves any."""
    with Script(run) as script:
        script.open("A")
        friend, offline = script.account("Friend"), script.account("Offline")
        script.leave("Offline")
        names = run.names.fresh(), run.names.fresh()
        for name in names:
            ask(script, PRELUDES[prelude])
            script.rules = ("ACC-1",)
            script.send("A", frames.CREATE, name)
            script.receive("A", frames.RESPONSE)
            ask(script, PRELUDES[prelude])
            script.rules = "SND-1", "SND-3"
            sent = [(name, friend, b"1"), (name, offline, b"2"), (name, friend, b"3")]
            octets = [frames.frame(frames.SEND, *message) for message in sent]
            script.octets("A", b"".join(octets))
            for message in sent:
                script.receive("A", frames.SEND, *message)
            script.receive("Friend", frames.SEND, name, friend, b"1")
            script.receive("Friend", frames.SEND, name, friend, b"3")
            script.rules = ("SND-1",)
            script.send("Friend", frames.SEND, friend, name, b"live")
            script.receive("Friend", frames.SEND, friend, name, b"live")
            script.receive("A", frames.SEND, friend, name, b"live")
            script.rules = ("ACC-13",)
            script.delete("A")
            script.send("Friend", frames.LIST, name)
            script.listed("Friend")
            script.send("Friend", frames.SEND, friend, name, b"late")
            script.error("Friend")
        script.rules = ("ACC-8",)
        script.perform(steps.Repeat("A", frames.LOGIN, (offline,)))
        script.receive("A", frames.RESPONSE)
        script.rules = "SND-3", "DLV-1"
        script.send("A", frames.DELIVER)
        for name in names:
            script.receive("A", frames.SEND, name, offline, b"2")


def ask(script: Script, request: bytes) -> None:
    """Ask for something, whatever the reply; a fence tells that it is there.

    Where the server closes the connection, the case is left out.
    """
    script.octets("A", request + frames.frame(frames.LIST, script.run.unused))
    lists = 1 + (request[1] == frames.LIST)
    while lists and (reply := script.any("A")):
        lists -= reply.command == frames.LISTRESPONSE
    if lists:
        pytest.skip("the server closes the connection")


@pytest.mark.examples
@pytest.mark.rules("SND-3", "SND-12", "ACC-13", "FRM-4")
def test_kept_ahead_of_trouble(run: Run) -> None:
    """What was accepted is kept, whatever its sender does next, or in one segment."""
    nobody = run.unused
    tails = {
        **ENDS,
        "refused": (frames.frame(frames.SEND, nobody, nobody, b"no"), steps.HalfClose),
        "malformed": (frames.frame(frames.UNKNOWN), steps.HalfClose),
    }
    with Script(run, "SND-12", "SND-3") as script:
        recipient, friend = script.account("Recipient"), script.account("Friend")
        script.leave("Recipient")
        names = []
        for kind, (last, how) in tails.items():
            names.append(script.account(kind))
            sent = [
                frames.frame(frames.SEND, names[-1], name, b"hi")
                for name in (friend, recipient)
            ]
            script.octets(kind, b"".join([*sent, last]))
            script.receive(kind, frames.SEND, names[-1], friend, b"hi")
            script.receive(kind, frames.SEND, names[-1], recipient, b"hi")
            script.receive("Friend", frames.SEND, names[-1], friend, b"hi")
            end(script, kind, last, how)
        script.open("Again")
        script.login("Again", recipient)
        script.send("Again", frames.DELIVER)
        for name in names:
            script.receive("Again", frames.SEND, name, recipient, b"hi")
        script.rules = "ACC-13", "FRM-4"
        for kind, (last, how) in tails.items():
            if how is not steps.Reset:  # which may overtake it
                name = script.account(kind)
                script.octets(kind, frames.frame(frames.DELETE) + last)
                end(script, kind, last, how)
                script.open("New")
                script.perform(steps.Repeat("New", frames.CREATE, (name,)))
                script.receive("New", frames.RESPONSE)
                script.delete("New")


@pytest.mark.examples
@pytest.mark.last
@pytest.mark.rules("ACC-12", "SND-3", "SND-12", "ACC-16", "DLV-1")
def test_written_to_behind_each_end(run: Run) -> None:
    """An account is offline once its connection has ended, and then nothing is lost.

    Nobody has logged in to it since: the server has to notice by itself, and soon.
    """
    if not run.bystanders.away:
        test_each_end(run)
    wait = max(run.patience.bound, min(run.settings.idle, WHOLE))
    wait += run.bystanders.away_since - time.monotonic()
    time.sleep(max(0.0, wait))  # so long a server may take to notice
    away, run.bystanders.away = run.bystanders.away, {}  # another try has others
    try:
        with Script(run) as script:
            sender = script.account("Sender")
            for kind, name in away.items():
                written_to(script, sender, kind, name)
    finally:
        desert(run.connect, [*away.values()])


def written_to(script: Script, sender: bytes, kind: str, name: bytes) -> None:
    """See that an account whose session has ended has all that was for it."""
    script.rules = "ACC-12", "SND-3"
    script.send("Sender", frames.SEND, sender, name, b"late")
    script.receive("Sender", frames.SEND, sender, name, b"late")
    script.open(kind)
    script.perform(steps.Repeat(kind, frames.LOGIN, (name,)))
    script.receive(kind, frames.RESPONSE)
    script.rules = ("ACC-16" if kind == AGAIN else "ACC-12"), "SND-12"
    script.send(kind, frames.DELIVER)
    frame = script.any(kind)
    if frame is None or frame.fields[1:] != [name, b"early"]:
        script.fail("the message from before the end of the session", frame)
    script.rules = "ACC-12", "SND-3"
    script.receive(kind, frames.SEND, sender, name, b"late")
    script.fence(kind)
    script.leave(kind)
