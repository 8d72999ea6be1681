"""The server as a command: what it prints, its exit status, its signals, its limits."""

import contextlib
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from wirechat.codec import REPLIES, Command, Decoder, Frame, encode
from wirechat.server import main

COMMAND = [sys.executable, "-m", "wirechat.server"]
BOUND = 10.0
SLACK = 1.5  # seconds that a busy machine may add
FENCE = encode(Command.LIST, "!")
NOTHING = encode(Command.LISTRESPONSE)


class Process:
    """A server in a process of its own."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.line = self.process.stdout.readline()
        host, port = self.line.split()[-1].rsplit(":", 1)
        self.address = (host.strip("[]"), int(port))

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, BOUND)

    def end(self, by: int = signal.SIGTERM) -> tuple[int, str, float]:
        """End it with a signal: return its status, stderr, and the seconds it took."""
        begin = time.monotonic()
        self.process.send_signal(by)
        _, errors = self.process.communicate(timeout=BOUND)
        return self.process.returncode, errors, time.monotonic() - begin


@contextlib.contextmanager
def running(*options: str) -> Iterator[Process]:
    server = Process("--port", "0", *options)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


def answer(sock: socket.socket, octets: bytes = FENCE, size: int = 42) -> bytes:
    sock.sendall(octets)
    return received(sock, size)


def received(sock: socket.socket, size: int) -> bytes:
    octets = b""
    while len(octets) < size and (more := sock.recv(size - len(octets))):
        octets += more
    return octets


def test_signal_ends_it_and_the_port_is_free_at_once() -> None:
    with running() as server, server.connect() as sock:
        assert server.line == f"listening on 127.0.0.1:{server.address[1]}\n"
        assert answer(sock) == NOTHING
        status, errors, seconds = server.end(signal.SIGINT)
        assert (status, errors) == (0, "")
        assert seconds < 1 + SLACK
        assert sock.recv(1) == b""
        again = Process("--port", str(server.address[1]))
        assert again.address == server.address
        assert again.end()[0] == 0


def test_address_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*COMMAND, "--port", port], capture_output=True, text=True, timeout=BOUND
        )
    reason = "Address already in use"
    assert done.stderr == f"wirechat-server: 127.0.0.1:{port}: {reason}\n"
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize(
    "options",
    [
        ["--port", "65536"],
        ["--port", "-1"],
        ["--port", "x"],
        ["--max-data", "65535"],
        ["--max-data", str(2**63)],
        ["--max-queue", "0"],
        ["--header-seconds", "²"],
        ["--nonsense"],
        ["9000"],
    ],
)
def test_wrong_options(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("wirechat-server: ")
    assert errors.count("\n") == 1


def test_unknown_host(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", "127.0.0.256"]) == 2
    assert capsys.readouterr().err.startswith("wirechat-server: 127.0.0.256:9000: ")


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6 here")
def test_log_over_ipv6() -> None:
    with running("--host", "::1", "-v") as server:
        assert server.line.startswith("listening on [::1]:")
        with server.connect() as sock:
            peer = f"[::1]:{sock.getsockname()[1]}"
            assert answer(sock) == NOTHING
        status, errors, _ = server.end()
    assert status == 0
    assert [line.split(" ", 2)[2] for line in errors.splitlines()] == [
        f"{peer} connected",
        f"{peer} is gone",
    ]


def test_out_of_descriptors_it_serves_on() -> None:
    with running() as server, contextlib.ExitStack() as stack:
        first = stack.enter_context(server.connect())
        assert answer(first) == NOTHING
        _, most = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (20, most))
        served, refused = [], 0
        for _ in range(30):
            sock = stack.enter_context(server.connect())
            with contextlib.suppress(ConnectionError):
                if answer(sock) == NOTHING:
                    served.append(sock)
                    continue
            refused += 1
        assert refused >= 10
        assert len(served) + refused == 30
        assert all(answer(sock) == NOTHING for sock in [first, *served])
        served.pop().close()
        # The server notices on its own time that there is room again.
        end = time.monotonic() + BOUND
        while time.monotonic() < end:
            with server.connect() as sock, contextlib.suppress(ConnectionError):
                if answer(sock) == NOTHING:
                    break
        else:
            pytest.fail("service did not resume")
        status, errors, _ = server.end()
        assert status == 0
        assert set(errors.splitlines()) == {
            "a connection refused: out of file descriptors"
        }


def test_limits_from_the_command_line() -> None:
    with running("--max-accounts", "1", "--max-data", "65536") as server:
        with server.connect() as one, server.connect() as two:
            assert len(answer(one, encode(Command.CREATE, "a"))) == 42
            two.sendall(encode(Command.CREATE, "b") + encode(1, "x" * 65537))
            two.shutdown(socket.SHUT_WR)
            items = Decoder(REPLIES).feed(received(two, 1 << 20))
        texts = [
            b"the server takes no more accounts",
            b"data length 65537 exceeds the limit of 65536 octets (offset 45)",
        ]
        assert items == [Frame(Command.RESPONSE, text) for text in texts]
