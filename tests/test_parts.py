"""A server with another part is run as the reference is."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.whole

ROOT = Path(__file__).parent.parent

MODULES = pytest.mark.parametrize("module", ["tests.faults", "tests.variants"])


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("module", "name"), [("tests.faults", "echo-twice"), ("tests.variants", "in-steps")]
)
def test_a_server_tells_where_it_listens(module: str, name: str) -> None:
    with started(module, name, "--port", "0") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening on 127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


@MODULES
def test_an_unknown_server_is_told_in_one_line(module: str) -> None:
    with started(module, "no-such-thing") as process:
        told = process.communicate(timeout=5)[1]
    assert process.returncode == 2
    assert "'no-such-thing'" in told
    assert told.count("\n") == 1
