"""The judgement on a single frame, with the exact text of each failure."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wirechat_conformance.frames import LISTRESPONSE, RESPONSE, SEND, Received
from wirechat_conformance.judge import (
    MAX_ERROR,
    SHOWN,
    MismatchError,
    describe,
    error_reply,
    exactly,
    is_error,
    naming,
)

SUCCESS = Received(RESPONSE, b"")
ERROR = Received(RESPONSE, b"no")
received = st.builds(
    Received,
    st.sampled_from([SEND, RESPONSE, LISTRESPONSE]),
    st.text(st.characters(codec="ascii")).map(str.encode),
)


def told(mismatch: pytest.ExceptionInfo[MismatchError]) -> tuple[str, str]:
    return mismatch.value.got, mismatch.value.detail


@pytest.mark.parametrize(
    ("frame", "shown"),
    [
        (SUCCESS, "RESPONSE 0"),
        (ERROR, 'RESPONSE 2 "no"'),
        (Received(SEND, b"a|||b|||\x1b[2J\0"), r'SEND 13 "a|||b|||\x1b[2J\x00"'),
        (Received(SEND, b"x" * SHOWN), f'SEND {SHOWN} "{"x" * SHOWN}"'),
        (
            Received(SEND, b"x" * (SHOWN + 7)),
            f'SEND {SHOWN + 7} "{"x" * SHOWN}"… (7 more)',
        ),
    ],
)
def test_frame_is_described(frame: Received, shown: str) -> None:
    assert describe(frame) == shown


@given(received)
def test_a_frame_is_exactly_itself(frame: Received) -> None:
    exactly(frame, frame)


@given(received, received)
def test_a_frame_is_no_other(one: Received, other: Received) -> None:
    assume(one != other)
    with pytest.raises(MismatchError) as mismatch:
        exactly(one, other)
    at = int(mismatch.value.detail.split()[4])
    assert one.octets[:at] == other.octets[:at]
    assert one.octets[at] != other.octets[at]


@pytest.mark.parametrize(
    ("expected", "got", "got_told", "detail"),
    [
        (
            SUCCESS,
            Received(SEND, b""),
            "SEND 0",
            "first difference at octet 1 (command): expected 0x06, got 0x02",
        ),
        (
            SUCCESS,
            ERROR,
            'RESPONSE 2 "no"',
            "first difference at octet 41 (length): expected 0x00, got 0x02",
        ),
        (
            Received(SEND, b"a|||b|||hi"),
            Received(SEND, b"a|||b|||ho"),
            'SEND 10 "a|||b|||ho"',
            "first difference at octet 51 (data, its octet 9): expected 0x69, got 0x6f",
        ),
    ],
)
def test_the_first_difference_is_told(
    expected: Received, got: Received, got_told: str, detail: str
) -> None:
    with pytest.raises(MismatchError) as mismatch:
        exactly(expected, got)
    assert told(mismatch) == (got_told, detail)
    assert mismatch.value.rules == ()


@pytest.mark.parametrize("text", [b"n", b"\0\x7f", b"x" * MAX_ERROR, b"a||b", b"|"])
def test_error_reply_may_have_any_text(text: bytes) -> None:
    error_reply(Received(RESPONSE, text))


@pytest.mark.parametrize(
    ("frame", "got", "detail"),
    [
        (SUCCESS, "RESPONSE 0", ""),
        (Received(SEND, b"no"), 'SEND 2 "no"', ""),
        (Received(LISTRESPONSE, b"no"), 'LISTRESPONSE 2 "no"', ""),
        (
            Received(RESPONSE, b"x" * (MAX_ERROR + 1)),
            f'RESPONSE 65537 "{"x" * SHOWN}"… ({65537 - SHOWN} more)',
            "the text has over 65536 octets",
        ),
        (
            Received(RESPONSE, b"no|||no"),
            'RESPONSE 7 "no|||no"',
            "the text is more than one field",
        ),
    ],
)
def test_what_is_no_error_reply(frame: Received, got: str, detail: str) -> None:
    with pytest.raises(MismatchError) as mismatch:
        error_reply(frame)
    assert told(mismatch) == (got, detail)


@pytest.mark.parametrize(
    ("frame", "is_one"),
    [(ERROR, True), (SUCCESS, False), (Received(SEND, b"no"), False)],
)
def test_what_could_be_an_error_reply(frame: Received, is_one: bool) -> None:
    assert is_error(frame) is is_one


@pytest.mark.parametrize(
    ("data", "names", "others", "without"),
    [
        (b"", [], False, []),
        (b"a|||b", [b"b", b"a"], False, []),
        (b"a|||b|||c", [b"b"], True, []),
        (b"a|||b|||c", [b"b"], True, [b"d"]),
        (b"a", [], True, [b"b"]),
    ],
)
def test_names_that_are_listed(
    data: bytes, names: list[bytes], others: bool, without: list[bytes]
) -> None:
    naming(Received(LISTRESPONSE, data), names, others, without)


@pytest.mark.parametrize(
    ("frame", "names", "others", "detail"),
    [
        (SUCCESS, [], False, ""),
        (Received(SEND, b"a"), [b"a"], True, ""),
        (Received(LISTRESPONSE, b"b"), [b"a", b"b"], False, "missing: a"),
        (Received(LISTRESPONSE, b"b|||b"), [b"b"], False, "named twice: b"),
        (Received(LISTRESPONSE, b"b|||b"), [], True, "named twice: b"),
        (Received(LISTRESPONSE, b"a|||b"), [b"a"], False, "not to be named: b"),
        (Received(LISTRESPONSE, b"a|||z"), [b"a"], True, "not to be named: z"),
        (Received(LISTRESPONSE, b"\x1b"), [], False, r"not to be named: \x1b"),
        (
            Received(LISTRESPONSE, b"b|||b|||z"),
            [b"a", b"b"],
            True,
            "missing: a; named twice: b; not to be named: z",
        ),
        (
            Received(LISTRESPONSE, b""),
            [b"a", b"b", b"c", b"d", b"e", b"f"],
            False,
            "missing: a, b, c, d, e",
        ),
    ],
)
def test_names_that_are_not_as_they_should_be(
    frame: Received, names: list[bytes], others: bool, detail: str
) -> None:
    with pytest.raises(MismatchError) as mismatch:
        naming(frame, names, others, [b"z"])
    assert told(mismatch) == (describe(frame), detail)
