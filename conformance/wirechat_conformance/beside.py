"""Several conversations at a time: most of one is waiting for the server."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from wirechat_conformance.failure import Failure
from wirechat_conformance.run import Run

AT_ONCE = 2
"""Conversations at the same time: more would wait for this process."""
CONNECTIONS = 100
"""That a server serves at the same time in any case (LIM-1)."""
T = TypeVar("T")
R = TypeVar("R")


def beside(
    run: Run, attempt: Callable[[T], R], things: Sequence[T], connections: int
) -> Iterator[R]:
    """Attempt each of these, several at a time; give what comes of it, in their order.

    Args:
        run: The run: of a server that is slow, more are attempted at a time.
        attempt: What to do with each.
        things: What to do it with.
        connections: That one attempt may take.
    """
    with ThreadPoolExecutor(
        CONNECTIONS // connections if run.slow else AT_ONCE
    ) as pool:
        yield from pool.map(attempt, things)


def ahead(
    run: Run, cases: Mapping[str, Callable[[], object]], connections: int
) -> Iterator[str]:
    """Run cases ahead of their turn, several at a time, and give each one's name.

    Those that come true are added to ``run.came_true``. What becomes of another is to
    be seen at its turn, when it is by itself, and so it is with all where the witness
    was disturbed: nothing else tells by which.

    Args:
        run: The run that they are part of.
        cases: What runs each.
        connections: That one of them may take.
    """

    def comes_true(name: str) -> bool:
        try:
            cases[name]()
        except (Exception, pytest.skip.Exception):  # the latter is no Exception
            return False
        return True

    came_true = set()
    tried = beside(run, comes_true, [*cases], connections)
    for name, true in zip(cases, tried, strict=True):
        came_true |= {name} if true else set()
        yield name
    try:
        run.check_witness()
    except Failure:
        run.recover()
    else:
        run.came_true |= came_true
