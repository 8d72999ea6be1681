"""The server, over sockets on loopback."""

import threading
import time
from collections.abc import Callable

import pytest

from tests.served import (
    BOUND,
    SUCCESS,
    Peer,
    chatting,
    connection_of,
    flood,
    is_error,
    numbers,
    serving,
    text,
    wait_for,
)
from wirechat import exchange, server
from wirechat.codec import (
    Command,
    Frame,
    encode,
    encode_data,
)
from wirechat.rules import Chat, Outbox, Session

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
