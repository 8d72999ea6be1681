"""The recorder: what passes it is unaltered, and what it writes is what passed."""

import contextlib
import errno
import io
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.judged import judging
from wirechat.codec import REPLIES, Command, Decoder, encode
from wirechat.rules import Chat, Outbox, Session
from wirechat.server import Server
from wirechat_conformance.failure import Failure
from wirechat_conformance.replay import replay
from wirechat_conformance.transcript import Transcript, read, write
from wirechat_tools.dump import main as dump
from wirechat_tools.pcapng import Capture
from wirechat_tools.reading import read_traffic
from wirechat_tools.record import main
from wirechat_tools.relay import Relay
from wirechat_tools.scribe import Scribe
from wirechat_tools.traffic import Fault, Octets, Stream

BOUND = 10.0
RUN = [sys.executable, "-c", "from wirechat_tools.record import main; exit(main())"]


class Client:
    """A client that says something, and waits for what comes of it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, BOUND)
        self.decoder = Decoder(REPLIES)
        self.frames: list[object] = []

    def say(self, command: int, *fields: str, replies: int = 1) -> None:
        self.sock.sendall(encode(command, *fields))
        self.take(replies)

    def take(self, count: int) -> list[object]:
        while len(self.frames) < count:
            octets = self.sock.recv(4096)
            assert octets
            self.frames += self.decoder.feed(octets)
        taken, self.frames = self.frames[:count], self.frames[count:]
        return taken

    def leave(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)
        assert self.sock.recv(1) == b""
        self.sock.close()

    def reset(self) -> None:
        reset(self.sock)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextlib.contextmanager
def relaying(server: tuple[str, int], *watchers: object) -> Iterator[Relay]:
    told: list[str] = []
    with Relay(("127.0.0.1", 0), server, told.append) as relay:
        relay.watchers += watchers  # type: ignore[arg-type]
        thread = threading.Thread(target=relay.run)
        thread.start()
        try:
            yield relay
        finally:
            relay.stop()
            thread.join(BOUND)
            assert not thread.is_alive()


def chat(address: tuple[str, int]) -> None:
    """Two people: messages live and kept, an error, a list, a second login."""
    alicia, bobert = Client(address), Client(address)
    alicia.say(Command.CREATE, "alicia")
    bobert.say(Command.CREATE, "bobert")
    alicia.say(Command.SEND, "alicia", "bobert", 'hi "bobert" \\ \x1b')
    bobert.take(1)
    bobert.say(Command.SEND, "bobert", "alicia", "m" * 100)
    alicia.take(1)
    alicia.say(Command.SEND, "alicia", "nobody", "?")
    alicia.say(Command.LIST)
    alicia.say(Command.LIST, "b*")
    alicia.say(Command.LIST, "bobert")
    bobert.leave()
    alicia.say(Command.SEND, "alicia", "bobert", "kept 1")
    alicia.say(Command.SEND, "alicia", "bobert", "kept 2")
    again = Client(address)
    again.say(Command.LOGIN, "bobert")
    again.say(Command.DELIVER, replies=2)
    again.sock.sendall(encode(Command.DELETE))
    again.say(Command.LIST, "bobert")
    again.leave()
    alicia.leave()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server("127.0.0.1", 0) as server:
        yield server


def record(
    server: tuple[str, int],
    play: Callable[[tuple[str, int]], None] = chat,
    loose: bool = False,
) -> str:
    scribe = Scribe(loose)
    with relaying(server, scribe) as relay:
        play(relay.address)
    return scribe.text()


def test_what_was_recorded_comes_true_again(server: Server) -> None:
    written = record(server.address)
    with judging() as run:
        replay(run, read("recorded", written))
    assert run.left == 0


class Newest(Chat):
    """Delivers the newest kept message first."""

    def receive(self, session: Session, item: object) -> Outbox:
        return super().receive(session, item)[::-1]  # type: ignore[arg-type]


def test_what_was_recorded_fails_at_the_rule_that_is_broken(server: Server) -> None:
    transcript: Transcript = read("recorded", record(server.address))
    with (
        judging(Server(chat=Newest())) as run,
        pytest.raises(Failure, match="kept 1") as failure,
    ):
        replay(run, transcript)
    assert failure.value.rules == ("DLV-1",)


def test_what_is_written(server: Server) -> None:
    written = record(server.address)
    assert write(read("recorded", written)) == written
    for line in (
        r'A > SEND 33 "\{alicia}|||\{bobert}|||hi \"bobert\" \\ \x1b"',
        r'A < SEND 118 "\{bobert}|||\{alicia}|||" "m"*100',
        r'A < RESPONSE 28 "no account has this username"',
        r'A < LISTRESPONSE with "\{alicia}" "\{bobert}" without "\{nobody}"',
        "A < LISTRESPONSE any",
        r'A < LISTRESPONSE 6 "\{bobert}"',
        "B half-close\nB eof",
        'C repeat LOGIN 6 "\\{bobert}"\nC < RESPONSE 0',
    ):
        assert f"\n{line}\n" in written


def test_loose_texts_of_errors(server: Server) -> None:
    assert "A < error\n" in record(server.address, loose=True)


def test_accounts_that_were_there_before_are_made_first(server: Server) -> None:
    ann = Client(server.address)
    ann.say(Command.CREATE, "ann7777")
    ann.leave()

    def play(address: tuple[str, int]) -> None:
        client = Client(address)
        client.say(Command.LOGIN, "ann7777")
        client.say(Command.LIST)
        client.leave()

    written = record(server.address, play)
    assert 'Z1 > CREATE 7 "\\{ann7777}"\nZ1 < RESPONSE 0\nZ1 half-close\n' in written
    assert 'A repeat LOGIN 7 "\\{ann7777}"\n' in written
    with judging() as run:
        replay(run, read("recorded", written))


def told(
    *events: tuple[str, bytes | None], loose: bool = False
) -> tuple[list[str], str]:
    """Return the lines on connections, A unless named, and the whole transcript."""
    scribe, streams = Scribe(loose), dict[str, Stream]()
    for what, octets in events:
        number = "AB".index(what[1:] or "A") + 1
        for side in "<>":
            if f"{side}{number}" not in streams:
                streams[f"{side}{number}"] = Stream(number, side=side)
                if side == ">":
                    scribe.opened(number, 1, ("127.0.0.1", 1), ("127.0.0.1", 2))
        stream = streams[f"{'>' if what[0] in '>hr' else '<'}{number}"]
        if octets is not None:
            scribe.passed(stream, 1, octets)
        elif what[0] in "he":
            scribe.ended(stream, 1)
        else:
            scribe.reset(stream, 1)
    written = scribe.text()
    read("told", written)
    return written.partition("\n\n")[2].splitlines(), written


HALF, CLOSED = ("h", None), ("e", None)
RESET, RESET_BY_SERVER = ("r", None), ("s", None)
NO = encode(6, "no")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([HALF, CLOSED], ["A half-close", "A eof"]),
        ([CLOSED, HALF], ["A eof", "A close"]),
        ([RESET], ["A reset"]),
        ([RESET_BY_SERVER], ["A eof"]),
        ([CLOSED, RESET_BY_SERVER], ["A eof"]),
        ([CLOSED, RESET], ["A eof", "A reset"]),
        # Cuts mean nothing, but half a frame is one.
        ([(">", b"\0"), (">", encode(1)[1:])], ["A > LIST 0"]),
        (
            [(">", encode(1) + encode(1)[:40]), HALF],
            ["A > LIST 0", 'A > octets "\\x00\\x01" "\\x00"*38', "A half-close"],
        ),
        # What comes back stands behind all that had been asked.
        (
            [(">", encode(0, "ann")[:44]), ("<", NO), (">", b"n"), (">", encode(1))],
            [
                'A > octets "\\x00" "\\x00"*40 "\\x03an"',
                'A < RESPONSE 2 "no"',
                'A > octets "n"',
                "A > LIST 0",
            ],
        ),
        ([(">", b"\1abc"), (">", b"d")], ['A > octets "\\x01abc"', 'A > octets "d"']),
        (
            [(">", b"\0\x09" + bytes(40) + encode(1))],
            ['A > octets "\\x00\\x09" "\\x00"*40', "A > LIST 0"],
        ),
        (
            [(">", b"\0\0" + b"\xff" * 40 + b"ab"), (">", encode(1)[:2])],
            ['A > octets "\\x00\\x00" "\\xff"*40 "ab"', 'A > octets "\\x00\\x01"'],
        ),
        # No step waits for what is no frame.
        ([("<", b"\1ab")], ['# A < octets "\\x01ab"']),
        ([(">", encode(4)), ("<", encode(6))], ["A > DELETE 0", "A < RESPONSE 0"]),
        ([("<", encode(7, "ann"))], ["A < LISTRESPONSE any"]),
        ([(">", encode(1, "a", "b"))], ['A > LIST 5 "\\{a}|||b"']),
    ],
)
def test_lines(events: list[tuple[str, bytes | None]], expected: list[str]) -> None:
    written, _ = told(*events)
    assert written[1:] == [
        line.replace('"\\x00" "\\x00"*40 "\\x03an"', '"\\x00"*41 "\\x03an"')
        for line in expected
    ]


def test_what_came_back_stands_ahead_of_what_others_did_then() -> None:
    first, second = encode(2, "a", "b", "1"), encode(2, "b", "a", "2")
    written, _ = told(
        (">A", first), (">B", second), ("<A", first), ("<A", second), ("<B", first)
    )
    order = [line[:3] + line[-2] for line in written if "SEND" in line]
    assert order == ["A >1", "A <1", "B >2", "A <2", "B <1"]


def test_tries_to_log_in_before_the_session_has_ended() -> None:
    login = (">B", encode(5, "ann7"))
    written, _ = told(
        (">", encode(0, "ann7")),
        ("<", encode(6)),
        RESET,
        *[login, ("<B", NO)] * 2,
        login,
        ("<B", encode(6)),
    )
    assert written[-3:] == ["B open", 'B repeat LOGIN 4 "\\{ann7}"', "B < RESPONSE 0"]


def test_login_that_does_not_wait_for_its_answer_is_sent_once() -> None:
    written, _ = told((">", encode(5, "ann7") + encode(3)), ("<", encode(6)), ("<", NO))
    assert '> LOGIN 4 "\\{ann7}"' in "\n".join(written)


def test_names_in_upper_case_and_in_errors() -> None:
    _, written = told(
        (">", encode(0, "ann")),
        ("<", encode(6, "no: ann is not ANN")),
        (">", encode(0, "ANN")),
        ("<", encode(6, "no: ANN is not ann")),
        (">", encode(0, "no way")),
        ("<", encode(6, "no: no way")),
    )
    assert "name    ANN = upper ann\n" in written
    assert '< RESPONSE 18 "no: \\{ann} is not ANN"\n' in written
    assert '< RESPONSE 18 "no: \\{ANN} is not ann"\n' in written
    assert '< RESPONSE 10 "no: no way"\n' in written


def test_many_connections_have_names_of_their_own() -> None:
    scribe = Scribe()
    for number in range(1, 60):
        scribe.opened(number, 1, ("127.0.0.1", 1), ("127.0.0.1", 2))
    names = [line.split()[0] for line in scribe.text().splitlines()[2:]]
    assert len(set(names)) == 59
    assert names[24:26] == ["Y", "A1"]


class Peers:
    """Both ends of a connection through a relay."""

    def __init__(self, relay: Relay, listener: socket.socket) -> None:
        self.client = socket.create_connection(relay.address, BOUND)
        self.server, _ = listener.accept()
        self.server.settimeout(BOUND)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(BOUND)
        yield listener


def test_cuts_and_half_closes_are_passed_on(listener: socket.socket) -> None:
    with relaying(listener.getsockname()) as relay:
        peers = Peers(relay, listener)
        with peers.client as client, peers.server as server:
            for sender, receiver in ((client, server), (server, client)):
                for octets in (b"a", b"bc", b"d" * 1000):
                    sender.sendall(octets)
                    assert receiver.recv(5000) == octets
            client.shutdown(socket.SHUT_WR)
            assert server.recv(1) == b""
            server.sendall(b"behind it")
            assert client.recv(100) == b"behind it"
            server.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("by_client", [False, True])
def test_resets_are_passed_on(
    by_client: bool, half: bool, listener: socket.socket
) -> None:
    with relaying(listener.getsockname()) as relay:
        peers = Peers(relay, listener)
        one, other = peers.client, peers.server
        if not by_client:
            one, other = other, one
        with other:
            if half:
                one.shutdown(socket.SHUT_WR)
                assert other.recv(1) == b""
            reset(one)
            if half:  # which is no end to those who send
                wait_for_reset(other)
            else:
                with pytest.raises(ConnectionResetError):
                    other.recv(1)


def wait_for_reset(sock: socket.socket) -> None:
    poll = select.poll()
    poll.register(sock, 0)
    assert poll.poll(BOUND * 1000)[0][1] & select.POLLERR


def fill(sock: socket.socket) -> int:
    """Send until nothing more is taken, and return how much was."""
    sent = 0
    sock.setblocking(False)
    while select.select([], [sock], [], 0.2)[1]:
        sent += sock.send(bytes(100_000))
        assert sent < 100_000_000
    return sent


def test_who_does_not_read_holds_up_the_other_side(listener: socket.socket) -> None:
    with relaying(listener.getsockname()) as relay:
        peers = Peers(relay, listener)
        with peers.client as client, peers.server as server:
            sent = fill(client)
            client.setblocking(True)
            client.shutdown(socket.SHUT_WR)
            got = 0
            while octets := server.recv(1 << 20):
                got += len(octets)
            assert got == sent
            # The other direction was open all the time.
            server.sendall(b"x")
            assert client.recv(1) == b"x"


def test_reset_of_who_does_not_read(listener: socket.socket) -> None:
    with relaying(listener.getsockname()) as relay:
        peers = Peers(relay, listener)
        with peers.client as client:
            fill(client)
            reset(peers.server)
            wait_for_reset(client)


def see_a_reset(address: tuple[str, int]) -> None:
    with socket.socket() as client:
        client.settimeout(BOUND)
        status = client.connect_ex(address)  # it may be seen here already
        if status == 0:
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        assert status in (0, errno.ECONNRESET)


def test_server_that_is_not_there(listener: socket.socket) -> None:
    address = listener.getsockname()
    listener.close()
    scribe, told = Scribe(), list[str]()
    with Relay(("127.0.0.1", 0), address, told.append) as relay:
        relay.watchers.append(scribe)
        thread = threading.Thread(target=relay.run)
        thread.start()
        see_a_reset(relay.address)
        relay.stop()
        thread.join(BOUND)
    assert told == [f"127.0.0.1:{address[1]}: Connection refused"]
    assert scribe.text().endswith("\nA open\nA eof\n")


def test_capture(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "chat.pcapng"
    with path.open("wb", buffering=0) as file:
        seen = Seen()
        with relaying(server.address, Capture(file), seen) as relay:
            chat(relay.address)
    traffic = list(read_traffic([path.read_bytes()]))
    assert [type(event) for event in traffic].count(Fault) == 0
    for side in "<>":
        expected, got = seen.octets(side), Seen()
        for event in traffic:
            if isinstance(event, Octets) and event.time:
                got.passed(event.stream, event.time, event.octets)
        assert got.octets(side) == expected
    assert {e.stream.name for e in traffic if e.stream} == seen.names


class Seen:
    """Notes the octets of each stream, with their times."""

    def __init__(self) -> None:
        self.passed_on: list[tuple[int, str, int, bytes]] = []
        self.names: set[str] = set()

    def opened(self, *_: object) -> None:
        pass

    def passed(self, stream: Stream, time: int, octets: bytes) -> None:
        self.passed_on.append((stream.connection, stream.side, time, octets))
        self.names.add(stream.name)

    def ended(self, *_: object) -> None:
        pass

    reset = ended

    def octets(self, side: str) -> list[tuple[int, str, int, bytes]]:
        return [one for one in self.passed_on if one[1] == side]


@pytest.mark.parametrize(
    ("client", "server"),
    [("127.0.0.1", "::1"), ("::1", "127.0.0.1"), ("::1", "::1"), ("fe80::1%lo", "::1")],
)
def test_capture_of_other_addresses(client: str, server: str) -> None:
    file = io.BytesIO()
    capture = Capture(file)
    capture.opened(1, 10**18, (client, 40000), (server, 9000))
    capture.passed(Stream(1, side=">"), 10**18, encode(1))
    capture.ended(Stream(1, side=">"), 10**18)
    capture.reset(Stream(1, side="<"), 10**18)
    octets = [e for e in read_traffic([file.getvalue()]) if isinstance(e, Octets)]
    assert [(e.octets, e.time, e.stream.side) for e in octets] == [
        (encode(1), 10**18, ">")
    ]


@pytest.fixture
def process(server: Server, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    where = ["--listen", "0", "--to", f"127.0.0.1:{server.address[1]}"]
    files = ["-o", f"{tmp_path}/chat.txt", "--pcap", f"{tmp_path}/chat.pcapng"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*RUN, *where, *files, "--fields"], stdout=pipe, stderr=pipe, text=True
    ) as process:
        yield process
        process.kill()


def address_of(process: subprocess.Popen[str]) -> tuple[str, int]:
    assert process.stderr
    host, _, port = process.stderr.readline().split()[-1].rpartition(":")
    return host, int(port)


def test_command_ends_with_everything_written(
    process: subprocess.Popen[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = address_of(process)
    chat(address)
    left = Client(address)
    left.say(Command.LIST)
    left.sock.sendall(b"\0")
    assert process.stdout
    shown = [process.stdout.readline() for _ in range(32)]
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=BOUND)
    left.sock.close()
    assert (process.returncode, errors) == (0, "")
    assert "FRM-1 cut off: 1 of at least 42 octets came" in rest
    written = (tmp_path / "chat.txt").read_text("ascii")
    assert written.endswith("D < LISTRESPONSE any\n") or "D > LIST 0" in written
    with judging() as run:
        replay(run, read("recorded", written))
    # The dump of the capture is what was shown.
    assert dump(["--fields", str(tmp_path / "chat.pcapng")]) == 1
    again = capsys.readouterr().out.splitlines(keepends=True)
    assert [line.split()[3:] for line in again[:32]] == [
        line.split()[3:] for line in shown
    ]


def test_command_ends_once_nobody_reads(process: subprocess.Popen[str]) -> None:
    address = address_of(process)
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    with socket.create_connection(address, BOUND) as client:
        client.sendall(encode(1))
        assert process.wait(BOUND) == 0
    assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--listen", "x", "--to", "127.0.0.1:1"], '"x" is not HOST:PORT'),
        (["--listen", "0", "--to", "127.0.0.1"], '"127.0.0.1" is not HOST:PORT'),
        (["--listen", "0", "--to", "127.0.0.1:0"], '"127.0.0.1:0" is not HOST:PORT'),
        (["--listen", "65536", "--to", "::1:1"], '"65536" is not HOST:PORT'),
        (["--listen", "0", "--to", "a..b\x1b:1"], 'no host "a..b\\x1b"'),
        (["--listen", "0"], "required: --to"),
    ],
)
def test_usage(
    options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(options)
    assert exit_.value.code == 2
    errors = capsys.readouterr().err
    assert reason in errors
    assert errors.count("\n") == 1
    assert "\x1b" not in errors


@pytest.mark.parametrize("option", ["-o", "--pcap"])
def test_files_that_can_not_be_written(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--listen", "0", "--to", "[::1]:9000", option, str(tmp_path)]) == 2
    expected = f'wirechat-record: "{tmp_path}": Is a directory\n'
    assert capsys.readouterr().err == expected


def test_port_in_use(
    listener: socket.socket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = f"127.0.0.1:{listener.getsockname()[1]}"
    kept = tmp_path / "kept.txt"
    kept.write_text("kept")
    assert main(["--listen", where, "--to", where, "-o", str(kept)]) == 2
    expected = f'wirechat-record: "{where}": Address already in use\n'
    assert capsys.readouterr().err == expected
    assert kept.read_text() == "kept"


def test_server_that_can_not_be_there() -> None:
    with relaying(("127.0.0.1", 0)) as relay:
        see_a_reset(relay.address)
