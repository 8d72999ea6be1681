"""Properties: whatever is asked, in whatever order, comes true as the model says."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st

from wirechat_conformance import frames
from wirechat_conformance.counterexample import USERNAMES, Search
from wirechat_conformance.model import Model, matches
from wirechat_conformance.replay import pipelined
from wirechat_conformance.run import Run
from wirechat_conformance.steps import Open, Receive, ReceiveNames, Send, Step
from wirechat_conformance.text import Text, render

pytestmark = [pytest.mark.examples, pytest.mark.drawn]
Operations = Iterable[tuple[Any, ...]]
"""Calls of the model's methods: name, connection, further arguments."""

connections = st.sampled_from("ABCD")
usernames = st.sampled_from("abc")
limits = st.sampled_from(
    [0, 1, 63, 64, 65, 106, 107, 235, 236, 237, 1000, 4076, 65_516]
)
octets = st.integers(0, 127).map(lambda octet: bytes([octet]))
awkward = st.sampled_from(
    [b"|", b" ", b"\0", b"\n", b"\r", b"\x7f", b"\x1b", b"%", b"\\"]
)
messages = st.one_of(
    st.lists(octets, max_size=12).map(b"".join),
    st.lists(awkward, max_size=8).map(b"".join),
    st.builds(lambda length, fill: fill * length, limits, octets),
).filter(lambda message: b"|||" not in message)
"""Any ASCII, what programs take for something special, lengths at which they err."""


def words(characters: str, most: int) -> st.SearchStrategy[str]:
    """Draw a text of these: st.text would first learn of all that there are."""
    return st.lists(st.sampled_from(characters), max_size=most).map("".join)


def operation(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw a call of one of the model's methods, on any connection."""
    return st.tuples(st.just(name), connections, *arguments)


def told(operations: Operations) -> Iterator[Step]:
    """Give the steps of a story, as the model tells it."""
    model = Model()
    for name, connection, *arguments in operations:
        yield from getattr(model, name)(connection, *arguments)


BODIES: dict[int, tuple[Text, ...]] = {
    frames.CREATE: (("a",), ("c",)),
    frames.LIST: ((), ("a",)),
    frames.SEND: (("a", b"|||", "b", b"|||hi"), ("a", b"|||", "b", b"|||")),
    frames.DELIVER: ((),),
    frames.DELETE: ((),),
    frames.LOGIN: (("a",), ("d",)),
}
"""The data of some requests, to be damaged."""
MISCOUNTED: dict[int, tuple[tuple[str, Text], ...]] = {
    frames.CREATE: (("DAT-3", ()), ("DAT-3", ("c", b"|||x")), ("DAT-3", ("c", b"|||"))),
    frames.LIST: (("DAT-3", ("a", b"|||x")), ("DAT-3", (b"|||",))),
    frames.SEND: (("SND-10", ()), ("SND-10", ("a",)), ("SND-10", ("a", b"|||", "b"))),
    frames.DELIVER: (("DAT-3", ("a",)), ("DAT-3", (b"|||",)), ("DAT-3", (b" ",))),
    frames.DELETE: (("DAT-3", ("a",)), ("DAT-3", (b"\0",)), ("DAT-3", ("b",))),
    frames.LOGIN: (("DAT-3", ()), ("DAT-3", ("a", b"|||", "b"))),
}
"""Data with a number of fields that a command does not take, and the rule it breaks."""


@st.composite
def damaged(draw: st.DrawFn) -> tuple[Text, str]:
    """Draw a request with one damage, and the rule that it breaks."""
    command = draw(st.sampled_from(list(BODIES)))
    body = draw(st.sampled_from(BODIES[command]))
    kind = draw(st.sampled_from(["version", "command", "octet", "count", "length"]))
    version, announced, rule = 0, None, ""
    if kind == "version":
        rule, version = "FRM-2", draw(st.integers(1, 255))
    elif kind == "command":
        rule, command = "FRM-5", draw(st.integers(frames.RESPONSE, 255))
    elif kind == "octet":
        octet = bytes([draw(st.integers(0x80, 0xFF))])
        at = draw(st.integers(0, len(body)))
        rule, body = "DAT-2", (*body[:at], octet, *body[at:])
    elif kind == "count":
        rule, body = draw(st.sampled_from(MISCOUNTED[command]))
    length = len(render(body, {name: b"1234567" for name in USERNAMES}))
    if kind == "length":
        rule = "FRM-8"
        announced = (1 << draw(st.integers(63, 319))) + length
    header = frames.header(command, announced or length, version)
    return (header, *body), rule


requests = [
    operation("create", usernames),
    operation("login", usernames),
    operation("say", usernames, messages),
    operation("say", usernames, messages),
    operation("send", usernames, usernames, messages),
    operation("deliver"),
    operation("delete"),
    operation("list_one", usernames),
    operation("list_all"),
    operation("half_close"),
    operation("half_close"),
    operation("login", usernames),
    operation("close"),
    operation("reset"),
]
malformed = st.tuples(connections, damaged()).map(lambda d: ("malformed", d[0], *d[1]))


@pytest.mark.rules(
    *["ACC-1", "ACC-2", "ACC-7", "ACC-8", "ACC-9", "ACC-10", "ACC-11", "ACC-12"],
    *["ACC-13", "ACC-14", "ACC-15", "ACC-16", "LST-1", "LST-2", "SND-1", "SND-2"],
    *["SND-3", "SND-4", "SND-5", "SND-6", "SND-7", "SND-12", "DLV-1", "DLV-2"],
    *["DLV-3", "DLV-4", "DLV-5", "DLV-6", "FRM-9", "FRM-10"],
)
def test_sessions(run: Run) -> None:
    """Requests of all kinds, on several connections, in any order, ahead of replies."""

    def written(drawn: tuple[bool, Operations]) -> Iterator[Step]:
        ahead, story = drawn
        return pipelined(list(told(story))) if ahead else told(story)

    stories = st.lists(st.one_of(*requests, malformed), min_size=4, max_size=30)
    drawn = st.tuples(st.booleans(), stories)
    Search(run, "sessions", "A conversation of several clients.").over(drawn, written)


@pytest.mark.rules("SND-8", "SND-9", "SND-11", "SND-12")
def test_messages(run: Run) -> None:
    """Any text arrives as it was sent, live and kept, in its order, once."""
    sends = st.lists(st.tuples(st.sampled_from("abc"), messages), min_size=1)

    def written(drawn: list[tuple[str, bytes]]) -> Iterator[Step]:
        recipients = {recipient for recipient, _ in drawn}
        story: list[tuple[Any, ...]] = [("create", "A", "a")]
        story += [("create", "B", "b")] * ("b" in recipients)
        story += [("create", "C", "c"), ("half_close", "C")] * ("c" in recipients)
        story += [("say", "A", recipient, text) for recipient, text in drawn]
        story += [("login", "D", "c"), ("deliver", "D")] * ("c" in recipients)
        story += [("deliver", "A")]
        for step in told(story):
            mine = isinstance(step, Receive) and step.command == frames.SEND
            yield replace(step, rules=("SND-9", *step.rules)) if mine else step

    Search(run, "messages", "Messages of all kinds.").over(sends, written)


@pytest.mark.rules("LST-2", "LST-3")
def test_filters(run: Run) -> None:
    """A filter names those that it matches as a whole, and nobody else."""
    some = words("abAB1", 5)
    patterns = words("abAB1***.-", 6)

    def written(drawn: tuple[list[str], list[str]]) -> Iterator[Step]:
        endings, filters = drawn
        for number, ending in enumerate(endings):
            connection = f"C{number}"
            yield Open(connection)
            yield Send(connection, frames.CREATE, ("a", ending.encode()))
            yield Receive(connection, frames.RESPONSE)
        for pattern in filters:
            found = [e for e in endings if matches(pattern, e)]
            names = tuple(("a", ending.encode()) for ending in found)
            yield Send("C0", frames.LIST, ("a", pattern.encode()))
            rule = "LST-2" if names else "LST-3"
            yield ReceiveNames("C0", names, rules=(rule,))

    drawn = st.tuples(
        st.lists(some, min_size=1, max_size=6, unique=True),
        st.lists(patterns, min_size=1, max_size=12),
    )
    Search(run, "filters", "Filters and names that nearly match.").over(drawn, written)


@pytest.mark.rules("FRM-2", "FRM-5", "FRM-8", "FRM-10", "DAT-2", "DAT-3", "SND-10")
def test_malformed_frames(run: Run) -> None:
    """A frame with one damage is rejected, and disturbs nobody."""

    def written(drawn: list[tuple[Text, str]]) -> Iterator[Step]:
        story: list[tuple[Any, ...]] = [("create", "B", "b"), ("create", "A", "a")]
        for octets, rule in drawn:
            story += [("malformed", "A", octets, rule), ("say", "B", "b", b"bystander")]
            story += [
                ("list_one", "A", "a"),
                ("list_one", "A", "c"),
                ("login", "A", "a"),
            ]
            story += [("say", "A", "b", b"undamaged")]
        return told(story)

    drawn = st.lists(damaged(), min_size=1, max_size=2)
    Search(run, "malformed", "Frames with one damage each.").over(drawn, written)
