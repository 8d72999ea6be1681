"""How a run begins: with a witness, without one, or not at all."""

import socket

import pytest

from tests.faults import FAULTS
from tests.judged import judging
from tests.null_servers import MANNERS, Manner, NullServer, answers, silent
from tests.parts import assemble
from tests.scripted import ERROR, NO_NAMES
from wirechat_conformance.bystanders import InconclusiveError
from wirechat_conformance.run import Run
from wirechat_conformance.settings import Settings
from wirechat_conformance.target import Target

pytestmark = pytest.mark.whole

TIMEOUT = 0.2


def begun(server: NullServer) -> Run:
    return Run(Target(server.address), Settings(timeout=TIMEOUT))


def begins_a_frame(connection: socket.socket) -> None:
    """Send the beginning of a frame, and no more."""
    connection.sendall(ERROR[:-1])
    silent(connection)


@pytest.mark.parametrize(
    "manner",
    [
        MANNERS["sends garbage"],
        MANNERS["hangs up"],
        MANNERS["answers an error"],
        answers(NO_NAMES),
        begins_a_frame,
    ],
)
def test_a_server_that_answers_somehow_is_judged_without_a_witness(
    manner: Manner,
) -> None:
    with NullServer(manner) as server, begun(server) as run:
        assert (run.bystanders.witness, run.bystanders.idle) == (None, [])
        run.check_witness()


def test_a_server_that_is_silent_is_not_judged() -> None:
    with NullServer(silent) as server, pytest.raises(InconclusiveError) as told:
        begun(server)
    assert str(told.value) == f"silent: nothing within {TIMEOUT / 2:g} s"


def test_a_server_that_is_silent_but_once_is_judged() -> None:
    manners = iter([silent])
    with (
        NullServer(lambda c: next(manners, MANNERS["answers an error"])(c)) as server,
        begun(server) as run,
    ):
        assert run.bystanders.witness is None


def test_a_closed_port_is_not_judged() -> None:
    server = NullServer(silent)
    with server:
        pass
    with pytest.raises(InconclusiveError, match="no connection: connection refused"):
        begun(server)


@pytest.mark.parametrize(
    ("fault", "with_session", "without"),
    [
        ("no-match-is-an-error", ("LST-3",), ("LST-4",)),
        ("list-needs-session", (), ("LST-4",)),
        ("matches-prefix", (), ()),
        ("one-frame-a-receive", ("FRM-3", "FRM-4"), ("FRM-3", "FRM-4")),
    ],
)
def test_fences_that_do_not_work_are_known_from_the_beginning(
    fault: str, with_session: tuple[str, ...], without: tuple[str, ...]
) -> None:
    with judging(assemble(FAULTS[fault].part, 0), timeout=0.5) as run:
        assert run.broken_fence(True) == with_session
        assert run.broken_fence(False) == without
