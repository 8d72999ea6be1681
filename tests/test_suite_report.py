"""From results to a verdict: every combination of levels and statuses."""

from itertools import combinations_with_replacement

import pytest

from wirechat_conformance.report import (
    CONFORMANT,
    INCONCLUSIVE,
    NOT_CONFORMANT,
    Report,
    Result,
)
from wirechat_conformance.rules import RULES

MUST, OTHER_MUST, SHOULD = "SND-5", "SND-6", "FRM-8"

KINDS = {
    "pass": Result("c/pass", (MUST, SHOULD), "pass", 0.25),
    "fail": Result("c/fail", (MUST,), "fail", 0.5, "why", (MUST,), ("got it",)),
    "warn": Result("c/warn", (SHOULD,), "fail", 0.5, "why", (SHOULD,)),
    "both": Result("c/both", (SHOULD,), "fail", 0.5, "why", (SHOULD, OTHER_MUST)),
    "untested": Result("c/untested", (MUST,), "untested", 0, "why not"),
    "error": Result("c/error", (MUST,), "error", 0.1, "our fault"),
}
FAILED = {"fail", "both"}


def verdict(kinds: set[str], strict: bool, stopped: str) -> int:
    """Return the exit status, as the README tells it."""
    if kinds & FAILED or (strict and "warn" in kinds) or stopped == "gone":
        return NOT_CONFORMANT
    if stopped == "inconclusive" or "error" in kinds or not kinds & {"pass", "warn"}:
        return INCONCLUSIVE
    return CONFORMANT


@pytest.mark.parametrize("stopped", ["", "gone", "inconclusive"])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("kinds", list(combinations_with_replacement(KINDS, 3)))
def test_verdict(kinds: tuple[str, ...], strict: bool, stopped: str) -> None:
    report = Report("it", strict, [KINDS[kind] for kind in kinds])
    if stopped:
        setattr(report, stopped, "why")
    assert report.exit_status == verdict(set(kinds), strict, stopped)


@pytest.mark.parametrize(
    ("stopped", "status", "words"),
    [
        ("", INCONCLUSIVE, "inconclusive"),
        ("inconclusive", INCONCLUSIVE, "inconclusive"),
        ("gone", NOT_CONFORMANT, "not conformant"),
    ],
)
def test_verdict_where_no_case_ran(stopped: str, status: int, words: str) -> None:
    report = Report("it")
    if stopped:
        setattr(report, stopped, "why")
    assert (report.exit_status, report.verdict) == (status, words)


@pytest.mark.parametrize(
    ("kinds", "must", "should", "strictly"),
    [
        (["pass"], "pass", "pass", "pass"),
        (["fail"], "fail", "untested", "untested"),
        (["pass", "fail"], "fail", "pass", "pass"),
        (["pass", "warn"], "pass", "warn", "fail"),
        (["both"], "untested", "warn", "fail"),
        (["untested", "error"], "untested", "untested", "untested"),
        ([], "untested", "untested", "untested"),
    ],
)
def test_status_of_a_rule(
    kinds: list[str], must: str, should: str, strictly: str
) -> None:
    results = [KINDS[kind] for kind in kinds]
    report, strict = Report("it", False, results), Report("it", True, results)
    assert report.rule_status(MUST) == strict.rule_status(MUST) == must
    assert report.rule_status(SHOULD) == should
    assert strict.rule_status(SHOULD) == strictly
    assert (SHOULD in report.with_status("warn")) is (should == "warn")


@pytest.mark.parametrize(
    ("kind", "status", "strictly"),
    [
        ("pass", "pass", "pass"),
        ("fail", "fail", "fail"),
        ("warn", "warn", "fail"),
        ("both", "fail", "fail"),
        ("untested", "untested", "untested"),
        ("error", "error", "error"),
    ],
)
def test_status_of_a_case(kind: str, status: str, strictly: str) -> None:
    assert Report("it").case_status(KINDS[kind]) == status
    assert Report("it", strict=True).case_status(KINDS[kind]) == strictly


def test_report_as_json() -> None:
    kinds = ["pass", "fail", "untested"]
    report = Report("it", False, [KINDS[kind] for kind in kinds])
    report.profile, report.notes = ["DELETE: silent"], ["so it is"]
    told = report.as_json()
    seconds = told.pop("seconds")
    assert isinstance(seconds, float)
    assert 0 <= seconds < 5
    rules = told.pop("rules")
    assert isinstance(rules, dict)
    assert list(rules) == list(RULES)
    cases = ["c/pass", "c/fail", "c/untested"]
    assert rules[MUST] == {"level": "MUST", "status": "fail", "cases": cases}
    assert rules[SHOULD] == {"level": "SHOULD", "status": "pass", "cases": ["c/pass"]}
    assert rules["LST-5"] == {"level": "MAY", "status": "untested", "cases": []}
    assert told == {
        "server": "it",
        "verdict": "not conformant",
        "exit_status": 1,
        "cases": [
            {
                "id": "c/pass",
                "rules": [MUST, SHOULD],
                "status": "pass",
                "seconds": 0.25,
                "message": "",
            },
            {
                "id": "c/fail",
                "rules": [MUST],
                "status": "fail",
                "seconds": 0.5,
                "message": "why\ngot it",
            },
            {
                "id": "c/untested",
                "rules": [MUST],
                "status": "untested",
                "seconds": 0,
                "message": "why not",
            },
        ],
        "profile": ["DELETE: silent"],
        "notes": ["so it is"],
    }
