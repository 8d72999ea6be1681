"""What becomes of a case: tried again where that is in doubt, and put in words."""

import shlex
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from wirechat_conformance.failure import Failure
from wirechat_conformance.items import TranscriptItem, case_id, rules
from wirechat_conformance.names import NoNameError
from wirechat_conformance.peer import GoneError, OverdueError
from wirechat_conformance.report import Report, Result
from wirechat_conformance.run import Run
from wirechat_conformance.settings import Settings


@contextmanager
def settled(run: Run, item: pytest.Item, report: Report) -> Iterator[None]:
    """See behind a case that the server still serves others (FRM-10).

    Raises:
        Failure: It does not, or the case does not come true, in a second try either
            where it may only have been late.
        pytest.skip.Exception: The case can't be tried.
    """
    failures = []
    try:
        try:
            run.tell_what_killed()
            yield
            run.check_witness()
            return
        except Failure as failure:
            _again(run, item, failure)
            report.notes.append(f"{case_id(item)}: late once, {failure}")
    except Failure as failure:
        run.explanations.explain(case_id(item), failure)
        failures.append(failure)
    except NoNameError as none:
        pytest.skip(str(none))
    except OverdueError:
        pytest.skip(overdue(report, run.settings))
    except GoneError as gone:
        expected = "the server takes connections"
        failures.append(Failure(["FRM-10"], expected, str(gone)))
    failures += _aftermath(run, item, report, bool(failures))
    if failures:
        failed = failures[0].joined_by(failures[1:])
        run.has_failed(case_id(item), failed)
        raise failed


def _again(run: Run, item: pytest.Item, failure: Failure) -> None:
    """Try again what may have failed in being late: nothing is wrong if it is not.

    Raises:
        Failure: Something is.
    """
    if run.gone:
        raise failure
    # Races are found by chance: what comes true at the next try tells nothing.
    drawn = item.get_closest_marker("drawn") is not None
    if failure.late:
        item.runtest()
    elif failure.ends and run.doubts > 0 and not drawn:
        try:
            with run.in_doubt():
                item.runtest()
        except pytest.skip.Exception:
            raise failure from None  # what is left out now takes nothing back
    else:
        raise failure


def _aftermath(
    run: Run, item: pytest.Item, report: Report, failed: bool
) -> Iterator[Failure]:
    try:
        run.check_witness()
    except Failure as disturbed:
        yield disturbed
    else:
        if run.bystanders.witness or not failed:
            return
    if not run.recover():
        report.gone = case_id(item)


def overdue(report: Report, settings: Settings) -> str:
    """Take note that the time for the whole run is up, and say so."""
    report.inconclusive = f"not done within {settings.longest:g} s"
    return report.inconclusive


def result(
    item: pytest.Item, call: pytest.CallInfo[None], settings: Settings
) -> Result:
    """Return what became of a case, with all that people want to know."""
    known = case_id(item), rules(item)
    if call.excinfo is None:
        return Result(*known, "pass", call.duration)
    error = call.excinfo.value
    if isinstance(error, pytest.skip.Exception):
        return Result(*known, "untested", call.duration, str(error))
    if not isinstance(error, Failure):
        told = "".join(traceback.format_exception(error)).rstrip().splitlines()
        message = "the suite's own fault, which says nothing of the server"
        return Result(*known, "error", call.duration, message, (), tuple(told))
    details = [
        f"expected  {error.expected}",
        f"got       {error.got}",
        *([error.detail] if error.detail else []),
        *(f"    {line}" for line in error.log),
        f"replay    wirechat-conformance {_command(item, settings)}",
    ]
    return Result(
        *known, "fail", call.duration, str(error), error.rules, tuple(details)
    )


def _command(item: pytest.Item, settings: Settings) -> str:
    """Return what has the command run this case alone, as it was run."""
    server, seed = settings.argument, settings.seed
    if isinstance(item, TranscriptItem) and item.session.isinitpath(item.path):
        return f"replay {shlex.quote(str(item.path))} {server} --seed {seed}"
    return f"run {server} --only {case_id(item)} --seed {seed}"
