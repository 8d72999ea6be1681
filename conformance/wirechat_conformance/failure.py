"""What did not come true, and which rules that breaks."""

from collections.abc import Iterable, Mapping

from wirechat_conformance import frames, steps
from wirechat_conformance.connection import Connection
from wirechat_conformance.judge import MismatchError
from wirechat_conformance.rules import RULES

_IMPLIED: Mapping[int | None, str] = {
    None: "FRM-1",
    frames.CREATE: "ACC-1",
    frames.LIST: "LST-1",
    frames.SEND: "SND-2",
    frames.DELIVER: "DLV-2",
    frames.DELETE: "ACC-14",
    frames.LOGIN: "ACC-8",
    frames.RESPONSE: "FRM-5",
    frames.LISTRESPONSE: "FRM-5",
}
ALIVE = "the server goes on"
"""What is expected whatever a client does."""
Symptom = tuple[object, ...]
"""What is alike in failures that show the same, whatever their cases are about."""
_MESSAGES: Mapping[int | None, str] = {frames.DELIVER: "DLV-1", frames.SEND: "SND-2"}


class Failure(AssertionError):
    """Something expected did not come true.

    Args:
        rules: Those that it breaks.
        expected: What should have come.
        got: What came.
        detail: More about the difference.
        log: The conversation so far, a line each.
    """

    def __init__(
        self,
        rules: Iterable[str],
        expected: str,
        got: str,
        detail: str = "",
        log: Iterable[str] = (),
    ) -> None:
        super().__init__(f"expected {expected}; got {got}")
        self.rules = tuple(dict.fromkeys(rules))
        self.expected = expected
        self.got = got
        self.detail = detail
        self.log = tuple(log)
        self.late = False
        """Whether what was expected came, but too late."""
        self.ends = False
        """Whether a session had to have ended before, with its connection."""
        self.symptom: Symptom = ()
        self.taken = 0
        """How many steps of the conversation were taken."""

    @property
    def is_fault(self) -> bool:
        """Whether a MUST is broken, not just what should be."""
        return any(RULES[rule].level == "MUST" for rule in self.rules)

    def joined_by(self, others: Iterable["Failure"]) -> "Failure":
        """Return this failure with what was seen broken besides."""
        for other in others:
            self.rules = tuple(dict.fromkeys([*self.rules, *other.rules]))
            self.detail = f"{self.detail}; besides, {other}".removeprefix("; ")
        return self


def implied(
    step: steps.Step, connection: Connection, mismatch: MismatchError
) -> tuple[str, ...]:
    """Return the rules that are broken where a step that names none does not come true.

    Such a step only sets the scene: it is the plain success of the last request, or
    sees that nothing follows.

    Args:
        step: The step.
        connection: Its connection.
        mismatch: What came instead.
    """
    request = connection.request
    if request == frames.DELETE and mismatch.kind == "closed":
        return ("ACC-13",)
    if isinstance(step, steps.End):
        return ("FRM-9",)
    rule = _IMPLIED[request]
    if isinstance(step, steps.Receive) and step.command == frames.SEND:
        rule = _MESSAGES.get(request, "SND-1")
    if connection.repeated:  # in vain: perhaps the session before has not ended
        return (rule, "ACC-12")
    refused = mismatch.kind == "RESPONSE"
    if refused and request == frames.CREATE:  # perhaps for the name
        return (rule, "ACC-4")
    if refused and request == frames.SEND and connection.entry is not None:
        return (rule, _IMPLIED[connection.entry])  # perhaps no session has begun
    return (rule,)
