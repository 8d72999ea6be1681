"""Each faulty server is found out, by the rule that it breaks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import FAULTS, Fault
from tests.judging import WHOLE, judge
from wirechat_conformance.rules import RULES


def test_there_are_faults_for_every_rule() -> None:
    assert len(FAULTS) >= 100
    assert {fault.rule for fault in FAULTS.values()} == {
        rule.id for rule in RULES.values() if rule.level != "MAY"
    }


def test_each_fault_is_told_in_a_line() -> None:
    told = [fault.summary for fault in FAULTS.values()]
    assert [line for line in told if not line.endswith(".") or "\n" in line] == []


def attempts(fault: Fault) -> Iterator[tuple[str, ...]]:
    """Yield what to ask of the suite, the quickest first."""
    if not WHOLE:
        only = "--only", fault.rule, "--timeout", "0.5", *fault.options
        yield *only, "--examples", "0", "--", "--exitfirst"
        yield *only, "--examples", "0"
        yield only
    else:
        yield ()


@pytest.mark.matrix
@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_a_fault_is_found(fault: Fault, tmp_path: Path) -> None:
    for options in attempts(fault):
        judged = judge(fault.part, tmp_path, *options)
        if fault.rule in judged.broken:
            break
    assert fault.rule in judged.broken, judged.output
    must = any(RULES[rule].level == "MUST" for rule in judged.broken)
    assert judged.status == (1 if must else 0), judged.output
