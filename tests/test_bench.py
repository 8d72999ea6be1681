"""The load generator: what it measures, and that nothing that is wrong escapes it."""

import argparse
import importlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType, SimpleNamespace

import pytest

from wirechat.codec import Command, encode
from wirechat.server import Server
from wirechat_tools import flow, peer, scenarios
from wirechat_tools.bench import main
from wirechat_tools.command import address_of
from wirechat_tools.figures import Measure, bar, duration, percentiles, picture
from wirechat_tools.flow import Cycle, Flow, Outlet
from wirechat_tools.peer import Lost, Peer, message
from wirechat_tools.scenarios import SCENARIOS, Load

SMALL = ["--seconds", "0.01", "--connections", "3", "--idle", "3", "--accounts", "3"]
SUCCESS = encode(Command.RESPONSE)
NOTHING = encode(Command.LISTRESPONSE)


def at(server: Server) -> str:
    return "{}:{}".format(*server.address)


@contextmanager
def answering(*replies: bytes, connections: int = 1) -> Iterator[peer.Address]:
    """Serve connections that get these octets at once, and then the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(connections):
                sock, _ = listener.accept()
                with sock, suppress(ConnectionResetError):
                    sock.sendall(b"".join(replies))
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(65536):
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()
        thread.join(10)
        assert not thread.is_alive()


# The command.


def test_all_scenarios(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([at(server), *SMALL, "--kept", "500"]) == 0
    shown = capsys.readouterr().out
    names = [line.split()[0] for line in shown.splitlines() if not line[0].isspace()]
    assert names == list(SCENARIOS)
    assert "p99.9" in shown
    assert not server.chat.accounts


def test_json(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    command = [at(server), "latency", "throughput", "kept", "--json", "--kept", "5"]
    assert main([*command, *SMALL, "--size", "64"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["latency", "throughput", "kept"]
    assert found["latency"]["unit"] == "messages"
    assert (
        found["latency"]["latency_us"]["max"] >= found["latency"]["latency_us"]["p50"]
    )
    assert "latency_us" not in found["throughput"]
    assert found["throughput"]["count"] > 0
    assert found["kept"]["count"] % 5 == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere"],
        [":1"],
        ["h:x"],
        ["h:65536"],
        ["127.0.0.1:0"],
        ["a..b:1"],
        ["127.0.0.1:1", "nonsense"],
        ["127.0.0.1:1", "--seconds", "x"],
        ["127.0.0.1:1", "--seconds", "nan"],
        ["127.0.0.1:1", "--seconds", "3601"],
        ["127.0.0.1:1", "--size", "63"],
        ["127.0.0.1:1", "--size", "²"],
        ["127.0.0.1:1", "--idle", "0"],
        ["h:\x1b1"],
        [],
    ],
)
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("wirechat-bench: ")
    assert errors.count("\n") == 1
    assert "\x1b" not in errors


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "the following arguments are required: HOST:PORT"),
        (["127.0.0.1:1", "list", "\x1b"], 'argument SCENARIO: there is no "\\x1b"'),
    ],
)
def test_what_is_missing_or_unknown(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert capsys.readouterr().err == f"wirechat-bench: {told}\n"


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_who_reads_may_have_seen_enough(form: list[str], server: Server) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code = "from wirechat_tools.bench import main; exit(main())"
    command = [sys.executable, "-c", code, at(server), "latency"]
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(
            [*command, *SMALL, *form], stdout=pipe, stderr=subprocess.PIPE
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert not server.chat.accounts


def test_closed_output(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main([at(server), "connect", *SMALL]) == 2
    told = "wirechat-bench: standard output: Bad file descriptor\n"
    assert capsys.readouterr().err == told


def test_an_interrupted_run_cleans_up(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(load: Load) -> Measure:
        load.account()
        raise KeyboardInterrupt

    monkeypatch.setitem(SCENARIOS, "latency", interrupted)
    assert main([at(server), "latency"]) == 130
    assert capsys.readouterr() == ("", "")
    assert not server.chat.accounts


def test_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert main([f"127.0.0.1:{port}", "connect"]) == 2
    told = "wirechat-bench: connect: Connection refused\n"
    assert capsys.readouterr().err == told


def test_lost_reply_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = encode(Command.RESPONSE, "not \x1b today")
    with answering(wrong, connections=2) as (host, port):
        assert main([f"{host}:{port}", "latency"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("wirechat-bench: latency: no session for b")
    assert told.endswith('the server sent RESPONSE "not \\x1b today"\n')


def test_address_of_ipv6() -> None:
    assert address_of("[::1]:9000") == ("::1", 9000)


# What is lost or wrong.


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (b"", "the server closed the connection"),
        (encode(Command.SEND, "a", "b", "c"), 'the server sent SEND "a|||b|||c"'),
        (encode(Command.CREATE, "a"), "the server sent a malformed frame: "),
    ],
)
def test_reply_that_was_not_asked_for(reply: bytes, told: str) -> None:
    with answering(reply) as address, Peer(address) as asking:
        with pytest.raises(Lost) as lost:
            asking.fence()
        assert str(lost.value).startswith(told)


def test_octets_that_are_no_frame_are_shown() -> None:
    with answering(b"\x1b[2J") as address, Peer(address) as asking:
        with pytest.raises(Lost) as lost:
            asking.exactly(b"x")
        assert str(lost.value) == 'the server sent "\\x1b[2J"'


def test_silence_is_a_loss(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.setattr(peer, "TIMEOUT", 0.01)
    with Peer(server.address) as asking, pytest.raises(Lost) as lost:
        asking.frame()
    assert str(lost.value) == "no reply within 0.01 seconds"


def test_reset_is_a_loss(server: Server) -> None:
    with Peer(server.address) as asking:
        asking.socket.setblocking(False)
        with pytest.raises(Lost) as lost:
            asking.frame()
    assert str(lost.value).startswith("the connection broke: ")


def test_list_without_somebody(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.setattr(server.chat, "matching", lambda _: [])
    monkeypatch.setattr(
        server.chat,
        "accounts",
        type("Secret", (dict,), {"__iter__": lambda _: iter("")})(),
    )
    load = Load(server.address, 0.01, accounts=3)
    with load, pytest.raises(Lost, match="3 of 3 accounts were not named"):
        scenarios.listing(load)


# The flow.


def three(server: Server) -> tuple[Load, list[Peer]]:
    load = Load(server.address)
    return load, [load.account() for _ in range(3)]


def test_large_messages_flow_one_at_a_time(server: Server) -> None:
    load, (ann, bob, _) = three(server)
    with load:
        assert Flow.between({ann: [bob]}, 65536).run(0.01) > 0


def altered(frame: bytes) -> bytes:
    return frame[:-1] + b"!"


@pytest.mark.parametrize("crowd", [1, 2])
@pytest.mark.parametrize(
    "change", [lambda frame: b"", lambda frame: frame * 2, altered]
)
def test_message_that_is_lost_doubled_or_altered(
    crowd: int, change: Callable[[bytes], bytes], server: Server
) -> None:
    load, (ann, bob, cid) = three(server)
    real = server.chat.handlers
    count = iter(range(1 << 30))

    def send(session, frame):  # type: ignore[no-untyped-def]
        (to, octets), echo = real[Command.SEND](session, frame)
        if next(count) == 50:
            octets = change(octets)
        return [(to, octets), echo]

    server.chat.handlers = {**real, Command.SEND: send}
    lines = {ann: [cid], bob: [cid]} if crowd == 2 else {ann: [cid]}
    with load, pytest.raises(Lost, match="not the message that comes next"):
        Flow.between(lines, 100).run(10)


def test_messages_that_stay_away(
    monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    monkeypatch.setattr(flow, "TIMEOUT", 0.05)
    load, (ann, bob, _) = three(server)
    real = server.chat.handlers
    server.chat.handlers = {
        **real,
        Command.SEND: lambda session, frame: real[Command.SEND](session, frame)[1:],
    }
    with (
        load,
        pytest.raises(Lost, match=r"\d+ messages not back within 0.05 seconds"),
    ):
        Flow.between({ann: [bob]}, 100).run(0.01)


def test_frame_of_nobody_in_a_crowd(server: Server) -> None:
    load, (ann, bob, cid) = three(server)
    with load:
        stranger = load.account()
        chat = Flow.between({ann: [cid], bob: [cid]}, 100)
        stranger.socket.sendall(message(stranger.name, cid.name, "", 100))
        with pytest.raises(Lost, match=f'the server sent SEND "{stranger.name}'):
            chat.run(10)


class Narrow(socket.socket):
    """Takes little at a time."""

    def send(self, octets: bytes, *_: object) -> int:  # type: ignore[override]
        return super().send(octets[:1000])


def test_server_that_takes_little_at_a_time(server: Server) -> None:
    load, (ann, bob, _) = three(server)
    ann.socket = Narrow(fileno=ann.socket.detach())
    with load:
        assert Flow.between({ann: [bob]}, 100).run(0.5) > 10


def test_server_that_takes_no_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ann = Peer(listener.getsockname())
        ann.socket.setblocking(False)
        with suppress(BlockingIOError):
            while ann.socket.send(bytes(1 << 20)):
                pass
        cycle, copy = Cycle(bytes(10)), Cycle(bytes(10))
        Outlet(ann, cycle, (copy, [copy]), 10, 10).push(True)
        assert cycle.position == 0
        ann.socket.close()


# Figures.


def test_percentiles_by_nearest_rank() -> None:
    found = percentiles([float(n) for n in range(1000, 0, -1)])
    assert found == {
        "min": 1, "p50": 500, "p90": 900, "p99": 990, "p99.9": 999, "max": 1000
    }  # fmt: skip
    assert set(percentiles([2.0]).values()) == {2.0}


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (0.000_042_4, "42 µs"), (1, "1 s")],
)
def test_duration(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_picture_counts_everything() -> None:
    latencies = [1e-5 * (1 + n % 50) for n in range(5000)] + [1.0]
    rows = list(picture(latencies))
    assert sum(int(row.split()[-1].replace(",", "")) for row in rows) == 5001
    assert rows[-1].split()[-1] != "0"
    assert len(rows) == 12
    assert list(picture([1e-3, 1e-3])) == [f"      1 ms {'█' * 50} 2"]


@pytest.mark.parametrize(
    ("share", "width", "last"), [(1, 50, "█"), (0.01, 1, "▌"), (0.021, 2, "▏")]
)
def test_bar(share: float, width: int, last: str) -> None:
    assert len(bar(share)) == width
    assert bar(share)[-1] == last
    assert bar(0) == ""


def test_client_says_that_it_was_the_bottleneck() -> None:
    slow, fast = (Measure("lists", 10, 2.0, busy) for busy in (0.95, 0.5))
    assert (slow.limited, fast.limited) == (True, False)
    assert any("bottleneck" in line for line in slow.lines("list"))
    assert not any("bottleneck" in line for line in fast.lines("list"))
    assert slow.as_dict()["client_limited"] is True
    assert slow.rate == 5


# Locust's user.


class Hook:
    """Stands for Locust's events: what is fired is kept."""

    def __init__(self) -> None:
        self.fired: list[dict[str, object]] = []

    def add_listener(self, listener: object) -> object:
        return listener

    def fire(self, **told: object) -> None:
        self.fired.append(told)


@pytest.fixture
def locustfile(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module, as it is where Locust is not: that runs in its own tests."""
    locust = ModuleType("locust")
    hooks = SimpleNamespace(init_command_line_parser=Hook(), request=Hook())
    parts = {"User": object, "constant": float, "events": hooks, "task": lambda f: f}
    locust.__dict__.update(parts)
    monkeypatch.setitem(sys.modules, "locust", locust)
    monkeypatch.delitem(sys.modules, "wirechat_tools.locustfile", raising=False)
    return importlib.import_module("wirechat_tools.locustfile")


def test_user_relays_and_comes_back_after_a_loss(
    locustfile: ModuleType, server: Server
) -> None:
    parser = argparse.ArgumentParser()
    locustfile.add_options(parser)
    request = locustfile.events.request
    user = locustfile.RelayUser()
    user.host = at(server)
    user.environment = SimpleNamespace(
        parsed_options=parser.parse_args(["--size", "70"]), events=locustfile.events
    )
    user.on_start()
    user.relay()
    user._pair.recipient.close()
    user.relay()
    user.relay()
    user.on_stop()
    assert [told["exception"] is None for told in request.fired] == [True, False, True]
    assert request.fired[0]["response_length"] == 42 + 70
    assert request.fired[0]["response_time"] > 0
    assert not server.chat.accounts
