"""The chat program, through pipes and on terminals, with the reference server."""

import io
import os
import pty
import re
import select
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from wirechat.client import Client
from wirechat.codec import Command, encode
from wirechat.console import Console
from wirechat.server import Server
from wirechat.terminal import Conversation, chat, main

pytestmark = pytest.mark.whole

BOUND = 10
"""Seconds to wait for what must come."""
WIRECHAT = [sys.executable, "-m", "wirechat.terminal"]
DONE = encode(Command.RESPONSE)
IN = "logged in as alice; h for help"
OUT = "logged out"
HELP_BEFORE = """\
  login [USERNAME]           log in to an account
  create_account [USERNAME]  make an account and log in
  quit                       leave"""
HELP = """\
  h                          help: show this
  c [USERNAME [MESSAGE]]     compose and send a message
  l [FILTER]                 list users: all, or those like al*
  g                          get the messages kept while you were away
  d                          delete your account, and leave
  q                          log out, and leave"""


@pytest.fixture
def server() -> Iterator[Server]:
    """Have a server with the accounts of alice and bob, both offline."""
    with Server() as server:
        for name in ("alice", "bob"):
            with Client.connect(*server.address) as client:
                client.create(name)
        yield server


@pytest.fixture
def bob(server: Server) -> Iterator[Client]:
    with Client.connect(*server.address) as client:
        client.login("bob")
        yield client


def converse(client: Client, typed: str) -> list[str]:
    """Have a conversation through a pipe; return what it shows after its greeting."""
    readable, writable = os.pipe()
    screen = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with os.fdopen(readable) as keyboard, client:
        os.write(writable, typed.encode())
        os.close(writable)
        Conversation(client, Console(keyboard, screen)).run()
    screen.seek(0)
    greeting, *lines = screen.read().splitlines()
    assert greeting == "commands: login, create_account, quit"
    return lines


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("", []),
        ("\n \nquit\nlogin alice\n", []),
        ("login\nalice", [IN, OUT]),
        ("login alice\nq\nquit\n", [IN, OUT]),
        ("create_account\n carol \n", [IN.replace("alice", "carol"), OUT]),
        ("create_account alice", ["refused: this username is taken"]),
        ("login carol", ["refused: no account has this username"]),
        ("login\n \n", ["not sent: a username is needed"]),
        ("login é", ["not sent: a field holds characters that are not ASCII"]),
        ("login", []),
        ("h", ["unknown command: h", *HELP_BEFORE.splitlines()]),
        ("quit now", ["unknown command: quit now", *HELP_BEFORE.splitlines()]),
        ("\x1b[2J", [r"unknown command: \x1b[2J", *HELP_BEFORE.splitlines()]),
        ("login alice\nh\n", [IN, *HELP.splitlines(), OUT]),
        ("login alice\ndo\n", [IN, "unknown command: do", *HELP.splitlines(), OUT]),
        ("login alice\nl\n", [IN, "alice", "bob", OUT]),
        ("login alice\nl a*\n", [IN, "alice", OUT]),
        ("login alice\nl x\n", [IN, "no such users", OUT]),
        ("login alice\nc\nbob\nhi there\n", [IN, "sent to bob", OUT]),
        ("login alice\nc bob\nhi there\n", [IN, "sent to bob", OUT]),
        ("login alice\nc bob hi there\n", [IN, "sent to bob", OUT]),
        ("login alice\nc alice  hi\n", [IN, "sent to alice", "<alice>  hi", OUT]),
        ("login alice\nc\nbob\n\n", [IN, "sent to bob", OUT]),
        ("login alice\nc\nbob\n", [IN, OUT]),
        ("login alice\nc x y", [IN, "refused: no account has this username", OUT]),
        (
            "login alice\nc bob 1|||2",
            [IN, "not sent: field '1|||2' contains '|||'", OUT],
        ),
        ("login alice\ng\n", [IN, "no new messages", OUT]),
        ("login alice\nd\nl\n", [IN, "deleted alice"]),
    ],
)
def test_a_conversation_shows_what_came_of_each_line(
    server: Server, typed: str, shown: list[str]
) -> None:
    assert converse(Client.connect(*server.address), typed) == shown


def test_messages_are_sent_as_they_were_typed(server: Server, bob: Client) -> None:
    typed = "login alice\nc\nbob\n  hi \x1b \nc bob  hi | there\n"
    converse(Client.connect(*server.address), typed)
    texts = [message.text for message in bob.messages()]
    assert texts == ["  hi \x1b ", " hi | there"]


def test_messages_that_were_kept_come_when_asked_for(
    server: Server, bob: Client
) -> None:
    bob.send("alice", "one")
    bob.send("alice", "\x1b]0;owned\x07\r\n<bob> two\x7f")
    shown = converse(Client.connect(*server.address), "login alice\nq\n")
    assert shown == [IN, OUT]
    shown = converse(Client.connect(*server.address), "login alice\ng\ng\n")
    escaped = r"<bob> \x1b]0;owned\x07\x0d\x0a<bob> two\x7f"
    assert shown == [IN, "<bob> one", escaped, "no new messages", OUT]


def test_what_a_server_makes_up_is_escaped() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(encode(Command.SEND, "b\x1bb", "alice", "hi"))
        assert converse(Client(ours, timeout=0.01), "") == [r"<b\x1bb> hi"]


def test_the_session_has_ended_when_the_conversation_has(server: Server) -> None:
    for _ in range(10):
        assert converse(Client.connect(*server.address), "login alice") == [IN, OUT]


@pytest.mark.parametrize(
    "address",
    [
        *("", "x", "host", "host:", ":1", "[]:1", "::1:1", "\x1b[2J"),
        *("host:0", "host:65536", "host:99999999999999999999"),
        *("host:-1", "host:1e3", "host:1 "),
    ],
)
def test_a_bad_address_is_told_in_one_line(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([address])
    assert stopped.value.code == 2
    told = f"wirechat: argument HOST:PORT: {address!r} is no address\n"
    assert capsys.readouterr() == ("", told)


@pytest.mark.parametrize(
    ("host", "status"), [("127.0.0.1", 1), ("::1", 1), ("a..b", 2), ("fe80::1%none", 2)]
)
def test_a_server_that_is_not_there_is_told_in_one_line(
    host: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert chat(host, port) == status
    shown, told = capsys.readouterr()
    assert shown == ""
    what = (
        f"can't connect to {host} port {port}" if status == 1 else f"no host '{host}'"
    )
    pattern = rf"wirechat: {re.escape(what)}: [^\n]+\n"
    assert re.fullmatch(pattern, told)


def address(server: Server) -> str:
    return "{}:{}".format(*server.address)


def test_two_chat_through_pipes(server: Server) -> None:
    def wirechat(typed: str) -> str:
        run = subprocess.run(
            [*WIRECHAT, address(server)],
            input=typed,
            capture_output=True,
            timeout=BOUND,
            text=True,
            check=True,
        )
        assert run.stderr == ""
        return run.stdout

    assert "sent to bob\n" in wirechat("login\nalice\nc\nbob\nhi there\nq\n")
    assert wirechat("login\nbob\ng\n").endswith(f"<alice> hi there\n{OUT}\n")


def test_a_reader_that_leaves_ends_it_in_one_line(server: Server) -> None:
    readable, writable = os.pipe()
    os.close(readable)
    run = subprocess.run(
        [*WIRECHAT, address(server)],
        stdin=subprocess.DEVNULL,
        stdout=writable,
        stderr=subprocess.PIPE,
        timeout=BOUND,
        check=False,
    )
    os.close(writable)
    assert (run.returncode, run.stderr) == (1, b"wirechat: Broken pipe\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-"])
def test_a_console_that_is_closed_is_told_in_one_line(
    server: Server, closed: str
) -> None:
    run = subprocess.run(
        ["sh", "-c", f'exec "$0" "$@" {closed}', *WIRECHAT, address(server)],
        stderr=subprocess.PIPE,
        timeout=BOUND,
        check=False,
    )
    told = b"wirechat: standard input or output is closed\n"
    assert (run.returncode, run.stderr) == (1, told)


class Seat:
    """Somebody at a terminal of their own, on which the program was started."""

    def __init__(self, address: str) -> None:
        self.user, slave = pty.openpty()
        # The first terminal that the leader of a session opens becomes its own.
        start = ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(slave)]
        command = [*start, *WIRECHAT, address]
        self.program = subprocess.Popen(command, start_new_session=True)
        self.unread = ""
        self.slave = slave  # what was shown last can be read for as long as it is open

    def __enter__(self) -> "Seat":
        self.see("\r\x1b[K> ")
        return self

    def __exit__(self, *exception: object) -> None:
        self.program.kill()
        self.program.wait()
        os.close(self.user)
        os.close(self.slave)

    def type(self, keys: str) -> None:
        os.write(self.user, keys.encode())

    def see(self, text: str) -> None:
        """Wait until the screen has shown this text."""
        while text not in self.unread:
            assert select.select([self.user], [], [], BOUND)[0], (self.unread, text)
            self.unread += os.read(self.user, 65536).decode()
        self.unread = self.unread.partition(text)[2]

    def left(self) -> int:
        """Wait until the program has ended, and return its exit status."""
        return self.program.wait(BOUND)


@pytest.fixture
def seat(server: Server) -> Iterator[Seat]:
    with Seat(address(server)) as seat:
        seat.type("login alice\n")
        seat.see(f"{IN}\r\n\r\x1b[Kalice> ")
        yield seat


def test_two_chat_on_terminals(seat: Seat, server: Server) -> None:
    with Seat(address(server)) as bob:
        bob.type("login\n")
        bob.see("username: ")
        bob.type("bob\nc\n")
        bob.see("to: ")
        seat.type("c bob h")
        seat.see("alice> c bob h")
        bob.type("alice\nhello\nq\n")
        seat.see("\r\x1b[K<bob> hello\r\nalice> c bob h")
        bob.see(OUT)
        assert bob.left() == 0
    seat.type("i\n")
    seat.see("sent to bob")
    with Seat(address(server)) as bob:
        bob.type("login bob\ng\n")
        bob.see("<alice> hi")
        bob.type("q\n")
        assert bob.left() == 0
    seat.type("q\n")
    assert seat.left() == 0


@pytest.mark.parametrize("keys", ["\x03", "half a line\x03", "c\n\x03", "\x04"])
def test_ctrl_c_and_ctrl_d_end_it_cleanly(
    seat: Seat, server: Server, keys: str
) -> None:
    seat.type(keys)
    assert seat.left() == 0
    with Client.connect(*server.address) as client:
        client.login("alice")


def test_a_signal_to_end_leaves_the_terminal_as_it_was(seat: Seat) -> None:
    seat.program.terminate()
    assert seat.left() == 0
    assert termios.tcgetattr(seat.slave)[3] & termios.ECHO


def test_a_server_that_goes_away_is_told_in_one_line() -> None:
    with ExitStack() as stack:
        with Server() as server:
            seat = stack.enter_context(Seat(address(server)))
            seat.type("create_account carol\n")
            seat.see("carol> ")  # what was not accepted yet would be reset
            seat.type("half a line")
            seat.see("half a line")
        seat.see("half a line\r\nwirechat: the server closed the connection\r\n")
        assert seat.left() == 1
