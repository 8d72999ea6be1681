"""Plain cases come first: what shows the same as one of them breaks the same rules."""

import pytest

from tests.faults import FAULTS
from tests.judged import judging
from tests.parts import assemble
from tests.traceability import collected
from wirechat_conformance.failure import Failure
from wirechat_conformance.plain import PLAIN, Explanations
from wirechat_conformance.run import MANY


def shown(rule: str, *symptom: object) -> Failure:
    failure = Failure([rule], "this", "that", "the data differ")
    failure.symptom = symptom
    return failure


def test_plain_cases_come_first() -> None:
    assert tuple(collected())[: len(PLAIN)] == PLAIN


@pytest.mark.parametrize(
    ("first", "case", "symptom", "rule"),
    [
        ("acc/create", "snd/dots", ("closed",), "ACC-1"),
        ("acc/create", "snd/dots", ("RESPONSE 0",), "SND-8"),
        ("acc/create", "snd/dots", ("SEND",), "ACC-1"),
        ("acc/create", "snd/kept", ("SEND",), "ACC-1"),
        ("acc/create", "snd/kept", ("no", ("FRM-1",)), "ACC-1"),
        ("acc/create", "snd/dots", (), "SND-8"),
        ("acc/create", "snd/kept", ("closed",), "SND-8"),
        ("acc/login-deleted", "snd/dots", ("closed",), "SND-8"),
    ],
)
def test_what_shows_the_same_as_a_plain_case_breaks_its_rules(
    first: str, case: str, symptom: tuple[object, ...], rule: str
) -> None:
    failure = shown("SND-8", *symptom)
    explanations = Explanations()
    for known in (("closed",), ("SEND",), ("no", ("FRM-1",))):
        explanations.explain(first, shown("ACC-1", *known))
    explanations.explain(first, shown("ACC-1"))
    explanations.explain(case, failure)
    assert failure.rules == (rule,)
    explained = "the same as in acc/create; " * (rule == "ACC-1")
    assert failure.detail == f"{explained}the data differ"


def test_the_witness_is_served_as_it_was_before() -> None:
    server = assemble(FAULTS["no-match-is-an-error"].part, 0)
    with judging(server, timeout=0.2) as run:
        run.check_witness()
        assert run.bystanders.witness is not None


def test_a_server_that_answers_no_fence_is_mute_once_much_has_failed() -> None:
    server = assemble(FAULTS["no-match-unanswered"].part, 0)
    with judging(server, timeout=0.1) as run:
        run.check_witness()
        for number in range(MANY):
            assert not run.mute
            run.has_failed(f"acc/{number}", Failure(["ACC-1"], "this", "that"))
        assert run.mute
