"""Cases that are run several at a time, ahead of their turn, on a slow server."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.judged import judging
from tests.parts import Connection, Items, Loop
from wirechat_conformance.beside import ahead, beside
from wirechat_conformance.failure import Failure
from wirechat_conformance.pace import SLOW, Pace
from wirechat_conformance.peer import OverdueError
from wirechat_conformance.report import CONFORMANT, INCONCLUSIVE
from wirechat_conformance.run import Run
from wirechat_conformance.settings import DEFAULT_EXAMPLES

pytestmark = pytest.mark.whole

LATE = Pace(3 * SLOW)


class Late(Loop):
    """Is late with everything, and counts on how many connections at the same time."""

    busy = most = 0

    def requests(self, connection: Connection, items: Items) -> None:
        self.busy += 1
        self.most = max(self.most, self.busy)
        time.sleep(3 * SLOW)  # being late is what this is about
        self.busy -= 1
        super().requests(connection, items)


def run_on(server: Late, folder: Path, *options: str) -> tuple[int, dict[str, Any]]:
    words = ["{}:{}".format(*server.address), "--json", "report.json", *options]
    done = subprocess.run(
        [sys.executable, "-m", "wirechat_conformance", "run", *words],
        cwd=folder,
        capture_output=True,
        timeout=60,
    )
    return done.returncode, json.loads((folder / "report.json").read_text())


@pytest.mark.parametrize(("pace", "at_once"), [(LATE, 20), (Pace(), 2)])
def test_as_many_are_attempted_at_a_time_as_there_are_connections_for(
    pace: Pace, at_once: int
) -> None:
    with judging() as run:
        run.pace = pace
        together = threading.Barrier(at_once)
        numbers = range(at_once)
        tried = beside(run, lambda n: n + bool(together.wait(10) < 0), numbers, 5)
        assert [*tried] == [*numbers]


def fails() -> None:
    raise Failure(["FRM-1"], "this", "that")


def is_left_out() -> None:
    pytest.skip("it can't be tried")


def tried_ahead(run: Run, **cases: Any) -> set[str]:
    run.pace = LATE
    assert [*ahead(run, cases, 10)] == [*cases]
    return run.came_true


def test_what_comes_true_ahead_of_its_turn_is_known() -> None:
    with judging() as run:
        assert tried_ahead(run, a=run.names.fresh, b=fails, c=is_left_out) == {"a"}


def test_nothing_comes_true_where_the_witness_was_disturbed() -> None:
    with judging() as run:
        before = run.bystanders.witness
        assert before
        assert tried_ahead(run, a=str, b=before.half_close, c=str) == set()
        assert run.bystanders.witness not in (None, before)
        run.check_witness()


def test_slow_server_is_judged_several_conversations_at_a_time(tmp_path: Path) -> None:
    with (server := Late(port=0)):
        cases = "dlv/deliver", "acc/login", "acc/create", "acc/word-as-username-nil"
        status, report = run_on(server, tmp_path, "--only", *cases)
    assert status == CONFORMANT
    assert server.most > 2
    assert {case["status"] for case in report["cases"]} == {"pass"}
    assert [f"of {DEFAULT_EXAMPLES} examples" in note for note in report["notes"]] == [
        True
    ]


def test_run_ends_within_the_seconds_that_it_is_given(tmp_path: Path) -> None:
    with (server := Late(port=0)):
        only = "--only", "frm/every-octet-of-a-length", "frm/many-announcements"
        status, report = run_on(server, tmp_path, *only, "--limit", "0.4")
    assert status == INCONCLUSIVE
    assert {case["status"] for case in report["cases"]} == {"untested"}
    assert {case["message"] for case in report["cases"]} == {"not done within 0.4 s"}


def test_run_ends_in_time_before_its_turn_has_come(tmp_path: Path) -> None:
    with (server := Late(port=0)):
        status, _ = run_on(server, tmp_path, "--only", "DLV", "--limit", "0.05")
    assert status == INCONCLUSIVE


def test_no_wait_begins_when_the_time_is_up() -> None:
    with judging() as run:
        run.patience.until = 0
        with pytest.raises(OverdueError):
            run.check_witness()
