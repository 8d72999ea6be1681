"""Which cases check each rule, and which faults prove that they can fail.

``python -m tests.traceability`` judges all faulty servers, in minutes, and writes
``conformance/FAULTS.md``.
"""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree

import pytest

from tests.faults import FAULTS
from wirechat_conformance import cli
from wirechat_conformance.items import case_id, rules
from wirechat_conformance.rules import RULES

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "conformance" / "FAULTS.md"
HEAD = """\
# Rules, cases, faults

Written by `python -m tests.traceability`, which judges every faulty server; edit the
faults instead (`tests/faults/`), or the cases, and run it again.

For each rule: what it says, the cases that check it, and the faults that prove that
these can fail. A fault is one small change to the reference server that breaks it.
It is found if the suite names this very rule, with exit status 1 where that is a MUST.
"""


class Collector:
    """A plugin of pytest that takes note of the cases and their rules."""

    def __init__(self) -> None:
        self.cases: dict[str, tuple[str, ...]] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.cases = {case_id(item): rules(item) for item in session.items}


def collected() -> dict[str, tuple[str, ...]]:
    """Return the rules of each case that the suite's command runs."""
    collector = Collector()
    with (
        patch.dict(os.environ, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        pytest.main(cli.pytest_arguments(["list"]), plugins=[collector])
    return collector.cases


def missed() -> frozenset[str]:
    """Judge all faulty servers; return the faults that were not found."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "tests/test_faults.py",
            "-m",
            "matrix",
        ]
        command += ["-n", "8", "--dist", "worksteal", f"--junitxml={report}"]
        subprocess.run(command, cwd=ROOT, check=False)
        cases = ElementTree.parse(report).iter("testcase")
        found = {case.get("name", "") for case in cases if not len(case)}
    return frozenset(
        fault for fault in FAULTS if f"test_a_fault_is_found[{fault}]" not in found
    )


def table(cases: dict[str, tuple[str, ...]], missed: frozenset[str]) -> str:
    """Return the whole file, given the rules of each case and what was not found."""
    found = len(FAULTS) - len(missed)
    rate = f"{found} of {len(FAULTS)} faults are found: {found / len(FAULTS):.1%}."
    sections = (_section(rule, cases, missed) for rule in RULES)
    return "\n".join([HEAD, rate, "", *sections])


def _section(
    rule: str, cases: dict[str, tuple[str, ...]], missed: frozenset[str]
) -> str:
    checks = sorted(f"`{case}`" for case, names in cases.items() if rule in names)
    faults = [
        f"- `{name}`{' **not found**' * (name in missed)}: {fault.summary}"
        for name, fault in FAULTS.items()
        if fault.rule == rule
    ]
    told = f"## {rule} {RULES[rule].level}\n\n{RULES[rule].sentence}\n"
    return "\n".join([told, f"Cases: {', '.join(checks) or 'none'}\n", *faults, ""])


if __name__ == "__main__":
    TABLE.write_text(table(collected(), missed()), "utf-8")
