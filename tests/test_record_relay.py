"""What passes the recorder is unaltered."""

import errno
import os
import select
import socket
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from tests.relayed import BOUND, Client, Seen, relaying, reset
from wirechat.codec import Command, encode
from wirechat.server import Server
from wirechat_tools.relay import PAUSE, Relay
from wirechat_tools.scribe import Scribe


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


def test_reset_of_a_side_that_is_held_up(listener: socket.socket) -> None:
    with relaying(listener.getsockname()) as relay:
        peers = Peers(relay, listener)
        with peers.server as server:
            fill(peers.client)
            reset(peers.client)
            # Nothing can be done about it as long as octets wait for the server: by
            # the time that others are served, this has been seen.
            others = Peers(relay, listener)
            with others.client as client, others.server as other:
                client.sendall(b"x")
                assert other.recv(1) == b"x"

            def read_on() -> None:
                while server.recv(1 << 20):
                    pass

            with pytest.raises(ConnectionResetError):
                read_on()


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
    with relaying(address, scribe, told=told) as relay:
        see_a_reset(relay.address)
    assert told == [f"127.0.0.1:{address[1]}: Connection refused"]
    assert scribe.text().endswith("\nA open\nA eof\n")


class Ailing(socket.socket):
    """A socket of a system that refuses what it is asked for so many times."""

    faults: ClassVar[defaultdict[str, list[int]]] = defaultdict(list)

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        self._fail("accept")
        return super().accept()

    def send(self, octets: Any, *flags: int) -> int:
        self._fail("send")
        return super().send(octets, *flags)

    def connect_ex(self, address: Any) -> int:
        faults = self.faults["connect"]
        return faults.pop() if faults else super().connect_ex(address)

    def _fail(self, where: str) -> None:
        if self.faults[where]:
            number = self.faults[where].pop(0)
            raise OSError(number, os.strerror(number))


@pytest.fixture
def ailing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, list[int]]]:
    """Have sockets fail in a method with the numbers that are put in here."""
    monkeypatch.setattr(socket, "socket", Ailing)
    yield Ailing.faults
    assert not any(Ailing.faults.values())


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EMFILE, ["connections wait: Too many open files"]),
        (errno.ENOBUFS, ["connections wait: No buffer space available"]),
        (errno.ECONNABORTED, []),
        (errno.EAGAIN, []),
    ],
)
def test_connections_wait_for_room_and_are_served_then(
    number: int, told: list[str], server: Server, ailing: dict[str, list[int]]
) -> None:
    heard: list[str] = []
    with relaying(server.address, told=heard) as relay:
        ailing["accept"] += [number] * 3
        begin = time.monotonic()
        client = Client(relay.address)
        client.say(Command.LIST)
        client.leave()
        # It tries again after a while each time, and does nothing in between.
        assert time.monotonic() - begin >= 2 * PAUSE or not told
    assert heard == told


def test_server_that_can_not_be_reached_at_once(
    server: Server, ailing: dict[str, list[int]]
) -> None:
    told: list[str] = []
    with relaying(server.address, told=told) as relay:
        ailing["connect"] += [errno.ENETUNREACH]
        # It may be seen here only when something is to be received.
        with (
            pytest.raises(ConnectionResetError),
            socket.create_connection(relay.address, BOUND) as client,
        ):
            client.recv(1)
    assert told == [f"127.0.0.1:{server.address[1]}: Network is unreachable"]


def test_what_is_not_taken_after_all_is_sent_later(
    server: Server, ailing: dict[str, list[int]]
) -> None:
    with relaying(server.address) as relay:
        client = Client(relay.address)
        client.say(Command.LIST)
        ailing["send"] += [errno.EAGAIN]
        client.say(Command.LIST)
        client.leave()


def test_what_a_watcher_can_not_do_is_no_reset(server: Server) -> None:
    class Full(Seen):
        """Can't write what passes."""

        def passed(self, *_: object) -> None:
            raise OSError(errno.ENOSPC, "told to")

    with Relay(("127.0.0.1", 0), server.address, print) as relay:
        relay.watchers.append(Full())
        with socket.create_connection(relay.address, BOUND) as client:
            client.sendall(encode(Command.LIST))
            with pytest.raises(OSError, match="told to"):
                relay.run()
