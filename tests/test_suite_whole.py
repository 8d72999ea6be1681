"""The suite as a whole, on the reference server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.whole


def test_the_reference_conforms(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "wirechat_conformance", "run", "--reference"]
    done = subprocess.run(
        [*command, "--examples", "2", "--timeout", "10", "--json", "report.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert {of["status"] for of in report["rules"].values()} == {"pass"}
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
