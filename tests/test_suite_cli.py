"""The command: what it takes, what it refuses, and what it passes on to pytest."""

import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from wirechat_conformance import cli
from wirechat_conformance.report import CONFORMANT, INCONCLUSIVE, USAGE
from wirechat_conformance.settings import Settings
from wirechat_conformance.target import REFERENCE, accepts

SERVER = "127.0.0.1:9000"
WRONG: list[tuple[list[str], str]] = [
    ([], ": the following arguments are required: command"),
    (["judge"], ": argument command: invalid choice: 'judge' (choose from "),
    (
        ["run"],
        " run: one of the arguments HOST:PORT --launch --reference is required",
    ),
    (
        ["run", SERVER, "--reference"],
        " run: argument --reference: not allowed with argument HOST:PORT",
    ),
    (["run", "localhost"], " run: argument HOST:PORT: 'localhost' is not HOST:PORT"),
    (["run", ":9000"], " run: argument HOST:PORT: ':9000' is not HOST:PORT"),
    (["run", "a:0"], " run: argument HOST:PORT: 'a:0' is not HOST:PORT"),
    (["run", "a:65536"], " run: argument HOST:PORT: 'a:65536' is not HOST:PORT"),
    (["run", "a:²"], " run: argument HOST:PORT: 'a:²' is not HOST:PORT"),
    (["run", "a..b:1"], " run: argument HOST:PORT: no host 'a..b'"),
    (["run", "[::1:1"], " run: argument HOST:PORT: no host '[::1'"),
    (["run", "::1]:1"], " run: argument HOST:PORT: no host '::1]'"),
    (["run", "[]:1"], " run: argument HOST:PORT: '[]:1' is not HOST:PORT"),
    (["run", "[:1"], " run: argument HOST:PORT: no host '['"),
    (
        ["run", "--launch", "server"],
        " run: argument --launch: 'server' does not tell a {port}",
    ),
    (
        ["run", "--launch", "'{port}"],
        """ run: argument --launch: "'{port}": no closing quotation""",
    ),
    (["run", SERVER, "--only"], " run: argument --only: expected at least one arg"),
    (
        ["run", SERVER, "--timeout", "0"],
        " run: argument --timeout: '0' is not a number of seconds",
    ),
    (
        ["run", SERVER, "--timeout", "soon"],
        " run: argument --timeout: 'soon' is not a number of seconds",
    ),
    (
        ["run", SERVER, "--idle", "nan"],
        " run: argument --idle: 'nan' is not a number of seconds",
    ),
    (
        ["run", SERVER, "--seed", "1.5"],
        " run: argument --seed: '1.5' is not a whole number",
    ),
    (
        ["run", SERVER, "--examples", "few"],
        " run: argument --examples: 'few' is not a whole number",
    ),
    (
        ["run", SERVER, "--json", "/no/such/report"],
        " run: argument --json: '/no/such/report': no such file or directory",
    ),
    (
        ["run", SERVER, "--junit", "/"],
        " run: argument --junit: '/': is a directory",
    ),
    (
        ["run", SERVER, "--save", "/dev/null"],
        " run: argument --save: '/dev/null': file exists",
    ),
    (["replay", SERVER], " replay: one of the arguments HOST:PORT --launch"),
    (
        ["replay", "/no/such.txt", SERVER],
        ": '/no/such.txt': no such file or directory",
    ),
    (["list", SERVER], f": unrecognized arguments: {SERVER}"),
]


@pytest.mark.parametrize(("words", "reason"), WRONG)
def test_wrong_use_is_told_in_a_line(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"wirechat-conformance{reason}")
    assert err.count("\n") == 1


def test_transcript_that_can_not_be_read_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.txt"
    path.write_text("title T\nA opened\n")
    with pytest.raises(SystemExit) as ended:
        cli.main(["replay", str(path), SERVER])
    assert ended.value.code == USAGE
    told = f"{tmp_path.name}/broken, line 2: not a step: 'A opened'"
    assert capsys.readouterr().err == f"wirechat-conformance: {told}\n"


class Pytest:
    """Stands in for the process of pytest."""

    def __init__(self, *statuses: int | type[BaseException]) -> None:
        self.statuses = iter(statuses)
        self.command: list[str] = []
        self.environ: dict[str, str] = {}

    def __call__(self, command: list[str], env: dict[str, str]) -> "Pytest":
        self.command, self.environ = command, env
        return self

    def __enter__(self) -> "Pytest":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait(self) -> int:
        status = next(self.statuses)
        if isinstance(status, int):
            return status
        raise status

    @property
    def settings(self) -> Settings:
        return Settings.load(self.command[-1].removeprefix("--wirechat="))


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Pytest:
    process = Pytest(0)
    monkeypatch.setattr(subprocess, "Popen", process)
    return process


RIGHT: list[tuple[list[str], dict[str, Any]]] = [
    (["127.0.0.1:9000"], {"server": ("127.0.0.1", 9000)}),
    (["localhost:1"], {"server": ("localhost", 1)}),
    (["[::1]:65535"], {"server": ("::1", 65535)}),
    (["--launch", "x {port}"], {"launch": "x {port}"}),
    (["--reference"], {"launch": REFERENCE}),
    (
        ["--reference", "--only", "SND", "FRM-1", "--only", "acc/create"],
        {"launch": REFERENCE, "only": ["SND", "FRM-1", "acc/create"]},
    ),
    (
        ["--reference", "--strict", "--timeout", "0.5", "--examples", "0"],
        {"launch": REFERENCE, "strict": True, "timeout": 0.5, "examples": 0},
    ),
    (["--reference", "--idle", "61"], {"launch": REFERENCE, "idle": 61}),
    (["--reference", "--thorough"], {"launch": REFERENCE, "idle": 60}),
]


@pytest.mark.parametrize(("words", "settings"), RIGHT)
def test_what_is_asked_for_is_passed_on(
    process: Pytest, words: list[str], settings: dict[str, Any]
) -> None:
    assert cli.main(["run", *words, "--seed", "7"]) == CONFORMANT
    assert process.settings == Settings(**settings, seed=7)
    folders = [str(cli.PACKAGE / folder) for folder in cli.CASES]
    assert process.command[:6] == [sys.executable, "-P", "-m", "pytest", *folders]


def test_files_are_passed_on(process: Pytest, tmp_path: Path) -> None:
    report, junit, saved = tmp_path / "j", tmp_path / "x", tmp_path / "new" / "deep"
    words = ["--json", str(report), "--junit", str(junit), "--save", str(saved)]
    assert cli.main(["run", SERVER, *words]) == CONFORMANT
    assert process.settings.json == str(report)
    assert process.settings.save == str(saved)
    assert f"--junitxml={junit}" in process.command
    assert saved.is_dir()


def test_seed_is_another_each_time(process: Pytest) -> None:
    process.statuses = iter((0, 0))
    seeds = set()
    for _ in range(2):
        cli.main(["run", SERVER])
        seeds.add(process.settings.seed)
    assert len(seeds) == 2


def test_what_follows_two_dashes_goes_to_pytest(process: Pytest) -> None:
    cli.main(["run", SERVER, "--", "-x", "--", "--strict"])
    assert process.command[6:9] == ["-x", "--", "--strict"]
    assert not process.settings.strict


def test_replay_passes_on_one_file(process: Pytest, tmp_path: Path) -> None:
    path = tmp_path / "found"
    path.write_text("title T\nA open\n")
    assert cli.main(["replay", str(path), SERVER]) == CONFORMANT
    assert process.command[4] == str(path)
    assert process.command[5].startswith("--rootdir")


def test_list_needs_no_server(process: Pytest) -> None:
    assert cli.main(["list"]) == CONFORMANT
    assert process.settings == Settings(list=True)


def test_command_line_is_that_of_the_process(
    process: Pytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["wirechat-conformance", "list"])
    assert cli.main() == CONFORMANT


def test_pytest_is_shielded_from_what_users_have_set_up(
    process: Pytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--nonsense")
    monkeypatch.setenv("HOME", "/somewhere")
    cli.main(["list"])
    assert "PYTEST_ADDOPTS" not in process.environ
    assert process.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] == "1"
    assert process.environ["HOME"] == "/somewhere"


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        ([0], 0),
        ([1], 1),
        ([2], INCONCLUSIVE),
        ([3], INCONCLUSIVE),
        ([4], USAGE),
        ([5], USAGE),
        ([-9], INCONCLUSIVE),
        ([KeyboardInterrupt, 3], INCONCLUSIVE),
    ],
)
def test_exit_status_follows_from_that_of_pytest(
    process: Pytest, statuses: list[int | type[BaseException]], status: int
) -> None:
    process.statuses = iter(statuses)
    assert cli.main(["run", SERVER]) == status


@pytest.mark.parametrize(
    ("settings", "name", "argument"),
    [
        (Settings(server=("host", 1)), "host:1", "host:1"),
        (Settings(server=("::1", 1)), "[::1]:1", "[::1]:1"),
        (Settings(launch="x {port}"), "x {port}", "--launch 'x {port}'"),
    ],
)
def test_server_has_a_name_and_is_an_argument_again(
    settings: Settings, name: str, argument: str
) -> None:
    assert (settings.name, settings.argument) == (name, argument)
    assert Settings.load(settings.dump()) == settings


@pytest.mark.whole
def test_a_run_that_is_told_to_end_ends_what_it_launched(tmp_path: Path) -> None:
    told = tmp_path / "port"
    server = f"echo {{port}} > {told}.new; mv {told}.new {told}; exec {REFERENCE}"
    command = [sys.executable, "-m", "wirechat_conformance", "run", "--idle", "99"]
    with subprocess.Popen(
        [*command, "--only", "LIM-5", "--launch", shlex.join(["sh", "-c", server])],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        until = time.monotonic() + 30
        while not (told.exists() and accepts(("127.0.0.1", int(told.read_text())))):
            assert time.monotonic() < until
        process.terminate()
        assert "interrupted" in process.communicate(timeout=30)[0]
    assert process.returncode == INCONCLUSIVE
    assert not accepts(("127.0.0.1", int(told.read_text())))
