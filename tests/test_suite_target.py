"""The server under test: how it is started, started anew, and ended."""

import shlex
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wirechat_conformance import target
from wirechat_conformance.settings import Settings
from wirechat_conformance.target import (
    Launched,
    StartError,
    Target,
    accepts,
    chosen,
    located,
)

LISTEN = """
import signal, socket, sys
signal.signal(signal.SIGTERM, signal.SIG_{})
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    while listener.accept():
        pass
"""


def python(code: str) -> str:
    """Return a command that runs code with a port for its argument."""
    return f"{shlex.quote(sys.executable)} -S -c {shlex.quote(code)} {{port}}"


@pytest.fixture
def launched() -> Iterator[Launched]:
    with Launched(python(LISTEN.format("DFL"))) as server:
        assert isinstance(server, Launched)
        yield server


def test_launched_server_accepts_until_it_is_stopped(launched: Launched) -> None:
    assert accepts(launched.address)
    launched.stop()
    assert not accepts(launched.address)
    launched.stop()


def test_server_is_started_anew_on_another_port(launched: Launched) -> None:
    before = launched.address
    assert launched.revive()
    assert not accepts(before)
    assert accepts(launched.address)


def test_server_that_can_not_be_started_anew(tmp_path: Path) -> None:
    once = f"open({str(tmp_path / 'once')!r}, 'x').close()"
    with Launched(python(once + LISTEN.format("DFL"))) as server:
        assert not server.revive()
        assert not accepts(server.address)


def test_server_that_does_not_end_is_ended_by_force(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(target, "STOP_SECONDS", 0.05)
    with Launched(python(LISTEN.format("IGN"))) as server:
        pass
    assert not accepts(server.address)


def test_id_of_a_server_that_has_ended_is_not_signalled_again(
    launched: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched.stop()
    monkeypatch.setattr("os.killpg", lambda *_: pytest.fail("that may be anybody"))
    monkeypatch.setattr(launched, "_command", "/no/such/Server {port}")
    assert not launched.revive()


def test_what_the_command_starts_ends_with_it() -> None:
    shell = f"sh -c {shlex.quote(python(LISTEN.format('DFL')) + ' & wait')}"
    with Launched(shell) as server:
        assert accepts(server.address)
    until = time.monotonic() + 5
    while accepts(server.address):  # the kernel may take a moment to end it
        assert time.monotonic() < until


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (
            "/no/such/Server {port}",
            "can't run '/no/such/Server': no such file or direc",
        ),
        (python("raise SystemExit(7)"), "the server ended at once, exit status 7"),
    ],
)
def test_server_that_can_not_be_started(command: str, reason: str) -> None:
    with pytest.raises(StartError) as failed:
        Launched(command)
    assert str(failed.value).startswith(reason)


def test_server_that_takes_its_time_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(target, "START_SECONDS", 0.05)
    with pytest.raises(StartError) as failed:
        Launched(python("import signal; signal.pause()"))
    assert str(failed.value) == "the server took over 0.05 s to start"


def test_server_ends_where_its_start_is_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[tuple[str, int]] = []

    def interrupted(address: tuple[str, int]) -> bool:
        if not accepts(address):
            return False
        started.append(address)
        raise KeyboardInterrupt

    monkeypatch.setattr(target, "accepts", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Launched(python(LISTEN.format("DFL")))
    assert not accepts(started[0])


def test_server_of_somebody_else_is_left_alone(launched: Launched) -> None:
    with chosen(Settings(server=launched.address)) as theirs:
        assert type(theirs) is Target
        assert theirs.address == launched.address
        assert not theirs.revive()
    assert accepts(launched.address)


def test_server_is_launched_where_there_is_a_command() -> None:
    with chosen(Settings(launch=python(LISTEN.format("DFL")))) as ours:
        assert accepts(ours.address)


@pytest.mark.usefixtures("two_addresses")
def test_of_a_name_the_address_is_taken_that_is_listened_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert located(("localhost", port)) == ("127.0.0.1", port)
    assert located(("localhost", port)) == ("::1", port)
    assert located(("127.0.0.1", port)) == ("127.0.0.1", port)


def test_a_name_that_is_not_known_any_more_is_no_fault_of_the_suite(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(StartError, match="no host 'gone'"):
        located(("gone", 1))
