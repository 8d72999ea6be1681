"""The bystander on another connection, who must be served as before."""

import time

import pytest

from tests.judged import judging
from tests.parts import Connection, Items, Loop
from wirechat_conformance.failure import Failure

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
        assert (run.witness is not None) is late
