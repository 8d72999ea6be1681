"""The protocol's rules, as rules.toml holds them."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its id, its level (MUST, SHOULD or MAY), and what it says."""

    id: str
    level: str
    sentence: str


_DOCUMENT = tomllib.loads(files(__package__).joinpath("rules.toml").read_text("utf-8"))
SECTIONS: Mapping[str, str] = {s["id"]: s["title"] for s in _DOCUMENT["section"]}
RULES: Mapping[str, Rule] = {rule["id"]: Rule(**rule) for rule in _DOCUMENT["rule"]}
