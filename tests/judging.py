"""The suite's verdict on the servers of this folder.

Server and suite run in processes of their own, forked from one that has imported both:
a matrix of hundreds of judgements would otherwise spend most of its time on imports.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event

import pytest

from tests.parts import Part, assemble
from wirechat_conformance import cli
from wirechat_conformance.report import INCONCLUSIVE

WHOLE = os.environ.get("MATRIX") == "whole"
"""Whether all cases are run on each server, not just those that are to the point."""
LONGEST = 400.0
"""Seconds that a judgement may take: one of a server that is always late takes most."""
_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "hypothesis.strategies",
        "wirechat_conformance.plugin",
        "tests.faults",
        "tests.variants",
        "tests.judging",
    ]
)


@dataclass(frozen=True)
class Judgement:
    """What the suite makes of a server.

    Args:
        status: The suite's exit status.
        broken: The rules that it names.
        output: What it prints.
    """

    status: int | None
    broken: frozenset[str]
    output: str


def judge(
    part: Part, folder: Path, *options: str, command: Sequence[str] = ("run",)
) -> Judgement:
    """Run the suite, or another command, on the server with one part replaced."""
    here, there = _CONTEXT.Pipe()
    server = _CONTEXT.Process(target=serve, args=(part, there), daemon=True)
    server.start()
    try:
        assert here.poll(LONGEST), "the server does not listen"
        address = "{}:{}".format(*here.recv())
        report, output = folder / "report.json", folder / "output.txt"
        report.unlink(missing_ok=True)
        words = [*command, address, "--json", str(report), *options]
        suite = _CONTEXT.Process(target=conform, args=(words, output), daemon=True)
        suite.start()
        suite.join(LONGEST)
        status = suite.exitcode
        suite.kill()
    finally:
        server.kill()
    written = report.read_text("utf-8") if report.exists() else ""
    rules = json.loads(written)["rules"] if written else {}
    named = (rule for rule in rules if rules[rule]["status"] in ("fail", "warn"))
    return Judgement(status, frozenset(named), output.read_text("utf-8"))


def serve(part: Part, told: Connection) -> None:
    """Serve until this process is killed."""
    with assemble(part, 0) as server:
        told.send(server.address)
        Event().wait()


def conform(words: list[str], output: Path) -> None:
    """Do what the command does, in this process."""
    with output.open("wb") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    status = pytest.main(cli.pytest_arguments(words))
    sys.exit(cli.STATUSES.get(status, INCONCLUSIVE))
