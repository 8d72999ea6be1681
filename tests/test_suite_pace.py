"""What a run makes of a server that takes its time for each reply."""

import time

import pytest

from tests.judged import judging
from wirechat_conformance import sweep as module
from wirechat_conformance.pace import FEW, SLOW, Pace
from wirechat_conformance.script import Script

LATE = Pace(3 * SLOW)


def test_server_that_is_quick_is_tried_with_all_that_is_asked_for() -> None:
    with judging(examples=60) as run:
        assert 0 < run.pace.seconds < SLOW
        assert not run.slow
        assert run.examples == 60
        assert run.notes() == []


@pytest.mark.parametrize(
    ("pace", "asked", "tried"), [(0.03, 60, 10), (0.5, 60, FEW), (0.5, 2, 2)]
)
def test_server_that_is_slow_is_tried_with_less(
    pace: float, asked: int, tried: int
) -> None:
    slow = Pace(pace)
    assert slow.slow
    assert slow.part(asked) == tried
    told = f"{tried} of {asked} examples were tried"
    assert [told in note for note in slow.told(asked)] == [True] * (tried < asked)


def test_server_without_a_witness_is_quick() -> None:
    with judging() as run:
        run.recover()
        witness, run.bystanders.witness = run.bystanders.witness, None
        assert run._measured() == Pace(end=run.ending)
        run.bystanders.witness = witness


def test_server_whose_sessions_end_late_is_slow_and_races_are_run_in_full() -> None:
    with judging(examples=60) as run:
        run.ending = 0.4
        run.pace = run._measured()
        assert run.slow
        assert run.examples == run.pace.part(60) == FEW
        assert run.replies.part(60) == 60
        assert "the end of a session takes 400 ms" in run.notes()[0]


def test_server_that_falls_silent_is_not_measured() -> None:
    with judging(timeout=0.1) as run:
        assert run.bystanders.witness
        run.bystanders.witness.half_close()
        assert run._measured() == Pace()


def test_accounts_are_deleted_on_several_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 3)
    with judging() as run:
        run.pace = LATE
        with Script(run, "ACC-1") as script:
            for number in range(40):
                script.account(f"A{number}")
                script.leave(f"A{number}")
        assert run.sweep() == 0


def test_everything_is_cut_in_one_of_three_ways_where_there_is_time_for_a_third() -> (
    None
):
    every = range(299)
    portions = [LATE.portion(every, turn) for turn in range(3)]
    assert [len(portion) for portion in portions] == [99] * 3
    assert len(set().union(*portions)) == 297
    assert sorted(Pace().portion(every, 2)) == [*every]


def test_accounts_that_are_online_are_asked_for_again_and_left() -> None:
    with judging() as run, Script(run, "ACC-1") as script:
        script.account("A")
        begun = time.monotonic()
        assert module.sweep(run.connect, run.names.prefix, 0.05) == 1
        assert time.monotonic() - begun >= 0.05
