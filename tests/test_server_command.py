"""The server as a command: what it prints, its exit status, its signals, its limits."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial

import pytest

from wirechat.codec import REPLIES, Command, Decoder, Frame, encode
from wirechat.server import main, options_of, server_of

pytestmark = pytest.mark.whole

COMMAND = [sys.executable, "-m", "wirechat.server"]
BOUND = 10.0
SLACK = 1.5  # seconds that a busy machine may add
FENCE = encode(Command.LIST, "!")
NOTHING = encode(Command.LISTRESPONSE)
SUCCESS = encode(Command.RESPONSE)


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


def received(sock: socket.socket, size: int = 1 << 30) -> bytes:
    """Return so many octets, or all that come until the server closes."""
    octets = bytearray()
    while more := sock.recv(min(size - len(octets), 1 << 20)):
        octets += more
    return bytes(octets)


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


@pytest.mark.parametrize("host", ["127.0.0.256", "a..b"])
def test_unknown_host(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", host]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"wirechat-server: {host}:9000: ")
    assert errors.count("\n") == 1


def test_output_that_nobody_reads() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(
            [*COMMAND, "--port", "0"],
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            timeout=BOUND,
        )
    told = "wirechat-server: standard output: Broken pipe\n"
    assert (done.returncode, done.stderr) == (2, told)


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


@pytest.mark.parametrize(
    ("kind", "most", "told"),
    [
        (resource.RLIMIT_NOFILE, 20, "a connection refused: out of file descriptors"),
        (resource.RLIMIT_AS, 600 << 20, "refused: there are too many connections"),
    ],
    ids=["descriptors", "threads"],
)
def test_out_of_what_a_connection_takes_it_serves_on(
    kind: int, most: int, told: str
) -> None:
    with running() as server, contextlib.ExitStack() as stack:
        first = stack.enter_context(server.connect())
        assert answer(first) == NOTHING
        _, hard = resource.prlimit(server.process.pid, kind)
        resource.prlimit(server.process.pid, kind, (most, hard))
        served, refused = crowd(server, stack, 100)
        assert refused >= 10
        assert len(served) + refused == 100
        assert all(answer(sock) == NOTHING for sock in [first, *served])
        served.pop().close()
        resume(server)
        status, errors, _ = server.end()
        assert status == 0
        assert {line[-len(told) :] for line in errors.splitlines()} == {told}


def crowd(
    server: Process, stack: contextlib.ExitStack, count: int
) -> tuple[list[socket.socket], int]:
    """Connect so often: return the connections that are served, and how many aren't."""
    served = []
    for _ in range(count):
        sock = stack.enter_context(server.connect())
        with contextlib.suppress(ConnectionError):
            if answer(sock) == NOTHING:
                served.append(sock)
    return served, count - len(served)


def resume(server: Process) -> None:
    """Wait until the server has noticed, on its own time, that there is room again."""
    end = time.monotonic() + BOUND
    while time.monotonic() < end:
        with server.connect() as sock, contextlib.suppress(ConnectionError):
            if answer(sock) == NOTHING:
                return
    pytest.fail("service did not resume")


def test_what_was_received_is_finished_before_it_ends() -> None:
    with running() as server, server.connect() as ann, server.connect() as bob:
        assert answer(ann, encode(Command.CREATE, "a")) == SUCCESS
        assert answer(bob, encode(Command.CREATE, "b")) == SUCCESS
        messages = encode(Command.SEND, "a", "b", "last") * 500
        ann.sendall(messages)
        server.process.send_signal(signal.SIGTERM)
        assert received(ann) == messages
        assert messages.startswith(received(bob))  # whose session may have ended first
        assert server.process.wait(BOUND) == 0
        with pytest.raises(ConnectionRefusedError):
            server.connect()


def test_limits_from_the_command_line() -> None:
    with running("--max-accounts", "1", "--max-data", "65536") as server:
        with server.connect() as one, server.connect() as two:
            assert len(answer(one, encode(Command.CREATE, "a"))) == 42
            two.sendall(encode(Command.CREATE, "b") + encode(1, "x" * 65537))
            two.shutdown(socket.SHUT_WR)
            items = Decoder(REPLIES).feed(received(two))
        texts = [
            b"the server takes no more accounts",
            b"data length 65537 exceeds the limit of 65536 octets (offset 45)",
        ]
        assert items == [Frame(Command.RESPONSE, text) for text in texts]


def sent(one: socket.socket, name: str) -> bool:
    """Send a message, and tell whether it was taken, or refused with an error reply."""
    header = answer(one, encode(Command.SEND, "a", name, "hi"))
    (reply,) = Decoder(REPLIES).feed(header + received(one, header[-1]))
    assert isinstance(reply, Frame)
    return reply.command == Command.SEND


@pytest.mark.parametrize(
    ("option", "taken"),
    [
        ("--max-kept=1", [True, False, True]),
        ("--max-kept-octets=1", [True, False, True]),
        ("--max-all-kept=1", [True, False, False]),
        ("--max-all-kept-octets=1", [True, False, False]),
    ],
)
def test_limits_of_what_is_kept(option: str, taken: list[bool]) -> None:
    with server_of(options_of(["--port", "0", option])) as server:
        connect = partial(socket.create_connection, server.address, BOUND)
        for name in "bc":
            with connect() as sock:
                sock.sendall(encode(Command.CREATE, name))
                sock.shutdown(socket.SHUT_WR)
                assert received(sock) == SUCCESS
        with connect() as ann:
            assert answer(ann, encode(Command.CREATE, "a")) == SUCCESS
            assert [sent(ann, name) for name in "bbc"] == taken


def test_limit_of_what_waits() -> None:
    with running("-v", "--max-queue", "65536") as server:
        with server.connect() as ann, server.connect() as bob:
            assert answer(ann, encode(Command.CREATE, "a")) == SUCCESS
            assert answer(bob, encode(Command.CREATE, "b")) == SUCCESS
            frame = encode(Command.SEND, "a", "b", "x" * 60_000)
            for _ in range(250):  # 15 MB: more than the kernel holds
                assert answer(ann, frame, len(frame)) == frame
            got = received(bob)
            assert 0 < len(got) < 250 * len(frame)
            assert answer(ann) == NOTHING
        assert "was cut off: it did not read" in server.end()[1]


def test_limits_of_time_and_connections() -> None:
    options = ("--header-seconds", "1", "--max-connections", "1")
    with running(*options) as server, server.connect() as one:
        assert answer(one) == NOTHING
        with server.connect() as two:
            (told,) = Decoder(REPLIES).feed(received(two))
            text = b"the server takes no more connections"
            assert told == Frame(Command.RESPONSE, text)
        one.sendall(encode(Command.LIST)[:41])
        (told,) = Decoder(REPLIES).feed(received(one))
        text = b"header not whole after 1 seconds (offset 43)"
        assert told == Frame(Command.RESPONSE, text)
