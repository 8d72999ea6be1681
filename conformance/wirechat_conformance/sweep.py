"""Accounts that a run has left: found by how their names begin, and deleted."""

import time
from collections.abc import Callable
from contextlib import closing, suppress

from wirechat_conformance import frames
from wirechat_conformance.peer import TROUBLE, Peer

AT_ONCE = 250
"""Accounts that are deleted with one send: 500 requests, half of what FRM-4 grants."""


def sweep(
    connect: Callable[[], Peer], prefix: bytes, seconds: float, sweepers: int = 1
) -> int:
    """Delete the accounts whose names begin so; return how many can't be.

    Args:
        connect: Gives a connection.
        prefix: How the names begin.
        seconds: For how long to try.
        sweepers: Connections on which that may be asked for at the same time.
    """
    left: list[bytes] = []
    peers: list[Peer] = []
    until, pause = time.monotonic() + seconds, 0.001
    with suppress(*TROUBLE):
        peers.append(connect())
        left = listed(peers[0], prefix + b"*")
        while AT_ONCE * len(peers) < len(left) and len(peers) < sweepers:
            peers.append(connect())
        while left and time.monotonic() < until:
            for start in range(0, len(left), AT_ONCE * len(peers)):
                for at, peer in enumerate(peers):
                    first = start + at * AT_ONCE
                    delete(peer, left[first : first + AT_ONCE])
                for peer in peers:
                    listed(peer, prefix)
            before, left = left, listed(peers[0], prefix + b"*")
            if len(left) == len(before):  # online, some of them not for long
                time.sleep(pause)  # the pace at which it asks again
                pause = min(2 * pause, 0.05)
    for peer in peers:
        peer.close()
    return len(left)


def desert(connect: Callable[[], Peer], names: list[bytes]) -> None:
    """Delete many accounts that are offline; whether that succeeds is not the point."""
    with suppress(*TROUBLE), closing(connect()) as peer:
        for start in range(0, len(names), AT_ONCE):
            delete(peer, names[start : start + AT_ONCE])
            listed(peer, names[start])


def delete(peer: Peer, names: list[bytes]) -> None:
    """Delete the accounts that are offline among these."""
    requests = [
        frames.frame(frames.LOGIN, n) + frames.frame(frames.DELETE) for n in names
    ]
    peer.send([b"".join(requests)])


def listed(peer: Peer, pattern: bytes) -> list[bytes]:
    """Return the names that a LIST brings, past replies that are still to come.

    Raises:
        SilenceError, BadFrameError: It brings none.
    """
    peer.send([frames.frame(frames.LIST, pattern)])
    while (frame := peer.receive()) is not None:
        if frame.command == frames.LISTRESPONSE:
            return frame.fields
    return []
