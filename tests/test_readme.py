"""The README's shell lines work as they stand."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from wirechat.codec import Command, encode
from wirechat.server import Server

ROOT = Path(__file__).parent.parent
SHELL = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
LINES = [line for block in SHELL for line in block.replace("\\\n", "").splitlines()]
SET_UP, COPIES, LOCUST = "python3 -m venv", "plugins", ("export", "locust")
SERVES = "wirechat-server", "wirechat-record"
"""What goes on until it is interrupted."""
LESS = {
    "wirechat-conformance run": " --only FRM-1 SND-5 --examples 1",
    "wirechat-bench": " --seconds 0.05 --connections 2",
}
"""What lets a command do as it always does, but less of it."""
ENVIRONMENT = os.environ | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def of_kind(*beginnings: str) -> list[str]:
    return [line for line in LINES if line.startswith(beginnings)]


def test_each_line_is_of_a_known_kind() -> None:
    commands = of_kind("wirechat", "printf", SET_UP, *LOCUST)
    assert [e for e in LINES if e not in commands and COPIES not in e] == []
    assert len(of_kind("wirechat", "printf")) > 10


def test_ci_runs_the_test_command() -> None:
    _, tests = of_kind(SET_UP)
    ci = (ROOT / ".ci/run").read_text()
    assert [step for step in tests.split(" && ") if step not in ci] == []


@pytest.mark.parametrize(
    "line",
    [line for line in of_kind("wirechat", "printf") if line not in of_kind(*SERVES)],
)
def test_a_command_ends_well(line: str, tmp_path: Path) -> None:
    (tmp_path / "stream.bin").write_bytes(encode(Command.CREATE, "alice"))
    line = line.partition("  #")[0]
    line += "".join(less for known, less in LESS.items() if line.startswith(known))
    with Server() as server:
        done = subprocess.run(
            line.replace("127.0.0.1:9000", "{}:{}".format(*server.address)),
            shell=True,
            cwd=tmp_path,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
        )
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.parametrize("line", of_kind(*SERVES))
def test_a_server_listens_until_it_is_interrupted(line: str, tmp_path: Path) -> None:
    port = free_port()
    line = line.replace("9000", "9001").replace("9001", str(port), 1)
    with subprocess.Popen(
        f"exec {line}",
        shell=True,
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        told = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert told.endswith(f"listening on 127.0.0.1:{port}\n")
