"""The bystander on another connection, who must be served as before."""

import time

import pytest

from tests.judged import judging
from tests.parts import Connection, Items, Loop
from wirechat_conformance.failure import Failure
from wirechat_conformance.run import MANY

TIMEOUT = 0.2


class Pausing(Loop):
    """A server that can be told to make a pause before it carries out what comes."""

    pause = 0.0

    def requests(self, connection: Connection, items: Items) -> None:
        seconds, self.pause = self.pause, 0.0
        time.sleep(seconds)  # being late is what this is about
        super().requests(connection, items)


@pytest.mark.parametrize(("pause", "late"), [(1.5, True), (4, False)])
def test_a_witness_is_served_late_or_not_at_all(pause: float, late: bool) -> None:
    server = Pausing(port=0)
    with judging(server, timeout=TIMEOUT) as run:
        server.pause = pause * TIMEOUT
        with pytest.raises(Failure) as raised:
            run.check_witness()
        assert raised.value.rules == ("FRM-10",)
        assert raised.value.late is late
        run.check_witness()
        assert (run.bystanders.witness is not None) is late


def test_patience_is_worn_out_once_many_cases_break_a_must() -> None:
    with judging() as run:
        for number in range(2 * MANY):
            run.has_failed(f"frm/{number}", Failure(["FRM-11"], "this", "that"))
        assert run.patience.forgiving
        for number in range(MANY):
            assert run.patience.forgiving
            run.has_failed(f"acc/{number}", Failure(["ACC-1"], "this", "that"))
        assert not run.patience.forgiving
        assert len(run.failed) == 3 * MANY
