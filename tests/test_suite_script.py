"""Conversations that are written in Python."""

import pytest

from tests.judged import judging
from wirechat_conformance import frames, steps
from wirechat_conformance.failure import Failure
from wirechat_conformance.run import BACKLOG, SLOW_BACKLOG
from wirechat_conformance.script import REPLIES, Script, messages_of


def test_many_errors_are_asked_for_and_seen() -> None:
    with judging() as run, Script(run, "ACC-9") as script:
        script.open("A")
        script.errors("A", frames.LOGIN, [(run.unused,)] * 50)
        script.create("A", run.names.fresh())


def test_a_success_among_errors_is_told() -> None:
    with judging() as run, Script(run, "ACC-9") as script:
        name = script.account("A")
        script.leave("A")
        script.open("B")
        asked = [(run.unused,), (run.unused,), (name,)]
        with pytest.raises(Failure, match="got RESPONSE 0") as raised:
            script.errors("B", frames.LOGIN, asked)
    assert raised.value.rules == ("ACC-9",)


def test_long_error_texts_are_asked_for_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wirechat_conformance.script.REPLIES", REPLIES // 1000)
    with judging() as run, Script(run, "ACC-9") as script:
        script.open("A")
        script.errors("A", frames.LOGIN, [(run.unused,)] * 3)
    taken = [type(step) for step in script.steps[1:-1]]
    assert taken == [steps.Send, steps.ReceiveError] * 3


def test_no_more_messages_are_taken_than_are_asked_for() -> None:
    with judging() as run, Script(run, "SND-7") as script:
        name = script.account("A")
        script.send("A", frames.SEND, name, name, b"hi")
        assert messages_of(script, "A", 1) == ([b"hi"], False)
        script.send("A", frames.LIST, run.unused)
        assert messages_of(script, "A") == ([b"hi"], True)


@pytest.mark.parametrize(("repeated", "fences"), [(10.0, 3), (-1.0, 7)])
def test_connections_are_opened_as_the_server_accepts_them(
    repeated: float, fences: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wirechat_conformance.script.REPEATED", repeated)
    with judging() as run:
        run.room = SLOW_BACKLOG
        with Script(run, "LIM-1") as script:
            script.open(*[f"C{number}" for number in range(28)])
            seen = [type(step) for step in script.steps]
    assert seen.count(steps.Fence) == fences
    assert seen[: BACKLOG + 1] == [steps.Open] * BACKLOG + [steps.Fence]
    assert run.room == (SLOW_BACKLOG if repeated > 0 else BACKLOG)
