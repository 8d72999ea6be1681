"""The rules file is complete, and stands in the protocol's order."""

import re
from itertools import groupby

import pytest

from wirechat_conformance.rules import RULES, SECTIONS, Rule

ORDER = ["FRM", "DAT", "ACC", "LST", "SND", "DLV", "LIM"]


def section_of(rule: Rule) -> str:
    return rule.id.partition("-")[0]


def test_sections_stand_in_order() -> None:
    assert list(SECTIONS) == ORDER
    assert [name for name, _ in groupby(RULES.values(), section_of)] == ORDER


@pytest.mark.parametrize("section", ORDER)
def test_rules_of_a_section_are_numbered_from_one(section: str) -> None:
    ids = [rule.id for rule in RULES.values() if section_of(rule) == section]
    assert ids == [f"{section}-{number}" for number in range(1, len(ids) + 1)]


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_rule_has_a_known_level_and_a_sentence_on_one_line(rule: Rule) -> None:
    assert rule.level in {"MUST", "SHOULD", "MAY"}
    assert rule.sentence.endswith((".", ".)"))
    assert "\n" not in rule.sentence


def test_every_rule_that_a_sentence_refers_to_exists() -> None:
    text = " ".join(rule.sentence for rule in RULES.values())
    assert set(re.findall(r"[A-Z]{3}-\d+", text)) <= set(RULES)


def test_no_rule_is_lost() -> None:
    levels = [rule.level for rule in RULES.values()]
    assert len(RULES) == 65
    assert (levels.count("SHOULD"), levels.count("MAY")) == (9, 1)
