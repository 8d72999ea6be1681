"""One conversation, captured in four ways, gives the same frames.

The ways: the octets as they are, hex text of them, dumpcap on loopback, the recorder.
Of what dumpcap captured, tshark says what the dump says.
"""

import io
import json
import shutil
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.dissected import TSHARK, dissected, dumped
from tests.relayed import Seen, chat, relaying
from tests.served import wait_for
from wirechat.server import Server
from wirechat_tools.dump import main
from wirechat_tools.pcapng import Capture
from wirechat_tools.reading import read_traffic
from wirechat_tools.traffic import End

pytestmark = pytest.mark.whole

DUMPCAP = shutil.which("dumpcap")
BOUND = 10.0
ENDS = 6
"""Directions of the conversation's connections, each of which comes to its end."""

Frames = dict[tuple[int, str | None], list[str]]
"""The octets of each frame, in hex, by connection and side."""


def frames(path: Path, capsys: pytest.CaptureFixture[str]) -> Frames:
    """Return what the dump shows of a file, in which nothing is wrong."""
    assert main(["--json", str(path)]) == 0
    found: Frames = {}
    for line in capsys.readouterr().out.splitlines():
        piece = json.loads(line)
        key = piece["connection"], piece["side"]
        found.setdefault(key, []).append(piece["octets"])
    return found


@contextmanager
def capturing(path: Path, port: int) -> Iterator[None]:
    """Have dumpcap write what passes a port of loopback, until each side has ended."""
    if not DUMPCAP:
        pytest.skip("NOT TESTED: a capture on loopback, as there is no dumpcap here")
    command = [DUMPCAP, "-q", "-i", "lo", "-f", f"tcp port {port}", "-w", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        if not any("File: " in line for line in iter(process.stderr.readline, "")):
            pytest.skip("NOT TESTED: a capture on loopback, which needs to be allowed")
        try:
            yield
            wait_for(lambda: ends(path) == ENDS)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=BOUND)


def ends(path: Path) -> int:
    """Count the sides that have ended in a capture."""
    traffic = read_traffic([path.read_bytes()])
    return sum(isinstance(event, End) for event in traffic)


def test_a_conversation_captured_in_four_ways(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen, recorded, captured = Seen(), io.BytesIO(), tmp_path / "captured.pcapng"
    with relaying(server.address, seen, Capture(recorded)) as relay:
        port = relay.address[1]
        with capturing(captured, port):
            chat(relay.address)
    expected = frames(captured, capsys)
    assert len(expected) == ENDS
    (tmp_path / "recorded").write_bytes(recorded.getvalue())
    assert frames(tmp_path / "recorded", capsys) == expected
    streams: dict[tuple[int, str], bytes] = defaultdict(bytes)
    for connection, side, _, octets in seen.passed_on:
        streams[connection, side] += octets
    for key, octets in streams.items():
        (tmp_path / "raw").write_bytes(octets)
        assert frames(tmp_path / "raw", capsys) == {(1, None): expected[key]}
        (tmp_path / "hex").write_text(octets.hex(" ", 2))
        assert frames(tmp_path / "hex", capsys) == {(1, None): expected[key]}
    if not TSHARK:
        pytest.skip("NOT TESTED: what tshark says, as there is no tshark here")
    shown = list(dumped(captured, capsys))
    assert len(shown) == sum(map(len, expected.values()))
    assert list(dissected(captured, "-d", f"tcp.port=={port},wirechat")) == shown
