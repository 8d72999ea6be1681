r"""Write what passed as a transcript, which the suite can replay.

The form is that of conformance/TRANSCRIPTS.md. Usernames are marked, so that a replay
puts fresh ones in their place. Each connection's lines stand in the order in which they
passed; what came back stands ahead of what another connection sent later on, as far as
it was caused by then: so a replay waits for it, as everybody did who took part.
"""

import re
import string
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from wirechat.codec import Command

USERNAME = re.compile(rb"[A-Za-z0-9]{1,32}")
"""A username that a replay can put another one in place of (ACC-4)."""
NAMES: Mapping[int | None, str] = {command: command.name for command in Command}
SEPARATOR = b"|||"
_WORD = re.compile(rb"[A-Za-z0-9]+")
_RUN = re.compile(rb"(.)\1{31,}", re.DOTALL)
_ESCAPES = {
    octet: chr(octet) if 0x20 <= octet < 0x7F else f"\\x{octet:02x}"
    for octet in range(256)
} | {0x22: '\\"', 0x5C: "\\\\"}
_LETTERS = string.ascii_uppercase[:-1]
_SEEN = {"<", "eof"}
_SAID = {"<", ">", "repeat"}
_LISTED = (("with", True), ("without", False))
_NAMING: Mapping[int | None, int] = {
    Command.CREATE: 1,
    Command.LOGIN: 1,
    Command.LIST: 1,
    Command.SEND: 2,
}
"""The fields of a request that are usernames, if they look like one."""


@dataclass(eq=False, slots=True)
class Line:
    """A line to be: ``command`` is None for octets that are no frame.

    ``about`` is the data of the request that a reply may speak of, ``cause`` the line
    of another connection without which this one can't have come.
    """

    connection: int
    verb: str
    command: int | None = None
    data: bytes = b""
    about: bytes | None = None
    cause: "Line | None" = None


class Writer:
    """Lines in the order in which a replay can take them, as text.

    Args:
        lines: What passed, in the order seen.
        before: The accounts that there were already: the transcript makes them first.
        loose: Whether any text will do in an error reply.
    """

    def __init__(
        self, lines: Sequence[Line], before: Iterable[bytes], loose: bool
    ) -> None:
        self._lines = [line for line in lines if line.verb]
        self._before = list(before)
        self._loose = loose
        self._names = dict.fromkeys([*self._before, *_names(self._lines)])

    def text(self) -> str:
        """Return the transcript."""
        head = ["title   What passed, as it was recorded."]
        head += map(self._name, self._names)
        lines = [*_accounts(self._before), *ordered(self._lines)]
        return "\n".join([*head, "", *map(self._step, lines), ""])

    def _name(self, name: bytes) -> str:
        lower = name.lower()
        same = name.isupper() and lower != name and lower in self._names
        value = f"upper {lower.decode()}" if same else name.decode()
        return f"name    {name.decode()} = {value}"

    def _step(self, line: Line) -> str:
        said = self._said(line)
        start = f"{connection_name(line.connection)} {line.verb}"
        if line.verb == "<" and line.command is None:
            return f"# {start} {said}"
        return f"{start} {said}".rstrip()

    def _said(self, line: Line) -> str:
        if line.verb not in _SAID:
            return ""
        if line.command is None:
            return f"octets {quote(line.data)}"
        if line.verb == "<" and line.command == Command.LISTRESPONSE:
            return self._list(line)
        if line.verb == "<" and line.command == Command.RESPONSE and line.data:
            if self._loose:
                return "error"
            marked = self._marked(line.data, _WORD.findall(line.about or b""))
        elif line.command == Command.SEND:
            *heads, message = line.data.split(SEPARATOR, 2)
            ahead = SEPARATOR.join([*heads, b""])
            marked = self._marked(ahead, self._names, message)
        else:
            marked = self._marked(line.data, self._names)
        return f"{NAMES[line.command]} {len(line.data)} {marked}"

    def _list(self, line: Line) -> str:
        """Tell who is listed, and who of those in the transcript is not.

        On another server strangers are, too; and what a filter makes of new names
        can't be told, unless it is one.
        """
        if line.about in self._names:
            return (
                f"LISTRESPONSE {len(line.data)} {self._marked(line.data, self._names)}"
            )
        listed = set(line.data.split(SEPARATOR))
        marks = {True: "", False: ""}
        if line.about in (b"", b"*"):
            for name in self._names:
                marks[name in listed] += f' "\\{{{name.decode()}}}"'
        told = [f" {word}{marks[yes]}" for word, yes in _LISTED if marks[yes]]
        return f"LISTRESPONSE{''.join(told) or ' any'}"

    def _marked(self, data: bytes, names: Iterable[bytes], behind: bytes = b"") -> str:
        """Return octets as they are written, with these names marked up to a place."""
        known = self._names.keys() & set(names)
        parts, at = "", 0
        for word in _WORD.finditer(data):
            if word[0] in known:
                parts += f"{escape(data[at : word.start()])}\\{{{word[0].decode()}}}"
                at = word.end()
        return quote(data[at:] + behind, parts)


def connection_name(number: int) -> str:
    """Return a letter for a connection, with a number behind where they run out."""
    if number < 0:  # before all others
        return f"Z{-number}"
    rounds, letter = divmod(number - 1, len(_LETTERS))
    return _LETTERS[letter] + str(rounds or "")


def escape(octets: bytes) -> str:
    """Return octets as they stand within quotation marks."""
    return "".join(map(_ESCAPES.__getitem__, octets))


def quote(octets: bytes, before: str = "") -> str:
    """Return octets as items, behind what is written already; nothing for none."""
    items, at = [], 0
    for run in _RUN.finditer(octets):
        before += escape(octets[at : run.start()])
        items += [f'"{before}"'] if before else []
        items.append(f'"{escape(run[1])}"*{len(run[0])}')
        before, at = "", run.end()
    before += escape(octets[at:])
    return " ".join([*items, f'"{before}"'] if before else items)


def ordered(lines: Iterable[Line]) -> Iterator[Line]:
    """Give lines in their order, but what came back ahead of what others did then.

    The order on each connection stays.
    """
    waiting: dict[int, deque[Line]] = {}
    for line in (lines := list(lines)):
        waiting.setdefault(line.connection, deque()).append(line)
    given: set[Line] = set()
    last = 0
    for line in lines:
        if line in given:
            continue
        if line.verb not in _SEEN and line.connection != last:
            for queue in waiting.values():
                while queue and _is_due(queue[0], given):
                    given.add(queue[0])
                    yield queue.popleft()
        last = line.connection if line.verb not in _SEEN else last
        given.add(line)
        yield waiting[line.connection].popleft()


def _is_due(line: Line, given: set[Line]) -> bool:
    return line.verb in _SEEN and (line.cause is None or line.cause in given)


def _accounts(names: Iterable[bytes]) -> Iterator[Line]:
    """Give the lines that make accounts, and leave them."""
    for number, name in enumerate(names, 1):
        yield Line(-number, "open")
        yield Line(-number, ">", Command.CREATE, name)
        yield Line(-number, "<", Command.RESPONSE)
        yield Line(-number, "half-close")
        yield Line(-number, "eof")


def _names(lines: Iterable[Line]) -> Iterator[bytes]:
    """Give the usernames that requests name, in order."""
    for line in lines:
        fields = line.data.split(SEPARATOR)[: _NAMING.get(line.command, 0)]
        yield from filter(USERNAME.fullmatch, fields if line.verb != "<" else [])
