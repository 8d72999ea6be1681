"""What is drawn, tried, made smaller, and replayed before it is reported."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.judged import judging
from tests.parts import Chat, Frame, Outbox, Server, Session
from wirechat.codec import Decoder, Malformed
from wirechat.rules import error
from wirechat_conformance import frames
from wirechat_conformance.cases.test_properties import damaged
from wirechat_conformance.counterexample import (
    REPLAYS,
    SWEEP,
    USERNAMES,
    Search,
    up_to,
)
from wirechat_conformance.failure import Failure
from wirechat_conformance.steps import End, HalfClose, Open, Receive, Send, Step
from wirechat_conformance.text import Text, render
from wirechat_conformance.transcript import load

NO = error("no")
ALWAYS = -1
"""So many times that it never gets less."""


def test_a_counterexample_holds_all_that_its_last_request_brings() -> None:
    request = (" ", Send("A", frames.SEND, ("a|||a|||",)))
    copy = (" ", Receive("A", frames.SEND, ("a|||a|||",)))
    lines = (request, copy, copy, request, copy, copy)
    assert up_to(lines, 2) == lines[:3]
    assert up_to(lines, 4) == lines
    assert up_to(lines, 6) == lines


def test_each_damage_breaks_the_rule_that_is_named() -> None:
    named: set[str] = set()

    @settings(max_examples=400, derandomize=True)
    @given(damaged())
    def breaks_it(drawn: tuple[Text, str]) -> None:
        body, rule = drawn
        octets = render(body, {name: b"1234567" for name in USERNAMES})
        [item] = Decoder().feed(octets)
        assert isinstance(item, Malformed)
        assert item.rule == rule
        named.add(rule)

    breaks_it()
    assert named == {"FRM-2", "FRM-5", "FRM-8", "DAT-2", "DAT-3", "SND-10"}


class Refusing(Chat):
    """Refuses long usernames, so many times, and takes note of what is asked."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.lengths: list[int] = []
        self.most = 0

    def create(self, session: Session, frame: Frame) -> Outbox:
        self.lengths.append(frame.data.count(b"X"))
        if self.lengths[-1] >= 5 and self.times:
            self.times -= 1
            return [(session, NO)]
        replies = super().create(session, frame)
        self.most = max(self.most, len(self.accounts))
        return replies

    def login(self, session: Session, frame: Frame) -> Outbox:
        if b"X" in frame.data and self.times:
            self.times -= 1
            return [(session, NO)]
        return super().login(session, frame)


def made(length: int) -> Iterator[Step]:
    """Give the steps that make an account with a name that is longer, or not."""
    yield Open("A")
    yield Send("A", frames.CREATE, ("a", b"X" * (length % 21)))
    yield Receive("A", frames.RESPONSE, rules=("ACC-1",))


def left(length: int) -> Iterator[Step]:
    """Give the steps that make one and leave it."""
    yield from made(length % 5)
    yield HalfClose("A")
    yield End("A")


def entered(length: int) -> Iterator[Step]:
    """Give the steps that log in again."""
    yield from left(length)
    yield Open("B")
    yield Send("B", frames.LOGIN, ("a", b"X" * (length % 5)))
    yield Receive("B", frames.RESPONSE, rules=("ACC-8",))


def search(
    chat: Chat, written: Callable[[int], Iterator[Step]] = made, **asked: Any
) -> None:
    with judging(Server(chat=chat), **{"examples": 50, "seed": 1} | asked) as run:
        trying = Search(run, "names", "Names of all lengths.")
        trying.over(st.integers(0, 10_000), written)


def test_what_fails_is_made_smaller_and_replayed() -> None:
    with pytest.raises(Failure) as failed:
        search(Refusing(ALWAYS))
    assert failed.value.rules == ("ACC-1",)
    assert failed.value.detail.endswith(f"; {REPLAYS} of {REPLAYS} replays failed")
    *_, asked, reply = failed.value.log
    assert asked.endswith('XXXXX"')
    assert reply == 'A < RESPONSE 2 "no"'
    assert asked.startswith("A > CREATE 12 ")


def test_what_was_found_is_saved(tmp_path: Path) -> None:
    with pytest.raises(Failure) as failed:
        search(Refusing(ALWAYS), save=str(tmp_path))
    (path,) = tmp_path.iterdir()
    assert f"; saved: wirechat-conformance replay {path} " in failed.value.detail
    first = path.read_text("utf-8").splitlines()[0]
    assert first == f"# seed 1; 3 of 3 replays failed; {failed.value}"
    assert load(path).case() == list(made(5))


def test_what_fails_but_once_is_told_as_flaky() -> None:
    with pytest.raises(Failure, match="A < RESPONSE 0; got RESPONSE 2") as failed:
        search(Refusing(1))
    assert failed.value.detail.endswith("; flaky: 0 of 3 replays failed")


def test_a_session_that_ends_a_moment_too_late_once_is_no_fault() -> None:
    chat = Refusing(1)
    search(chat, entered)
    assert chat.times == 0


def test_nothing_is_made_smaller_once_the_time_is_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wirechat_conformance.run.SHRINKING", 0.0)
    chat = Refusing(ALWAYS)
    with pytest.raises(Failure):
        search(chat)
    first = next(at for at, length in enumerate(chat.lengths) if length >= 5)
    assert set(chat.lengths[first:]) == {chat.lengths[first]}
    assert len(chat.lengths) - first > REPLAYS


def test_accounts_that_were_left_are_deleted_now_and_then() -> None:
    chat = Refusing(0)
    search(chat, left, examples=2 * SWEEP + 10)
    assert SWEEP <= chat.most < SWEEP + 10
    assert chat.accounts == {}
