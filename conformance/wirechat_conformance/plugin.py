"""The pytest plugin: cases are its items, and what becomes of them makes the report.

Loaded by the command with ``-p wirechat_conformance.plugin``, and told with
``--wirechat`` what is asked for. A case is a transcript, or a test function that is
marked with the rules that it checks.
"""

import json
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path

import pytest

from wirechat_conformance.beside import ahead
from wirechat_conformance.bystanders import InconclusiveError
from wirechat_conformance.console import Console
from wirechat_conformance.items import (
    RUN,
    TranscriptFile,
    attempt,
    case_id,
    place,
    rules,
    words,
)
from wirechat_conformance.outcome import overdue, result, settled
from wirechat_conformance.peer import OverdueError
from wirechat_conformance.report import Report
from wirechat_conformance.rules import RULES, SECTIONS
from wirechat_conformance.run import Run
from wirechat_conformance.settings import Settings
from wirechat_conformance.target import StartError, chosen

DRAWN = {"test_properties.py", "test_races.py", "test_segmentation.py"}
"""Cases that are examples through and through."""
MARKERS = (
    "rules(*ids): the rules that a case checks",
    "last: a case to be run behind all others",
    "beside(N): a case of N connections at most",
    "examples: a case left out with --examples 0",
    "drawn: a case that hangs on chance: that it comes true once tells nothing",
    "races: a case that tells nothing where plain cases fail",
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


@pytest.fixture(scope="session")
def run(pytestconfig: pytest.Config) -> Run:
    """The run that a case is part of."""
    return pytestconfig.stash[RUN]


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
            items[:] = [item for item in items if wanted & words(item)]
        if not self.settings.examples:
            items[:] = [i for i in items if not i.get_closest_marker("examples")]
        items.sort(key=place)
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
                self.run = session.config.stash[RUN] = run
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
            overdue(self._report, self.settings)
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
        if self.run.mute:
            pytest.skip("the server does not answer LIST, by which all else is seen")
        if item.get_closest_marker("races") and not self.run.plain:
            pytest.skip("what races tells nothing where plain cases fail")

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Call no function that has come true ahead of its turn."""
        return case_id(pyfuncitem) in self.run.came_true or None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """See behind each case that the server still serves others (FRM-10)."""
        if case_id(item) in self.run.came_true:
            return (yield)
        with settled(self.run, item, self._report):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Take note of what became of a case."""
        report = yield
        if call.when == "call" or call.excinfo is not None:
            self._report.results.append(result(item, call, self.settings))
        return report

    # --- the verdict ---

    def _list(self, items: list[pytest.Item]) -> None:
        """Print rules, and the cases of each."""
        for rule in RULES.values():
            self._console.line(f"{rule.id:7} {rule.level:6} {rule.sentence}")
            for item in items:
                if rule.id in rules(item):
                    self._console.line(f"        {case_id(item)}")
