"""Whether what was seen of a race has an explanation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from wirechat_conformance import frames
from wirechat_conformance.frames import Received
from wirechat_conformance.races import (
    SUCCESS,
    Request,
    Seen,
    State,
    explained,
    in_order,
)

A, B, C = "ABC"
BOTH = State({b"a": (), b"b": ()}, {A: b"a", B: b"b"})
"""Two accounts, and who is logged in on connections A and B."""
OFFLINE = State(BOTH.kept, {A: b"a"})
HI = b"a|||b|||hi"
REFUSED = Received(frames.RESPONSE, b"no")
ECHO = Received(frames.SEND, HI)
SAY_HI = Request(frames.SEND, (b"a", b"b", b"hi"))
ENTER, LEAVE = Request(frames.LOGIN, (b"b",)), Request(frames.DELETE)
ASK, MAKE_C = Request(frames.DELIVER), Request(frames.CREATE, (b"c",))


@dataclass
class Race:
    """A race, and what was seen of it.

    Args:
        state: Who is there at first.
        requests: What is asked for on each connection.
        own: The replies on each.
        messages: The messages of others that came on each.
        after: What was kept in the end for who has a session on a connection.
        offline: What was kept in the end for accounts that are offline.
    """

    state: State
    requests: Mapping[str, tuple[Request, ...]]
    own: Mapping[str, tuple[Received, ...]] = field(default_factory=dict)
    messages: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    after: Mapping[str, tuple[bytes, ...] | None] = field(default_factory=dict)
    offline: Mapping[bytes, tuple[bytes, ...] | None] = field(default_factory=dict)

    def explained(self) -> bool:
        own = {c: self.own.get(c, ()) for c in self.requests}
        messages = {c: self.messages.get(c, ()) for c in self.requests}
        seen = Seen({}, own, messages, self.after, self.offline)
        return explained(self.state, self.requests, seen)


MAKERS = {A: (MAKE_C,), C: (MAKE_C,)}
CALLER = {A: (MAKE_C,), C: (Request(frames.LIST, (b"c",)),)}
NOBODY = State({}, {})
SEND_AND_DELETE = {A: (SAY_HI,), B: (LEAVE,)}
SEND_AND_LOGIN = {A: (SAY_HI,), C: (ENTER, ASK)}
LISTED, NOT_LISTED = (Received(frames.LISTRESPONSE, name) for name in (b"c", b""))
POSSIBLE = {
    "the one is first": Race(NOBODY, MAKERS, {A: (SUCCESS,), C: (REFUSED,)}),
    "the other is first": Race(NOBODY, MAKERS, {A: (REFUSED,), C: (SUCCESS,)}),
    "listed": Race(NOBODY, CALLER, {A: (SUCCESS,), C: (LISTED,)}),
    "not listed yet": Race(NOBODY, CALLER, {A: (SUCCESS,), C: (NOT_LISTED,)}),
    "sent before the end": Race(BOTH, SEND_AND_DELETE, {A: (ECHO,)}, {B: (HI,)}),
    "sent behind the end": Race(BOTH, SEND_AND_DELETE, {A: (REFUSED,)}),
    "the end is answered": Race(BOTH, SEND_AND_DELETE, {A: (REFUSED,), B: (SUCCESS,)}),
    "kept, and delivered, or live": Race(
        OFFLINE, SEND_AND_LOGIN, {A: (ECHO,), C: (SUCCESS,)}, {C: (HI,)}, {C: ()}
    ),
    "kept behind the end": Race(
        OFFLINE, {A: (SAY_HI,)}, {A: (ECHO,)}, {}, {A: ()}, {b"b": (HI,), b"a": None}
    ),
    "nobody asks": Race(NOBODY, {C: (ASK,)}, {C: (REFUSED,)}),
    "nobody ends": Race(NOBODY, {C: (LEAVE,)}, {C: (REFUSED,)}),
    "logged in already": Race(BOTH, {C: (ENTER,)}, {C: (REFUSED,)}),
}
IMPOSSIBLE = {
    "both succeed": Race(NOBODY, MAKERS, {A: (SUCCESS,), C: (SUCCESS,)}),
    "both fail": Race(NOBODY, MAKERS, {A: (REFUSED,), C: (REFUSED,)}),
    "one is not answered": Race(NOBODY, MAKERS, {A: (SUCCESS,)}),
    "one is answered twice": Race(
        NOBODY, MAKERS, {A: (SUCCESS,), C: (REFUSED, REFUSED)}
    ),
    "listed, and not made": Race(NOBODY, CALLER, {A: (REFUSED,), C: (LISTED,)}),
    "accepted, and lost": Race(BOTH, SEND_AND_DELETE, {A: (ECHO,)}),
    "refused, and delivered": Race(BOTH, SEND_AND_DELETE, {A: (REFUSED,)}, {B: (HI,)}),
    "the end is refused": Race(BOTH, SEND_AND_DELETE, {A: (REFUSED,), B: (REFUSED,)}),
    "delivered twice": Race(
        OFFLINE, SEND_AND_LOGIN, {A: (ECHO,), C: (SUCCESS,)}, {C: (HI, HI)}, {C: ()}
    ),
    "delivered, and kept": Race(
        OFFLINE, SEND_AND_LOGIN, {A: (ECHO,), C: (SUCCESS,)}, {C: (HI,)}, {C: (HI,)}
    ),
    "not kept": Race(
        OFFLINE, {A: (SAY_HI,)}, {A: (ECHO,)}, {}, {A: ()}, {b"b": (), b"a": None}
    ),
    "the session is lost": Race(BOTH, {A: (ASK,)}, {}, {}, {A: None}),
}


@pytest.mark.parametrize("race", POSSIBLE.values(), ids=list(POSSIBLE))
def test_what_has_an_explanation(race: Race) -> None:
    assert race.explained()


@pytest.mark.parametrize("race", IMPOSSIBLE.values(), ids=list(IMPOSSIBLE))
def test_what_has_none(race: Race) -> None:
    assert not race.explained()


def test_what_was_seen_is_told() -> None:
    came = {A: (ECHO, REFUSED), B: ()}
    seen = Seen(came, {}, {}, {A: (HI, HI), B: (), C: None}, {})
    assert str(seen) == (
        'on A came SEND 10 "a|||b|||hi", RESPONSE 2 "no"; on B came nothing; '
        "2 kept in the end for A"
    )


@pytest.mark.parametrize(
    ("numbers", "possible"),
    [
        ("", True),
        ("1234", True),
        ("3142", True),  # 1 2 were kept, 3 4 are live
        ("3412", True),
        ("321", False),
        ("341212", False),
    ],
)
def test_one_sender_has_two_orders_at_most(numbers: str, possible: bool) -> None:
    assert in_order([number.encode() for number in numbers]) is possible
