"""The transcripts again, with what is sent cut into other segments (FRM-3)."""

import random
from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from wirechat_conformance.beside import beside
from wirechat_conformance.failure import Failure
from wirechat_conformance.replay import replay
from wirechat_conformance.run import Run
from wirechat_conformance.transcript import Transcript, load

FOLDER = Path(__file__).parent.parent / "transcripts"
NEVER_CUT = {"frm/close-behind-many"}
"""A connection that was closed altogether takes no reply. Cut into segments, the second
request could meet the reset with which the reply to the first was answered."""
LONG = 200
"""Octets of one frame that are sent one by one, more than any short one has."""

FEW, MANY = 2, 8
"""Replays by which cuts are told from chance: many where a server is free to do now
this, now that."""

Way = Callable[[bytes, random.Random], list[bytes]]
"""How octets that could go together are cut into segments."""


@cache
def corpus(seed: int) -> list[Transcript]:
    """Return the transcripts that may be cut, in an order that is as good as any."""
    read = [load(path) for path in sorted(FOLDER.rglob("*.txt"))]
    random.Random(seed).shuffle(read)
    return [each for each in read if each.id not in NEVER_CUT]


def octets(sent: bytes, source: random.Random) -> list[bytes]:
    """Send one octet at a time; of a long frame only the first ones."""
    return pieces(sent, range(min(len(sent), LONG)))


def parts(sent: bytes, source: random.Random) -> list[bytes]:
    """Cut in the header, in its length, in each delimiter, and at random."""
    header = [1, 2, 20, 41, 42]
    bars = [at for at in range(1, len(sent)) if sent[at - 1 : at + 1] == b"||"]
    anywhere = [source.randrange(len(sent)) for _ in range(3)]
    return pieces(sent, [*header, *bars[:LONG], *anywhere, len(sent) - 1])


def together(sent: bytes, source: random.Random) -> list[bytes]:
    """Leave together what comes together."""
    return [sent]


def pieces(sent: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Return what stands between these cuts."""
    edges = [0, *(cut for cut in sorted(set(cuts)) if 0 < cut < len(sent)), len(sent)]
    return [sent[a:b] for a, b in pairwise(edges)]


WAYS = octets, parts, together


@pytest.mark.last
@pytest.mark.examples
@pytest.mark.drawn
@pytest.mark.rules("FRM-3")
@pytest.mark.parametrize("way", WAYS)
def test_every_transcript(run: Run, way: Way) -> None:
    """No reply depends on where octets are cut, or on what comes together.

    Each transcript is cut in one of two ways, as the seed has it, and put together.
    """
    turn = WAYS.index(way)
    cut = run.pace.portion(corpus(run.settings.seed), turn)
    if way is not together:
        cut = cut[turn::2]
    wanted = [read for read in cut if read.id not in run.failed]
    failed = failures_beside(run, wanted, way)
    with run.in_doubt():
        unexplained = [each for each in failed if not fails_anyway(run, *each, way)]
        if any(failure.is_fault for _, failure in unexplained):
            for read, failure in failures_beside(run, wanted, way):
                if failure.is_fault and not failure_of(run, read, way):
                    failure.rules = (*failure.rules, "FRM-10")
                    failure.detail = f"{read.id}, beside other conversations alone"
                    raise failure


def failures_beside(
    run: Run, wanted: list[Transcript], way: Way
) -> list[tuple[Transcript, Failure]]:
    """Replay transcripts cut so, several at a time, and return those that fail."""
    replayed = beside(run, lambda read: failure_of(run, read, way), wanted, 5)
    return [(r, f) for r, f in zip(wanted, replayed, strict=True) if f]


def fails_anyway(run: Run, read: Transcript, failure: Failure, way: Way) -> bool:
    """Whether a transcript that failed fails as it is written, too.

    Raises:
        Failure: It never does, but fails each time that it is cut.
    """
    again = failure
    for _ in range(FEW if failure.is_fault else MANY):
        if failure_of(run, read, None):
            return True
        cut = failure_of(run, read, way)
        if cut is None:
            return False
        again = cut
    again.rules = ("FRM-3",)
    again.detail = f"{read.id} comes true as it is written, but not cut so"
    raise again


def failure_of(run: Run, read: Transcript, way: Way | None) -> Failure | None:
    """Replay a transcript cut so, or as it is written, and return its failure."""
    source = random.Random(f"{run.settings.seed} {read.id}")
    try:
        if way is None:
            replay(run, read)
        else:
            replay(
                run,
                read,
                lambda sent: way(sent, source),
                together=way is together,
                twin=way is parts,  # nearly the same as its transcript: once will do
            )
    except Failure as failure:
        return failure
    return None
