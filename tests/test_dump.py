"""The dump command, from its arguments to its exit status."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wirechat.codec import encode
from wirechat_tools.dump import Dump, main
from wirechat_tools.reading import read_traffic
from wirechat_tools.render import Hex, Lines

CHAT = encode(0, "ann") + encode(2, "ann", "bob", "hi") + encode(1) + encode(6)
RUN = [sys.executable, "-c", "from wirechat_tools.dump import main; exit(main())"]


@pytest.fixture
def chat(tmp_path: Path) -> str:
    path = tmp_path / "chat"
    path.write_bytes(CHAT)
    return str(path)


def commands(text: str) -> list[str]:
    return [json.loads(line)["command"] for line in text.splitlines()]


def test_frames_of_a_file(chat: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", chat]) == 0
    assert commands(capsys.readouterr().out) == ["CREATE", "SEND", "LIST", "RESPONSE"]


def test_only_some_commands(chat: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "--only", "send,LIST", chat]) == 0
    assert commands(capsys.readouterr().out) == ["SEND", "LIST"]


def test_only_one_connection(chat: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "--connection", "2", chat]) == 0
    assert capsys.readouterr().out == ""
    assert main(["--json", "--connection", "1", chat]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


@pytest.mark.parametrize(
    ("option", "environ", "coloured"),
    [("always", "", True), ("never", "", False), ("auto", "", False)],
)
def test_colour(
    option: str,
    environ: str,
    coloured: bool,
    chat: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--color", option, "--fields", chat]) == 0
    assert ("\x1b" in capsys.readouterr().out) is coloured


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_on_a_terminal(
    no_color: str,
    coloured: bool,
    chat: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", no_color)
    assert main([chat]) == 0
    assert ("\x1b" in capsys.readouterr().out) is coloured


def test_large_files_have_a_progress_bar(
    chat: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[object] = []

    def noted(octets: Iterator[bytes], *rest: object) -> Iterator[bytes]:
        shown.append(rest[-1])
        return octets

    monkeypatch.setattr("wirechat_tools.dump.progress", noted)
    assert main([chat]) == 0
    assert shown == [sys.stderr]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main([chat]) == 0
    assert len(shown) == 1
    assert capsys.readouterr().out


def test_what_is_wrong_makes_the_exit_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken"
    path.write_bytes(CHAT[:-1])
    assert main([str(path)]) == 1
    assert "FRM-1 cut off" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["missing", ".", "\x1b[0m"])
def test_a_file_that_can_not_be_read(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"{tmp_path}/{name}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "\x1b" not in error


def test_what_was_shown_before_is_not_lost(
    chat: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--json", chat, f"{chat}.missing"]) == 2
    output, error = capsys.readouterr()
    assert len(commands(output)) == 4
    assert error == f'wirechat-dump: "{chat}.missing": No such file or directory\n'


@pytest.mark.parametrize("name", ["stdin", "stdout"])
def test_a_stream_that_was_closed(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, name, None)
    assert main([]) == 2
    what = {"stdin": '"-"', "stdout": "standard output"}[name]
    assert capsys.readouterr().err == f"wirechat-dump: {what}: Bad file descriptor\n"


def test_without_standard_error_there_is_no_progress(
    chat: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["--json", chat]) == 0
    assert len(commands(capsys.readouterr().out)) == 4


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
def test_a_disk_that_is_full(chat: str) -> None:
    with FULL.open("w") as full:
        done = subprocess.run([*RUN, chat], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    told = b"wirechat-dump: standard output: No space left on device\n"
    assert done.stderr == told


@pytest.mark.parametrize("options", [["--only", "SHOUT"], ["--connection", "x"]])
def test_usage(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(options)
    assert exit_.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_standard_input_and_a_closed_pipe() -> None:
    with subprocess.Popen(
        RUN, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(CHAT)
        process.stdin.flush()
        # What has come is shown at once, with the input still open.
        assert process.stdout.readline() == b'# 1  CREATE  3 octets  offset 0  "ann"\n'
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(CHAT * 10_000)
            process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait(10) == 0


def test_follow_shows_what_is_added_until_it_is_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(CHAT[:50])
    with subprocess.Popen(
        [*RUN, "--follow", "--fields", str(path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b'     1  CREATE            3  "ann"\n'
        with path.open("ab") as file:
            file.write(CHAT[50:])
        rest = [process.stdout.readline().split()[1] for _ in range(3)]
        assert rest == [b"SEND", b"LIST", b"RESPONSE"]
        process.send_signal(2)
        assert process.wait(10) == 0


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_garbage_is_shown_and_never_more(octets: bytes) -> None:
    for renderer in (Hex(full=True), Lines()):
        out: list[str] = []
        dump = Dump(renderer, out.append)
        dump.show(read_traffic([octets]))
        text = "".join(out)
        assert text.isascii()
        assert "\x1b" not in text
