"""What is made of a transcript that fails where it is cut into other segments."""

import pytest

from tests.judged import judging
from tests.parts import Chat, Frame, Outbox, Server, Session
from wirechat.rules import error
from wirechat_conformance.cases import test_segmentation as module
from wirechat_conformance.cases.test_segmentation import FEW, MANY
from wirechat_conformance.failure import Failure
from wirechat_conformance.transcript import read


class Scripted(Chat):
    """Refuses the accounts that are in question as a script says: "-" for no."""

    def __init__(self, script: str) -> None:
        super().__init__()
        self.script = iter(script)

    def create(self, session: Session, frame: Frame) -> Outbox:
        if b"X" in frame.data and next(self.script, "+") == "-":
            return [(session, error("no"))]
        return super().create(session, frame)


def failure_on(script: str, rule: str) -> Failure | None:
    """Return how the case fails on a server that does as its script says."""
    with judging(Server(chat=Scripted(script))) as run:
        try:
            module.test_every_transcript(run, module.octets)
        except Failure as failure:
            return failure
    return None


@pytest.fixture(params=["ACC-1", "FRM-8"])
def rule(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The rule that is at stake, a MUST or a SHOULD, in the one transcript."""
    steps = rf'A open\nA > CREATE 8 "\{{a}}X"\nA < RESPONSE 0  {request.param}'
    lines = "title T\nname a = alice01\n" + steps.replace(r"\n", "\n")
    monkeypatch.setattr(module, "corpus", lambda seed: [read("t/x", lines)])
    return str(request.param)


NOTHING = {
    "never fails": "+",
    "fails once, and neither as it is written nor cut again": "-++",
    "fails as it is written, too": "--",
    "fails as it is written, at the second try": "-+--",
    "fails once more, and alone too": "-++--",
}


@pytest.mark.parametrize("script", NOTHING.values(), ids=list(NOTHING))
def test_what_is_no_matter_of_segments(script: str, rule: str) -> None:
    assert failure_on(script, rule) is None


def test_what_fails_but_cut_breaks_a_rule(rule: str) -> None:
    tries = {"ACC-1": FEW, "FRM-8": MANY}[rule]
    assert failure_on("-" + "+-" * (tries - 1), rule) is None
    failure = failure_on("-" + "+-" * tries, rule)
    assert failure is not None
    assert failure.rules == ("FRM-3",)
    assert failure.detail == "t/x comes true as it is written, but not cut so"


def test_what_fails_but_beside_others_breaks_a_rule_if_it_is_a_must(rule: str) -> None:
    failure = failure_on("-++-+", rule)
    if rule == "FRM-8":
        assert failure is None
    else:
        assert failure is not None
        assert failure.rules == ("ACC-1", "FRM-10")
        assert failure.detail == "t/x, beside other conversations alone"


def test_a_case_that_has_failed_is_not_tried_again(rule: str) -> None:
    with judging(Server(chat=Scripted("-" * 99))) as run:
        run.failed.add("t/x")
        module.test_every_transcript(run, module.octets)
