"""Each permitted variant passes."""

from pathlib import Path

import pytest

from tests.judging import WHOLE, judge
from tests.variants import VARIANTS, Variant
from wirechat_conformance.rules import RULES


def test_there_are_variants() -> None:
    assert len(VARIANTS) >= 15


def test_no_variant_does_without_a_must() -> None:
    without = {rule for variant in VARIANTS.values() for rule in variant.without}
    assert {RULES[rule].level for rule in without} == {"SHOULD"}


@pytest.mark.matrix
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=list(VARIANTS))
def test_a_variant_passes(variant: Variant, tmp_path: Path) -> None:
    few = [] if WHOLE else ["--examples", "0"]
    judged = judge(variant.part, tmp_path, *few)
    assert judged.status == 0, judged.output
    assert judged.broken <= variant.without, judged.output
