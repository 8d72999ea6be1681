"""The cases of a run, as pytest has them: transcripts, and marked test functions."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from wirechat_conformance import replay, transcript
from wirechat_conformance.plain import PLAIN
from wirechat_conformance.rules import RULES
from wirechat_conformance.run import Run

RUN = pytest.StashKey[Run]()
"""The run that the cases are part of, from the start of the first."""


class TranscriptFile(pytest.File):
    """A file that holds one transcript."""

    def collect(self) -> Iterator["TranscriptItem"]:
        """Give the one case that it is."""
        read = transcript.load(self.path)
        item = TranscriptItem.from_parent(self, name=read.id, transcript=read)
        item.add_marker(pytest.mark.rules(*read.rules))
        item.add_marker(pytest.mark.beside(5))
        yield item


class TranscriptItem(pytest.Item):
    """The case that a transcript is."""

    def __init__(self, *, transcript: transcript.Transcript, **more: Any) -> None:
        super().__init__(**more)
        self.transcript = transcript

    def runtest(self) -> None:
        """Replay it, unless it has come true ahead of its turn."""
        run = self.config.stash[RUN]
        if self.transcript.id not in run.came_true:
            attempt(run, self)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None
    ) -> str:
        """Return what JUnit is told: pytest's traceback takes longer than the case."""
        return str(excinfo.value)


def case_id(item: pytest.Item) -> str:
    """Return the name of a case: stable, and fit for ``--only``."""
    if isinstance(item, TranscriptItem):
        return item.name
    folder = item.path.stem.removeprefix("test_")
    name = item.name.removeprefix("test_").replace("_", "-")
    return f"{folder}/{name}".replace("[", "-").removesuffix("]")


def attempt(run: Run, item: pytest.Item) -> None:
    """Run a case, whether it is its turn or not.

    Raises:
        Failure: It did not come true.
    """
    if isinstance(item, TranscriptItem):
        replay.replay(run, item.transcript)
    else:
        function = cast(pytest.Function, item)
        given = function.callspec.params if hasattr(function, "callspec") else {}
        function.obj(run, **given)


def rules(item: pytest.Item) -> tuple[str, ...]:
    """Return the rules that a case checks."""
    mark = item.get_closest_marker("rules")
    return tuple(mark.args) if mark else ()


def words(item: pytest.Item) -> set[str]:
    """Return all by which a case can be asked for."""
    own = rules(item)
    return {case_id(item), *own, *(rule.partition("-")[0] for rule in own)}


TURNS = ("ACC", "LST", "SND", "DLV", "DAT", "FRM", "LIM")
"""The sections in the order in which they need one another."""


def place(item: pytest.Item) -> tuple[bool, int, int]:
    """Return where a case comes in a run: behind those that are about less.

    The plain ones are first. Many a case of FRM asks for all kinds of things, as races
    do: a server that does not survive one of them ends the run, and has to meet the
    case that is about that one before.
    """
    case = case_id(item)
    plain = PLAIN.index(case) if case in PLAIN else len(PLAIN)
    order = sorted(RULES, key=lambda rule: TURNS.index(rule.partition("-")[0]))
    about = () if item.get_closest_marker("races") else rules(item)
    latest = max((order.index(rule) for rule in about), default=len(order))
    return item.get_closest_marker("last") is not None, plain, latest
