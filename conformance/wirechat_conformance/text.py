r"""Octets as people read them: printable ASCII in quotes, the rest escaped.

A text is written as items that stand for octets one after the other: ``"alice|||bob"``
with the escapes ``\"``, ``\\``, ``\xHH`` and ``\{name}``, or two hexadecimal digits. An
item followed by ``*N`` stands N times. A ``\{name}`` is a username that each run
replaces by a fresh one of the same length.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

Part = bytes | str
Text = tuple[Part, ...]
"""Octets with usernames to be replaced: ``bytes`` are literal, a ``str`` is the name
of a username."""

_ITEM = re.compile(
    r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<hex>[0-9a-f]{2}))(?:\*(?P<times>\d+))?'
    r"(?=\s|$)"
)
_PIECE = re.compile(
    r'(?P<plain>[ !#-\[\]-~]+)|\\(?P<char>["\\])|\\x(?P<hex>[0-9a-f]{2})'
    r"|\\\{(?P<name>\w+)\}"
)
_LONG_RUN = re.compile(rb"(.)\1{31,}", re.DOTALL)
_ESCAPED = {0x22: '\\"', 0x5C: "\\\\"}


def render(text: Text, names: Mapping[str, bytes]) -> bytes:
    """Return a text's octets, with these values for the usernames."""
    return b"".join(names[p] if isinstance(p, str) else p for p in text)


def escape(octets: bytes) -> str:
    """Return octets as printable ASCII that is safe to show anywhere."""
    return "".join(
        _ESCAPED.get(o) or (chr(o) if 0x20 <= o < 0x7F else f"\\x{o:02x}")
        for o in octets
    )


def write(text: Text) -> str:
    """Return a text's one written form; a long run of one octet becomes ``"x"*N``."""
    items: list[str] = []
    quoted = ""
    for part in text:
        if isinstance(part, str):
            quoted += f"\\{{{part}}}"
            continue
        at = 0
        for run in _LONG_RUN.finditer(part):
            quoted += escape(part[at : run.start()])
            items += [f'"{quoted}"'] if quoted else []
            items.append(f'"{escape(run[1])}"*{len(run[0])}')
            quoted, at = "", run.end()
        quoted += escape(part[at:])
    return " ".join([*items, f'"{quoted}"'] if quoted else items)


def read(written: str) -> Text:
    """Return the text that is written so.

    Raises:
        ValueError: It is no text.
    """
    return tuple(_joined(part for item in read_items(written) for part in item))


def read_items(written: str) -> list[Text]:
    """Return the items of a written text, one by one.

    Raises:
        ValueError: It is no text.
    """
    items, at = [], 0
    written = written.strip()
    while at < len(written):
        item = _ITEM.match(written, at)
        if item is None:
            raise ValueError(f"not octets: {written[at:].lstrip()!r}")
        hexadecimal, times = item["hex"], int(item["times"] or 1)
        parts = (
            (bytes.fromhex(hexadecimal),) if hexadecimal else _pieces(item["quoted"])
        )
        items.append(tuple(_joined(_times(tuple(_joined(parts)), times))))
        at = item.end()
    return items


def _pieces(quoted: str) -> Text:
    parts: list[Part] = []
    at = 0
    while at < len(quoted):
        piece = _PIECE.match(quoted, at)
        if piece is None:
            raise ValueError(f"no escape or printable character: {quoted[at:]!r}")
        if piece["name"]:
            parts.append(piece["name"])
        elif piece["hex"]:
            parts.append(bytes.fromhex(piece["hex"]))
        else:
            parts.append((piece["plain"] or piece["char"]).encode())
        at = piece.end()
    return tuple(parts)


def _times(parts: Text, times: int) -> Text:
    """Return parts so many times: octets alone in one piece, for there may be many."""
    if len(parts) == 1 and isinstance(parts[0], bytes):
        return (parts[0] * times,)
    return parts * times


def _joined(parts: Iterable[Part]) -> Iterator[Part]:
    """Give the parts with neighbouring octets as one."""
    octets = bytearray()
    for part in parts:
        if isinstance(part, bytes):
            octets += part
            continue
        if octets:
            yield bytes(octets)
        yield part
        octets.clear()
    if octets:
        yield bytes(octets)
