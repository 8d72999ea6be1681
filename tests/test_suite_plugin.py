"""The plugin: what becomes of cases, whatever happens to them."""

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

from wirechat.server import Server
from wirechat_conformance import cli
from wirechat_conformance.report import CONFORMANT, INCONCLUSIVE, NOT_CONFORMANT, USAGE
from wirechat_conformance.settings import Settings

pytestmark = pytest.mark.whole

HEAD = """
import pytest
from wirechat_conformance.failure import Failure
from wirechat_conformance.names import NoNameError
from wirechat_conformance.peer import GoneError

pytestmark = pytest.mark.rules("SND-5")
tries = []

def fail(**more):
    tries.append(1)
    failure = Failure(["SND-5"], "this", "that")
    vars(failure).update(more)
    raise failure
"""


@dataclass
class Judged:
    """What a run came to: its exit status, its report, and what it printed."""

    status: int
    printed: str
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def cases(self) -> dict[str, str]:
        return {case["id"]: case["status"] for case in self.report["cases"]}

    @property
    def message(self) -> str:
        """What is told of the last case."""
        return str(self.report["cases"][-1]["message"])


class Judging(Protocol):
    def __call__(self, cases: str, *options: str, **asked: Any) -> Judged: ...


@pytest.fixture
def judge(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> Iterator[Judging]:
    """Judge the reference by cases that are given as text, in this process."""
    before = signal.getsignal(signal.SIGTERM)
    report = tmp_path / "report.json"
    arguments = cli.pytest_arguments(["run", "{}:{}".format(*server.address)])

    def judge(cases: str, *options: str, **asked: Any) -> Judged:
        (tmp_path / "test_given.py").write_text(f"{HEAD}\n{cases}", "utf-8")
        asked = {"server": server.address, "json": str(report)} | asked
        status = pytest.main(
            [
                str(tmp_path),
                *arguments[len(cli.CASES) : -1],
                *("-p", "no:xdist", "-p", "no:faulthandler"),  # they are in use
                *options,
                f"--wirechat={Settings(**asked).dump()}",
            ]
        )
        written = json.loads(report.read_text()) if report.exists() else {}
        return Judged(cli.STATUSES[status], "".join(capfd.readouterr()), written)

    yield judge
    signal.signal(signal.SIGTERM, before)


def test_case_that_passes(judge: Judging) -> None:
    judged = judge("def test_one(run): run.check_witness()")
    assert (judged.status, judged.cases) == (CONFORMANT, {"given/one": "pass"})


def test_case_that_fails(judge: Judging) -> None:
    judged = judge("def test_one(run): fail(detail='so it is', log=('A open',))")
    assert (judged.status, judged.cases) == (NOT_CONFORMANT, {"given/one": "fail"})
    assert judged.message.splitlines()[:5] == [
        "expected this; got that",
        "expected  this",
        "got       that",
        "so it is",
        "    A open",
    ]


def test_a_case_tells_how_to_run_it_again(judge: Judging, server: Server) -> None:
    judged = judge("def test_one(run): fail()", seed=7)
    where = "{}:{}".format(*server.address)
    command = f"wirechat-conformance run {where} --only given/one --seed 7"
    assert judged.message.splitlines()[-1] == f"replay    {command}"


def test_a_file_tells_how_to_replay_it_again(
    judge: Judging, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("saved") / "a chat.txt"
    path.write_text("title T\nA open\nA > DELETE 0\nA < RESPONSE 0  DLV-1\n")
    judged = judge("", str(path), seed=7)
    address = "{}:{}".format(*server.address)
    again = f"wirechat-conformance replay '{path}' {address} --seed 7"
    assert judged.message.splitlines()[-1] == f"replay    {again}"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"only": ["nonsense"]}, "no rule, section or case 'nonsense'"),
        ({"examples": 0}, "no case is selected"),
    ],
)
def test_nothing_to_be_run_is_wrong_use(
    judge: Judging, asked: dict[str, Any], why: str
) -> None:
    case = "@pytest.mark.examples\ndef test_one(run): pass"
    judged = judge(case, **asked)
    assert (judged.status, judged.report) == (USAGE, {})
    assert f"ERROR: {why}" in judged.printed


def test_cases_that_can_not_be_read(judge: Judging, tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_one(run): pass", "utf-8")
    judged = judge("def test_one(run: pass")
    assert (judged.status, judged.report["cases"]) == (INCONCLUSIVE, [])
    assert "inconclusive (the suite's own fault: cases can't be read)" in judged.printed
    assert "SyntaxError" in judged.printed


def test_a_run_ends_where_an_option_of_pytest_has_it_end(judge: Judging) -> None:
    judged = judge("def test_a(run): fail()\ndef test_b(run): fail()", "--exitfirst")
    assert judged.cases == {"given/a": "fail"}


def test_a_fault_of_the_suite_says_nothing_of_the_server(judge: Judging) -> None:
    judged = judge("def test_one(run): 1 / 0\ndef test_two(run): pass")
    assert judged.status == INCONCLUSIVE
    assert judged.cases == {"given/one": "error", "given/two": "pass"}
    assert "ZeroDivisionError" in judged.report["cases"][0]["message"]
    told = "ERROR  given/one\n  the suite's own fault, which says nothing of the server"
    assert told in judged.printed


def test_an_error_of_pytest_says_nothing_of_the_server(judge: Judging) -> None:
    broken = "class Broken:\n    def pytest_runtest_logreport(self): 1 / 0\n"
    case = "def test_one(request): request.config.pluginmanager.register(Broken())"
    judged = judge(broken + case)
    assert (judged.status, judged.report) == (INCONCLUSIVE, {})
    assert "INTERNALERROR" in judged.printed


def test_a_run_that_takes_too_long_ends(judge: Judging) -> None:
    judged = judge("def test_one(run): pass", limit=0.0)
    assert (judged.status, judged.cases) == (INCONCLUSIVE, {"given/one": "untested"})
    assert "inconclusive (not done within 0 s)" in judged.printed


def test_a_case_is_left_out_where_there_is_no_name_for_it(judge: Judging) -> None:
    judged = judge("def test_one(run): raise NoNameError('all are taken')")
    assert (judged.cases, judged.message) == (
        {"given/one": "untested"},
        "all are taken",
    )


def test_a_server_that_takes_no_connection_breaks_a_rule(judge: Judging) -> None:
    judged = judge("def test_one(run): raise GoneError('no connection: refused')")
    assert judged.report["rules"]["FRM-10"]["status"] == "fail"
    told = "expected the server takes connections; got no connection: refused"
    assert judged.message.startswith(told)


@pytest.mark.parametrize("why", ["late", "ends"])
def test_what_was_but_late_is_a_note(judge: Judging, why: str) -> None:
    judged = judge(f"def test_one(run): tries or fail({why}=True)")
    assert judged.cases == {"given/one": "pass"}
    note = "given/one: late once, expected this; got that"
    assert note in judged.report["notes"]


@pytest.mark.parametrize("why", ["late", "ends"])
def test_what_is_late_twice_is_a_fault(judge: Judging, why: str) -> None:
    judged = judge(f"def test_one(run): len(tries) > 1 or fail({why}=True)")
    assert judged.cases == {"given/one": "fail"}
    assert not any("late once" in note for note in judged.report["notes"])


def test_a_second_try_that_is_left_out_takes_nothing_back(judge: Judging) -> None:
    judged = judge(
        "def test_one(run): pytest.skip('now') if tries else fail(ends=True)"
    )
    assert judged.cases == {"given/one": "fail"}


def test_races_tell_nothing_where_plain_cases_fail(judge: Judging) -> None:
    failed = "def test_a(run): run.failed.add('acc/create')"
    race = "@pytest.mark.races\ndef test_b(run): fail()"
    judged = judge(f"{failed}\n{race}")
    assert judged.cases == {"given/a": "pass", "given/b": "untested"}


def test_races_get_no_second_try(judge: Judging) -> None:
    race = "@pytest.mark.drawn\ndef test_one(run): tries or fail(ends=True)"
    assert judge(race).cases == {"given/one": "fail"}
