"""The server and clients that do not read, or read slowly."""

import pytest

from tests.served import (
    SUCCESS,
    Peer,
    chatting,
    connection_of,
    delivered,
    flood,
    numbers,
    text,
    wait_for,
)
from wirechat import exchange
from wirechat.codec import (
    Command,
)


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
