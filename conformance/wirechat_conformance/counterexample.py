"""From a property that fails to a transcript that shows it."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Flaky
from hypothesis.strategies import SearchStrategy

from wirechat_conformance import transcript
from wirechat_conformance.failure import Failure
from wirechat_conformance.replay import replay
from wirechat_conformance.run import Run
from wirechat_conformance.steps import Close, HalfClose, Open, Reset, Send, Step
from wirechat_conformance.transcript import Transcript

ACTION = Open | Close | HalfClose | Reset | Send
"""What is done; all other steps say what must be seen of it."""
Line = tuple[str, Step]
"""A step of a transcript, and its mark."""
REPLAYS = 3
"""How often a case that fails is replayed before it is reported."""
SWEEP = 50
"""Examples after which the accounts that they left are deleted."""
USERNAMES = {"a": "alice01", "b": "bobby02", "c": "carol03", "d": "david04"}
"""The usernames of what is tried, with example values."""
T = TypeVar("T")


class Search:
    """Looks for a transcript that a server does not make true.

    Args:
        run: The run that it is part of.
        name: What the transcript will be called.
        title: What it will be about.
    """

    def __init__(self, run: Run, name: str, title: str) -> None:
        self._run = run
        self._name = name
        self._title = title
        self._until = float("inf")
        self._drawn: Transcript | None = None
        self._smallest: tuple[Transcript, Failure] | None = None
        self._count = 0
        self._ended = False
        """Whether the server did not outlive what failed."""

    def over(
        self,
        strategy: SearchStrategy[T],
        written: Callable[[T], Iterable[Step]],
        factor: int = 1,
    ) -> None:
        """Try what a strategy draws; make smaller what fails.

        Args:
            strategy: What to draw.
            written: Writes down what is drawn as steps.
            factor: How many examples to one of the settings'.

        Raises:
            Failure: One did not come true; it says where its transcript is.
        """

        def holds(drawn: T) -> None:
            self._try(list(written(drawn)))

        limits = settings(
            max_examples=factor * self._run.examples,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        with suppress(Failure, Flaky):
            seed(self._run.settings.seed)(limits(given(strategy)(holds)))()
        if self._smallest is not None:
            with self._run.in_doubt(), self._run.patience.renewed():
                self._confirm(*self._smallest)

    def _try(self, script: list[Step]) -> None:
        lines = tuple((" ", step) for step in script)
        tried = Transcript(self._name, self._title, USERNAMES, lines)
        late = time.monotonic() > self._until and tried != self._drawn
        if self._ended or late:
            return  # there is no way, or no time, to make it smaller still
        self._count += 1
        if self._count % SWEEP == 0:
            self._run.sweep()
        try:
            replay(self._run, tried)
        except Failure as failure:
            if self._smallest is None:
                # Each property that fails has half of the time that is left for all.
                self._ended = self._run.gone
                self._run.shrinking /= 2
                self._until = time.monotonic() + self._run.shrinking
            self._drawn = tried
            self._smallest = replace(tried, lines=up_to(lines, failure.taken)), failure
            raise

    def _confirm(self, found: Transcript, failure: Failure) -> None:
        """Replay what failed, save it, and say how often it failed again.

        Raises:
            Failure: It was not just that a session ended a moment too late.
        """
        if self._ended:
            raise failure
        failed = 0
        for _ in range(REPLAYS):
            try:
                replay(self._run, found)
            except Failure as again:
                failure = failure if failed else again
                failed += 1
        if failure.ends and not failed:
            return
        often = f"{failed} of {REPLAYS} replays failed"
        told = [often if failed == REPLAYS else f"flaky: {often}"]
        if self._run.settings.save:
            path = Path(self._run.settings.save) / f"{self._name}.txt"
            written = transcript.write(found)
            comment = f"# seed {self._run.settings.seed}; {often}; {failure}"
            path.write_text(f"{comment}\n{written}", "utf-8")
            told.append(f"saved: wirechat-conformance replay {path} HOST:PORT")
        failure.detail = "; ".join(filter(None, [failure.detail, *told]))
        raise failure


def up_to(lines: Sequence[Line], taken: int) -> tuple[Line, ...]:
    """Return the steps that were taken, and what these must still bring.

    Without that a right server would send something that the transcript leaves out.
    """
    left = takewhile(lambda line: not isinstance(line[1], ACTION), lines[taken:])
    return (*lines[:taken], *left)
