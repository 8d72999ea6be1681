"""The suite's model: which steps each request makes, from whatever came before."""

import re
from itertools import product
from typing import Any

import pytest

from wirechat_conformance import frames
from wirechat_conformance.model import ROOM, Model, matches
from wirechat_conformance.text import Text
from wirechat_conformance.transcript import write_step

VALUES = {name: f"{name}123456".encode() for name in "abc"}
A_IS_IN = ("create", "A", "a")
B_IS_IN = ("create", "B", "b")
B_IS_OUT = (B_IS_IN, ("half_close", "B"))
A_IS_GONE = (A_IS_IN, ("delete", "A"))
HI_IS_KEPT = (A_IS_IN, *B_IS_OUT, ("say", "A", "b", b"hi"))
HALF = ("say", "A", "b", b"x" * (ROOM // 2 - 100))
HI = r'SEND 22 "\{a}|||\{b}|||hi"'
MYSELF = r'SEND 22 "\{a}|||\{a}|||hi"'
DAMAGED: Text = (frames.header(frames.LIST, 1, 5), b"x")

STORIES: list[tuple[tuple[tuple[Any, ...], ...], list[str]]] = [
    # What was done before, then a request; and the steps that come of that.
    (
        (A_IS_IN,),
        ["A open", r'A > CREATE 7 "\{a}"', "A < RESPONSE 0 ACC-1"],
    ),
    ((A_IS_IN, ("create", "A", "b")), [r'A > CREATE 7 "\{b}"', "A < error ACC-7"]),
    (
        (A_IS_IN, ("create", "B", "a")),
        ["B open", r'B > CREATE 7 "\{a}"', "B < error ACC-2"],
    ),
    ((*A_IS_GONE, A_IS_IN), [r'A > CREATE 7 "\{a}"', "A < RESPONSE 0 ACC-16"]),
    ((A_IS_IN, ("login", "A", "a")), [r'A > LOGIN 7 "\{a}"', "A < error ACC-11"]),
    (
        (("login", "A", "a"),),
        ["A open", r'A > LOGIN 7 "\{a}"', "A < error ACC-9"],
    ),
    (
        (A_IS_IN, ("login", "B", "a")),
        ["B open", r'B > LOGIN 7 "\{a}"', "B < error ACC-10"],
    ),
    (
        (*B_IS_OUT, ("login", "A", "b")),
        [
            "A open",
            r'A > LOGIN 7 "\{b}"',
            "A < RESPONSE 0 ACC-8",
            "A fence DLV-4",
        ],
    ),
    ((("send", "A", "a", "b", b"hi"),), ["A open", f"A > {HI}", "A < error SND-4"]),
    (
        (B_IS_IN, ("send", "B", "a", "b", b"hi")),
        [f"B > {HI}", "B < error SND-5"],
    ),
    ((A_IS_IN, ("say", "A", "b", b"hi")), [f"A > {HI}", "A < error SND-6"]),
    (
        (A_IS_IN, ("say", "A", "a", b"hi")),
        [f"A > {MYSELF}", f"A < {MYSELF} SND-7", f"A < {MYSELF} SND-7"],
    ),
    (
        (A_IS_IN, B_IS_IN, ("say", "A", "b", b"hi")),
        [f"A > {HI}", f"A < {HI} SND-2", f"B < {HI} SND-1"],
    ),
    (
        (A_IS_IN, *B_IS_OUT, ("say", "A", "b", b"hi")),
        [f"A > {HI}", f"A < {HI} SND-2"],
    ),
    (
        (A_IS_IN, *B_IS_OUT, HALF, HALF, ("say", "A", "b", b"x" * 200)),
        [],  # what comes of more than there is room for is open
    ),
    (
        (A_IS_IN, B_IS_IN, ("say", "A", "b", b"x" * ROOM), ("say", "A", "b", b"hi")),
        [f"A > {HI}", f"A < {HI} SND-2", f"B < {HI} SND-1"],
    ),
    (
        (("say", "A", "a", b"hi"),),
        ["A open", f"A > {MYSELF}", "A < error SND-4"],
    ),
    ((("deliver", "A"),), ["A open", "A > DELIVER 0", "A < error DLV-3"]),
    (
        (*HI_IS_KEPT, ("login", "C", "b"), ("deliver", "C")),
        ["C > DELIVER 0", f"C < {HI} DLV-1", "C fence DLV-2"],
    ),
    (
        (*HI_IS_KEPT, ("login", "C", "b"), ("deliver", "C"), ("deliver", "C")),
        ["C > DELIVER 0", "C fence DLV-2"],
    ),
    ((("delete", "A"),), ["A open", "A > DELETE 0", "A < error ACC-15"]),
    (A_IS_GONE, ["A > DELETE 0", "A < maybe RESPONSE 0", "A fence ACC-14"]),
    (
        (*HI_IS_KEPT, ("login", "B", "b"), ("delete", "B"), B_IS_IN, ("deliver", "B")),
        ["B > DELIVER 0", "B fence DLV-2"],
    ),
    (
        (*B_IS_OUT, ("list_one", "A", "b")),
        [
            "A open",
            r'A > LIST 7 "\{b}"',
            r'A < LISTRESPONSE of "\{b}" LST-2',
        ],
    ),
    (
        (*A_IS_GONE, ("list_one", "A", "a")),
        [r'A > LIST 7 "\{a}"', "A < LISTRESPONSE 0 LST-2"],
    ),
    (
        (*A_IS_GONE, B_IS_IN, ("list_all", "A")),
        ["A > LIST 0", r'A < LISTRESPONSE with "\{b}" without "\{a}" LST-1'],
    ),
    (
        (*A_IS_GONE, A_IS_IN, ("list_all", "A")),
        ["A > LIST 0", r'A < LISTRESPONSE with "\{a}" LST-1'],
    ),
    ((("half_close", "A"),), ["A open", "A half-close", "A eof FRM-9"]),
    (
        (("half_close", "A"), ("half_close", "A")),
        ["A open", "A half-close", "A eof FRM-9"],
    ),
    (
        (A_IS_IN, ("half_close", "A"), ("login", "A", "a")),
        [
            "A open",
            r'A > LOGIN 7 "\{a}"',
            "A < RESPONSE 0 ACC-8",
            "A fence DLV-4",
        ],
    ),
    ((("close", "A"),), ["A open", "A close"]),
    (
        (A_IS_IN, ("reset", "A")),
        [
            "A reset",
            "Z open",
            r'Z repeat LOGIN 7 "\{a}"',
            "Z < RESPONSE 0 ACC-12",
            "Z half-close",
            "Z eof FRM-9",
        ],
    ),
    (
        (A_IS_IN, ("close", "A"), ("create", "A", "b")),
        ["A open", r'A > CREATE 7 "\{b}"', "A < RESPONSE 0 ACC-1"],
    ),
    (
        (("malformed", "A", DAMAGED, "FRM-2"),),
        [
            "A open",
            r'A > octets "\x05\x01" "\x00"*39 "\x01x"',
            "A < rejected FRM-2",
            "A? fence FRM-2",
            "A close",
        ],
    ),
]


@pytest.mark.parametrize(("story", "steps"), STORIES)
def test_steps_of_a_request(
    story: tuple[tuple[Any, ...], ...], steps: list[str]
) -> None:
    model = Model()
    for name, *arguments in story:
        made = list(getattr(model, name)(*arguments))
    written = [" ".join([write_step(step, VALUES), *step.rules]) for step in made]
    assert written == steps


def words(letters: str, longest: int) -> list[str]:
    """Return all words of these letters up to a length."""
    return [
        "".join(word)
        for length in range(longest + 1)
        for word in product(letters, repeat=length)
    ]


def test_a_filter_matches_as_a_regular_expression_would() -> None:
    wrong = []
    names = words("ab", 4)
    for pattern in words("ab*", 4):
        expression = re.compile(pattern.replace("*", ".*"))
        wrong += [
            (pattern, name)
            for name in names
            if matches(pattern, name) != bool(expression.fullmatch(name))
        ]
    assert wrong == []
    assert matches("*a" * 20 + "*", "a" * 20)
    assert not matches("*a" * 20 + "*b", "a" * 40)
