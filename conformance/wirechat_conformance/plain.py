"""The plainest cases: what later ones show of the same is no news of another rule."""

from wirechat_conformance import frames, steps
from wirechat_conformance.connection import Connection
from wirechat_conformance.failure import Failure, Symptom
from wirechat_conformance.judge import MismatchError

PLAIN = (
    *("acc/create", "lst/exact", "lst/nobody", "lst/all", "lst/without-session"),
    *("snd/echo", "snd/live", "dlv/nothing-kept", "snd/to-oneself", "acc/login"),
    *("snd/kept", "dlv/login-delivers-nothing", "dlv/no-response", "dlv/deliver"),
    "dlv/live-before-kept",
    *("acc/delete-answer", "acc/delete", "acc/create-again"),
    *("acc/create-existing-online", "acc/create-in-session", "acc/login-unknown"),
    *("acc/login-online", "acc/login-in-session", "acc/delete-without-session"),
    *("snd/without-session", "snd/in-another-name", "snd/to-nobody"),
    *("dlv/without-session", "frm/many-in-one-segment", "frm/first-octet-alone"),
    *("frm/data-in-pieces", "frm/data-of-65536-octets"),
)
"""They come first, and each uses no more than those before it showed."""
NO_FRAME = "no"
"""The kind of what is no frame at all, whatever should have come."""
PLAINEST = {NO_FRAME, "SEND"}
"""Kinds that show the same fault in plain cases, too: no frame, or one too many."""
ENTRIES = {frames.CREATE, frames.LOGIN}
"""Requests for a session."""


class Explanations:
    """What plain cases have shown, by which later failures are explained."""

    def __init__(self) -> None:
        self._shown: dict[Symptom, tuple[str, tuple[str, ...]]] = {}

    def explain(self, case: str, failure: Failure) -> None:
        """Have a failure that shows what a plain case showed break the same rules."""
        if not failure.symptom:
            return
        known = self._shown.get(failure.symptom)
        if case in PLAIN and not known:
            self._shown[failure.symptom] = case, failure.rules
        elif known and (case not in PLAIN or failure.symptom[0] in PLAINEST):
            plain, failure.rules = known
            failure.detail = f"the same as in {plain}; {failure.detail}"


def symptom(
    step: steps.Step, connection: Connection, mismatch: MismatchError
) -> Symptom:
    """Return the symptom of a failure, which is empty where there is none.

    There is none where a frame of the right kind came, with other data: these may
    differ in many ways.
    """
    kind, expected = mismatch.kind, _expected(step)
    due = expected.startswith("RESPONSE") and connection.request in ENTRIES
    unasked = kind == "SEND" != expected and not isinstance(step, steps.Refusal)
    unasked |= kind == "SEND" and connection.again
    if (kind == "RESPONSE 0" and not due) or unasked:
        return (kind,)  # which is one too many, whatever should have come
    if kind == NO_FRAME:  # an end in the middle of a frame may have any cause
        return () if connection.ended else (kind, mismatch.rules)
    if kind == expected:
        return ()
    asked = connection.request, connection.session is not None
    return (*asked, type(step), expected, kind, mismatch.rules)


def _expected(step: steps.Step) -> str:
    """Return the kind of frame that a step expects, if any."""
    if isinstance(step, steps.Receive):
        return frames.NAMES[step.command] + " 0" * (step.command == frames.RESPONSE)
    if isinstance(step, steps.Refusal):
        return "RESPONSE"
    return "LISTRESPONSE" * isinstance(step, steps.Fence | steps.ReceiveNames)
