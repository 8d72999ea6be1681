"""Conversations that are written in Python."""

import pytest

from tests.judged import judging
from wirechat_conformance import frames, steps
from wirechat_conformance.failure import Failure
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
