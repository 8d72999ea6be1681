"""A report as it is read on a screen: like a specification, a mark at each rule."""

import os
import textwrap
from collections.abc import Iterator, Mapping
from io import TextIOWrapper
from typing import TextIO

from wirechat_conformance.report import Report, Result
from wirechat_conformance.rules import RULES, SECTIONS

_MARKS = {"pass": "ok", "fail": "FAIL", "warn": "warn", "untested": "-"}
_COLOURS = {"pass": "32", "fail": "31;1", "warn": "33", "untested": "2"}
_WIDTH = 88


class Console:
    """Prints a report; plain where the stream is no terminal, or NO_COLOR is set."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # no ellipsis in ISO 8859-1
        self._stream = stream
        self._terminal = stream.isatty()
        self._colour = self._terminal and not environ.get("NO_COLOR")

    def line(self, line: str = "") -> None:
        """Print one line, if anybody still reads."""
        try:
            print(line, file=self._stream, flush=True)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def wrapped(self, line: str, indent: str) -> None:
        """Print a line that may be long."""
        for part in textwrap.wrap(
            line, _WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  "
        ):
            self.line(part)

    def progress(self, done: int, count: int, case: str) -> None:
        """Show how far the run is, on a terminal."""
        if self._terminal:
            self._stream.write(f"\r\x1b[K{done}/{count} {case}"[: _WIDTH + 4])
            self._stream.flush()

    def report(self, report: Report) -> None:
        """Print rules, failures, notes and the verdict."""
        if self._terminal:
            self._stream.write("\r\x1b[K")
        if report.results:
            for line in self._rules(report):
                self.line(line)
        for result in report.results:
            if result.status in ("fail", "error"):
                self.line()
                for line in self._failure(report, result):
                    self.line(line)
        if report.profile:
            self.line()
            self.line("Where the rules leave a choice")
        for choice in report.profile:
            self.wrapped(choice, "  ")
        for note in report.notes:
            self.line()
            self.wrapped(f"note: {note}", "")
        self.line()
        self.line(self._verdict(report))

    def _painted(self, status: str, written: str) -> str:
        return f"\x1b[{_COLOURS[status]}m{written}\x1b[0m" if self._colour else written

    def _rules(self, report: Report) -> Iterator[str]:
        for section, title in SECTIONS.items():
            yield ""
            yield f"{section}  {title}"
            for rule in RULES.values():
                if rule.id.startswith(f"{section}-"):
                    status = report.rule_status(rule.id)
                    mark = self._painted(status, f"{_MARKS[status]:4}")
                    count = sum(rule.id in result.rules for result in report.results)
                    sentence = textwrap.shorten(
                        rule.sentence, _WIDTH - 30, placeholder=" …"
                    )
                    yield f"  {mark}  {rule.id:7} {rule.level:6} {sentence} [{count}]"

    def _failure(self, report: Report, result: Result) -> Iterator[str]:
        status = report.case_status(result)
        mark = self._painted("fail" if status == "error" else status, status.upper())
        broken = f"  ({' '.join(result.broken)})" * bool(result.broken)
        yield f"{mark}  {result.id}{broken}"
        for rule in result.broken:
            yield from textwrap.wrap(
                f"{rule} {RULES[rule].level}: {RULES[rule].sentence}",
                _WIDTH,
                initial_indent="  ",
                subsequent_indent="    ",
            )
        if result.status == "error":
            yield f"  {result.message}"
        for line in result.details:
            yield f"  {line}"

    def _verdict(self, report: Report) -> str:
        counts = {status: len(report.with_status(status)) for status in _MARKS}
        parts = [f"{counts['pass']} rules passed"]
        parts += [f"{counts['fail']} failed"] * bool(counts["fail"])
        parts += [f"{counts['warn']} warned"] * bool(counts["warn"])
        untested = [
            r for r in report.with_status("untested") if RULES[r].level == "MUST"
        ]
        if untested:
            shown = ", ".join(untested[:6]) + ", …" * (len(untested) > 6)
            parts.append(f"{len(untested)} MUST rules untested ({shown})")
        told = f"{report.server}: {report.verdict}"
        why = report.inconclusive
        if report.gone:
            why = f"the server went away after {report.gone}"
        if why:
            told += f" ({why})"
        status = {"conformant": "pass", "not conformant": "fail"}.get(
            report.verdict, "warn"
        )
        cases = f"{len(report.results)} cases in {report.seconds:.1f} s"
        return f"{self._painted(status, told)}: {', '.join(parts)}; {cases}"
