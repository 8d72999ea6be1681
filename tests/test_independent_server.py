"""Whoever has nothing but PROTOCOL.md can write a server that conforms."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SERVER = f"{sys.executable} -m tests.independent_server --port {{port}}"


@pytest.mark.matrix
def test_a_server_written_from_the_document_conforms() -> None:
    suite = [sys.executable, "-m", "wirechat_conformance", "run"]
    judged = subprocess.run(
        [*suite, "--examples", "0", "--launch", SERVER],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
    )
    assert judged.returncode == 0, judged.stdout
