"""Each faulty server is found out, by the rule that it breaks."""

from pathlib import Path

import pytest

from tests.faults import FAULTS, Fault
from tests.judging import WHOLE, Judgement, judge
from wirechat_conformance.rules import RULES


def test_there_are_faults_for_every_rule() -> None:
    assert len(FAULTS) >= 100
    assert {fault.rule for fault in FAULTS.values()} == {
        rule.id for rule in RULES.values() if rule.level != "MAY"
    }


def test_each_fault_is_told_in_a_line() -> None:
    told = [fault.summary for fault in FAULTS.values()]
    assert [line for line in told if not line.endswith(".") or "\n" in line] == []


def found(fault: Fault, folder: Path) -> Judgement:
    """Judge a fault by the cases of its rule, and by more of them where it must be."""
    if WHOLE:
        return judge(fault.part, folder)
    only = "--only", fault.rule, "--timeout", "0.5", *fault.options
    judged = judge(fault.part, folder, *only, "--examples", "0", "--", "--exitfirst")
    if judged.broken and fault.rule not in judged.broken:
        judged = judge(fault.part, folder, *only, "--examples", "0")
    if fault.rule not in judged.broken:
        judged = judge(fault.part, folder, *only)
    return judged


@pytest.mark.matrix
@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_a_fault_is_found(fault: Fault, tmp_path: Path) -> None:
    judged = found(fault, tmp_path)
    assert fault.rule in judged.broken, judged.output
    must = any(RULES[rule].level == "MUST" for rule in judged.broken)
    assert judged.status == (1 if must else 0), judged.output
