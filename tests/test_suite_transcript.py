"""Transcripts: read, written, and what is wrong with those that can't be read."""

from pathlib import Path

import pytest

from wirechat_conformance.frames import CREATE, LISTRESPONSE, LOGIN, RESPONSE
from wirechat_conformance.steps import (
    Close,
    End,
    Fence,
    HalfClose,
    Open,
    Receive,
    ReceiveError,
    ReceiveNames,
    ReceiveRejection,
    Repeat,
    Reset,
    Send,
    Step,
)
from wirechat_conformance.transcript import (
    Transcript,
    TranscriptError,
    examples,
    load,
    read,
    write,
)

HEAD = "title   A title.\nname    a = alice01\nname    U = upper a\n\n"
A = (("a",),)

STEPS: list[tuple[str, Step]] = [
    ("A open", Open("A")),
    ("A close", Close("A")),
    ("A half-close", HalfClose("A")),
    ("A reset", Reset("A")),
    ("A fence", Fence("A")),
    ("A eof", End("A")),
    ("Carol2 open", Open("Carol2")),
    ("A? fence", Fence("A", if_open=True)),
    (r'A > CREATE 7 "\{a}"', Send("A", CREATE, ("a",))),
    ("A > CREATE 0", Send("A", CREATE)),
    (r'A > octets "\x00" "\x05"*41', Send("A", None, (b"\0" + b"\5" * 41,))),
    (r'A repeat LOGIN 7 "\{a}"', Repeat("A", LOGIN, ("a",))),
    ("A < RESPONSE 0", Receive("A", RESPONSE)),
    ('A < RESPONSE 2 "no"', Receive("A", RESPONSE, (b"no",))),
    ("A < maybe RESPONSE 0", Receive("A", RESPONSE, optional=True)),
    ("A < error", ReceiveError("A")),
    ("A < rejected", ReceiveRejection("A")),
    ("A < LISTRESPONSE any", ReceiveNames("A", (), others=True)),
    (r'A < LISTRESPONSE of "\{a}"', ReceiveNames("A", A)),
    (
        r'A < LISTRESPONSE of "\{a}" "\{U}x"',
        ReceiveNames("A", (("a",), ("U", b"x"))),
    ),
    (r'A < LISTRESPONSE with "\{a}"', ReceiveNames("A", A, others=True)),
    (
        r'A < LISTRESPONSE without "" "b"',
        ReceiveNames("A", (), others=True, without=((), (b"b",))),
    ),
    (
        r'A < LISTRESPONSE with "\{a}" without "b"',
        ReceiveNames("A", A, others=True, without=((b"b",),)),
    ),
]


def only(written: str) -> Step:
    [(_, step)] = read("t", HEAD + written).lines
    return step


@pytest.mark.parametrize(("line", "step"), STEPS, ids=[line for line, _ in STEPS])
def test_each_step_is_read_and_written(line: str, step: Step) -> None:
    assert only(line) == step
    written = write(read("t", HEAD + line))
    assert written == f"{HEAD}{line}\n"


def test_a_list_of_nobody_is_written_as_a_frame() -> None:
    nobody: list[tuple[str, Step]] = [(" ", ReceiveNames("A", ()))]
    written = write(Transcript("t", "A title.", {}, tuple(nobody)))
    [(_, step)] = read("t", written).lines
    assert step == Receive("A", LISTRESPONSE)


def test_rules_stand_in_a_column_behind_a_step() -> None:
    line = "A < RESPONSE 0" + " " * 46 + "ACC-1 SND-2"
    assert only("A < RESPONSE 0  ACC-1 SND-2") == only(line)
    assert only(line).rules == ("ACC-1", "SND-2")
    assert write(read("t", HEAD + line)).splitlines()[-1] == line


def test_what_looks_like_rules_in_a_text_is_text() -> None:
    assert only('A > LIST 12 "filter SND-1"') == Send("A", 1, (b"filter SND-1",))


def test_comments_and_blank_lines_mean_nothing() -> None:
    written = f"# one\n{HEAD}\n  # two\n\n   A   open\n"
    assert read("t", written).lines == ((" ", Open("A")),)


def test_head_is_read() -> None:
    transcript = read("t", HEAD + "A open")
    assert transcript == Transcript(
        "t", "A title.", {"a": "alice01", "U": "upper a"}, ((" ", Open("A")),)
    )
    assert examples(transcript.names) == {"a": b"alice01", "U": b"ALICE01"}


def test_a_twin_has_the_lines_of_both_and_its_own() -> None:
    written = f"{HEAD}  A open\n- A fence  FRM-1\n+ A close  FRM-2\n  B open  FRM-1\n"
    transcript = read("t", written)
    assert transcript.has_twin
    fence, close = Fence("A", rules=("FRM-1",)), Close("A", rules=("FRM-2",))
    last = Open("B", rules=("FRM-1",))
    assert transcript.case() == [Open("A"), fence, last]
    assert transcript.twin() == [Open("A"), close, last]
    assert transcript.rules == ("FRM-1", "FRM-2")


def test_without_a_mark_there_is_no_twin() -> None:
    assert not read("t", HEAD + "A open").has_twin


def test_file_is_called_after_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "acc" / "create.txt"
    path.parent.mkdir()
    path.write_text(HEAD + "A open")
    assert load(path).id == "acc/create"


def test_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "binary.txt"
    path.write_bytes(b"title \xff\xfe")
    with pytest.raises(TranscriptError) as refused:
        load(path)
    assert str(refused.value).startswith(f"{path}: no text: 'utf-8' codec can't decode")


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("open", "not a step: 'open'"),
        ("a open", "not a step: 'a open'"),
        ("A opened", "not a step: 'A opened'"),
        ("A open now", "not a step: 'A open now'"),
        ("A fence  NOT-1", "unknown rule NOT-1"),
        ("A fence  ACC-1 ACC-99", "unknown rule ACC-99"),
        ("A < PING 0", "not a frame: 'PING 0'"),
        ("A < CREATE", "not a frame: 'CREATE'"),
        ("A < maybe", "not a frame: 'maybe'"),
        ("A < LISTRESPONSE of", "not a frame: 'LISTRESPONSE of'"),
        ("A < error now", "not a frame: 'error now'"),
        ('A > CREATE 8 "7654321"', "8 is not the length, 7"),
        (r'A > CREATE 6 "\{a}"', "6 is not the length, 7"),
        (r'A > CREATE 7 "\{b}"', "no name 'b'"),
        (r'A > octets "\{b}"', "no name 'b'"),
        (r'A < LISTRESPONSE of "\{b}"', "no name 'b'"),
        (r'A < LISTRESPONSE without "\{b}"', "no name 'b'"),
        ("A > octets nothing", "not octets: 'nothing'"),
        ("A > CREATE 1 x", "not octets: 'x'"),
        ("A repeat octets 00", "not a frame: 'octets 00'"),
        ("name b", "not 'name NAME = VALUE'"),
        ("name b = not-valid", "not 'name NAME = VALUE'"),
        ("name b = upper c", "no name 'c' before it"),
        ("title", "not a step: 'title'"),
    ],
)
def test_line_that_can_not_be_read(line: str, reason: str) -> None:
    with pytest.raises(TranscriptError) as refused:
        read("acc/x", f"{HEAD}A open\n{line}\n")
    assert str(refused.value) == f"acc/x, line 6: {reason}"


@pytest.mark.parametrize("written", ["", "title only", "A open", "# nothing"])
def test_transcript_that_could_not_fail(written: str) -> None:
    with pytest.raises(TranscriptError) as refused:
        read("acc/x", written)
    assert str(refused.value) == "acc/x: no title, or no steps"
