"""The server, over sockets on loopback."""

import contextlib
import errno
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import ClassVar

import pytest

from wirechat import exchange, server
from wirechat.codec import (
    REPLIES,
    REQUESTS,
    Command,
    Decoder,
    Frame,
    encode,
    encode_data,
)
from wirechat.connection import Connection
from wirechat.rules import Chat, Limits, Outbox, Session
from wirechat.server import Server

BOUND = 10.0  # seconds that anything may take


class Peer:
    """A client that is told what to send, octet by octet if need be."""

    def __init__(self, address: tuple[str, int], receive_buffer: int = 0) -> None:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(BOUND)
        self.socket.connect(address)
        self._decoder = Decoder(REPLIES, 1 << 40)
        self._frames: list[Frame] = []

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, command: int, *fields: str) -> None:
        self.socket.sendall(encode(command, *fields))

    def frame(self) -> Frame | None:
        """Return the next frame, or nothing when the server has closed."""
        while not self._frames:
            try:
                octets = self.socket.recv(1 << 20)
            except ConnectionResetError:
                return None
            if not octets:
                return None
            for item in self._decoder.feed(octets):
                assert isinstance(item, Frame), item
                self._frames.append(item)
        return self._frames.pop(0)

    def ask(self, command: int, *fields: str) -> Frame | None:
        self.send(command, *fields)
        return self.frame()

    def rest(self) -> list[Frame]:
        """Return all that comes until the server closes."""
        return list(iter(self.frame, None))

    def quiet(self) -> bool:
        """Tell whether nothing has come that was not taken: a fence says."""
        return self.ask(Command.LIST, "!") == Frame(Command.LISTRESPONSE, b"")

    def finish(self) -> None:
        """Close the sending side."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection with a reset."""
        linger = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()


SUCCESS = Frame(Command.RESPONSE, b"")


def is_error(frame: Frame | None) -> bool:
    return frame is not None and frame.command == Command.RESPONSE and frame.data != b""


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds that nothing else can tell of."""
    end = time.monotonic() + BOUND
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        select.select([], [], [], 0.001)


@contextlib.contextmanager
def serving(chat: Chat | None = None, **options: object) -> Iterator[Server]:
    """Run a server, and see that it leaves nothing behind."""
    threads = set(threading.enumerate())
    with Server(chat=chat, **options) as running:  # type: ignore[arg-type]
        yield running
    wait_for(lambda: set(threading.enumerate()) <= threads)
    assert not running.connections


@contextlib.contextmanager
def chatting(
    names: str = "ab", receive_buffer: int = 0, **options: object
) -> Iterator[tuple[Server, list[Peer]]]:
    """Run a server with some who are logged in."""
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(serving(**options))  # type: ignore[arg-type]
        peers = [
            stack.enter_context(Peer(running.address, receive_buffer)) for _ in names
        ]
        for name, peer in zip(names, peers, strict=True):
            assert peer.ask(Command.CREATE, name) == SUCCESS
        yield running, peers


def numbers(frames: list[Frame]) -> list[int]:
    return [int(frame.fields[2][:8]) for frame in frames]


def text(number: int, size: int) -> str:
    """Return a message of a size that tells its number."""
    return f"{number:08}".ljust(size, ".")


# What comes and goes.


def test_message_goes_to_the_recipient_and_back() -> None:
    with chatting() as (_, (ann, bob)):
        frame = Frame(Command.SEND, b"a|||b|||hi")
        assert ann.ask(Command.SEND, "a", "b", "hi") == frame
        assert bob.frame() == frame
        assert ann.quiet()
        assert bob.quiet()


def test_any_cut_gives_the_same_replies() -> None:
    requests = [
        encode(Command.CREATE, "x"),
        encode(Command.LIST, "x"),
        encode(Command.SEND, "x", "x", "hi"),
        encode_data(Command.CREATE, b"\xff"),
        encode(Command.DELETE),
    ]
    stream = b"".join(requests)
    replies = []
    with serving() as running:
        for size in (1, 7, 42, 43, 64, len(stream)):
            with Peer(running.address) as peer:
                for at in range(0, len(stream), size):
                    peer.socket.sendall(stream[at : at + size])
                peer.finish()
                replies.append(peer.rest())
    assert len(replies[0]) == 5
    assert all(reply == replies[0] for reply in replies)


def test_a_thousand_requests_are_taken_before_a_reply_is_read() -> None:
    with chatting("a") as (_, (ann,)):
        for at in range(1000):
            ann.send(Command.SEND, "a", "nobody", text(at, 80))
        ann.finish()
        assert len(ann.rest()) == 1000


def test_requests_wait_for_a_client_that_does_not_read() -> None:
    with chatting("a", receive_buffer=4096, max_queue=65536) as (running, (ann,)):
        (connection,) = running.connections.values()
        size = 30_000
        count = 200  # 12 MB of copies: more than the kernel holds
        requests = [
            encode(Command.SEND, "a", "a", text(at, size)) for at in range(count)
        ]
        sender = threading.Thread(target=ann.socket.sendall, args=(b"".join(requests),))
        sender.start()
        wait_for(lambda: connection.queued > 65536)
        most = 0
        got = []
        for _ in range(2 * count):
            most = max(most, connection.queued)
            frame = ann.frame()
            assert frame
            got.append(frame)
        sender.join()
        assert numbers(got) == [at for at in range(count) for _ in "ab"]
        # One receive goes on top of what may wait.
        assert most < 3 * 65536 + 2 * size
        assert ann.quiet()


def test_one_receive_does_not_make_replies_without_bound() -> None:
    with serving(max_queue=10_000) as running, Peer(running.address) as peer:
        for at in range(100):
            with Peer(running.address) as other:
                assert other.ask(Command.CREATE, f"{at:060}") == SUCCESS
        wait_for(lambda: len(running.connections) == 1)
        (connection,) = running.connections.values()
        peer.socket.sendall(encode(Command.LIST) * 1000)
        for _ in range(1000):
            assert connection.queued < 50_000
            assert len(peer.frame() or ()) == 2


class CountingChat(Chat):
    """A chat that counts the LIST requests."""

    lists = 0

    def list_names(self, session: Session, frame: Frame) -> Outbox:
        self.lists += 1
        return super().list_names(session, frame)


def test_requests_that_take_long_leave_room_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange, "SLICE", 0)  # each one takes too long
    chat = CountingChat()
    with chatting(chat=chat) as (_, (ann, bob)):
        bob.socket.sendall(encode(Command.LIST) * 200)
        assert bob.frame()
        assert ann.ask(Command.SEND, "a", "a", "")
        assert chat.lists < 200
        for _ in range(199):
            assert bob.frame()


# Ends.


def test_half_close_is_answered_to_the_end() -> None:
    with serving() as running, Peer(running.address) as peer:
        requests = encode(Command.CREATE, "a") + encode(Command.LIST) * 3
        peer.socket.sendall(requests + encode(Command.LIST)[:-1])
        peer.finish()
        names = Frame(Command.LISTRESPONSE, b"a")
        assert peer.rest() == [SUCCESS, names, names, names]


@pytest.mark.parametrize("end", [Peer.finish, Peer.reset, Peer.__exit__])
def test_session_ends_with_its_connection(end: Callable[[Peer], None]) -> None:
    with chatting() as (running, (ann, bob)):
        end(ann)
        wait_for(lambda: running.chat.accounts["a"].session is None)
        assert bob.ask(Command.SEND, "b", "a", "kept")
        with Peer(running.address) as again:
            assert again.ask(Command.LOGIN, "a") == SUCCESS
            assert again.ask(Command.DELIVER) == Frame(Command.SEND, b"b|||a|||kept")


def test_requests_of_a_client_that_has_closed_are_carried_out() -> None:
    with chatting("b") as (running, (bob,)), Peer(running.address) as peer:
        requests = [encode(Command.CREATE, "a")]
        requests += [encode(Command.SEND, "a", "b", text(at, 100)) for at in range(300)]
        peer.socket.sendall(b"".join(requests))
        peer.socket.close()
        got = [bob.frame() for _ in range(300)]
        assert numbers([frame for frame in got if frame]) == list(range(300))


def test_incomplete_frame_disturbs_nobody() -> None:
    with chatting() as (running, (ann, bob)):
        for octets in (
            b"\0",
            b"\0\2" + bytes(39) + b"\7abc",
            encode(Command.LIST)[:41],
        ):
            with Peer(running.address) as other:
                other.socket.sendall(octets)
                assert ann.quiet()
                assert bob.quiet()


def test_what_was_received_is_finished_before_a_stop() -> None:
    with chatting("a") as (running, (ann,)):
        with running.lock:
            for at in range(100):
                ann.send(Command.SEND, "a", "a", text(at, 80))
            stopping = threading.Thread(target=running.stop)
            stopping.start()
        assert numbers(ann.rest()) == [at for at in range(100) for _ in "ab"]
        stopping.join()


def test_what_waits_is_sent_before_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "GRACE", BOUND)
    with chatting(receive_buffer=65536) as (running, (ann, bob)):
        connection, count = connection_of(running, "b"), 0
        while connection.queued < 1_000_000:
            assert ann.ask(Command.SEND, "a", "b", text(count, 60_000))
            count += 1
        stopping = threading.Thread(target=running.stop)
        stopping.start()
        assert numbers(bob.rest()) == list(range(count))
        stopping.join()


def test_who_does_not_read_does_not_hold_up_a_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "GRACE", 0.05)
    with chatting(receive_buffer=4096) as (running, (ann, bob)):
        connection = connection_of(running, "b")
        while connection.queued < 1_000_000:
            flood(ann, 1)
        begin = time.monotonic()
        running.stop()
        assert time.monotonic() - begin < BOUND / 2
        assert connection.cut_off
        assert ann.rest() == []
        # What was not sent is kept, though nobody can ask for it any more.
        assert running.chat.accounts["b"].kept
        assert len(bob.rest()) > 1


# What is malformed.


@pytest.mark.parametrize(
    "octets",
    [
        encode_data(9, b"x"),
        encode_data(Command.RESPONSE, b""),
        encode_data(Command.CREATE, b""),
        encode_data(Command.DELIVER, b"x"),
        encode_data(Command.LIST, b"\x80"),
        encode_data(Command.SEND, b"a|||b"),
        encode_data(Command.SEND, b"a|||b|||c|||d"),
    ],
)
def test_malformed_frame_is_told_and_skipped(octets: bytes) -> None:
    with serving() as running, Peer(running.address) as peer:
        peer.socket.sendall(octets)
        assert is_error(peer.frame())
        assert peer.quiet()


@pytest.mark.parametrize(
    "octets", [b"\1" + bytes(41), bytes([0, 2]) + b"\xff" * 40, bytes([9] * 42)]
)
@pytest.mark.parametrize("behind", [0, 65536])
def test_fatal_frame_is_told_before_the_close(octets: bytes, behind: int) -> None:
    with serving() as running, Peer(running.address) as peer:
        peer.socket.sendall(encode(Command.LIST) + octets + bytes(behind))
        listed, told, *rest = peer.rest()
        assert listed == Frame(Command.LISTRESPONSE, b"")
        assert is_error(told)
        assert not rest


def test_client_that_goes_on_after_the_close_is_reset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange, "DISCARDED", 100_000)
    with serving() as running, Peer(running.address) as peer:

        def goes_on() -> None:
            while True:
                peer.socket.sendall(b"\1" * 65536)

        with pytest.raises(ConnectionError):
            goes_on()


def test_client_that_stays_after_the_close_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange, "LINGER", 0.01)
    with serving() as running, Peer(running.address) as peer:
        peer.socket.sendall(b"\1" * 42)
        assert len(peer.rest()) == 1
        wait_for(lambda: not running.connections)


# Who does not read.


def flood(ann: Peer, count: int, size: int = 60_000) -> None:
    for at in range(count):
        assert ann.ask(Command.SEND, "a", "b", text(at, size))


def delivered(running: Server, name: str) -> list[Frame]:
    with Peer(running.address) as peer:
        assert peer.ask(Command.LOGIN, name) == SUCCESS
        peer.send(Command.DELIVER)
        peer.finish()
        return peer.rest()


def test_slow_reader_is_cut_off_and_misses_nothing() -> None:
    with chatting(receive_buffer=4096, max_queue=200_000) as (running, (ann, bob)):
        count = 200
        flood(ann, count)
        assert running.chat.accounts["b"].session is None
        live = bob.rest()
        kept = delivered(running, "b")
        # The frame that was sent in part was on its way.
        assert numbers(live) == list(range(len(live)))
        assert numbers(kept) == list(range(len(live) + 1, count))
        assert kept


def test_unsent_messages_come_after_those_that_were_kept_before() -> None:
    with chatting(receive_buffer=4096, max_queue=200_000) as (running, (ann, bob)):
        bob.finish()
        assert bob.rest() == []
        bob.socket.close()
        assert ann.ask(Command.SEND, "a", "b", text(0, 8))
        with Peer(running.address, 4096) as again:
            assert again.ask(Command.LOGIN, "b") == SUCCESS
            for at in range(1, 200):
                assert ann.ask(Command.SEND, "a", "b", text(at, 60_000))
            live = again.rest()
        kept = numbers(delivered(running, "b"))
        assert kept == [0, *range(len(live) + 2, 200)]


def test_delivery_that_is_not_read_is_kept_again() -> None:
    with chatting(receive_buffer=4096) as (running, (ann, bob)):
        bob.reset()
        wait_for(lambda: running.chat.accounts["b"].session is None)
        flood(ann, 200)
        with Peer(running.address, 4096) as again:
            assert again.ask(Command.LOGIN, "b") == SUCCESS
            again.send(Command.DELIVER)
            first = again.frame()
            assert first
            assert numbers([first]) == [0]
            again.reset()
        wait_for(lambda: len(running.connections) == 1)
        kept = numbers(delivered(running, "b"))
        assert kept == list(range(200 - len(kept), 200))
        assert 100 < len(kept) < 200


def connection_of(running: Server, name: str) -> Connection:
    session = running.chat.accounts[name].session
    assert session
    return running.connections[session]


def test_reader_that_falls_behind_catches_up() -> None:
    with chatting(receive_buffer=4096) as (running, (ann, bob)):
        connection = connection_of(running, "b")
        count = 0
        while connection.queued < 1_000_000:
            assert ann.ask(Command.SEND, "a", "b", text(count, 60_000))
            count += 1
        assert connection.writer
        got = [bob.frame() for _ in range(count)]
        assert numbers([frame for frame in got if frame]) == list(range(count))
        wait_for(lambda: connection.writer is None)
        assert bob.quiet()


def test_half_closed_client_that_does_not_read_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange, "LINGER", 0.05)
    with chatting(receive_buffer=4096) as (running, (ann, bob)):
        connection = connection_of(running, "b")
        while connection.queued < 1_000_000:
            flood(ann, 1)
        bob.finish()
        wait_for(lambda: len(running.connections) == 1)
        assert connection.cut_off
        bob.socket.close()


# Limits.


def test_frame_over_the_limit_of_the_server() -> None:
    decoder = partial(Decoder, REQUESTS, 70_000)
    with chatting("a", decoder=decoder) as (_, (ann,)):
        assert ann.ask(Command.SEND, "a", "a", text(0, 69_000))
        assert ann.ask(Command.LIST, "x" * 70_001)
        assert is_error(ann.frame())
        assert ann.rest() == []


def test_limit_of_connections() -> None:
    with serving(max_connections=2) as running:
        with Peer(running.address) as one, Peer(running.address) as two:
            assert one.quiet()
            assert two.quiet()
            with Peer(running.address) as three:
                told, *rest = three.rest()
                assert is_error(told)
                assert not rest
            assert one.quiet()
        wait_for(lambda: not running.connections)
        with Peer(running.address) as four:
            assert four.quiet()


def test_limit_of_accounts_and_kept_messages() -> None:
    chat = Chat(Limits(accounts=1, kept=1))
    with chatting("a", chat=chat) as (running, (ann,)), Peer(running.address) as peer:
        assert is_error(peer.ask(Command.CREATE, "b"))
        assert peer.quiet()
        assert ann.quiet()


def test_header_has_its_time_where_that_was_asked_for() -> None:
    with serving(header_seconds=0.05) as running, Peer(running.address) as peer:
        assert peer.quiet()
        peer.socket.sendall(encode(Command.LIST) + b"\0")
        assert peer.frame() == Frame(Command.LISTRESPONSE, b"")
        peer.socket.sendall(encode(Command.LIST)[1:10])
        told, *rest = peer.rest()
        assert told.data == b"header not whole after 0.05 seconds (offset 85)"
        assert not rest


def test_header_in_time_is_taken_whatever_comes_with_it() -> None:
    with serving(header_seconds=BOUND) as running, Peer(running.address) as peer:
        for _ in range(3):
            peer.socket.sendall(encode(Command.LIST)[:20])
            peer.socket.sendall(encode(Command.LIST)[20:] + encode(Command.LIST)[:9])
            assert peer.frame() == Frame(Command.LISTRESPONSE, b"")
            peer.socket.sendall(encode(Command.LIST)[9:])
            assert peer.frame() == Frame(Command.LISTRESPONSE, b"")


class FaultyListener(socket.socket):
    """A listener whose ``accept`` fails as often as it was told."""

    faults: ClassVar[list[int]] = []

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        if self.faults:
            raise OSError(self.faults.pop(0), "told to")
        return super().accept()


@pytest.mark.parametrize(
    "faults",
    [
        [errno.ECONNABORTED],
        [errno.ENOBUFS] * 2,
        [errno.EMFILE] * 2,
        [errno.ENFILE] * 4,
    ],
)
def test_service_resumes_whatever_ails_it(
    faults: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PAUSE", 0.001)
    monkeypatch.setattr(socket, "socket", FaultyListener)
    FaultyListener.faults[:] = faults
    with serving() as running, Peer(running.address) as peer:
        assert peer.quiet()
        assert not FaultyListener.faults


class NoThreads:
    """Stands for the threads of a system that has no more of them."""

    def __init__(self, **_: object) -> None:
        pass

    def start(self) -> None:
        raise RuntimeError("can't start new thread")


def test_out_of_threads_connections_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with chatting("a") as (running, (ann,)):
        with monkeypatch.context() as patch:
            patch.setattr(threading, "Thread", NoThreads)
            with Peer(running.address) as peer:
                assert [is_error(frame) for frame in peer.rest()] == [True]
            assert ann.quiet()
        with Peer(running.address) as peer:
            assert peer.quiet()


def test_out_of_threads_a_slow_reader_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with chatting(receive_buffer=4096) as (running, (ann, bob)):
        monkeypatch.setattr(threading, "Thread", NoThreads)
        flood(ann, 200)
        live = bob.rest()
        monkeypatch.undo()
        kept = numbers(delivered(running, "b"))
        assert kept == list(range(len(live) + 1, 200))
