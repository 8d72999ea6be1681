"""Listing: what a filter may mean, and what it may cost."""

import time
from contextlib import suppress
from itertools import product

import pytest

from wirechat_conformance import frames
from wirechat_conformance.failure import Failure
from wirechat_conformance.frames import BadFrameError
from wirechat_conformance.model import matches
from wirechat_conformance.peer import SilenceError
from wirechat_conformance.run import Run
from wirechat_conformance.script import Script

NAMES = 40
"""Accounts whose names nearly match a hostile filter."""
RECOVERY = 15
"""Time-outs that a server is given to come to the end of a filter."""
HARD = {"lst/filters-that-backtrack", "lst/filters-of-asterisks"}
"""Cases that see what asterisks cost."""
AT_ONCE = 200
"""Filters that are sent ahead: their answers come to less than 128 KiB (FRM-4)."""


def strings(characters: str, most: int) -> list[str]:
    """Return all strings of these characters, up to a length."""
    lengths = range(most + 1)
    return ["".join(some) for n in lengths for some in product(characters, repeat=n)]


ENDINGS = strings("ab", 4)[1:]
"""What usernames end in that short filters name, beside one that ends before."""
FILTERS = [
    *(pattern for pattern in strings("ab*", 6) if "**" not in pattern),
    *(f"*{one}*{other}*" for one, other in product(("aa", "ab", "ba"), repeat=2)),
]
"""All filters of up to six characters, and those whose pieces may overlap by one."""

OUTERMOST = [b"", b"0", b"00", b"99", b"A", b"ZZ", b"a", b"z", b"zz", b"zzz"]
"""What usernames go on with: whoever searches an ordered list may stop too early."""


@pytest.mark.beside(10)
@pytest.mark.rules("LST-5", "LST-2")
@pytest.mark.parametrize(
    ("wildcard", "shell"),
    [(b"?", {b"a", b"b", b"d"}), (b"[ab]", {b"a", b"b"}), (b"[a-c]", {b"a", b"b"})],
    ids=["question-mark", "set", "range"],
)
def test_shell_wildcard(run: Run, wildcard: bytes, shell: set[bytes]) -> None:
    """What shells have besides the asterisk means that, or itself."""
    with Script(run, "LST-2") as script:
        stem = script.account("A")
        for end in (b"a", b"b", b"d", b"ab"):
            script.open(end.decode())
            script.create(end.decode(), stem + end)
        script.send("A", frames.LIST, stem + wildcard)
        reply = script.any("A")
        if reply is None or reply.command != frames.LISTRESPONSE:
            script.fail("a LISTRESPONSE", reply)
        if reply.fields and set(reply.fields) != {stem + end for end in shell}:
            script.fail("nobody, or those that a shell would match", reply)
        meant = "as in shells" if reply.fields else "literal"
        run.chose(f"filter {wildcard.decode()}", meant)


@pytest.mark.rules("LST-6", "LST-2")
def test_filters_that_backtrack(run: Run) -> None:
    """A filter of many asterisks that nearly match is answered like any other.

    It grows, so that a server for which each asterisk doubles the work shows it early
    and is not kept busy for minutes.
    """
    with Script(run, "LST-6") as script:
        stem = run.names.fresh()  # so that the filter matches no other name of the run
        names = [stem + b"%02d" % number + b"a" * 23 for number in range(NAMES)]
        for name in names:
            script.open(name.decode())
            script.send(name.decode(), frames.CREATE, name)
        for name in names:
            script.receive(name.decode(), frames.RESPONSE)
        first, *_ = connections = [name.decode() for name in names]
        for asterisks in (2, 3, 4, 5, *range(6, 26, 2)):
            pattern = stem + b"*a" * asterisks + b"*b"
            script.send(first, frames.LIST, pattern)
            in_time(script, first, connections[1])


def in_time(script: Script, connection: str, other: str, *names: bytes) -> None:
    """See that a filter is answered, and that the answer names these.

    Where it takes too long it is waited for on another connection: only then can it be
    said of other cases that they fail.
    """
    script.rules = ("LST-6",)
    try:
        script.peek(connection, frames.LISTRESPONSE)
    except Failure:
        recover(script, other)
        raise
    script.rules = ("LST-2",)
    script.listed(connection, *names)


def recover(script: Script, connection: str) -> None:
    """Wait until the server has done with a filter and serves others again."""
    until = time.monotonic() + RECOVERY * script.run.patience.seconds
    peer = script.connections[connection].peer
    with suppress(BadFrameError):
        peer.send([frames.frame(frames.LIST, script.run.unused)])
        while time.monotonic() < until:
            with suppress(SilenceError):
                peer.receive()
                return


@pytest.mark.beside(10)
@pytest.mark.rules("LST-6", "LST-2")
def test_filters_of_asterisks(run: Run) -> None:
    """Asterisks in a row cost no more than one.

    Their number grows by little, so that a server to which they do matter shows it
    early, and is not kept busy for minutes.
    """
    with Script(run, "LST-6") as script:
        name = script.account("A")
        script.open("B")
        for step in range(14):
            stars = b"*" * int(4 * 1.5**step)
            script.send("A", frames.LIST, stars + name[:-1] + b"_")
            in_time(script, "A", "B")
            script.send("A", frames.LIST, name + stars)
            in_time(script, "A", "B", name)


@pytest.mark.examples
@pytest.mark.last
@pytest.mark.rules("LST-2", "FRM-6")
def test_filters_of_all_lengths(run: Run) -> None:
    """Filters next to a power of two octets are looked at from end to end.

    It takes many asterisks for one to match, which a server may be slow with (LST-6).
    """
    if run.failed.intersection(HARD):
        pytest.skip("the server takes its time over asterisks")
    with Script(run, "LST-2") as script:
        name = script.account("A")
        script.open("B")
        for power in (*ROUND, *(2**bit for bit in range(5, 15))):
            for length in (power - 1, power, power + 1):
                stars = b"*" * (length - len(name))
                script.send("A", frames.LIST, stars + name)
                script.send("A", frames.LIST, name[:-1] + stars + b"_")
                in_time(script, "A", "B", name)
                in_time(script, "A", "B")


@pytest.mark.examples
@pytest.mark.rules("LST-2")
def test_all_short_filters(run: Run) -> None:
    """Each short filter names those that it matches, however its pieces overlap.

    There is no room in ``ab`` for ``*ab*b``, nor in ``aaa`` for ``*aa*aa*``.
    """
    with Script(run, "LST-2") as script:
        stem = script.account("A")
        script.open(*ENDINGS)
        for ending in ENDINGS:
            script.send(ending, frames.CREATE, stem + ending.encode())
        for ending in ENDINGS:
            script.receive(ending, frames.RESPONSE)
        for start in range(0, len(FILTERS), AT_ONCE):
            patterns = FILTERS[start : start + AT_ONCE]
            for pattern in patterns:
                script.send("A", frames.LIST, stem + pattern.encode())
            for pattern in patterns:
                found = (name for name in ["", *ENDINGS] if matches(pattern, name))
                script.listed("A", *(stem + name.encode() for name in found))


@pytest.mark.rules("LST-2")
def test_first_and_last_of_a_prefix(run: Run) -> None:
    """A prefix names all that begin with it, the first and the last of them too."""
    with Script(run, "LST-2") as script:
        stem = run.names.fresh()
        names = [stem + end for end in OUTERMOST]
        for name in names:
            script.open(name.decode())
            script.create(name.decode(), name)
        asks = stem.decode()
        for prefix in names:
            script.send(asks, frames.LIST, prefix + b"*")
            script.listed(asks, *[name for name in names if name.startswith(prefix)])


@pytest.mark.rules("LST-2")
def test_filters_of_many_pieces(run: Run) -> None:
    """However many pieces a filter has, and however long one is, all of them count."""
    with Script(run, "LST-2") as script:
        stem = run.names.fresh()
        name = (stem + LETTERS)[:32]
        script.open("A")
        script.create("A", name)
        pieces = [bytes([octet]) for octet in name]
        for count in range(len(stem), len(name) + 1):
            some = b"*".join([stem, *pieces[len(stem) : count], b""])
            more = b"*".join([stem, *pieces[count:], b"_*"])
            piece = name[:count]
            script.send("A", frames.LIST, some)
            script.listed("A", name)
            script.send("A", frames.LIST, more)
            script.listed("A")
            script.send("A", frames.LIST, b"*" + piece + b"*")
            script.listed("A", name)
            script.send("A", frames.LIST, b"*" + piece[:-1] + b"_*")
            script.listed("A")
        for count in range(1, 5):
            for piece in (name[:count] + b"*", b"*" + name[-count:]):
                script.send("A", frames.LIST, piece)
                script.listed("A", name, others=True)


ROUND = [100, 200, 500, 1000, 2000, 5000, 10_000]
"""Sizes that people choose for buffers."""
SIZES = [power + by for power in (64, 256, 512, 1024) for by in (-1, 0, 1)]
"""Octets of lists of which a program may lose count, or the last one."""
LAST = 12
"""Octets that are left over for the last username of a list, and its separator."""


@pytest.mark.examples
@pytest.mark.rules("LST-2", "ACC-4")
def test_lists_of_many_sizes(run: Run) -> None:
    """A list is whole, however long, and so are usernames of all lengths in it."""
    with Script(run, "LST-2", "ACC-4") as script:
        stem = script.account("A")
        names = [stem]
        for size in SIZES[:: 2 if run.slow else 1]:
            while (left := size - len(b"|||".join([*names, b""]))) > 32:
                names.append(offline(script, stem, len(names), min(32, left - LAST)))
            last = offline(script, stem, len(names), left)
            script.send("A", frames.LIST, stem + b"*")
            script.listed("A", *names, last)
            script.open("Last")
            script.login("Last", last)
            script.delete("Last")


def offline(script: Script, stem: bytes, number: int, length: int) -> bytes:
    """Make an account with a username of this length, and leave it."""
    name = (stem + b"%02d" % number).ljust(length, b"x")
    script.open("Made")
    script.create("Made", name)
    script.leave("Made")
    return name


LETTERS = b"abcdefghijklmnopqrstuvwxyz"
"""No letter stands in there twice."""
