"""Whether a frame is the one expected; if not, what differs."""

from collections import Counter
from collections.abc import Sequence

from wirechat_conformance import frames
from wirechat_conformance.frames import Received
from wirechat_conformance.text import escape

MAX_ERROR = 65536
"""Octets that an error text may have, by the definition of an error reply."""


SHOWN = 60
"""Octets of data that are shown of a frame."""


class MismatchError(Exception):
    """What came is not what was expected.

    Args:
        got: What came.
        detail: How the two differ.
        rule: A rule that is broken by this alone, whatever was expected.
    """

    def __init__(self, got: str, detail: str = "", rule: str = "") -> None:
        super().__init__(got)
        self.got = got
        self.detail = detail
        self.rules = (rule,) if rule else ()
        self.late = False
        """Whether it came after all, too late."""

    @property
    def kind(self) -> str:
        """What came, whatever its data: "closed", "RESPONSE 0", "RESPONSE", "SEND"."""
        return self.got if self.got == "RESPONSE 0" else self.got.split()[0]


def describe(frame: Received) -> str:
    """Return a frame as a transcript shows it, shortened where it is long."""
    shown = escape(frame.data[:SHOWN])
    more = f"… ({len(frame.data) - SHOWN} more)" if len(frame.data) > SHOWN else ""
    data = f' "{shown}"{more}' if frame.data else ""
    return f"{frames.NAMES[frame.command]} {len(frame.data)}{data}"


def is_error(frame: Received) -> bool:
    """Whether a frame could be an error reply."""
    return frame.command == frames.RESPONSE and bool(frame.data)


def exactly(expected: Received, got: Received) -> None:
    """Raise MismatchError unless both are the same to the last octet."""
    if got != expected:
        raise MismatchError(describe(got), first_difference(expected, got))


def first_difference(expected: Received, got: Received) -> str:
    """Say at which octet two frames begin to differ, and in which part of them."""
    one, other = expected.octets, got.octets
    both = zip(one, other, strict=False)
    at = next(at for at, (a, b) in enumerate(both) if a != b)
    part = "version" if at < 1 else "command" if at < 2 else "length"
    if at >= frames.HEADER_SIZE:
        part = f"data, its octet {at - frames.HEADER_SIZE}"
    return (
        f"first difference at octet {at} ({part}): "
        f"expected 0x{one[at]:02x}, got 0x{other[at]:02x}"
    )


def error_reply(got: Received) -> None:
    """Raise MismatchError unless a frame is an error reply."""
    if not is_error(got):
        raise MismatchError(describe(got))
    if len(got.data) > MAX_ERROR:
        raise MismatchError(describe(got), f"the text has over {MAX_ERROR} octets")
    if len(got.fields) > 1:
        raise MismatchError(describe(got), "the text is more than one field")


def naming(
    got: Received, names: Sequence[bytes], others: bool, without: Sequence[bytes]
) -> None:
    """Raise MismatchError unless a frame is a LISTRESPONSE that names these."""
    if got.command != frames.LISTRESPONSE:
        raise MismatchError(describe(got))
    count = Counter(got.fields)
    excess = [n for n in count if n in without or not (others or n in names)]
    faults = {
        "missing": [name for name in names if name not in count],
        "named twice": [name for name, times in count.items() if times > 1],
        "not to be named": excess,
    }
    told = [
        f"{fault}: {', '.join(escape(n) for n in found[:5])}"
        for fault, found in faults.items()
        if found
    ]
    if told:
        twice = "LST-1" * bool(faults["named twice"])
        raise MismatchError(describe(got), "; ".join(told), twice)
