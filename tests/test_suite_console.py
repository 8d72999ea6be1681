"""The report as it is read: what stands where, and colour for terminals alone."""

import os
import re
from io import BytesIO, StringIO, TextIOWrapper

import pytest

from wirechat_conformance.console import Console
from wirechat_conformance.report import Report, Result
from wirechat_conformance.rules import RULES, SECTIONS

PASSED = Result("frm/one", ("FRM-1", "LST-6"), "pass")
FAILED = Result(
    "snd/to-nobody",
    ("SND-6",),
    "fail",
    0.1,
    "expected A < error; got closed",
    ("SND-6",),
    ("expected  A < error", "got       closed", "    A open", "    A closed"),
)
WARNED = Result("lst/slow", ("LST-6",), "fail", 0.1, "…", ("LST-6",), ("got 1",))
OURS = Result(
    "lim/ours", ("LIM-1",), "error", 0, "the suite's own fault", (), ("Oops",)
)
UNTESTED = Result("frm/left-out", ("FRM-2",), "untested", 0, "why")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Report, "seconds", 1.25)


def printed(report: Report, stream: StringIO | None = None, **environ: str) -> str:
    stream = stream or StringIO()
    Console(stream, environ).report(report)
    return stream.getvalue()


REPORT = Report(
    "host:9000",
    results=[PASSED, FAILED, WARNED, OURS, UNTESTED],
    profile=["rejections: close (DAT-3)", "DELETE: answered"],
    notes=["filter ?: 2 times literal, 1 times as in shells"],
)
REST = """\

FAIL  snd/to-nobody  (SND-6)
  SND-6 MUST: A SEND to a username that no account has gets an error reply.
  expected  A < error
  got       closed
      A open
      A closed

WARN  lst/slow  (LST-6)
  LST-6 SHOULD: The time that a filter takes never goes out of proportion to its length
    and the number of accounts, whatever it says (`*a*a*a*...*b` is a hard one).
  got 1

ERROR  lim/ours
  the suite's own fault
  Oops

Where the rules leave a choice
  rejections: close (DAT-3)
  DELETE: answered

note: filter ?: 2 times literal, 1 times as in shells

"""


def test_report_tells_of_failures_choices_and_notes() -> None:
    _, found, rest = printed(REPORT).partition(REST)
    assert found
    untested = "53 MUST rules untested (FRM-2, FRM-3, FRM-4, FRM-5, FRM-6, FRM-7, …)"
    assert rest == (
        "host:9000: not conformant: 1 rules passed, 1 failed, 1 warned, "
        f"{untested}; 5 cases in 1.2 s\n"
    )


def test_report_has_a_line_for_each_rule_in_its_section() -> None:
    lines = printed(REPORT).partition("\nFAIL")[0].splitlines()
    heads = [line for line in lines if line and not line.startswith(" ")]
    assert heads == [f"{id}  {title}" for id, title in SECTIONS.items()]
    told = [line.split() for line in lines if line.startswith("  ")]
    assert [words[1] for words in told] == list(RULES)
    marks = {words[1]: words[0] for words in told}
    assert marks.pop("FRM-1") == "ok"
    assert marks.pop("SND-6") == "FAIL"
    assert marks.pop("LST-6") == "warn"
    assert set(marks.values()) == {"-"}
    counts = {words[1]: words[-1] for words in told}
    assert (counts["LST-6"], counts["SND-6"], counts["LST-1"]) == ("[2]", "[1]", "[0]")
    assert max(map(len, lines)) <= 88


def test_strict_report_shows_no_warnings() -> None:
    text = printed(Report("it", strict=True, results=[WARNED]))
    assert "\nFAIL  lst/slow" in text
    assert "warn" not in text.replace("warned", "")


def test_inconclusive_report_is_one_line() -> None:
    text = printed(Report("it", inconclusive="no connection: refused"))
    assert text.startswith("\nit: inconclusive (no connection: refused): 0 rules pas")
    assert text.count("\n") == 2


def test_verdict_says_after_which_case_the_server_went() -> None:
    text = printed(Report("it", results=[FAILED], gone="snd/to-nobody"))
    assert "it: not conformant (the server went away after snd/to-nobody): " in text


def test_verdict_without_faults_is_short() -> None:
    everything = Result("all", tuple(RULES), "pass")
    text = printed(Report("it", results=[everything]))
    verdict = "it: conformant: 65 rules passed; 1 cases in 1.2 s"
    assert text.splitlines()[-1] == verdict


def test_few_untested_rules_are_all_named() -> None:
    most = Result("most", tuple(rule for rule in RULES if rule != "SND-5"), "pass")
    text = printed(Report("it", results=[most]))
    assert "; 1 MUST rules untested" not in text
    assert ", 1 MUST rules untested (SND-5);" in text


def test_colour_is_for_terminals_alone() -> None:
    plain, coloured = printed(REPORT), printed(REPORT, Terminal())
    assert "\x1b" not in plain
    assert coloured.startswith("\r\x1b[K")
    assert re.sub(r"\r?\x1b\[[0-9;]*[mK]", "", coloured) == plain
    for code in ("32", "31;1", "33", "2"):
        assert f"\x1b[{code}m" in coloured


@pytest.mark.parametrize(("value", "colour"), [("1", False), ("", True)])
def test_no_color_is_honoured(value: str, colour: bool) -> None:
    text = printed(REPORT, Terminal(), NO_COLOR=value)
    assert ("\x1b[32m" in text) is colour


def test_progress_is_for_terminals_alone() -> None:
    plain, terminal = StringIO(), Terminal()
    for stream in (plain, terminal):
        Console(stream, {}).progress(3, 10, "frm/one" + "x" * 100)
    assert plain.getvalue() == ""
    assert terminal.getvalue().startswith("\r\x1b[K3/10 frm/one")
    assert len(terminal.getvalue()) == 92


def test_stream_of_few_characters_gets_what_it_can_hold() -> None:
    octets = BytesIO()
    stream = TextIOWrapper(octets, "ascii")
    Console(stream, {}).line("cut off …")
    stream.flush()
    assert octets.getvalue() == b"cut off ?\n"


def test_lines_that_nobody_reads_are_dropped() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        console = Console(stream, {})
        console.line("one")
        assert os.path.samestat(os.fstat(writer), os.stat(os.devnull))
        console.report(REPORT)
