"""Consoles on a pipe and on a pseudo-terminal, each read as its user would."""

import fcntl
import io
import os
import pty
import select
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator

import pytest

from wirechat.console import CLEAR, Console, Terminal, visible

LEFT, RIGHT, HOME, END = "\x1b[D", "\x1b[C", "\x1b[H", "\x1b[F"


class Desk:
    """A terminal as its user has it: what it shows, what is typed, and some news."""

    def __init__(self) -> None:
        self.user, slave = pty.openpty()
        self.keyboard = os.fdopen(slave, encoding="utf-8")
        self.screen = os.fdopen(os.dup(slave), "w", encoding="utf-8")
        self.news, self.other = socket.socketpair()
        self.terminal = Terminal(self.keyboard, self.screen)

    def type(self, keys: str) -> None:
        if keys:
            os.write(self.user, keys.encode())
            assert select.select([self.keyboard], [], [], 5)[0]

    def ask(self, prompt: str = "> ") -> str | None:
        return self.terminal.ask(prompt, self.other)

    def interrupt(self, text: str, shown: str) -> None:
        """Have news, show this text, and see it with what is being typed below."""
        self.news.send(b"!")
        assert self.ask() is None
        self.other.recv(1)
        self.terminal.show(text)
        self.seen(CLEAR + shown)

    def seen(self, end: str) -> str:
        """Return what the screen has been sent, once it ends so."""
        shown = ""
        while not shown.endswith(end):
            assert select.select([self.user], [], [], 5)[0], (shown, end)
            shown += os.read(self.user, 65536).decode()
        return shown

    def close(self) -> None:
        self.keyboard.close()
        self.screen.close()
        self.news.close()
        self.other.close()
        os.close(self.user)


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    with desk.terminal:
        yield desk
    desk.close()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[2J\x00\n\r\t", r"\x1b[2J\x00\x0a\x0d\x09"),
        ("\x1f \x7e\x7f\x80\x9b\x9f\xa0", "\\x1f ~\\x7f\\x80\\x9b\\x9f\xa0"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown


JUST_BEFORE = """
import ctypes, functools, signal
from wirechat.console import standard_console

class Other:  # asked for its descriptor, it sends a signal, and answers 0
    fileno = functools.partial(ctypes.CDLL(None)["raise"], signal.SIGINT)

try:
    standard_console().ask("", Other())
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_signal_just_before_a_wait_ends_the_wait() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", JUST_BEFORE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as waiting:
        try:
            assert waiting.stdout
            assert select.select([waiting.stdout], [], [], 5)[0]
            assert waiting.stdout.read() == b"interrupted\n"
        finally:
            waiting.kill()


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_pipe_is_read_by_lines(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirechat.console.READ_SIZE", size)
    readable, writable = os.pipe()
    news, other = socket.socketpair()
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with news, other, os.fdopen(readable, encoding="utf-8") as keyboard:
        os.write(writable, b"one\n\ntw\xc3\xa9 \xff\x1b\nlast")
        os.close(writable)
        with Console(keyboard, screen) as console:
            lines = [console.ask("> ", other) for _ in range(4)]
            with pytest.raises(EOFError):
                console.ask("> ", other)
            console.show("é\x1b")
    assert lines == ["one", "", "twé \ufffd\x1b", "last"]
    assert screen.buffer.getvalue() == rb"\xe9\x1b" + b"\n"


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("hello", "hello"),
        ("helloo\x7f\x08lo\x7f\x7f\x7fllo", "helllo"),
        ("\x7f\x08" + LEFT + RIGHT, ""),
        ("hllo" + LEFT * 3 + "e", "hello"),
        ("hxllo" + LEFT * 3 + "\x7fe" + RIGHT * 9 + "!", "hello!"),
        ("xello" + HOME + "\x1b[3~h" + END + "\x1b[3~!", "hello!"),
        ("ello\x01h\x05!", "hello!"),
        ("drop this\x15hello", "hello"),
        ("hello world" + LEFT * 6 + "\x0b", "hello"),
        ("hello two words \x17\x17", "hello "),
        ("h\x1b[Ae\x1bOPl\x1b[1;5Cl\x1bxo\x00\t\x1b[15~", "hello"),
        ("é☺", "é☺"),
        ("a\x04b", "ab"),
    ],
)
@pytest.mark.parametrize("size", [1, 100])
def test_keys_edit_the_line(
    desk: Desk, keys: str, line: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wirechat.console.READ_SIZE", size)
    desk.type(keys + "\n")
    assert desk.ask() == line
    assert desk.seen(f"\r\x1b[K> {line}\r\n")


def test_lines_typed_ahead_are_shown_behind_their_prompts(desk: Desk) -> None:
    desk.type("one\rtwo\n")
    assert [desk.ask("a> "), desk.ask("b> ")] == ["one", "two"]
    assert "a> one\r\n" in desk.seen(f"{CLEAR}b> two\r\n")


def test_what_is_shown_leaves_the_line_that_is_being_typed_intact(desk: Desk) -> None:
    desk.type("helo" + LEFT)
    desk.interrupt("<bob> \x1b[2J", "<bob> \\x1b[2J\r\n> helo\x1b[1D")
    desk.type("l\n")
    assert desk.ask() == "hello"


def test_what_is_shown_while_no_line_is_typed_is_plain(desk: Desk) -> None:
    desk.terminal.show("hello")
    assert desk.seen("\n") == f"{CLEAR}hello\r\n"


@pytest.mark.parametrize(
    ("keys", "painted"),
    [
        ("", "> "),
        ("12345678", "345678"),
        ("12345678" + HOME, "> 1234\x1b[4D"),
        ("12345678" + LEFT, "234567"),
    ],
)
def test_a_line_longer_than_the_screen_is_shown_around_the_cursor(
    desk: Desk, keys: str, painted: str
) -> None:
    size = struct.pack("4H", 5, 7, 0, 0)
    fcntl.ioctl(desk.keyboard, termios.TIOCSWINSZ, size)
    desk.type(keys)
    desk.interrupt("news", "news\r\n" + painted)


def test_ctrl_d_ends_an_empty_line(desk: Desk) -> None:
    desk.type("\x04")
    with pytest.raises(EOFError):
        desk.ask()
    assert desk.seen("\n").endswith(f"{CLEAR}> \r\n")


def test_the_terminal_is_left_as_it_was() -> None:
    desk = Desk()
    before = termios.tcgetattr(desk.keyboard)
    with desk.terminal:
        assert termios.tcgetattr(desk.keyboard) != before
        desk.type("hel")
        desk.interrupt("news", "news\r\n> hel")
    assert desk.seen("\n") == f"{CLEAR}> hel\r\n"
    assert termios.tcgetattr(desk.keyboard) == before
    desk.close()
