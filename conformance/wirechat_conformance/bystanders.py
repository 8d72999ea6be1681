"""The connections that a run holds besides those of its cases."""

import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress

from wirechat_conformance import frames, grace
from wirechat_conformance.frames import SUCCESS, BadFrameError, Received
from wirechat_conformance.peer import TROUBLE, GoneError, Patience, Peer, SilenceError
from wirechat_conformance.settings import MINUTE
from wirechat_conformance.sweep import delete, listed

PAUSE = 20
"""Octets of a header behind which one connection stops; what it lacks of the frame is
no header by itself."""


class InconclusiveError(Exception):
    """The server can't be judged, and why."""


class Bystanders:
    """A witness, logged in throughout, and connections that stay idle.

    Of those that are idle two are for LIM-5, and two are of accounts that had a session
    before. Late in a run one more stops in the middle of a header.

    Args:
        connect: Gives a connection.
        patience: The bound of each wait.
    """

    def __init__(self, connect: Callable[[], Peer], patience: Patience) -> None:
        self._connect = connect
        self._patience = patience
        self.witness: Peer | None = None
        self.first: list[bytes] = []
        """The accounts that were made before all others, and are offline since."""
        self.idle: list[Peer] = []
        self.idle_since = time.monotonic()
        self.successors: dict[bytes, Peer] = {}
        """Idle connections whose accounts had a session before, by username."""
        self.paused: tuple[Peer, bytes] | None = None
        """A connection that has stopped in a header, and what the frame still lacks."""

    @property
    def overslept(self) -> bool:
        """Whether idle connections have been so for more than they are promised."""
        return time.monotonic() - self.idle_since > MINUTE

    def gather(self, *, again: bool = True) -> None:
        """Bring in new ones.

        What is silent on one connection may speak on the next, and is faulty then: it
        gets half the time.

        Raises:
            InconclusiveError: The server takes no connection, or is silent on it.
        """
        self.dismiss()
        try:
            peer = self._connect()
        except GoneError as gone:
            raise InconclusiveError(str(gone)) from None
        if not again:
            peer.patience = Patience(self._patience.seconds / 2)
        try:
            # Asked twice: a server that answers only one of the two is not silent.
            peer.send([frames.frame(frames.LIST, _random_name())])
            name = _random_name()
            peer.send([frames.frame(frames.CREATE, name)])
            reply = peer.receive()
        except SilenceError as silence:
            peer.close()
            if peer.buffer:  # which is no frame, but no silence either
                return
            if again:
                self.gather(again=False)
                return
            raise InconclusiveError(f"silent: {silence}") from None
        except BadFrameError:
            peer.close()
            return
        with suppress(*TROUBLE):
            if SUCCESS in (reply, peer.receive()):
                self.witness, self.first = peer, [name, _random_name()]
                second = self._with_account(self.first[1])
                self.idle = [self._connect(), self._with_account()]
                self.idle_since = time.monotonic()
                self.witness = self._with_account()
                peer.close()
                second.close()
        if self.witness is None:
            peer.close()

    def succeed(self, last: bytes) -> None:
        """Have a session, end it behind these octets, and have another, to stay idle.

        The server may give the new connection what the old one had: a descriptor, a
        place in a table. What it does only later about the old one is to leave it be.
        """
        name, patience = _random_name(), Patience(self._patience.seconds / 4)
        with closing(self._connect()) as leaving:
            leaving.patience = patience
            if not grace.leave(leaving, name, last):
                return
        with ExitStack() as ends:
            entering = ends.enter_context(closing(self._connect()))
            entering.patience = patience
            if grace.enter(entering, name) < grace.MOST:
                ends.pop_all()
                entering.patience = self._patience
                self.successors[name] = entering

    def pause(self) -> None:
        """Stop in the middle of a header, on a connection of its own.

        A server that serves nobody else meanwhile (LIM-4) would break all rules by it:
        it is to be seen before that it does.

        Raises:
            GoneError: There is no connection to be had.
        """
        peer, request = self._connect(), frames.frame(frames.LIST, _random_name())
        peer.send([request[:PAUSE]])
        self.paused = peer, request[PAUSE:]

    def dismiss(self) -> None:
        """Take them all back."""
        idle = *self.idle, *self.successors.values()
        for peer in (*idle, *filter(None, [self.witness])):
            with suppress(SilenceError):
                peer.send([frames.frame(frames.DELETE)])
            peer.close()
        if self.paused:
            self.paused[0].close()
        if self.first:
            with suppress(*TROUBLE), closing(self._connect()) as peer:
                delete(peer, self.first)
                listed(peer, self.first[0])
        self.witness, self.first = None, []
        self.idle, self.successors, self.paused = [], {}, None

    def _with_account(self, name: bytes | None = None) -> Peer:
        peer = self._connect()
        peer.send([frames.frame(frames.CREATE, name or _random_name())])
        peer.receive()
        return peer


def _random_name() -> bytes:
    return b"w" + secrets.token_hex(8).encode()


def asked(peer: Peer, pattern: bytes) -> Received | None:
    """Return what comes next once this was listed, None where nothing does."""
    with suppress(*TROUBLE):
        peer.send([frames.frame(frames.LIST, pattern)])
        return peer.receive()
    return None


def answer(peer: Peer) -> Received | None:
    """Return what comes next, None where nothing does."""
    with suppress(*TROUBLE):
        return peer.receive()
    return None
