"""The README's shell lines work as they stand."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.captures import conversation, ip, pcap
from tests.dissected import TSHARK
from tests.faults import FAULTS
from tests.parts import Part, assemble
from wirechat.codec import Command, encode
from wirechat.server import Server

pytestmark = pytest.mark.whole

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
FILTER, COLUMN = "wirechat.command == 2", "_ws.col.Info"
DOUBLING = FAULTS["each-fiftieth-twice"].part
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
    assert FILTER in (ROOT / "README.md").read_text()


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


@pytest.mark.skipif(not TSHARK, reason="NOT TESTED: Wireshark's plugins, without it")
def test_wireshark_finds_the_dissector_where_it_is_copied_to(tmp_path: Path) -> None:
    environment = ENVIRONMENT | {"HOME": str(tmp_path)}
    copies = [line for line in LINES if COPIES in line]
    assert len(copies) == 2
    for line in copies:
        subprocess.run(line, shell=True, cwd=ROOT, env=environment, check=True)
    frames = encode(Command.LIST) + encode(Command.SEND, "ann", "bob", "hi")
    segments = map(ip, conversation([(">", frames)], size=42))
    capture = tmp_path / "chat.pcap"
    capture.write_bytes(pcap(segments, link=101))
    done = subprocess.run(
        [str(TSHARK), "-r", capture, "-Y", FILTER, "-T", "fields", "-e", COLUMN],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout == "SEND ann → bob, 14 octets\n"


@pytest.mark.skipif(
    find_spec("locust") is None,
    reason="not tested here: Locust, which has its own environment (tox -e load)",
)
@pytest.mark.parametrize(("part", "status"), [(Server, 0), (DOUBLING, 1)])
def test_locust_drives_a_server_with_two_workers(part: Part, status: int) -> None:
    """A message that comes twice is found; with the reference nothing is."""
    script, port = "\n".join(of_kind(*LOCUST)), str(free_port())
    ports = {"LOCUST_MASTER_NODE_PORT": port, "LOCUST_MASTER_BIND_PORT": port}
    with assemble(part, 0) as server, tempfile.TemporaryFile("w+") as told:
        script = script.replace("127.0.0.1:9000", "{}:{}".format(*server.address))
        with subprocess.Popen(
            script.replace("run-time 10s", "run-time 3s"),
            shell=True,
            cwd=ROOT,
            env=ENVIRONMENT | ports,
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                ended = process.wait(60)
            finally:
                with suppress(ProcessLookupError):  # the workers, if any is left
                    os.killpg(process.pid, signal.SIGKILL)
        told.seek(0)
        report = told.read()
    assert ended == status, report
    assert "2 workers connected" in report
    relayed = map(int, re.findall(r"^SEND +relay +(\d+)", report, re.M))
    assert max(relayed) > 50, report
