"""Transcripts against the reference: whole, cut, pipelined, and with their twins."""

import pytest

from tests.judged import judging
from wirechat.codec import Command, Frame, encode_data
from wirechat.rules import NO_ACCOUNT, Chat, Outbox, Session, error
from wirechat.server import Server
from wirechat_conformance.failure import Failure
from wirechat_conformance.replay import pipelined, replay
from wirechat_conformance.transcript import examples, read, write_step

HEAD = "title T\nname a = alice01\nname b = bobby02\n"
TO_NOBODY = read(
    "snd/to-nobody",
    rf"""{HEAD}
  A open
  A > CREATE 7 "\{{a}}"
  A < RESPONSE 0
+ B open
+ B > CREATE 7 "\{{b}}"
+ B < RESPONSE 0
  A > SEND 22 "\{{a}}|||\{{b}}|||hi"
- A < error                         SND-6
+ A < SEND 22 "\{{a}}|||\{{b}}|||hi"
+ B < SEND 22 "\{{a}}|||\{{b}}|||hi"
""",
)


class RefusesMessages(Chat):
    """Refuses every message."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        return [(session, error("no"))]


class TakesMessages(Chat):
    """Takes messages to nobody, too."""

    def send(self, session: Session, frame: Frame) -> Outbox:
        replies = super().send(session, frame)
        echo = (session, encode_data(Command.SEND, frame.data))
        return [echo] if replies == [(session, NO_ACCOUNT)] else replies


@pytest.mark.parametrize("together", [False, True])
def test_transcript_comes_true_with_its_twin(together: bool) -> None:
    with judging() as run:
        cut: list[bytes] = []

        def noted(octets: bytes) -> list[bytes]:
            cut.append(octets)
            return [octets]

        replay(run, TO_NOBODY, noted, together=together)
    assert run.left == 0
    sends = [octets for octets in cut if octets[1:2] == b"\2"]
    assert len(sends) == 2
    assert sends[0] != sends[1]


def test_rejection_counts_only_with_its_twin() -> None:
    with (
        judging(Server(chat=RefusesMessages())) as run,
        pytest.raises(Failure) as failed,
    ):
        replay(run, TO_NOBODY)
    assert failed.value.rules == ("SND-2", "ACC-1")
    assert failed.value.detail.startswith("in the twin, which must be accepted; ")


def test_twin_alone_is_not_enough() -> None:
    with judging(Server(chat=TakesMessages())) as run, pytest.raises(Failure) as failed:
        replay(run, TO_NOBODY)
    assert failed.value.rules == ("SND-6",)
    assert "twin" not in failed.value.detail


@pytest.mark.parametrize("end", ["close", "half-close"])
def test_what_is_closed_behind_a_request_leaves_with_it(end: str) -> None:
    lines = f"A open\nA > LIST 0\nA {end}\nB open\nB > LIST 0\nB fence"
    with judging() as run, pytest.raises(Failure) as failed:
        replay(run, read("t", f"{HEAD}{lines}"))
    assert failed.value.log[-1].startswith("B < LISTRESPONSE")


def order(*lines: str) -> list[str]:
    """Return lines as they are pipelined."""
    transcript = read("t", HEAD + "\n".join(lines))
    values = examples(transcript.names)
    return [write_step(step, values) for step in pipelined(transcript.case())]


def test_requests_go_ahead_of_replies() -> None:
    one, two, three = ("A > LIST 0", "A > DELIVER 0", "A > DELETE 0")
    reply, other = "A < LISTRESPONSE any", "A < RESPONSE 0"
    assert order(one, reply, two, other, three) == [one, two, three, reply, other]
    assert order(one, reply, "A fence") == [one, reply, "A fence"]


def test_order_between_connections_stays() -> None:
    lines = ["A > LIST 0", "A < LISTRESPONSE any", "B > LIST 0", "B < LISTRESPONSE any"]
    assert order(*lines) == lines
    lines = ["A > LIST 0", "A < LISTRESPONSE any", "B < RESPONSE 0", "A > LIST 0"]
    assert order(*lines) == lines


def test_request_that_is_refused_goes_alone() -> None:
    lines = ["A > LIST 0", "A < LISTRESPONSE any", "A > DELETE 0", "A < error"]
    assert order(*lines) == lines
    lines = ["A > LIST 0", "A < LISTRESPONSE any", "A repeat LIST 0"]
    assert order(*lines) == lines
