r"""Transcripts: conversations with a server, as text files.

A head gives the ``title``, and the usernames with an example value each; every
further line is one step on one named connection, taken in the order written::

    title   A message to nobody is refused.
    name    a = alice01
    name    b = bobby02

    A open
    A > CREATE 7 "\{a}"
    A < RESPONSE 0
    - A > SEND 21 "\{a}|||nobody|||hi"
    - A < error                                         SND-6
    ...

Rule ids at the end of a line are the rules that are broken if it does not come true.
Lines with ``-`` belong to the case alone, lines with ``+`` to its twin alone: the same
conversation without the offence, which the same server must accept. The whole form is
told in conformance/TRANSCRIPTS.md.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from wirechat_conformance import frames, text
from wirechat_conformance.rules import RULES
from wirechat_conformance.steps import (
    Close,
    End,
    Fence,
    HalfClose,
    Open,
    Receive,
    ReceiveError,
    ReceiveNames,
    ReceiveRejection,
    Repeat,
    Reset,
    Send,
    Step,
)

_LINE = re.compile(
    r"(?:(?P<mark>[-+]) +)?(?P<connection>[A-Z]\w*)(?P<if_open>\?)? +(?P<verb>\S+)"
    r"(?P<rest>.*?)(?P<rules>(?:  +[A-Z]{3}-\d+(?: [A-Z]{3}-\d+)*)?)$"
)
_NAME = re.compile(r"(?P<name>\w+) *= *(?P<value>[A-Za-z0-9]+|upper \w+)$")
_FRAME = re.compile(r"(?P<command>[A-Z]+) (?P<length>\d+)(?P<body> .*)?$")
_EVENTS: Mapping[str, type[Step]] = {
    "open": Open,
    "close": Close,
    "half-close": HalfClose,
    "reset": Reset,
    "fence": Fence,
    "eof": End,
}


@dataclass(frozen=True)
class Transcript:
    """One conversation and what it is about.

    ``names`` gives each username an example value, or ``upper NAME`` for the upper
    case of another's. ``lines`` are the steps, each with its ``-``, ``+`` or blank.
    """

    id: str
    title: str
    names: Mapping[str, str]
    lines: tuple[tuple[str, Step], ...]

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that it checks."""
        return tuple(dict.fromkeys(r for _, step in self.lines for r in step.rules))

    @property
    def has_twin(self) -> bool:
        """Whether it has a twin, which must be accepted."""
        return any(mark != " " for mark, _ in self.lines)

    def case(self) -> list[Step]:
        """Return the steps of the case itself."""
        return [step for mark, step in self.lines if mark != "+"]

    def twin(self) -> list[Step]:
        """Return the steps of its twin."""
        return [step for mark, step in self.lines if mark != "-"]


class TranscriptError(ValueError):
    """A transcript that can't be read, and why."""


@cache
def load(path: Path) -> Transcript:
    """Return the transcript that a file holds; its id is folder and name.

    Each file is read once: what it holds is not to change meanwhile.

    Raises:
        TranscriptError: It holds none.
        OSError: It can't be read.
    """
    try:
        return read(f"{path.parent.name}/{path.stem}", path.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise TranscriptError(f"{path}: no text: {error}") from None


def read(id: str, written: str) -> Transcript:
    """Return the transcript that a file's text holds.

    Raises:
        TranscriptError: It holds none; says in which line, and why.
    """
    title = ""
    names: dict[str, str] = {}
    values: dict[str, bytes] = {}
    lines: list[tuple[str, Step]] = []
    for number, line in enumerate(written.splitlines(), 1):
        try:
            match line.split(maxsplit=1):
                case []:
                    continue
                case [word, *_] if word.startswith("#"):
                    continue
                case ["title", rest]:
                    title = rest.strip()
                case ["name", rest]:
                    names.update([_read_name(rest, names)])
                    values = examples(names)
                case _:
                    lines.append(_read_line(line.strip(), values))
        except ValueError as error:
            raise TranscriptError(f"{id}, line {number}: {error}") from None
    transcript = Transcript(id, title, names, tuple(lines))
    _check(transcript)
    return transcript


def _check(transcript: Transcript) -> None:
    """Refuse what could not fail."""
    if not transcript.title or not transcript.lines:
        raise TranscriptError(f"{transcript.id}: no title, or no steps")


def examples(names: Mapping[str, str]) -> dict[str, bytes]:
    """Return the usernames' example values."""
    values: dict[str, bytes] = {}
    for name, value in names.items():
        upper = value.removeprefix("upper ")
        values[name] = value.encode() if upper == value else values[upper].upper()
    return values


def _read_name(rest: str, names: Mapping[str, str]) -> tuple[str, str]:
    found = _NAME.match(rest.strip())
    if found is None:
        raise ValueError("not 'name NAME = VALUE'")
    origin = found["value"].removeprefix("upper ")
    if origin != found["value"] and origin not in names:
        raise ValueError(f"no name {origin!r} before it")
    return found["name"], found["value"]


def _read_line(line: str, names: Mapping[str, bytes]) -> tuple[str, Step]:
    found = _LINE.match(line)
    if found is None:
        raise ValueError(f"not a step: {line!r}")
    rules = tuple(found["rules"].split())
    unknown = [rule for rule in rules if rule not in RULES]
    if unknown:
        raise ValueError(f"unknown rule {unknown[0]}")
    verb, rest = found["verb"], found["rest"].strip()
    if verb in _READERS:
        step = _READERS[verb](found["connection"], rest, names)
    elif verb in _EVENTS and not rest:
        step = _EVENTS[verb](found["connection"])
    else:
        raise ValueError(f"not a step: {line!r}")
    return found["mark"] or " ", replace(
        step, rules=rules, if_open=bool(found["if_open"])
    )


def _read_frame(written: str, names: Mapping[str, bytes]) -> tuple[int, text.Text]:
    found = _FRAME.match(written)
    if found is None or found["command"] not in frames.COMMANDS:
        raise ValueError(f"not a frame: {written!r}")
    body = text.read(found["body"] or "")
    octets = _rendered(body, names)
    if len(octets) != int(found["length"]):
        raise ValueError(f"{found['length']} is not the length, {len(octets)}")
    return frames.COMMANDS[found["command"]], body


def _rendered(body: text.Text, names: Mapping[str, bytes]) -> bytes:
    try:
        return text.render(body, names)
    except KeyError as error:
        raise ValueError(f"no name {error.args[0]!r}") from None


def _read_send(connection: str, rest: str, names: Mapping[str, bytes]) -> Step:
    if rest.startswith("octets "):
        body = text.read(rest.removeprefix("octets "))
        _rendered(body, names)
        return Send(connection, None, body)
    return Send(connection, *_read_frame(rest, names))


def _read_repeat(connection: str, rest: str, names: Mapping[str, bytes]) -> Step:
    return Repeat(connection, *_read_frame(rest, names))


def _read_receive(connection: str, rest: str, names: Mapping[str, bytes]) -> Step:
    match rest.split(maxsplit=2):
        case ["error"]:
            return ReceiveError(connection)
        case ["rejected"]:
            return ReceiveRejection(connection)
        case ["maybe", *_]:
            command, body = _read_frame(rest.removeprefix("maybe "), names)
            return Receive(connection, command, body, optional=True)
        case ["LISTRESPONSE", "any"]:
            return ReceiveNames(connection, (), others=True)
        case ["LISTRESPONSE", "of", written]:
            return ReceiveNames(connection, _read_names(written, names))
        case ["LISTRESPONSE", "with" | "without", _]:
            inside, _, outside = rest.removeprefix("LISTRESPONSE").partition(
                " without "
            )
            return ReceiveNames(
                connection,
                _read_names(inside.removeprefix(" with "), names),
                others=True,
                without=_read_names(outside, names),
            )
    return Receive(connection, *_read_frame(rest, names))


def _read_names(written: str, names: Mapping[str, bytes]) -> tuple[text.Text, ...]:
    items = tuple(text.read_items(written))
    for item in items:
        _rendered(item, names)
    return items


_READERS: Mapping[str, Callable[[str, str, Mapping[str, bytes]], Step]] = {
    ">": _read_send,
    "<": _read_receive,
    "repeat": _read_repeat,
}


def write(transcript: Transcript) -> str:
    """Return a transcript's text, which reads back as the same transcript."""
    head = [f"title   {transcript.title}"]
    head += [f"name    {name} = {value}" for name, value in transcript.names.items()]
    values = examples(transcript.names)
    marks = [f"{mark} " * transcript.has_twin for mark, _ in transcript.lines]
    steps = [
        _write_line(mark, step, values)
        for mark, (_, step) in zip(marks, transcript.lines, strict=True)
    ]
    return "\n".join([*head, "", *steps, ""])


def _write_line(mark: str, step: Step, names: Mapping[str, bytes]) -> str:
    line = f"{mark}{write_step(step, names)}"
    return f"{line:<58}  {' '.join(step.rules)}" if step.rules else line


def write_step(step: Step, names: Mapping[str, bytes]) -> str:
    """Return one step as it stands in a transcript, without rules and mark."""
    return f"{step.connection}{'?' * step.if_open} {_written(step, names)}"


def _written(step: Step, names: Mapping[str, bytes]) -> str:
    match step:
        case Repeat(command=int(command), body=body):
            return f"repeat {write_frame(command, body, names)}"
        case Send(command=None, body=body):
            return f"> octets {text.write(body)}"
        case Send(command=int(command), body=body):
            return f"> {write_frame(command, body, names)}"
        case Receive(command=command, body=body, optional=optional):
            return f"< {'maybe ' * optional}{write_frame(command, body, names)}"
        case ReceiveNames(names=(), others=True, without=()):
            return "< LISTRESPONSE any"
        case ReceiveNames(names=(), others=False):
            return "< LISTRESPONSE 0"  # a frame like any other: nobody is named
        case ReceiveNames(names=inside, others=others, without=outside):
            written = f" {'with' if others else 'of'} {_items(inside)}" * bool(inside)
            return f"< LISTRESPONSE{written}" + (
                f" without {_items(outside)}" if outside else ""
            )
        case ReceiveError():
            return "< error"
        case ReceiveRejection():
            return "< rejected"
    return next(word for word, kind in _EVENTS.items() if isinstance(step, kind))


def write_frame(command: int, body: text.Text, names: Mapping[str, bytes]) -> str:
    """Return a frame as it stands in a transcript: command, length, data."""
    length = len(text.render(body, names))
    return f"{frames.NAMES[command]} {length} {text.write(body)}".rstrip()


def _items(names: tuple[text.Text, ...]) -> str:
    return " ".join(text.write(name) or '""' for name in names)
