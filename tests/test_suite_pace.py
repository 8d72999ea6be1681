"""What a run makes of a server that takes its time for each reply."""

import pytest

from tests.judged import judging
from wirechat_conformance import run as module
from wirechat_conformance.run import FEW
from wirechat_conformance.script import Script


def test_server_that_is_quick_is_tried_with_all_that_is_asked_for() -> None:
    with judging(examples=60) as run:
        assert 0 < run.pace < module.SLOW
        assert not run.slow
        assert run.examples == 60


@pytest.mark.parametrize(
    ("pace", "asked", "tried"), [(0.03, 60, 20), (0.5, 60, FEW), (0.5, 2, 2)]
)
def test_server_that_is_slow_is_tried_with_less(
    pace: float, asked: int, tried: int
) -> None:
    with judging(examples=asked) as run:
        run.pace = pace
        assert run.slow
        assert run.examples == tried


def test_server_without_a_witness_is_quick() -> None:
    with judging() as run:
        run.recover()
        witness, run.witness = run.witness, None
        assert run._measured() == module.QUICK
        run.witness = witness


def test_accounts_are_deleted_on_several_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 3)
    with judging() as run:
        run.pace = 1.0
        with Script(run, "ACC-1") as script:
            for number in range(40):
                script.account(f"A{number}")
                script.leave(f"A{number}")
        assert run.sweep() == 0
