"""The connections that a run holds besides those of its cases."""

import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress

from wirechat_conformance import frames, grace
from wirechat_conformance.frames import SUCCESS, BadFrameError, Received
from wirechat_conformance.peer import TROUBLE, GoneError, Patience, Peer, SilenceError
from wirechat_conformance.settings import MINUTE
from wirechat_conformance.sweep import desert

PAUSES = 20, frames.HEADER_SIZE + 5
"""Octets of a frame behind which connections stop, in the header and in the data; what
each lacks is no frame by itself."""
WHOLE = MINUTE - 0.5
"""Seconds of idleness that are waited for: a server counts its minute from a moment
before ours, and may close then."""


class InconclusiveError(Exception):
    """The server can't be judged, and why."""


class Bystanders:
    """A witness, logged in throughout, and connections that stay idle.

    Of those that are idle some are for LIM-5: they have asked for different things
    before, or for nothing. Two are of accounts that had a session before. Late in a run
    two more stop in the middle of a frame.

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
        self.paused: list[tuple[Peer, bytes]] = []
        """Connections that have stopped in a frame, and what each frame still lacks."""
        self.away: dict[str, bytes] = {}
        """Accounts whose sessions have ended, by the way in which they did."""
        self.away_since = 0.0

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
                self.idle = [
                    self._connect(),
                    self._with_account(),
                    self._having_asked(frames.LIST),
                    self._having_asked(frames.DELIVER),
                    self._without_account(),
                ]
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

    def away_by(self, way: str) -> bytes:
        """Return the username of an account whose session is to end in this way."""
        self.away[way], self.away_since = _random_name(), time.monotonic()
        return self.away[way]

    def pause(self) -> None:
        """Stop in the middle of a frame, on connections of their own.

        A server that serves nobody else meanwhile (LIM-4) would break all rules by it:
        it is to be seen before that it does.

        Raises:
            GoneError: There is no connection to be had.
        """
        for pause in PAUSES:
            peer, request = self._connect(), frames.frame(frames.LIST, _random_name())
            peer.send([request[:pause]])
            self.paused.append((peer, request[pause:]))

    def dismiss(self) -> None:
        """Take them all back."""
        idle = *self.idle, *self.successors.values()
        for peer in (*idle, *filter(None, [self.witness])):
            with suppress(SilenceError):
                peer.send([frames.frame(frames.DELETE)])
            peer.close()
        for peer, _ in self.paused:
            peer.close()
        if offline := [*self.first, *self.away.values()]:
            desert(self._connect, offline)
        self.witness, self.first = None, []
        self.idle, self.successors, self.paused, self.away = [], {}, [], {}

    def _with_account(self, name: bytes | None = None) -> Peer:
        peer = self._connect()
        peer.send([frames.frame(frames.CREATE, name or _random_name())])
        peer.receive()
        return peer

    def _having_asked(self, command: int) -> Peer:
        peer = self._connect()
        peer.send([frames.frame(command)])
        peer.receive()
        return peer

    def _without_account(self) -> Peer:
        """Return a connection on which there was an account, which is deleted."""
        peer = self._with_account()
        peer.send([frames.frame(frames.DELETE)])
        peer.send([frames.frame(frames.LIST, _random_name())])
        if peer.receive() == SUCCESS:
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
