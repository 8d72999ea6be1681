"""How long after the end of a connection its session may seem open."""

import time
from collections.abc import Callable
from contextlib import closing

from wirechat_conformance import frames
from wirechat_conformance.frames import SUCCESS
from wirechat_conformance.peer import Patience, Peer

LEAST = 0.001
"""Seconds that every server is given."""
MOST = 0.5
"""Seconds that no server is given more than."""
LONG = 0.25
"""Seconds that are given where a session seems not to have ended: a machine that is
busy may stop a server just between the two."""
ROUNDS = 4


def learned(
    connect: Callable[[], Peer], fresh: Callable[[], bytes], seconds: float
) -> float:
    """Return how many seconds to wait for a session behind its connection's end.

    FRM-9 ends the session and closes the connection, and ACC-12 lets LOGIN be repeated
    until the server has noticed. So one that closes first, and a little later ends the
    session, is right; how much later is measured.

    Args:
        connect: Gives a connection.
        fresh: Gives a new username.
        seconds: How long to wait for a reply.

    Raises:
        GoneError, SilenceError, BadFrameError: The server does not do its part.
    """
    lags = [_lag(connect, fresh(), seconds) for _ in range(ROUNDS)]
    return max(LEAST, min(MOST, 2 * max(lags)))


def _lag(connect: Callable[[], Peer], name: bytes, seconds: float) -> float:
    """Return for how long LOGIN is refused when a session has ended; 0 if never."""
    with closing(connect()) as leaving, closing(connect()) as entering:
        leaving.patience = entering.patience = Patience(seconds)
        if not leave(leaving, name):
            return 0.0
        lag = enter(entering, name)
        entering.send([frames.frame(frames.DELETE)])
    return lag


def leave(peer: Peer, name: bytes, last: bytes = b"") -> bool:
    """Make an account and half-close, and return whether it was made.

    Args:
        peer: The connection.
        name: The username.
        last: What else to send.
    """
    peer.send([frames.frame(frames.CREATE, name)])
    made = peer.receive() == SUCCESS
    if made:
        peer.send([last])
        peer.half_close()
        while peer.receive():
            pass
    return made


def enter(peer: Peer, name: bytes) -> float:
    """Ask for a session until there is one, and return for how long; 0 if at once."""
    lag, begun = 0.0, time.monotonic()
    while _refused(peer, name) and lag < MOST:
        time.sleep(LEAST)  # the pace at which it asks, no wait for an event
        lag = time.monotonic() - begun
    return lag


def _refused(peer: Peer, name: bytes) -> bool:
    peer.send([frames.frame(frames.LOGIN, name)])
    return peer.receive() != SUCCESS
