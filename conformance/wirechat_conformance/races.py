"""Whether what was seen of requests that raced has an explanation the rules allow.

Several connections send at one moment. What comes on each is right if there is an order
of all the requests, with that on each connection kept, in which they could have been
carried out one at a time (linearizability). The order is searched for, request by
request, with a model that is small on purpose.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from wirechat_conformance import frames
from wirechat_conformance.frames import Received
from wirechat_conformance.judge import describe, is_error

SUCCESS = Received(frames.RESPONSE, b"")
ERROR = Received(frames.RESPONSE, b"any text")
"""Stands for every error reply."""


class Request(NamedTuple):
    """A request of a race: a command, and its fields."""

    command: int
    fields: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class State:
    """The accounts with what is kept for them, and the sessions."""

    kept: Mapping[bytes, tuple[bytes, ...]]
    sessions: Mapping[str, bytes]


@dataclass(frozen=True)
class Outcome:
    """What a request brings: a new state, its own replies, a message for another."""

    state: State
    replies: tuple[Received, ...] = ()
    message: tuple[str, bytes] | None = None


def carry_out(state: State, connection: str, request: Request) -> Outcome:
    """Return what the rules say comes of a request in a state."""
    return _HANDLERS[request.command](state, connection, *request.fields)


def _enter(state: State, connection: str, name: bytes) -> Outcome:
    sessions = {**state.sessions, connection: name}
    return Outcome(replace(state, sessions=sessions), (SUCCESS,))


def _create(state: State, connection: str, name: bytes) -> Outcome:
    if connection in state.sessions or name in state.kept:
        return Outcome(state, (ERROR,))
    return _enter(replace(state, kept={**state.kept, name: ()}), connection, name)


def _login(state: State, connection: str, name: bytes) -> Outcome:
    free = name in state.kept and name not in state.sessions.values()
    if connection in state.sessions or not free:
        return Outcome(state, (ERROR,))
    return _enter(state, connection, name)


def _send(
    state: State, connection: str, sender: bytes, recipient: bytes, text: bytes
) -> Outcome:
    if state.sessions.get(connection) != sender or recipient not in state.kept:
        return Outcome(state, (ERROR,))
    data = b"|||".join([sender, recipient, text])
    echo = (Received(frames.SEND, data),)
    for other, name in state.sessions.items():
        if name == recipient:
            return Outcome(state, echo, (other, data))
    kept = {**state.kept, recipient: (*state.kept[recipient], data)}
    return Outcome(replace(state, kept=kept), echo)


def _deliver(state: State, connection: str) -> Outcome:
    name = state.sessions.get(connection)
    if name is None:
        return Outcome(state, (ERROR,))
    replies = tuple(Received(frames.SEND, data) for data in state.kept[name])
    return Outcome(replace(state, kept={**state.kept, name: ()}), replies)


def _delete(state: State, connection: str) -> Outcome:
    name = state.sessions.get(connection)
    if name is None:
        return Outcome(state, (ERROR,))
    kept = {other: data for other, data in state.kept.items() if other != name}
    sessions = {c: n for c, n in state.sessions.items() if c != connection}
    return Outcome(State(kept, sessions))


def _list(state: State, connection: str, name: bytes) -> Outcome:
    found = name if name in state.kept else b""
    return Outcome(state, (Received(frames.LISTRESPONSE, found),))


_HANDLERS: Mapping[int, Callable[..., Outcome]] = {
    frames.CREATE: _create,
    frames.LIST: _list,
    frames.SEND: _send,
    frames.DELIVER: _deliver,
    frames.DELETE: _delete,
    frames.LOGIN: _login,
}


@dataclass(frozen=True)
class Seen:
    """What was seen of a race.

    Args:
        came: All that came on each connection, in order.
        own: Each connection's replies in order, without the messages of others.
        messages: Those messages.
        after: What each connection's DELIVER brought in the end; None where it had no
            session.
        offline: What was kept for each account that was offline in the end; None where
            there was none of that name, or it was online.
    """

    came: Mapping[str, tuple[Received, ...]]
    own: Mapping[str, tuple[Received, ...]]
    messages: Mapping[str, tuple[bytes, ...]]
    after: Mapping[str, tuple[bytes, ...] | None]
    offline: Mapping[bytes, tuple[bytes, ...] | None]

    def __str__(self) -> str:
        """Say what came on which connection, and how it ended."""
        came = [
            f"on {connection} came {', '.join(map(describe, frames_of)) or 'nothing'}"
            for connection, frames_of in self.came.items()
        ]
        left = [
            f"{len(data)} kept in the end for {connection}"
            for connection, data in self.after.items()
            if data
        ]
        return "; ".join([*came, *left])


def explained(
    state: State, requests: Mapping[str, tuple[Request, ...]], seen: Seen
) -> bool:
    """Whether there is an order of the requests in which what was seen could come."""
    return _explained(state, requests, seen.own, dict.fromkeys(requests, ()), seen)


def _explained(
    state: State,
    left: Mapping[str, tuple[Request, ...]],
    own: Mapping[str, tuple[Received, ...]],
    due: Mapping[str, tuple[bytes, ...]],
    seen: Seen,
) -> bool:
    if not any(left.values()):
        return not any(own.values()) and _ends_so(state, due, seen)
    for connection, (request, *others) in ((c, r) for c, r in left.items() if r):
        outcome = carry_out(state, connection, request)
        asked = outcome.replies if request.command == frames.DELIVER else ()
        messages = [reply.data for reply in asked if reply.command == frames.SEND]
        mine = () if messages else outcome.replies
        now_due = {**due, connection: (*due[connection], *messages)}
        if outcome.message is not None:
            other, data = outcome.message
            now_due[other] = (*now_due[other], data)
        for rest in _after(own[connection], mine, request.command):
            if _explained(
                outcome.state,
                {**left, connection: tuple(others)},
                {**own, connection: rest},
                now_due,
                seen,
            ):
                return True
    return False


def _after(
    got: tuple[Received, ...], expected: tuple[Received, ...], command: int
) -> Iterator[tuple[Received, ...]]:
    """Give what may be left of some replies behind those to one request."""
    count = len(expected)
    pairs = list(zip(got, expected, strict=False))
    same = all(g == e or (e is ERROR and is_error(g)) for g, e in pairs)
    if same and len(pairs) == count:
        yield got[count:]
    if command == frames.DELETE and not expected and got[:1] == (SUCCESS,):
        yield got[1:]  # it may be answered (ACC-14)


def _ends_so(state: State, due: Mapping[str, tuple[bytes, ...]], seen: Seen) -> bool:
    """Whether a state is that in which it ended, and all that is due has come."""
    online = set(state.sessions.values())
    after = {c: state.kept.get(state.sessions.get(c, b"")) for c in seen.after}
    offline = {n: None if n in online else state.kept.get(n) for n in seen.offline}
    came = all(sorted(due[c]) == sorted(seen.messages[c]) for c in due)
    return came and after == seen.after and offline == seen.offline


def in_order(numbers: Sequence[bytes]) -> bool:
    """Whether what one sender numbered can have come in order.

    Those that were kept and those that were not may mix, so it is two orders at most.
    """
    one, other = b"", b""
    for number in numbers:
        if number > one:
            one = number
        elif number > other:
            other = number
        else:
            return False
        one, other = max(one, other), min(one, other)
    return True
