"""One connection to a server: what comes, what does not, and how it ends."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.scripted import (
    ERROR,
    FIN,
    MUCH,
    NO_NAMES,
    RESET,
    SUCCESS,
    TIMEOUT,
    Script,
    staged,
)
from wirechat_conformance.frames import RESPONSE, BadFrameError, Received, header
from wirechat_conformance.peer import OverdueError, Patience, Peer, SilenceError


def received(peer: Peer) -> bytes | None:
    frame = peer.receive()
    return None if frame is None else frame.octets


def test_frames_come_one_by_one_then_the_end() -> None:
    with staged((SUCCESS + ERROR, NO_NAMES, FIN)) as stage:
        peer = stage.connect()
        got = [received(peer) for _ in range(5)]
    assert got == [SUCCESS, ERROR, NO_NAMES, None, None]
    assert peer.closed == "closed"


def test_frame_may_come_in_pieces() -> None:
    with staged((ERROR[:1],)) as stage:
        peer = stage.connect()
        rest = threading.Timer(0.005, stage.servers[0].sendall, [ERROR[1:]])
        rest.start()
        assert received(peer) == ERROR
        rest.join()


def test_reset_is_an_end_and_what_came_before_is_read() -> None:
    with staged((SUCCESS, RESET), (RESET,)) as stage:
        peer = stage.connect()
        assert peer.end(1) == "reset"
        assert received(stage.connect()) is None
        assert received(peer) in (SUCCESS, None)  # a reset may overtake
        assert received(peer) is None
        assert peer.closed == "reset"


def test_room_for_what_is_not_read_can_grow() -> None:
    with staged(()) as stage:
        peer = stage.connect(4096)
        before = peer.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        peer.widen()
        assert peer.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) > before
        peer.close()
        peer.widen()  # it has ended, which is seen elsewhere


@pytest.mark.parametrize("end", [FIN, RESET])
def test_kind_of_end_is_told_though_nothing_was_read(end: str) -> None:
    with staged((ERROR, end)) as stage:
        told = stage.connect().end(1)
    assert told == {FIN: "closed", RESET: "reset"}[end]


def test_end_that_does_not_come_is_a_wait_in_vain() -> None:
    with staged((ERROR,)) as stage:
        peer = stage.connect()
        bounds = []
        for _ in range(Patience.FULL_WAITS):
            bounds.append(stage.patience.bound)
            assert peer.end(0) == ""
        assert received(peer) == ERROR
        assert stage.patience.bound < min(bounds)


def test_silence_is_noticed_within_the_time_out() -> None:
    with staged() as stage, pytest.raises(SilenceError) as silence:
        stage.connect().receive()
    assert str(silence.value) == f"nothing within {TIMEOUT:g} s"


def test_part_of_a_frame_and_then_silence_is_silence() -> None:
    with staged((ERROR[:-1],)) as stage:
        peer = stage.connect()
        with pytest.raises(SilenceError):
            peer.receive()
    assert bytes(peer.buffer) == ERROR[:-1]


def test_end_in_the_middle_of_a_frame_is_no_end() -> None:
    with staged((ERROR[:20], FIN)) as stage:
        peer = stage.connect()
        with pytest.raises(BadFrameError) as bad:
            peer.receive()
    assert str(bad.value) == "the connection ended after 20 octets of a frame"
    assert (bad.value.rule, bad.value.octets) == ("FRM-1", ERROR[:20])


@pytest.fixture
def trickling(monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    """A connection on which a frame comes at a hundred octets a second at most."""
    monkeypatch.setattr("wirechat_conformance.peer.WHOLE", 0.1)
    with staged((header(RESPONSE, 30),)) as stage:
        stage.patience.seconds = 1
        peer = stage.connect()
        done = threading.Event()

        def trickle() -> None:
            while not done.wait(0.01):
                stage.servers[0].sendall(b"x")

        thread = threading.Thread(target=trickle)
        thread.start()
        yield peer
        done.set()
        thread.join()


def test_frame_that_trickles_in_is_given_up(trickling: Peer) -> None:
    with pytest.raises(SilenceError) as silence:
        trickling.receive()
    assert str(silence.value) == "not done within 0.1 times the time-out"


def test_frame_that_comes_steadily_may_take_long(
    trickling: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wirechat_conformance.peer.STEADY", 1)
    assert trickling.receive() == Received(RESPONSE, b"x" * 30)


def test_each_segment_is_sent() -> None:
    with staged() as stage:
        stage.connect().send([b"one", b"", b"two"])
        assert stage.heard(0, b"onetwo")


def test_sending_ends_where_nothing_is_taken() -> None:
    with staged() as stage, pytest.raises(SilenceError) as silence:
        stage.connect().send([MUCH])
    assert str(silence.value) == f"nothing within {TIMEOUT:g} s"


@pytest.mark.parametrize("script", [(), (FIN,)])
def test_sending_goes_on_once_a_server_takes_something(script: Script) -> None:
    with staged(script) as stage:
        stage.patience.seconds = 5
        peer = stage.connect()
        if script:
            assert peer.receive() is None
        peer.push(MUCH)  # no more finds room now

        def take() -> None:
            while stage.servers[0].recv(1 << 20):
                pass

        thread = threading.Timer(TIMEOUT, take)
        thread.start()
        peer.send([MUCH])
        peer.half_close()
        thread.join()
    assert peer.closed == ("closed" if script else "")


def test_nothing_is_waited_for_where_the_time_is_up() -> None:
    with staged() as stage:
        stage.patience.until = 0.0
        with pytest.raises(OverdueError):
            stage.connect().receive()


def test_what_comes_is_read_while_sending() -> None:
    with staged() as stage:
        stage.patience.seconds = 5
        peer = stage.connect()

        def talk_first() -> None:
            stage.servers[0].sendall(MUCH)
            left = len(MUCH)
            while left:
                left -= len(stage.servers[0].recv(1 << 20))

        thread = threading.Thread(target=talk_first)
        thread.start()
        peer.send([MUCH])
        thread.join()
    assert len(peer.buffer) > 1 << 20


@pytest.mark.parametrize("end", [FIN, RESET])
def test_what_a_server_that_hung_up_does_not_take_is_dropped(end: str) -> None:
    with staged((ERROR, end)) as stage:
        peer = stage.connect()
        stage.servers[0].close()
        assert peer.end(1)
        peer.send([MUCH, MUCH])
        peer.push(MUCH)
        peer.half_close()


def test_push_waits_for_nothing() -> None:
    with staged() as stage:
        peer = stage.connect()
        peer.push(MUCH)
        peer.push(MUCH)
    assert stage.patience.bound == TIMEOUT


def test_half_close_leaves_the_other_half() -> None:
    with staged() as stage:
        peer = stage.connect()
        peer.half_close()
        assert stage.servers[0].recv(1) == b""
        stage.servers[0].sendall(SUCCESS)
        assert received(peer) == SUCCESS


def test_close_is_a_fin_and_reset_a_reset() -> None:
    with staged() as stage:
        stage.connect().close()
        assert stage.servers[0].recv(1) == b""
        stage.connect().reset()
        with pytest.raises(ConnectionResetError):
            stage.servers[1].recv(1)


def test_reset_of_what_is_closed_is_nothing() -> None:
    with staged() as stage:
        peer = stage.connect()
        peer.close()
        peer.reset()


def test_small_receive_buffer_is_taken() -> None:
    with staged() as stage:
        small, usual = stage.connect(4096), stage.connect()
        sizes = [
            peer.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            for peer in (small, usual)
        ]
    assert sizes[0] < sizes[1]


def test_connection_that_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with pytest.raises(ConnectionRefusedError):
        Peer(address, Patience(1))


def test_patience_wears_out_and_is_renewed() -> None:
    patience = Patience(2)
    for _ in range(Patience.FULL_WAITS):
        assert patience.bound == 2
        patience.lost()
    assert patience.bound == pytest.approx(0.2)
    patience.waited(0.1)
    patience.waited(0.05)
    assert patience.bound == pytest.approx(0.8)
    patience.waited(1)
    assert patience.bound == 2
    patience.slowest = 0
    with patience.renewed():
        assert patience.bound == 2
        assert patience.lost() == 0
        assert patience.bound < 2
    with patience.renewed():
        assert patience.bound == 2
    assert patience.bound < 2


def test_what_comes_late_is_waited_for_as_long_as_nothing_was_in_vain() -> None:
    patience = Patience(2)
    assert patience.lost() == 0
    patience.came_late()
    patience.forgiving = True
    for _ in range(Patience.MERCY - 1):
        assert patience.lost() == 2
        patience.came_late()
    assert patience.lost() == 2
    patience.came_late()
    assert patience.lost() == 0
    assert patience.bound < 2


def test_patience_is_worn_out_but_for_one_wait() -> None:
    patience = Patience(2)
    patience.forgiving = True
    patience.wear_out()
    assert patience.bound == 2
    assert patience.lost() == 0
    assert patience.bound == pytest.approx(0.05)
    patience.waited(0.1)
    assert patience.bound == pytest.approx(0.2)
    patience.wear_out()
    assert patience.bound == pytest.approx(0.2)


def test_reply_that_comes_late_is_told_and_costs_no_patience() -> None:
    with staged() as stage:
        stage.patience.forgiving = True
        peer = stage.connect()
        late = threading.Timer(1.5 * TIMEOUT, stage.servers[0].sendall, [SUCCESS])
        late.start()
        with pytest.raises(SilenceError) as silence:
            peer.receive()
        late.join()
        assert silence.value.late
        assert received(peer) == SUCCESS
        stage.patience.lost()
        assert stage.patience.bound == TIMEOUT
