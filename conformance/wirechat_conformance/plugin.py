"""The pytest plugin: cases are its items, and what becomes of them makes the report.

Loaded by the command with ``-p wirechat_conformance.plugin``, and told with
``--wirechat`` what is asked for. A case is a transcript, or a test function that is
marked with the rules that it checks.
"""

import json
import shlex
import signal
import sys
import traceback
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from wirechat_conformance import replay, transcript
from wirechat_conformance.beside import ahead
from wirechat_conformance.console import Console
from wirechat_conformance.failure import Failure
from wirechat_conformance.names import NoNameError
from wirechat_conformance.peer import GoneError, OverdueError
from wirechat_conformance.report import Report, Result
from wirechat_conformance.rules import RULES, SECTIONS
from wirechat_conformance.run import InconclusiveError, Run
from wirechat_conformance.settings import Settings
from wirechat_conformance.target import StartError, chosen

DRAWN = {"test_properties.py", "test_races.py", "test_segmentation.py"}
"""Cases that are examples through and through."""
MARKERS = (
    "rules(*ids): the rules that a case checks",
    "last: a case to be run behind all others",
    "beside(N): a case of N connections at most",
    "examples: a case left out with --examples 0",
)
JUDGE = pytest.StashKey["Judge"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the settings, which the command passes on in one piece."""
    parser.addoption("--wirechat", metavar="JSON", help="what is asked for")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Judge instead of testing: our report replaces that of pytest."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    settings = Settings.load(config.getoption("--wirechat"))
    config.pluginmanager.unregister(name="terminalreporter")
    config.stash[JUDGE] = Judge(settings)
    config.pluginmanager.register(config.stash[JUDGE])


def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> pytest.Collector | None:
    """Take a text file for a transcript; leave out at once what is not asked for."""
    if file_path.suffix != ".txt" and not parent.session.isinitpath(file_path):
        return None
    wanted = parent.config.stash[JUDGE].settings.only
    if wanted:
        told = (
            f"{file_path.parent.name}/{file_path.stem} {file_path.read_text('utf-8')}"
        )
        if not any(word in told for word in wanted):
            return None
    return TranscriptFile.from_parent(parent, path=file_path)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the properties where there are no examples: Hypothesis takes time."""
    if config.stash[JUDGE].settings.examples or collection_path.name not in DRAWN:
        return None
    return True


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
        run = self.config.stash[JUDGE].run
        if self.transcript.id not in run.came_true:
            attempt(run, self)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None
    ) -> str:
        """Return what JUnit is told: pytest's traceback takes longer than the case."""
        return str(excinfo.value)


@pytest.fixture(scope="session")
def run(pytestconfig: pytest.Config) -> Run:
    """The run that a case is part of."""
    return pytestconfig.stash[JUDGE].run


class Judge:
    """Runs the cases against one server, and reports."""

    run: Run
    """From the start of the first case."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._console = Console(sys.stdout)
        self._report = Report(settings.name, settings.strict)

    # --- which cases ---

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Keep the cases that are asked for; let JUnit know their rules."""
        wanted = set(self.settings.only)
        known = {*RULES, *SECTIONS, *map(case_id, items)}
        if unknown := sorted(wanted - known):
            raise pytest.UsageError(f"no rule, section or case {unknown[0]!r}")
        if wanted:
            items[:] = [item for item in items if wanted & _words(item)]
        if not self.settings.examples:
            items[:] = [i for i in items if not i.get_closest_marker("examples")]
        items.sort(key=_place)
        for item in items:
            item.user_properties += [("rule", rule) for rule in rules(item)]
        if not items:
            raise pytest.UsageError("no case is selected")

    # --- the run ---

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Go through the cases, and report; or list them."""
        if self.settings.list:
            self._list(session.items)
            return True
        if session.testsfailed:
            self._report.inconclusive = "the suite's own fault: cases can't be read"
        else:
            self._judge(session)
        self._console.report(self._report)
        if self.settings.json:
            written = json.dumps(self._report.as_json(), indent=1)
            Path(self.settings.json).write_text(f"{written}\n", "utf-8")
        return True

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Show which cases can't be read, and why."""
        if report.failed:
            print(report.longreprtext, file=sys.stderr)

    def _judge(self, session: pytest.Session) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        count = len(session.items)
        self._console.line(
            f"wirechat conformance of {self._report.server}: {count} cases, "
            f"at most {self.settings.longest:g} s"
        )
        try:
            with chosen(self.settings) as target, Run(target, self.settings) as run:
                self.run = run
                if run.slow:
                    self._ahead(session.items)
                self._cases(session)
                self._report.profile = run.profile()
                self._report.notes += run.notes()
            self._report.notes += [f"{run.left} accounts could not be deleted"] * bool(
                run.left
            )
        except (InconclusiveError, StartError) as error:
            self._report.inconclusive = str(error)
        except OverdueError:
            self._overdue()
            self._cases(session)
        except KeyboardInterrupt:
            self._report.inconclusive = "interrupted"

    def _ahead(self, items: list[pytest.Item]) -> None:
        """Run cases, several at a time, ahead of their turn."""
        by_need: defaultdict[int, dict[str, Callable[[], object]]] = defaultdict(dict)
        for item in items:
            for mark in item.iter_markers("beside"):
                by_need[mark.args[0]][case_id(item)] = partial(attempt, self.run, item)
        for connections, cases in by_need.items():
            for name in ahead(self.run, cases, connections):
                self._console.progress(len(self.run.came_true), len(items), name)

    def _overdue(self) -> str:
        self._report.inconclusive = f"not done within {self.settings.longest:g} s"
        return self._report.inconclusive

    def _cases(self, session: pytest.Session) -> None:
        items = session.items
        for number, (item, following) in enumerate(
            zip(items, [*items[1:], None], strict=True)
        ):
            self._console.progress(number, len(items), case_id(item))
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldfail or session.shouldstop:  # by an option of pytest's
                break

    def pytest_internalerror(self) -> None:
        """Say nothing of a server of which only a part was seen."""
        self._report.inconclusive = "the suite's own fault"

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Make the verdict the exit status."""
        if self._report.results or self._report.inconclusive:
            session.exitstatus = self._report.exit_status

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Leave out what can't be run any more."""
        if self._report.gone:
            pytest.skip(f"the server went away after {self._report.gone}")
        if self._report.inconclusive:
            pytest.skip(self._report.inconclusive)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Call no function that has come true ahead of its turn."""
        return case_id(pyfuncitem) in self.run.came_true or None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """See behind each case that the server still serves others (FRM-10)."""
        if case_id(item) in self.run.came_true:
            return (yield)
        failures = []
        try:
            try:
                yield
                self.run.check_witness()
                return None
            except Failure as failure:
                self._again(item, failure)
        except Failure as failure:
            failures.append(failure)
        except NoNameError as none:
            pytest.skip(str(none))
        except OverdueError:
            pytest.skip(self._overdue())
        except GoneError as gone:
            expected = "the server takes connections"
            failures.append(Failure(["FRM-10"], expected, str(gone)))
        failures += self._aftermath(item, bool(failures))
        if failures:
            failed = failures[0].joined_by(failures[1:])
            self.run.has_failed(case_id(item), failed)
            raise failed
        return None

    def _again(self, item: pytest.Item, failure: Failure) -> None:
        """Try again what may have failed in being late: nothing is wrong if it is not.

        Raises:
            Failure: Something is.
        """
        # Races are found by chance: what comes true at the next try tells nothing.
        drawn = item.get_closest_marker("examples") is not None
        if failure.late:
            item.runtest()
        elif failure.ends and self.run.doubts > 0 and not drawn:
            with self.run.in_doubt():
                item.runtest()
        else:
            raise failure
        self._report.notes.append(f"{case_id(item)}: late once, {failure}")

    def _aftermath(self, item: pytest.Item, failed: bool) -> Iterator[Failure]:
        try:
            self.run.check_witness()
        except Failure as disturbed:
            yield disturbed
        else:
            if self.run.witness or not failed:
                return
        if not self.run.recover():
            self._report.gone = case_id(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Take note of what became of a case."""
        report = yield
        if call.when == "call" or call.excinfo is not None:
            self._report.results.append(self._result(item, call))
        return report

    def _result(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Result:
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
            f"replay    wirechat-conformance {self._command(item)}",
        ]
        return Result(
            *known, "fail", call.duration, str(error), error.rules, tuple(details)
        )

    def _command(self, item: pytest.Item) -> str:
        """Return what has the command run this case alone, as it was run."""
        server, seed = self.settings.argument, self.settings.seed
        if isinstance(item, TranscriptItem) and item.session.isinitpath(item.path):
            return f"replay {shlex.quote(str(item.path))} {server} --seed {seed}"
        return f"run {server} --only {case_id(item)} --seed {seed}"

    # --- the verdict ---

    def _list(self, items: list[pytest.Item]) -> None:
        """Print rules, and the cases of each."""
        for rule in RULES.values():
            self._console.line(f"{rule.id:7} {rule.level:6} {rule.sentence}")
            for item in items:
                if rule.id in rules(item):
                    self._console.line(f"        {case_id(item)}")


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


def _words(item: pytest.Item) -> set[str]:
    """Return all by which a case can be asked for."""
    own = rules(item)
    return {case_id(item), *own, *(rule.partition("-")[0] for rule in own)}


def _place(item: pytest.Item) -> tuple[bool, int]:
    """Return where a case comes in a run: in the order of the rules."""
    order = list(RULES)
    first = min((order.index(rule) for rule in rules(item)), default=len(order))
    return item.get_closest_marker("last") is not None, first
