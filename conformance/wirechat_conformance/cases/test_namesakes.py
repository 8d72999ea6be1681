"""Two accounts whose usernames are nearly the same have nothing in common."""

import secrets
from collections.abc import Callable

import pytest

from wirechat_conformance import frames, steps
from wirechat_conformance.names import Names
from wirechat_conformance.run import Run
from wirechat_conformance.script import Script

pytestmark = pytest.mark.beside(10)


def _number() -> bytes:
    """Return digits that begin and end with none that is zero."""
    digits = (b"%d" % secrets.randbelow(10) for _ in range(9))
    return b"7" + b"".join(digits) + b"3"


def _in_capitals(names: Names) -> list[bytes]:
    name = names.fresh()
    return [name, name.upper()]


def _twice(names: Names) -> list[bytes]:
    name = names.fresh()
    return [name, name + name]


def _to_the_last(names: Names) -> list[bytes]:
    stem = names.fresh(31)
    return [stem + b"1", stem + b"2"]


def _anagrams(names: Names) -> list[bytes]:
    stem = names.fresh()
    return [stem + b"ab", stem + b"ba"]


def _zero_in_front(_: Names) -> list[bytes]:
    number = _number()
    return [number, b"0" + number]


def _exponent(_: Names) -> list[bytes]:
    number = _number()
    return [number + b"000", number + b"e3"]


PAIRS: dict[str, Callable[[Names], list[bytes]]] = {
    "in-capitals": _in_capitals,
    "twice": _twice,
    "to-the-last": _to_the_last,
    "in-the-middle": lambda names: [names.fresh(32), names.fresh(32)],
    "anagrams": _anagrams,
    "zero-in-front": _zero_in_front,
    "number-in-front": lambda _: [(number := _number()) + b"ab", number + b"cd"],
    "hexadecimal": lambda _: [(name := secrets.token_hex(16).encode()), name.upper()],
    "object-ids": lambda _: [secrets.token_hex(12).encode() for _ in range(2)],
    "exponent": _exponent,
}
"""What a program may take for one name that is two: it compares them without regard to
case, to the end, the beginning, the order or the middle, or takes them for numbers."""
RULES = ["ACC-3", "ACC-8", "ACC-9", "ACC-12", "ACC-13", "SND-1", "SND-3", "SND-5"]
RULES += ["SND-6", "DLV-1", "DLV-6", "LST-2"]


@pytest.mark.examples
@pytest.mark.rules(*RULES)
@pytest.mark.parametrize("pair", PAIRS)
def test_two_of_nearly_one_name(run: Run, pair: str) -> None:
    """What is done to one account is not done to the other.

    Where it makes a difference which is the other, it is done to each.
    """
    names = PAIRS[pair](run.names)
    for one, other in (names, names[::-1]) if pair == "twice" else (names,):
        with Script(run) as script:
            Two(script, one, other, ("ACC-3",) * (pair == "in-capitals")).live()


class Two:
    """Two accounts, each on connections of its own, and somebody who writes to them.

    Args:
        script: The conversation.
        one: The username of the first.
        other: That of the second.
        besides: What is broken, too, where one is taken for the other.
    """

    def __init__(
        self, script: Script, one: bytes, other: bytes, besides: tuple[str, ...]
    ) -> None:
        self.script = script
        self.one, self.other = one, other
        self.besides = besides
        self.sender = script.account("Sender")
        self.offline = script.account("Offline")
        script.leave("Offline")

    def live(self) -> None:
        """Have them made, written to, leave and enter, and be deleted."""
        self.only_one()
        self.both_online()
        self.one_leaves()
        self.kept_for_both()
        self.one_is_deleted()

    def checks(self, *rules: str) -> None:
        """Say what is broken where what comes next does not come true."""
        self.script.rules = (*rules, *self.besides)

    def tell(self, name: bytes, text: bytes, connection: str = "") -> None:
        """Write to one of them; it comes on this connection, or is kept."""
        self.script.send("Sender", frames.SEND, self.sender, name, text)
        self.script.receive("Sender", frames.SEND, self.sender, name, text)
        if connection:
            self.script.receive(connection, frames.SEND, self.sender, name, text)

    def enter(self, connection: str, name: bytes) -> None:
        """Log one of them in."""
        self.checks("ACC-8", "ACC-12")
        self.script.open(connection)
        self.script.perform(steps.Repeat(connection, frames.LOGIN, (name,)))
        self.script.receive(connection, frames.RESPONSE)

    def delivered(self, connection: str, name: bytes, *texts: bytes) -> None:
        """See that DELIVER brings these messages, and no others."""
        self.script.send(connection, frames.DELIVER)
        for text in texts:
            self.script.receive(connection, frames.SEND, self.sender, name, text)
        self.script.fence(connection)

    def listed(self, name: bytes, *, there: bool = True) -> None:
        """See whether one of them is listed."""
        self.script.send("Sender", frames.LIST, name)
        self.script.listed("Sender", *[name] * there)

    def only_one(self) -> None:
        """While there is one, the other is nobody."""
        script = self.script
        script.open("One", "Other")
        script.create("One", self.one)
        self.checks("ACC-9")
        script.send("Other", frames.LOGIN, self.other)
        script.error("Other")
        self.checks("SND-6")
        script.send("Sender", frames.SEND, self.sender, self.other, b"hi")
        script.error("Sender")
        self.checks("LST-2")
        self.listed(self.other, there=False)
        self.checks("ACC-1", "ACC-4")
        script.send("Other", frames.CREATE, self.other)
        script.receive("Other", frames.RESPONSE)

    def both_online(self) -> None:
        """Each gets what is for it, and writes in its own name alone."""
        self.checks("SND-1")
        self.tell(self.one, b"to one", "One")
        self.tell(self.other, b"to the other", "Other")
        for own, name, other, its in (
            ("One", self.one, self.other, "Other"),
            ("Other", self.other, self.one, "One"),
        ):
            self.script.send(own, frames.SEND, name, other, b"from me")
            self.script.receive(own, frames.SEND, name, other, b"from me")
            self.script.receive(its, frames.SEND, name, other, b"from me")
        self.checks("SND-5")
        self.script.send("One", frames.SEND, self.other, self.sender, b"hi")
        self.script.error("One")
        self.script.fence("One", "Other", "Sender")
        self.checks("LST-2")
        self.listed(self.one)
        self.listed(self.other)

    def one_leaves(self) -> None:
        """It enters again while the other is there, whose session goes on."""
        self.script.leave("One")
        self.checks("ACC-12", "SND-1")
        self.tell(self.other, b"still there", "Other")
        self.checks("SND-3")
        self.tell(self.one, b"for one")
        self.script.fence("Other")
        self.checks("DLV-1")
        self.delivered("Other", self.other)
        self.enter("OneAgain", self.one)
        self.script.leave("OneAgain")

    def kept_for_both(self) -> None:
        """Each is brought what was kept for it."""
        self.script.leave("Other")
        self.checks("SND-3")
        self.tell(self.other, b"for the other")
        self.enter("One", self.one)
        self.enter("Other", self.other)
        self.checks("DLV-1", "SND-3")
        self.delivered("One", self.one, b"for one")
        self.delivered("Other", self.other, b"for the other")

    def one_is_deleted(self) -> None:
        """The other remains, online or offline, and so does what is kept for it."""
        script = self.script
        for connection, name in (("Other", self.other), ("One", self.one)):
            script.send(connection, frames.SEND, name, self.offline, b"from me")
            script.receive(connection, frames.SEND, name, self.offline, b"from me")
        script.leave("Other")
        self.tell(self.other, b"kept")
        script.delete("One")
        self.checks("ACC-13")
        self.listed(self.one, there=False)
        self.checks("ACC-13", "SND-6")
        script.send("Sender", frames.SEND, self.sender, self.one, b"late")
        script.error("Sender")
        self.enter("Other", self.other)
        self.checks("ACC-13", "SND-12")
        self.delivered("Other", self.other, b"kept")
        script.create("One", self.one)
        script.delete("One")
        self.checks("ACC-13", "SND-1")
        self.tell(self.other, b"still there", "Other")
        self.listed(self.other)
        script.delete("Other")
        self.enter("Offline", self.offline)
        self.checks("DLV-6")
        script.send("Offline", frames.DELIVER)
        for name in (self.other, self.one):
            script.receive("Offline", frames.SEND, name, self.offline, b"from me")
