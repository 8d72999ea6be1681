"""Servers that end altogether: blamed on the rule of what they do not outlive."""

import socket
from contextlib import suppress

import pytest
from hypothesis import strategies as st

from tests.judged import judging
from tests.parts import Connection, Decoder, Frame, Items, Loop
from wirechat.codec import Command, Malformed
from wirechat_conformance import frames
from wirechat_conformance.cases.test_lim import patiently
from wirechat_conformance.counterexample import Search
from wirechat_conformance.failure import ALIVE, Failure
from wirechat_conformance.peer import GoneError
from wirechat_conformance.replay import replay
from wirechat_conformance.script import Script
from wirechat_conformance.steps import Open, Receive, Send
from wirechat_conformance.transcript import read

HEAD = "title T\nname a = alice01\n"
SESSION = 'A open\nA > CREATE 7 "\\{a}"\nA < RESPONSE 0\n'


class Mortal(Loop):
    """A server that ends as a whole when one kind of request comes."""

    def __init__(self, deadly: object = None) -> None:
        super().__init__(port=0)
        self.deadly = deadly

    def converse(self, connection: Connection, decoder: Decoder) -> None:
        super().converse(connection, decoder)
        if self.deadly == "end" and connection.session.account:
            self.die()

    def requests(self, connection: Connection, items: Items) -> None:
        for item in items:
            bare = not connection.session.account
            if self.deadly in (kind(item), (kind(item), bare)):
                self.die()
                return
        super().requests(connection, items)

    def die(self) -> None:
        """Close all that is open, as the end of a process does."""
        self._stopping.set()
        with suppress(OSError):  # it did so before
            self._listener.shutdown(socket.SHUT_RDWR)
        with self.lock:
            for connection in self.connections.values():
                self.cut_off(connection)


def kind(item: Frame | Malformed) -> object:
    """Return what a server may die of: a command, or the rule that is broken."""
    return item.rule if isinstance(item, Malformed) else item.command


def blamed(deadly: object, *lines: str) -> tuple[str, ...]:
    """Return the rules that a transcript names of a server that dies, but FRM-10.

    That is named with them where it is no longer the connection itself that ends.
    """
    mortal, given = Mortal(), read("acc/given", HEAD + SESSION + "\n".join(lines))
    with judging(mortal) as run:
        mortal.deadly = deadly
        try:
            replay(run, given)
            run.check_witness()
        except Failure as failure:
            assert run.gone
            return tuple(rule for rule in failure.rules if rule != "FRM-10")
    return ()


@pytest.mark.parametrize(
    ("deadly", "lines", "rules"),
    [
        ("FRM-5", ["A > RESPONSE 0", "A < rejected  FRM-5"], ("FRM-5",)),
        (
            "FRM-5",
            ["A > RESPONSE 0", "A < rejected  FRM-5", "B open", "B fence  LST-4"],
            ("FRM-5",),
        ),
        (
            "FRM-5",
            [
                "B open",
                "B fence",
                "A > RESPONSE 0",
                "A < rejected  FRM-5",
                "B fence  LST-4",
            ],
            ("FRM-5",),
        ),
        (
            Command.DELIVER,
            [
                "B open",
                "B fence",
                "A > DELIVER 0",
                "B < RESPONSE 0  LST-4",
                "A fence  DLV-2",
            ],
            ("LST-4", "DLV-2"),
        ),
        (
            Command.SEND,
            [
                *("B open", "B half-close", "B eof"),
                r'A > SEND 22 "\{a}|||\{a}|||hi"',
                r'A < SEND 22 "\{a}|||\{a}|||hi"  SND-2',
            ],
            ("SND-2",),
        ),
        (
            Command.LOGIN,
            [
                "A half-close",
                "A eof",
                "B open",
                r'B repeat LOGIN 7 "\{a}"',
                "B fence  SND-3",
            ],
            ("ACC-8", "ACC-12"),
        ),
        ("end", ["A close", "B open", "B < RESPONSE 0  ACC-12"], ("ACC-12",)),
        ("end", ["A half-close", "A eof", "B open"], ("FRM-9",)),
    ],
)
def test_what_a_server_does_not_outlive(
    deadly: object, lines: list[str], rules: tuple[str, ...]
) -> None:
    assert blamed(deadly, *lines) == rules


def test_a_script_is_to_blame_once_it_has_begun() -> None:
    mortal = Mortal()
    with judging(mortal) as run:
        script = Script(run, "LIM-1")
        script.open("A")
        mortal.die()
        with pytest.raises(Failure, match=ALIVE) as raised:
            script.open("B")
        assert raised.value.rules == ("LIM-1", "FRM-10")
        with pytest.raises(Failure, match=ALIVE) as raised:
            Script(run, "LIM-1").open("A")
        assert raised.value.rules == ("FRM-10",)
        script.close()


def test_what_a_property_finds_deadly_is_not_tried_again() -> None:
    mortal = Mortal()

    def written(_: None) -> list[Open | Send | Receive]:
        mortal.deadly = Command.CREATE
        name = ("a",)
        create = Send("A", frames.CREATE, name)
        return [Open("A"), create, Receive("A", frames.RESPONSE, rules=("ACC-4",))]

    with judging(mortal, examples=5) as run, pytest.raises(Failure) as raised:
        Search(run, "dies", "Dies.").over(st.none(), written)
    assert raised.value.rules == ("ACC-4",)


def test_a_server_that_has_ended_is_not_tried_once_more() -> None:
    mortal, tried = Mortal(), []
    with judging(mortal) as run:
        mortal.die()

        def attempt() -> None:
            tried.append(run)
            run.connect()

        with pytest.raises(GoneError):
            patiently(run, attempt)
        assert tried == [run]


@pytest.mark.parametrize(
    ("deadly", "rules"),
    [
        ((Command.LIST, True), ("LST-4", "FRM-10")),
        ("end", ("ACC-12", "FRM-10")),
        (Command.LOGIN, ("ACC-8", "ACC-12", "FRM-10")),
        ("FRM-2", ("FRM-2", "FRM-10")),
    ],
)
def test_what_a_server_does_not_outlive_before_the_first_case(
    deadly: object, rules: tuple[str, ...]
) -> None:
    with judging(Mortal(deadly)) as run:
        with pytest.raises(Failure) as raised:
            run.tell_what_killed()
        assert raised.value.rules == rules
        run.tell_what_killed()
