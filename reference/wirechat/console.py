"""Lines that somebody types, and text to show them, on a terminal or through a pipe.

A console never waits for the keyboard alone: it also returns when something else has
news, such as a connection, and what was typed until then stays as it is.
"""

import codecs
import errno
import os
import re
import select
import signal
import sys
import termios
from collections.abc import Callable
from typing import Protocol, Self, TextIO

ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
"""How C0, DEL and C1 are shown: as they are, they would steer the terminal."""
READ_SIZE = 4096
"""Octets to take from the keyboard at a time: as many as a terminal holds."""
COLUMNS = 80
"""The width of a terminal that does not tell its own."""
CLEAR = "\r\x1b[K"
"""Empties the line that the cursor is on."""
KEY = re.compile(r"\x1b(?:\[[ -?]*[^ -?]|O.|[^\[O])|[^\x1b]", re.DOTALL)
"""One key: a character, or the sequence that a function key sends."""
EDITS: dict[str, Callable[[str, str], tuple[str, str]]] = {
    "\x7f": lambda before, after: (before[:-1], after),  # backspace
    "\x08": lambda before, after: (before[:-1], after),
    "\x1b[3~": lambda before, after: (before, after[1:]),  # delete
    "\x15": lambda before, after: ("", after),  # Ctrl-U
    "\x0b": lambda before, after: (before, ""),  # Ctrl-K
    "\x17": lambda before, after: (re.sub(r"\S*\s*$", "", before), after),  # Ctrl-W
    "\x1b[D": lambda before, after: (before[:-1], before[-1:] + after),  # left
    "\x1b[C": lambda before, after: (before + after[:1], after[1:]),  # right
    "\x1b[H": lambda before, after: ("", before + after),  # home
    "\x01": lambda before, after: ("", before + after),
    "\x1b[F": lambda before, after: (before + after, ""),  # end
    "\x05": lambda before, after: (before + after, ""),
}
"""What a key does to the text before and after the cursor."""


class Selectable(Protocol):
    """Something that select can wait for."""

    def fileno(self) -> int:
        """Return its descriptor."""


def visible(text: str) -> str:
    """Return the text with its control characters escaped, safe to show."""
    return text.translate(ESCAPES)


class Console:
    """Plain lines in, plain lines out, as through a pipe.

    Args:
        keyboard: Where lines are typed.
        screen: Where they are shown.
        signals: Descriptors that are readable once a signal has come.
    """

    def __init__(self, keyboard: TextIO, screen: TextIO, *signals: int) -> None:
        self._keyboard = keyboard.fileno()
        self._signals = signals
        self._screen = screen
        self._decoder = codecs.getincrementaldecoder(keyboard.encoding)("replace")
        self._typed = ""  # not looked at yet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def show(self, text: str) -> None:
        """Show one line, whatever it holds."""
        self._write(visible(text) + "\n")

    def ask(self, prompt: str, other: Selectable) -> str | None:
        """Return the next line that is typed, or none once the other has news.

        Raises:
            EOFError: Nothing more will be typed.
        """
        watched: list[int | Selectable] = [self._keyboard, *self._signals, other]
        while (line := self._line(prompt)) is None:
            ready, _, _ = select.select(watched, [], [])
            if self._keyboard not in ready:
                return None
            self._read()
        return line

    def _read(self) -> None:
        octets = os.read(self._keyboard, READ_SIZE)
        if not octets and not self._typed:
            raise EOFError
        # The last line may lack its end.
        self._typed += self._decoder.decode(octets) if octets else "\n"

    def _line(self, prompt: str) -> str | None:
        line, end, rest = self._typed.partition("\n")
        if not end:
            return None
        self._typed = rest
        return line

    def _write(self, text: str) -> None:
        encoding = self._screen.encoding
        octets = text.encode(encoding, "backslashreplace")  # it may not know them all
        self._screen.write(octets.decode(encoding))
        self._screen.flush()


class Terminal(Console):
    """A prompt with a line editor behind it, and what is shown meanwhile above it."""

    def __init__(self, keyboard: TextIO, screen: TextIO, *signals: int) -> None:
        super().__init__(keyboard, screen, *signals)
        self._prompt: str | None = None  # while a line is being typed
        self._before = self._after = ""  # the cursor

    def __enter__(self) -> Self:
        """Have keys as they are pressed, unechoed; Ctrl-C stays an interrupt."""
        self._modes = termios.tcgetattr(self._keyboard)
        modes = termios.tcgetattr(self._keyboard)
        modes[3] &= ~(termios.ICANON | termios.ECHO)
        termios.tcsetattr(self._keyboard, termios.TCSADRAIN, modes)
        return self

    def __exit__(self, *exception: object) -> None:
        self._leave_line()
        termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._modes)

    def show(self, text: str) -> None:
        """Show one line above the one that is being typed."""
        self._write(f"{CLEAR}{visible(text)}\n{self._painted()}")

    def _line(self, prompt: str) -> str | None:
        self._prompt = prompt
        while key := KEY.match(self._typed):
            self._typed = self._typed[key.end() :]
            if key[0] in "\r\n":
                return self._leave_line()
            if key[0] == "\x04" and not self._before + self._after:  # Ctrl-D
                self._leave_line()
                raise EOFError
            self._press(key[0])
        self._write(CLEAR + self._painted())
        return None

    def _press(self, key: str) -> None:
        if edit := EDITS.get(key):
            self._before, self._after = edit(self._before, self._after)
        elif key.isprintable():
            self._before += key

    def _painted(self) -> str:
        """Return the line as typed so far, or as much of it as fits around the cursor.

        A line that wraps could not be cleared by one that does not know where.
        """
        if self._prompt is None:
            return ""
        width = (os.get_terminal_size(self._keyboard).columns or COLUMNS) - 1
        left = (self._prompt + self._before)[-width:]
        right = self._after[: width - len(left)]
        return left + right + (f"\x1b[{len(right)}D" if right else "")

    def _leave_line(self) -> str:
        """Return what was typed, and leave it on the screen whole."""
        line = self._before + self._after
        if self._prompt is not None:
            self._write(f"{CLEAR}{self._prompt}{line}\n")
        self._prompt, self._before, self._after = None, "", ""
        return line


def standard_console() -> Console:
    """Return the console that this program was started on.

    Raises:
        OSError: There is none.
    """
    if not (sys.stdin and sys.stdout):
        raise OSError(errno.EBADF, "standard input or output is closed")
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    console = Terminal if interactive else Console
    return console(sys.stdin, sys.stdout, _signals())


def _signals() -> int:
    """Return what is readable once a signal has come whose handler is in Python.

    Until the wait is over that begins just behind it, the handler does not run.
    """
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    return readable
