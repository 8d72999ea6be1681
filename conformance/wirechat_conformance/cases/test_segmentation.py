"""Every transcript again, with what is sent cut into other segments (FRM-3)."""

import random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from wirechat_conformance.conversation import Failure
from wirechat_conformance.replay import replay
from wirechat_conformance.run import Run
from wirechat_conformance.transcript import Transcript, load

FOLDER = Path(__file__).parent.parent / "transcripts"
NEVER_CUT = {"frm/close-behind-many"}
"""A connection that was closed altogether takes no reply. Cut into segments, the second
request could meet the reset with which the reply to the first was answered."""
CORPUS = [
    read
    for read in map(load, sorted(FOLDER.rglob("*.txt")))
    if read.id not in NEVER_CUT
]
AT_ONCE = 4
"""Transcripts that are replayed at the same time."""
LONG = 200
"""Octets of one frame that are sent one by one, more than any short one has."""
Way = Callable[[bytes, random.Random], list[bytes]]
"""How octets that could go together are cut into segments."""


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


@pytest.mark.last
@pytest.mark.examples
@pytest.mark.rules("FRM-3")
@pytest.mark.parametrize("way", [octets, parts, together])
def test_every_transcript(run: Run, way: Way) -> None:
    """No reply depends on where octets are cut, or on what comes together."""
    # Several at a time: most of a replay is waiting for the server.
    with ThreadPoolExecutor(AT_ONCE) as pool:
        replays = [
            pool.submit(check, run, read, way)
            for read in CORPUS
            if read.id not in run.failed
        ]
        for replayed in replays:
            replayed.result()


def check(run: Run, read: Transcript, way: Way) -> None:
    """See that a transcript comes true cut so, if it does as it is written."""
    source = random.Random(f"{run.settings.seed} {read.id}")
    try:
        replay(run, read, lambda sent: way(sent, source), together=way is together)
    except Failure as failure:
        try:
            replay(run, read)
        except Failure:
            return  # and that is not because of the cuts
        failure.rules = ("FRM-3",)
        failure.detail = f"{read.id} comes true as it is written, but not cut so"
        raise
