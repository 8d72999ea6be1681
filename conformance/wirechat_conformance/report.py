"""From the results of the cases to a verdict on the server."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from wirechat_conformance.rules import RULES

CONFORMANT, NOT_CONFORMANT, USAGE, INCONCLUSIVE = range(4)
VERDICTS = {
    CONFORMANT: "conformant",
    NOT_CONFORMANT: "not conformant",
    INCONCLUSIVE: "inconclusive",
}


@dataclass(frozen=True)
class Result:
    """What became of one case.

    Args:
        id: The case's name.
        rules: The rules that it checks.
        status: "pass", "fail", "untested", or "error" where the suite is at fault.
        seconds: How long it took.
        message: Why it failed, or was not run.
        broken: The rules that it saw broken.
        details: More lines, for people: what came, the conversation, how to replay.
    """

    id: str
    rules: tuple[str, ...]
    status: str
    seconds: float = 0.0
    message: str = ""
    broken: tuple[str, ...] = ()
    details: tuple[str, ...] = ()


@dataclass
class Report:
    """The results of one run, and what they come to.

    Args:
        server: How the server is called.
        strict: Whether a broken SHOULD counts like a broken MUST.
    """

    server: str
    strict: bool = False
    results: list[Result] = field(default_factory=list)
    profile: list[str] = field(default_factory=list)
    """What the server made of its free choices."""
    notes: list[str] = field(default_factory=list)
    inconclusive: str = ""
    """Why nothing can be said of the server."""
    gone: str = ""
    """The case after which the server had gone for good."""
    begun: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return time.monotonic() - self.begun

    def severity(self, broken: Iterable[str]) -> str:
        """Return "fail" where one of these broken rules is a MUST, otherwise "warn"."""
        must = self.strict or any(RULES[rule].level == "MUST" for rule in broken)
        return "fail" if must else "warn"

    def rule_status(self, rule: str) -> str:
        """Return what a rule comes to: "pass", "fail", "warn" or "untested"."""
        if any(rule in result.broken for result in self.results):
            return self.severity([rule])
        held = any(r.status == "pass" and rule in r.rules for r in self.results)
        return "pass" if held else "untested"

    def case_status(self, result: Result) -> str:
        """Return what a case comes to: as its result says, or "warn"."""
        if result.status == "fail" and result.broken:
            return self.severity(result.broken)
        return result.status

    def with_status(self, status: str) -> list[str]:
        """Return the rules that come to this."""
        return [rule for rule in RULES if self.rule_status(rule) == status]

    @property
    def exit_status(self) -> int:
        """What the run comes to, as an exit status."""
        ended = {self.case_status(result) for result in self.results}
        if "fail" in ended or self.gone:
            return NOT_CONFORMANT
        if self.inconclusive or "error" in ended or not ended & {"pass", "warn"}:
            return INCONCLUSIVE
        return CONFORMANT

    @property
    def verdict(self) -> str:
        """What the run comes to, in words."""
        return VERDICTS[self.exit_status]

    def as_json(self) -> dict[str, object]:
        """Return the whole as an object for JSON."""
        rules = {
            rule: {
                "level": RULES[rule].level,
                "status": self.rule_status(rule),
                "cases": [r.id for r in self.results if rule in r.rules],
            }
            for rule in RULES
        }
        cases = [
            {
                "id": result.id,
                "rules": list(result.rules),
                "status": self.case_status(result),
                "seconds": round(result.seconds, 4),
                "message": "\n".join([result.message, *result.details]).strip(),
            }
            for result in self.results
        ]
        return {
            "server": self.server,
            "verdict": self.verdict,
            "exit_status": self.exit_status,
            "seconds": round(self.seconds, 3),
            "rules": rules,
            "cases": cases,
            "profile": self.profile,
            "notes": self.notes,
        }
