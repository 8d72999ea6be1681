"""Servers that are none, and such as end in the middle: nothing passes on them.

How long a run takes is told by the server, from its first connection to the end of its
last, or by the run's processor time: a machine that is busy has no say in it.
"""

import json
import resource
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.null_servers import MANNERS, Dies, Hangs, Mortal, NullServer
from wirechat_conformance.report import INCONCLUSIVE, NOT_CONFORMANT

pytestmark = pytest.mark.whole

NEEDS_NO_ANSWER = {"LIM-5"}
"""A silent connection stays open where a server does nothing."""
SILENT_SECONDS = 4.0
"""Within which silence is given up: of the five, one is for the suite's start."""
BUSY_SECONDS = 10.0
"""Processor time that a run takes at most."""
SECONDS = 45.0
"""Within which a verdict is there: it takes ten on a machine that is idle."""
WHOLE: list[str] = []
TRANSCRIPTS = ["--examples", "0", "--timeout", "0.5"]


@dataclass(frozen=True)
class Judged:
    """What a run came to."""

    status: int
    report: dict[str, Any]
    out: str
    err: str
    busy: float

    @property
    def passed(self) -> set[str]:
        rules = self.report["rules"]
        return {rule for rule in rules if rules[rule]["status"] == "pass"}


def busy() -> float:
    """Return the processor time of all processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def judge(address: tuple[str, int], folder: Path, options: list[str]) -> Judged:
    file, before = folder / "report.json", busy()
    command = [sys.executable, "-m", "wirechat_conformance", "run"]
    words = ["{}:{}".format(*address), "--json", str(file), "--seed", "1", *options]
    ended = subprocess.run(
        [*command, *words], capture_output=True, text=True, timeout=110, cwd=folder
    )
    report = json.loads(file.read_text("utf-8"))
    return Judged(ended.returncode, report, ended.stdout, ended.stderr, busy() - before)


def test_nothing_is_said_of_a_closed_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    judged = judge(address, tmp_path, WHOLE)
    assert (judged.status, judged.err) == (INCONCLUSIVE, "")
    assert "inconclusive (no connection: connection refused)" in judged.out
    assert (judged.passed, judged.report["cases"]) == (set(), [])
    assert judged.busy < BUSY_SECONDS


def test_silent_server_is_given_up_soon(tmp_path: Path) -> None:
    with NullServer(MANNERS["silent"]) as server:
        judged = judge(server.address, tmp_path, WHOLE)
    assert (judged.status, judged.err) == (INCONCLUSIVE, "")
    assert "inconclusive (silent: " in judged.out
    assert (judged.passed, judged.report["cases"]) == (set(), [])
    assert max(server.times) - min(server.times) < SILENT_SECONDS
    assert judged.busy < BUSY_SECONDS


@pytest.mark.parametrize(
    ("manner", "options"),
    [
        ("hangs up", TRANSCRIPTS),
        *(
            pytest.param(manner, WHOLE, marks=pytest.mark.matrix)
            for manner in MANNERS
            if manner != "silent"
        ),
    ],
)
def test_nothing_passes_on_a_server_that_is_none(
    manner: str, options: list[str], tmp_path: Path
) -> None:
    with NullServer(MANNERS[manner]) as server:
        judged = judge(server.address, tmp_path, options)
    assert (judged.status, judged.err) == (NOT_CONFORMANT, "")
    assert judged.passed <= NEEDS_NO_ANSWER
    assert max(server.times) - min(server.times) < SECONDS
    assert judged.busy < BUSY_SECONDS


@pytest.mark.parametrize("mortal", [Dies, Hangs])
def test_server_that_ends_in_the_middle(mortal: type[Mortal], tmp_path: Path) -> None:
    with mortal() as server:
        judged = judge(server.address, tmp_path, TRANSCRIPTS)
    assert (judged.status, judged.err) == (NOT_CONFORMANT, "")
    assert "not conformant (the server went away after " in judged.out
    statuses = [case["status"] for case in judged.report["cases"]]
    assert "pass" in statuses[: statuses.index("fail")]
    assert set(statuses[statuses.index("untested") :]) == {"untested"}
    assert judged.busy < BUSY_SECONDS
