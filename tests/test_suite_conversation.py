"""Conversations: each kind of step, true and not true, and whose fault it is."""

import pytest

from tests.scripted import (
    ERROR,
    FIN,
    HI,
    MUCH,
    NO_NAMES,
    RESET,
    SUCCESS,
    TIMEOUT,
    Script,
    Stage,
    staged,
)
from wirechat_conformance import log as module
from wirechat_conformance.conversation import Conversation
from wirechat_conformance.failure import Failure
from wirechat_conformance.frames import (
    CREATE,
    DELETE,
    DELIVER,
    LIST,
    LISTRESPONSE,
    LOGIN,
    RESPONSE,
    SEND,
    frame,
)
from wirechat_conformance.plain import NO_FRAME
from wirechat_conformance.steps import Open, Send
from wirechat_conformance.transcript import examples, read

HEAD = "title T\nname a = alice01\nname b = bobby02\n"
FENCE = frame(LIST, Stage.unused)
ENTER = r'A > CREATE 7 "\{a}"'
SAY = r'A > SEND 22 "\{a}|||\{b}|||hi"'
SAID = r'A < SEND 22 "\{a}|||\{b}|||hi"'
NAMED = frame(LISTRESPONSE, b"alice01", b"bobby02")
LATER = f"nothing within {TIMEOUT:g} s"


def play(stage: Stage, *lines: str, together: bool = False) -> Conversation:
    """Take the steps of a transcript's lines."""
    transcript = read("t", HEAD + "\n".join(lines))
    values = examples(transcript.names)
    with Conversation(stage, values, together=together) as conversation:
        for step in transcript.case():
            conversation.perform(step)
    return conversation


def failure_of(*lines: str, scripts: list[Script], together: bool = False) -> Failure:
    with staged(*scripts) as stage, pytest.raises(Failure) as failed:
        play(stage, *lines, together=together)
    return failed.value


# Steps that come true: what is said on the connection, and what was heard there.

TRUE: list[tuple[list[str], Script, bytes]] = [
    (["A open"], (NO_NAMES,), FENCE),
    (["A open", "A close"], (), b""),
    (["A open", "A half-close", "A eof"], (FIN,), b""),
    (["A open", "A fence"], (NO_NAMES * 2,), FENCE * 2),
    (
        ["A open", ENTER, "A < RESPONSE 0"],
        (SUCCESS + NO_NAMES,),
        frame(CREATE, b"alice01") + FENCE + frame(DELETE),
    ),
    (
        ["A open", r'A > octets 00 05 "\{a}"', "A < error"],
        (ERROR + NO_NAMES,),
        b"\0\5alice01" + FENCE,
    ),
    (
        ["A open", r'A repeat LOGIN 7 "\{a}"', "A < RESPONSE 0"],
        (ERROR + ERROR + SUCCESS + NO_NAMES,),
        frame(LOGIN, b"alice01") * 3 + FENCE + frame(DELETE),
    ),
    (
        ["A open", SAY, SAID, SAID],
        (HI + HI + NO_NAMES,),
        frame(SEND, b"alice01", b"bobby02", b"hi") + FENCE,
    ),
    (["A open", "A < maybe RESPONSE 0", "A fence"], (NO_NAMES * 2,), FENCE * 2),
    (
        ["A open", "A < maybe RESPONSE 0", "A fence"],
        (SUCCESS + NO_NAMES * 2,),
        FENCE * 2,
    ),
    (
        ["A open", "A > LIST 0", r'A < LISTRESPONSE of "\{b}" "\{a}"'],
        (NAMED + NO_NAMES,),
        frame(LIST) + FENCE,
    ),
    (
        ["A open", "A > LIST 0", r'A < LISTRESPONSE with "\{b}" without "c"'],
        (NAMED + NO_NAMES,),
        frame(LIST) + FENCE,
    ),
    (["A open", "A < rejected", "A? fence"], (ERROR + NO_NAMES * 2,), FENCE * 2),
    (["A open", "A < rejected", "A? fence"], (FIN,), b""),
    (["A open", "A < rejected", "A? fence"], (ERROR, FIN), FENCE),
    (["A open", "A < rejected", "A? half-close", "A? eof"], (ERROR, FIN), b""),
]


@pytest.mark.parametrize(("lines", "script", "heard"), TRUE)
def test_step_that_comes_true(lines: list[str], script: Script, heard: bytes) -> None:
    with staged(script) as stage:
        play(stage, *lines)
        assert stage.heard(0, heard)


def test_reset_comes_true() -> None:
    with staged((RESET,), ()) as stage:
        play(stage, "A open", "A < rejected", "A? fence", "B open", "B reset")
        with pytest.raises(ConnectionResetError):
            stage.heard(1, b"?")


# Steps that do not: what is told of them.

FALSE: list[tuple[list[str], Script, tuple[str, str, str, str]]] = [
    (
        [ENTER, "A < RESPONSE 0  ACC-4"],
        (ERROR,),
        (
            "ACC-4",
            "A < RESPONSE 0",
            'RESPONSE 2 "no"',
            "first difference at octet 41 (length): expected 0x00, got 0x02",
        ),
    ),
    ([ENTER, "A < RESPONSE 0"], (FIN,), ("ACC-1", "A < RESPONSE 0", "closed", "")),
    ([ENTER, "A < RESPONSE 0"], (), ("ACC-1", "A < RESPONSE 0", LATER, "")),
    (
        [ENTER, "A < RESPONSE 0"],
        (SUCCESS[:2],),
        ("FRM-1 ACC-1", "A < RESPONSE 0", LATER, "incomplete: 00 06"),
    ),
    (
        [ENTER, "A < RESPONSE 0"],
        (b"\1\6",),
        ("FRM-1 ACC-1", "A < RESPONSE 0", "no frame", "version 1 is not 0"),
    ),
    (
        [ENTER, "A < RESPONSE 0"],
        (SUCCESS[:2], FIN),
        (
            "FRM-1 ACC-1",
            "A < RESPONSE 0",
            "no frame",
            "the connection ended after 2 octets of a frame",
        ),
    ),
    (
        [SAY, SAID],
        (frame(SEND, b"alice01", b"bobby02", b"\xff"),),
        (
            "DAT-2 SND-2",
            'A < SEND 22 "alice01|||bobby02|||hi"',
            "no frame",
            "octet 20 of the data, 0xff, is not ASCII",
        ),
    ),
    (["A < error  SND-4"], (SUCCESS,), ("SND-4", "A < error", "RESPONSE 0", "")),
    (["A < error  SND-4"], (FIN,), ("SND-4", "A < error", "closed", "")),
    (
        ["A < rejected  DAT-3"],
        (SUCCESS,),
        ("DAT-3", "A < rejected", "RESPONSE 0", ""),
    ),
    (["A < rejected  DAT-3"], (), ("DAT-3", "A < rejected", LATER, "")),
    (["A half-close", "A eof  FRM-9"], (), ("FRM-9", "A eof", LATER, "")),
    (
        ["A half-close", "A eof  FRM-9"],
        (ERROR, FIN),
        ("FRM-9", "A eof", 'RESPONSE 2 "no"', ""),
    ),
    (
        ["A > LIST 0", r'A < LISTRESPONSE of "\{a}"  LST-2'],
        (NAMED,),
        (
            "LST-2",
            'A < LISTRESPONSE of "alice01"',
            'LISTRESPONSE 17 "alice01|||bobby02"',
            "not to be named: bobby02",
        ),
    ),
    (
        [r'A repeat LOGIN 7 "\{a}"', "A < RESPONSE 0  ACC-12"],
        (ERROR * 60,),
        (
            "ACC-12",
            "A < RESPONSE 0",
            'RESPONSE 2 "no"',
            "first difference at octet 41 (length): expected 0x00, got 0x02",
        ),
    ),
    (
        [r'A repeat LOGIN 7 "\{a}"'],
        (ERROR, FIN),
        ("ACC-8 ACC-12", r'A repeat LOGIN 7 "alice01"', "closed", ""),
    ),
    (
        ["A < rejected  DAT-3", "A? fence  DAT-3"],
        (ERROR, SUCCESS),
        (
            "DAT-3",
            "A? fence",
            "RESPONSE 0",
            "first difference at octet 1 (command): expected 0x07, got 0x06",
        ),
    ),
]


@pytest.mark.parametrize(("lines", "script", "told"), FALSE)
def test_step_that_does_not_come_true(
    lines: list[str], script: Script, told: tuple[str, str, str, str]
) -> None:
    failure = failure_of("A open", *lines, scripts=[script])
    rules, expected, got, detail = told
    assert failure.rules == tuple(rules.split())
    assert (failure.expected, failure.got, failure.detail) == (expected, got, detail)
    assert str(failure) == f"expected {expected}; got {got}"
    assert failure.taken == 1 + len(lines)


def test_end_is_allowed_only_behind_a_rejection() -> None:
    failure = failure_of("A open", "A? fence", scripts=[(FIN,)])
    assert failure.got == "closed"
    told = failure_of(
        "A open", "A < rejected  DAT-3", "A fence", scripts=[(ERROR, FIN)]
    )
    assert told.rules == ("DAT-3",)


@pytest.mark.parametrize(
    ("request_line", "reply", "rules"),
    [
        (r'A > CREATE 7 "\{a}"', "RESPONSE 0", "ACC-1 ACC-4"),
        (r'A > LOGIN 7 "\{a}"', "RESPONSE 0", "ACC-8"),
        ("A > LIST 0", "LISTRESPONSE 0", "LST-1"),
        ("A > DELIVER 0", "LISTRESPONSE 0", "DLV-2"),
        ("A > DELIVER 0", 'SEND 7 "a|||a||"', "DLV-1"),
        ("A > DELIVER 0\nA > LIST 0", 'SEND 7 "a|||a||"', "DLV-1"),
        (SAY, 'SEND 7 "a|||a||"', "SND-2"),
        (SAY, "LISTRESPONSE 0", "SND-2"),
        ("A > LIST 0", 'SEND 7 "a|||a||"', "SND-1"),
        ("A > DELETE 0", "LISTRESPONSE 0", "ACC-14"),
        ("A > RESPONSE 0", "LISTRESPONSE 0", "FRM-5"),
        ("A > LISTRESPONSE 0", "LISTRESPONSE 0", "FRM-5"),
        ("A > octets 00", "LISTRESPONSE 0", "FRM-1"),
    ],
)
def test_line_without_rules_stands_for_the_plain_success(
    request_line: str, reply: str, rules: str
) -> None:
    failure = failure_of("A open", request_line, f"A < {reply}", scripts=[(ERROR,)])
    assert failure.rules == tuple(rules.split())


def test_where_delete_ends_the_connection_it_is_not_usable_any_more() -> None:
    lines = ["A open", ENTER, "A < RESPONSE 0  ACC-1", "A > DELETE 0", "A fence"]
    assert failure_of(*lines, scripts=[(SUCCESS, FIN)]).rules == ("ACC-13",)


def test_session_that_is_refused_all_may_never_have_begun() -> None:
    lines = ["A open", ENTER, "A < RESPONSE 0", SAY, SAID]
    failure = failure_of(*lines, scripts=[(SUCCESS + ERROR,)])
    assert failure.rules == ("SND-2", "ACC-1")
    failure = failure_of(*lines, SAY, SAID, scripts=[(SUCCESS + HI + ERROR,)])
    assert failure.rules == ("SND-2",)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (["A < RESPONSE 0  ACC-1"], ["A < RESPONSE 0  ACC-4"], True),
        (["A < RESPONSE 0"], [SAID], False),
        ([r'A < LISTRESPONSE of "\{a}"'], ["A < RESPONSE 0"], False),
    ],
)
def test_failures_that_show_the_same_have_a_symptom_in_common(
    one: list[str], other: list[str], alike: bool
) -> None:
    symptoms = [
        failure_of("A open", ENTER, *lines, scripts=[(ERROR + ERROR,)]).symptom
        for lines in (one, other)
    ]
    assert (symptoms[0] == symptoms[1]) == alike


@pytest.mark.parametrize("line", [SAID, "A fence", "A eof"])
def test_success_where_none_is_due_is_a_symptom_whatever_is_expected(line: str) -> None:
    failure = failure_of("A open", SAY, line, scripts=[(SUCCESS,)])
    assert failure.symptom == ("RESPONSE 0",)


def test_message_once_more_is_a_symptom_whatever_is_expected() -> None:
    other = SAY.replace("hi", "ho")
    lines = SAY, SAID, other, SAID.replace("hi", "ho")
    failure = failure_of("A open", *lines, scripts=[(HI, HI)])
    assert failure.symptom == ("SEND",)


@pytest.mark.parametrize("line", [SAID, "A fence", "A < error"])
def test_what_is_no_frame_is_a_symptom_whatever_is_expected(line: str) -> None:
    failure = failure_of("A open", SAY, line, scripts=[(b"no frame",)])
    assert failure.symptom == (NO_FRAME, ("FRM-1",))


def test_an_end_in_the_middle_of_a_frame_is_no_symptom() -> None:
    failure = failure_of("A open", SAY, SAID, scripts=[(HI[:-1], FIN)])
    assert failure.symptom == ()


def test_there_are_many_ways_to_differ_in_data_which_is_no_symptom() -> None:
    failure = failure_of("A open", SAY, 'A < SEND 7 "a|||a||"', scripts=[(HI,)])
    assert failure.symptom == ()


# Fences.


def test_broken_fence_is_a_fault_of_its_own() -> None:
    with staged((SUCCESS + ERROR,)) as stage:
        stage.fences[True] = ("LST-3",)
        with pytest.raises(Failure) as failed:
            play(stage, "A open", ENTER, "A < RESPONSE 0  ACC-1", "A fence  ACC-1")
        assert stage.asked_for_fences == [True]
    assert failed.value.rules == ("LST-3",)


def test_fence_without_rules_stands_for_the_step_before_it() -> None:
    lines = ["A open", ENTER, "A < RESPONSE 0  ACC-1", "A fence"]
    failure = failure_of(*lines, scripts=[(SUCCESS + ERROR,)])
    assert failure.rules == ("ACC-1",)


def test_fence_at_the_end_sees_what_came_besides() -> None:
    lines = ["A open", SAY, SAID + "  SND-2"]
    failure = failure_of(*lines, scripts=[(HI + SUCCESS + NO_NAMES,)])
    assert (failure.rules, failure.expected) == (("SND-2",), "A? fence")


def test_fence_at_the_end_where_nothing_was_asked() -> None:
    failure = failure_of("A open", scripts=[(FIN,)])
    assert failure.rules == ("FRM-1",)


def test_there_is_a_fence_at_the_end_of_each_connection_in_use() -> None:
    scripts: list[Script] = [(NO_NAMES,), (), (FIN,), (NO_NAMES,)]
    lines = ["A open", "B open", "B close", "C open", "C < rejected", "D open"]
    with staged(*scripts) as stage:
        play(stage, *lines)
        assert stage.heard(0, FENCE)
        assert stage.heard(3, FENCE)


def test_after_a_failure_nothing_more_is_asked() -> None:
    with staged((ERROR,)) as stage:
        with pytest.raises(Failure):
            play(stage, "A open", ENTER, "A < RESPONSE 0")
        assert stage.heard(0, frame(CREATE, b"alice01"))


def test_reset_may_take_replies_along_where_a_frame_is_rejected() -> None:
    lines = ["A open", "A? < RESPONSE 0  FRM-4", "A? < rejected  FRM-2"]
    with staged((RESET,)) as stage:
        play(stage, *lines)
    failure = failure_of(*lines, scripts=[(FIN,)])
    assert (failure.rules, failure.got) == (("FRM-4",), "closed")


def test_failure_tells_whether_a_session_had_to_have_ended() -> None:
    late = ["A half-close", "A eof", "B open", "B < RESPONSE 0"]
    assert failure_of("A open", *late, scripts=[(FIN,), (ERROR,)]).ends
    assert not failure_of("A open", "A < RESPONSE 0", scripts=[(ERROR,)]).ends


# What is left behind.


def test_account_is_deleted_at_the_end() -> None:
    with staged((SUCCESS + ERROR,)) as stage:
        with pytest.raises(Failure):
            play(stage, "A open", ENTER, "A < RESPONSE 0", SAY, SAID)
        said = frame(SEND, b"alice01", b"bobby02", b"hi")
        assert stage.heard(0, frame(CREATE, b"alice01") + said + frame(DELETE))


def test_account_that_was_not_made_or_was_deleted_is_not_deleted() -> None:
    with staged((ERROR + NO_NAMES,), (SUCCESS + NO_NAMES * 2,)) as stage:
        play(stage, "A open", ENTER, "A < error")
        assert stage.heard(0, frame(CREATE, b"alice01") + FENCE)
        play(stage, "A open", ENTER, "A < RESPONSE 0", "A > DELETE 0", "A fence")
        octets = frame(CREATE, b"alice01") + frame(DELETE) + FENCE * 2
        assert stage.heard(1, octets)


# What a server may choose.


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ((ERROR + NO_NAMES * 2,), "error reply"),
        ((ERROR, FIN), "error reply and close"),
        ((FIN,), "close"),
    ],
)
def test_way_of_rejecting_is_noted(script: Script, how: str) -> None:
    with staged(script) as stage:
        play(stage, "A open", "A < rejected  DAT-3", "A? fence")
        assert stage.choices == {("DAT-3", how): 1}


@pytest.mark.parametrize(
    ("script", "how"),
    [(SUCCESS + NO_NAMES * 2, "answered"), (NO_NAMES * 2, "silent")],
)
def test_answer_to_delete_is_noted(script: bytes, how: str) -> None:
    with staged((script,)) as stage:
        play(stage, "A open", "A > DELETE 0", "A < maybe RESPONSE 0", "A fence")
        assert stage.choices == {("DELETE", how): 1}


# What is sent, and when.


def test_octets_are_cut_as_is_asked() -> None:
    with staged((NO_NAMES,)) as stage:
        cut: list[bytes] = []

        def noted(octets: bytes) -> list[bytes]:
            cut.append(octets)
            return [octets[:1], octets[1:]]

        with Conversation(stage, {}, noted) as conversation:
            for step in read("t", "title T\nA open\nA > octets 00 01 02").case():
                conversation.perform(step)
        assert cut == [b"\0\1\2"]
        assert stage.heard(0, b"\0\1\2" + FENCE)


def test_what_is_held_back_leaves_in_one_piece() -> None:
    with staged((NO_NAMES,), (NO_NAMES,)) as stage:
        lines = ["A open", "A > octets 01", "A > octets 02", "B open", "A > octets 03"]
        play(stage, *lines, "B fence", "B close", together=True)
        assert stage.heard(0, b"\1\2\3" + FENCE)
        assert stage.heard(1, FENCE)


@pytest.mark.parametrize("end", ["half-close", "close"])
def test_what_is_held_back_leaves_before_an_end(end: str) -> None:
    with staged() as stage:
        play(stage, "A open", "A > octets 01", f"A {end}", together=True)
        assert stage.heard(0, b"\1")


def test_server_that_takes_nothing_is_told_so() -> None:
    with staged() as stage:
        conversation = Conversation(stage, {})
        conversation.perform(Open("A"))
        conversation.connections["A"].peer.push(MUCH)
        with pytest.raises(Failure) as failed:
            conversation.perform(Send("A", None, (b"x",)))
    assert failed.value.got == f"nothing taken: {LATER}"
    assert failed.value.rules == ("FRM-1",)


def test_server_that_takes_nothing_is_left_without_a_word() -> None:
    with staged((SUCCESS,)) as stage:
        conversation = Conversation(stage, {"a": b"alice01"})
        for step in read("t", f"{HEAD}A open\n{ENTER}\nA < RESPONSE 0").case():
            conversation.perform(step)
        conversation.connections["A"].peer.push(MUCH)
        conversation.close()


# What a failure shows.


def test_log_shows_who_said_what() -> None:
    lines = ["A open", ENTER, "A < RESPONSE 0", "A half-close", "A eof"]
    failure = failure_of(*lines, scripts=[(SUCCESS + ERROR, FIN)])
    assert failure.log == (
        "A open",
        'A > CREATE 7 "alice01"',
        "A < RESPONSE 0",
        "A half-close",
        'A < RESPONSE 2 "no"',
    )


@pytest.mark.parametrize(
    ("script", "last"),
    [
        ((), f"A … {LATER}"),
        ((FIN,), "A closed"),
        ((b"\0\xff",), "A < octets 00 ff"),
        ((b"\1" * 300,), "A < octets " + "01 " * 41 + "01"),
        (
            (frame(RESPONSE, b"\x1b[31m"),),
            r'A < RESPONSE 5 "\x1b[31m"',
        ),
    ],
)
def test_log_ends_with_what_came(script: Script, last: str) -> None:
    assert failure_of("A open", "A fence", scripts=[script]).log[-1] == last


def test_log_shows_a_reset() -> None:
    failure = failure_of("A open", "A < error", scripts=[(RESET,)])
    assert failure.log[-1] == "A reset"
    assert failure.got == "closed"


def test_log_is_short() -> None:
    lines = ["A open"] + ["A > octets 01"] * 30 + ['A > octets "abc"*200', "A eof"]
    failure = failure_of(*lines, scripts=[(ERROR,)])
    assert len(failure.log) == module.SHOWN + 1
    assert failure.log[0] == "… 19 earlier"
    assert failure.log[-2] == 'A > octets "' + "abc" * 62 + "ab…"
    assert len(failure.log[-2]) == module.WIDTH + 1


def test_failures_join() -> None:
    failure = Failure(["FRM-1", "FRM-1"], "one", "none")
    other = Failure(["FRM-10", "FRM-1"], "all", "some")
    assert failure.joined_by([other, other]) is failure
    assert failure.rules == ("FRM-1", "FRM-10")
    besides = "besides, expected all; got some"
    assert failure.detail == f"{besides}; {besides}"


def left_without_replies(stage: Stage, command: int) -> None:
    """End a conversation with this request on its second connection."""
    conversation = Conversation(stage, {})
    for name in "AB":
        conversation.perform(Open(name))
    conversation.perform(Send("A", LIST))
    conversation.perform(Send("B", command))
    with pytest.raises(Failure):
        conversation.finish()


def test_fence_that_is_not_taken_is_not_answered() -> None:
    with staged() as stage:
        conversation = Conversation(stage, {})
        conversation.perform(Open("A"))
        conversation.connections["A"].request = LIST
        conversation.connections["A"].peer.push(MUCH)
        with pytest.raises(Failure) as failed:
            conversation.finish()
    assert failed.value.got == LATER


def test_all_are_asked_at_once_whether_anything_has_come() -> None:
    with staged() as stage:
        left_without_replies(stage, LIST)
        assert [stage.heard(n, frame(LIST) + FENCE) for n in (0, 1)] == [True, True]


@pytest.mark.parametrize("command", [DELETE, DELIVER])
def test_request_without_a_reply_is_through_before_others_are_asked(
    command: int,
) -> None:
    with staged() as stage:
        left_without_replies(stage, command)
        assert stage.heard(0, frame(LIST))
        assert stage.heard(1, frame(command) + FENCE)
