"""The protocol's rules as data: what ``rules.toml`` holds, read once."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

_TABLES = tomllib.loads((files(__package__) / "rules.toml").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its id (``SND-5``), its level, and its sentence on one line."""

    id: str
    level: str
    sentence: str


def _rule(id: str, level: str, sentence: str) -> Rule:
    return Rule(id, level, " ".join(sentence.split()))


SECTIONS: Mapping[str, str] = {row["id"]: row["title"] for row in _TABLES["section"]}
"""The titles of the sections, by id, in the protocol's order."""
RULES: Mapping[str, Rule] = {row["id"]: _rule(**row) for row in _TABLES["rule"]}
"""The rules, by id, in the protocol's order."""
