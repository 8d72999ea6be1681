"""How long after the end of a connection its session may seem open."""

import time

import pytest

from tests.judged import judging
from tests.scripted import ERROR, FIN, SUCCESS, Stage, staged
from tests.variants.times import ClosesFirst
from wirechat.server import Server
from wirechat_conformance import grace
from wirechat_conformance.failure import Failure


def learned(stage: Stage) -> float:
    return grace.learned(stage.connect, lambda: b"alice01", 1)


def test_server_whose_sessions_end_in_time_is_given_the_least() -> None:
    with staged(*[(SUCCESS, FIN), (SUCCESS,)] * grace.ROUNDS) as stage:
        assert learned(stage) == grace.LEAST


def test_server_whose_sessions_end_later_is_given_more() -> None:
    late = [(SUCCESS, FIN), (ERROR * 3 + SUCCESS,)]
    with staged(*late, *[(SUCCESS, FIN), (SUCCESS,)] * grace.ROUNDS) as stage:
        begun = time.monotonic()
        assert 3 * grace.LEAST <= learned(stage) / 2 <= time.monotonic() - begun


def test_server_whose_sessions_never_end_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grace, "MOST", 0.02)
    with staged(*[(SUCCESS, FIN), (ERROR * 99,)] * grace.ROUNDS) as stage:
        assert learned(stage) == grace.MOST


def test_server_that_makes_no_account_has_none() -> None:
    with staged(*[(ERROR,), ()] * grace.ROUNDS) as stage:
        assert learned(stage) == grace.LEAST


@pytest.mark.parametrize("server", [Server, ClosesFirst])
def test_run_learns_it(server: type[Server]) -> None:
    with judging(server(port=0)) as run:
        late = server is ClosesFirst
        assert (run.grace >= 0.01) is late


def test_doubt_gives_more_time_and_is_spent_by_what_fails() -> None:
    with judging() as run:
        before, doubts = run.grace, run.doubts
        with run.in_doubt():
            assert run.grace == grace.LONG
        assert (run.grace, run.doubts) == (before, doubts)
        with pytest.raises(Failure), run.in_doubt():
            raise Failure(["SND-3"], "this", "that")
        assert (run.grace, run.doubts) == (before, doubts - 1)
