"""The server at its limits: its own, and those of the system."""

import errno
import socket
import threading
from functools import partial
from typing import ClassVar

import pytest

from tests.served import (
    BOUND,
    Peer,
    chatting,
    delivered,
    flood,
    is_error,
    numbers,
    serving,
    text,
    wait_for,
)
from wirechat import server
from wirechat.codec import (
    REQUESTS,
    Command,
    Decoder,
    Frame,
    encode,
)
from wirechat.rules import Chat, Limits


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


def test_threads_wait_for_a_connection_though_not_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "IDLE", 1)
    with serving() as running:
        with Peer(running.address) as one, Peer(running.address) as two:
            assert one.quiet()
            assert two.quiet()
            before = set(threading.enumerate())
        wait_for(lambda: len(before - set(threading.enumerate())) == 1)
        with Peer(running.address) as three:
            assert three.quiet()
            assert set(threading.enumerate()) < before


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
