"""The suite's verdict on the servers of this folder."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
WHOLE = os.environ.get("MATRIX") == "whole"
"""Whether all cases are run on each server, not just those that are to the point."""


@dataclass(frozen=True)
class Judgement:
    """What the suite makes of a server.

    Args:
        status: The suite's exit status.
        broken: The rules that it names.
        output: What it prints.
    """

    status: int
    broken: frozenset[str]
    output: str


def judge(module: str, name: str, folder: Path, *options: str) -> Judgement:
    """Run the suite on one server of a module."""
    report = folder / "report.json"
    launch = f"{sys.executable} -m {module} {name} --port {{port}}"
    command = [sys.executable, "-m", "wirechat_conformance", "run", "--launch", launch]
    done = subprocess.run(
        [*command, "--json", str(report), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
    )
    rules = json.loads(report.read_text("utf-8"))["rules"] if report.exists() else {}
    named = (rule for rule in rules if rules[rule]["status"] in ("fail", "warn"))
    return Judgement(done.returncode, frozenset(named), done.stdout)
