"""What a failure is put down to: a step, or what the server has died of before it."""

from wirechat_conformance import steps
from wirechat_conformance.connection import Connection
from wirechat_conformance.failure import implied
from wirechat_conformance.judge import MismatchError
from wirechat_conformance.stage import Stage

Rules = tuple[str, ...]


class EndedError(MismatchError):
    """The end of the connection is not what was expected."""


class Cause:
    """Knows what was done last, and finds the rules that a failure breaks.

    Args:
        stage: The run that all is part of.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._done: steps.Step | None = None
        """What was done last."""

    def done(self, step: steps.Action, connection: Connection) -> None:
        """Take note of what is done now."""
        self._done = step
        suspects = self._stage.suspects
        if suspects and connection.usable and not connection.peer.ends(0):
            self._stage.suspects = ()

    def ended(self, connection: Connection, step: steps.Step) -> None:
        """Take note of the end of a connection: it may be that of the server."""
        closed = EndedError("closed")
        self._stage.suspects = self.of_step(connection, step, closed)

    def of_step(
        self, connection: Connection, step: steps.Step, mismatch: MismatchError
    ) -> Rules:
        """Return the rules that are broken where a step does not come true."""
        rules = step.rules
        if isinstance(step, steps.Fence):
            # Where a fence is never answered as it should be, that is the fault.
            rules = self._stage.broken_fence(connection.session is not None)
            rules = rules or step.rules or connection.blame
        return rules or implied(step, connection, mismatch)

    def of_failure(
        self,
        connection: Connection,
        step: steps.Step,
        mismatch: MismatchError,
        about: Rules,
    ) -> Rules:
        """Return the rules of a step, or those of what the server died of elsewhere.

        Args:
            connection: The connection of the step.
            step: What did not come true.
            mismatch: What came instead.
            about: What all of the conversation is about, if it is so throughout.
        """
        rules = self.of_step(connection, step, mismatch)
        if isinstance(mismatch, EndedError) and self._stage.gone:
            done = self._of_last(about)
            elsewhere = self._done is None or self._done.connection != step.connection
            fatal = (*step.rules, *done) if elsewhere and done else ()
            rules = self._stage.suspects or fatal or rules
        return rules

    def of_death(self, about: Rules) -> Rules:
        """Return the rules of what a server died of that takes no connection."""
        return (*(self._stage.suspects or self._of_last(about)), "FRM-10")

    def _of_last(self, about: Rules) -> Rules:
        """Return the rules of what was done last."""
        done = self._done.rules if self._done else ()
        return done or about
