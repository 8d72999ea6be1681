"""The recorder as a command: what it shows and writes, its ends, its usage."""

import ctypes
import json
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from operator import call
from pathlib import Path
from typing import NoReturn

import pytest

from tests.judged import judging
from tests.relayed import BOUND, Client, chat
from wirechat.codec import Command, encode
from wirechat.server import Server
from wirechat_conformance.replay import replay
from wirechat_conformance.transcript import read
from wirechat_tools.dump import main as dump
from wirechat_tools.record import main, stopping
from wirechat_tools.relay import Relay

pytestmark = pytest.mark.whole

FULL = Path("/dev/full")
RUN = [sys.executable, "-c", "from wirechat_tools.record import main; exit(main())"]


@pytest.fixture
def process(server: Server, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    where = ["--listen", "0", "--to", f"127.0.0.1:{server.address[1]}"]
    files = ["-o", f"{tmp_path}/chat.txt", "--pcap", f"{tmp_path}/chat.pcapng"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*RUN, *where, *files, "--fields"], stdout=pipe, stderr=pipe, text=True
    ) as process:
        yield process
        process.kill()


def address_of(process: subprocess.Popen[str]) -> tuple[str, int]:
    assert process.stderr
    host, _, port = process.stderr.readline().split()[-1].rpartition(":")
    return host, int(port)


def test_command_ends_with_everything_written(
    process: subprocess.Popen[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = address_of(process)
    chat(address)
    left = Client(address)
    left.say(Command.LIST)
    left.sock.sendall(b"\0")
    assert process.stdout
    shown = [process.stdout.readline() for _ in range(32)]
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=BOUND)
    left.sock.close()
    assert (process.returncode, errors) == (0, "")
    assert "FRM-1 cut off: 1 of at least 42 octets came" in rest
    written = (tmp_path / "chat.txt").read_text("ascii")
    assert written.endswith("D < LISTRESPONSE any\n") or "D > LIST 0" in written
    with judging() as run:
        replay(run, read("recorded", written))
    # The dump of the capture is what was shown.
    assert dump(["--fields", str(tmp_path / "chat.pcapng")]) == 1
    again = capsys.readouterr().out.splitlines(keepends=True)
    assert [line.split()[3:] for line in again[:32]] == [
        line.split()[3:] for line in shown
    ]


def test_command_that_writes_no_files(server: Server) -> None:
    to = f"127.0.0.1:{server.address[1]}"
    with subprocess.Popen(
        [*RUN, "--listen", "0", "--to", to, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        address = address_of(process)
        Client(address).leave()  # having said nothing
        client = Client(address)
        client.say(Command.LIST)
        client.leave()
        process.send_signal(signal.SIGTERM)
        shown, errors = process.communicate(timeout=BOUND)
    assert (process.returncode, errors) == (0, "")
    commands = [json.loads(line)["command"] for line in shown.splitlines()]
    assert commands == ["LIST", "LISTRESPONSE"], shown


def test_a_signal_stops_it_before_its_handler_runs() -> None:
    running = threading.Lock()
    with Relay(("127.0.0.1", 0), ("127.0.0.1", 9), print) as relay, stopping(relay):

        def run() -> None:
            relay.run()
            running.release()

        running.acquire()
        thread = threading.Thread(target=run)
        thread.start()
        # No handler runs between two calls that C makes.
        send = partial(ctypes.CDLL(None)["raise"], signal.SIGTERM)
        try:
            assert list(map(call, [send, partial(running.acquire, True, BOUND)]))[1]
        finally:
            relay.stop()
            thread.join(BOUND)


def test_command_ends_once_nobody_reads(process: subprocess.Popen[str]) -> None:
    address = address_of(process)
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    with socket.create_connection(address, BOUND) as client:
        client.sendall(encode(1))
        assert process.wait(BOUND) == 0
    assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--listen", "x", "--to", "127.0.0.1:1"], '"x" is not HOST:PORT'),
        (["--listen", "0", "--to", "127.0.0.1"], '"127.0.0.1" is not HOST:PORT'),
        (["--listen", "0", "--to", "127.0.0.1:0"], '"127.0.0.1:0" is not HOST:PORT'),
        (["--listen", "65536", "--to", "::1:1"], '"65536" is not HOST:PORT'),
        (["--listen", "0", "--to", "a..b\x1b:1"], 'no host "a..b\\x1b"'),
        (["--listen", "0", "--to", "[::1:1"], 'no host "[::1"'),
        (["--listen", "0"], "required: --to"),
    ],
)
def test_usage(
    options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(options)
    assert exit_.value.code == 2
    errors = capsys.readouterr().err
    assert reason in errors
    assert errors.count("\n") == 1
    assert "\x1b" not in errors


@pytest.mark.usefixtures("two_addresses")
def test_of_several_addresses_that_of_the_server_is_taken(
    monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    port, taken = server.address[1], []

    def relay(listen: object, to: tuple[str, int], tell: object) -> NoReturn:
        taken.append(to[0])
        raise OSError

    monkeypatch.setattr("wirechat_tools.record.Relay", relay)
    for host in ("localhost", "127.0.0.1"):
        main(["--listen", "0", "--to", f"{host}:{port}"])
    server.stop()
    main(["--listen", "0", "--to", f"localhost:{port}"])
    assert taken == ["127.0.0.1", "127.0.0.1", "::1"]


@pytest.mark.parametrize("option", ["-o", "--pcap"])
def test_files_that_can_not_be_written(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--listen", "0", "--to", "[::1]:9000", option, str(tmp_path)]) == 2
    expected = f'wirechat-record: "{tmp_path}": Is a directory\n'
    assert capsys.readouterr().err == expected


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("option", ["-o", "--pcap"])
def test_a_disk_that_is_full(
    option: str,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The transcript is written in the end, the capture from the beginning.
    monkeypatch.setattr(Relay, "run", lambda _: None)
    to = f"127.0.0.1:{server.address[1]}"
    assert main(["--listen", "0", "--to", to, option, str(FULL)]) == 2
    *_, told = capsys.readouterr().err.splitlines()
    assert told == f'wirechat-record: "{FULL}": No space left on device'


def test_port_in_use(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = f"127.0.0.1:{server.address[1]}"
    kept = tmp_path / "kept.txt"
    kept.write_text("kept")
    assert main(["--listen", where, "--to", where, "-o", str(kept)]) == 2
    expected = f'wirechat-record: "{where}": Address already in use\n'
    assert capsys.readouterr().err == expected
    assert kept.read_text() == "kept"


def test_out_of_descriptors_it_serves_on(process: subprocess.Popen[str]) -> None:
    address = address_of(process)
    first = Client(address)
    first.say(Command.LIST)
    kind = resource.RLIMIT_NOFILE
    resource.prlimit(process.pid, kind, (20, resource.getrlimit(kind)[1]))
    waiting = [Client(address) for _ in range(10)]
    assert process.stderr
    expected = "wirechat-record: connections wait: Too many open files\n"
    assert process.stderr.readline() == expected
    first.say(Command.LIST)
    for client in waiting:  # from the first one that came to the last
        client.say(Command.LIST)
        client.leave()
    first.leave()
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=BOUND)[1]
    assert process.returncode == 0
    assert set(told.splitlines(keepends=True)) <= {expected}
