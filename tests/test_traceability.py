"""Each rule has cases, each case rules; what is written of both is true."""

import pytest

from tests.faults import FAULTS
from tests.traceability import TABLE, collected, table
from wirechat_conformance.rules import RULES

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def cases() -> dict[str, tuple[str, ...]]:
    return collected()


def test_each_rule_that_can_be_broken_has_a_case(
    cases: dict[str, tuple[str, ...]],
) -> None:
    checked = {rule for names in cases.values() for rule in names}
    rules = {rule.id for rule in RULES.values() if rule.level != "MAY"}
    assert rules - checked == set()


def test_each_case_names_rules(cases: dict[str, tuple[str, ...]]) -> None:
    assert [case for case, names in cases.items() if not set(names) & set(RULES)] == []


def test_the_table_is_fresh_and_tells_of_no_fault_that_was_missed(
    cases: dict[str, tuple[str, ...]],
) -> None:
    assert TABLE.read_text("utf-8") == table(cases, missed=frozenset()), (
        "write it again: python -m tests.traceability"
    )


def test_the_table_tells_of_what_was_missed(cases: dict[str, tuple[str, ...]]) -> None:
    fault = next(iter(FAULTS))
    written = table(cases, frozenset([fault]))
    assert f"`{fault}` **not found**" in written
    assert f"{len(FAULTS) - 1} of {len(FAULTS)} faults" in written


def test_no_case_can_go_unnoticed(cases: dict[str, tuple[str, ...]]) -> None:
    written = table(cases, frozenset())
    assert [case for case in cases if f"`{case}`" not in written] == []
