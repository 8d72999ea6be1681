"""Messages in a steady flow: many are on their way at once, and each is checked.

One thread drives all connections. Each sender repeats a lap of numbered messages, so
what comes is compared with what must come next, octet for octet: a message that is
lost, doubled, altered or out of order is noticed where it should have been.
"""

import select
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from time import perf_counter
from typing import Self

from wirechat.codec import HEADER_SIZE
from wirechat_tools.peer import RECEIVE, TIMEOUT, Lost, Peer, message, told

WINDOW = 64 * 1024
"""Octets on their way to one recipient at most: half of what FRM-4 allows."""
UNREAD = 1000
"""Messages on their way to one recipient at most (SND-14)."""
LAP = 100
"""Messages from one sender to one recipient that differ."""


class Cycle:
    """A lap of octets, over and over, and how far they have come."""

    def __init__(self, lap: bytes) -> None:
        self.position = 0
        self._lap = len(lap)
        # Enough of it for a receive, and a frame that is held, to begin anywhere.
        self._octets = lap * (RECEIVE // len(lap) + 3)

    def next(self, size: int) -> bytes:
        """Return so many octets, from where it stands."""
        start = self.position % self._lap
        return self._octets[start : start + size]

    def check(self, octets: bytes) -> None:
        """Go on by octets which must be those that come next."""
        if octets != self.next(len(octets)):
            raise Lost(f"not the message that comes next: {told(octets)}")
        self.position += len(octets)


class Outlet:
    """A sender, ahead of what is confirmed by so many octets at most.

    Args:
        peer: Who sends.
        cycle: What is sent.
        confirmed: What comes back of it: the echoes, and the copies of recipients.
        window: Octets on their way at most, whole frames.
        size: Octets of each frame.
    """

    def __init__(
        self,
        peer: Peer,
        cycle: Cycle,
        confirmed: tuple[Cycle, Sequence[Cycle]],
        window: int,
        size: int,
    ) -> None:
        self.cycle = cycle
        self.peer = peer
        self._echo, self._copies = confirmed
        self._window = window
        self._size = size

    @property
    def unconfirmed(self) -> int:
        """Octets of which the echo or the copy has not come."""
        copied = sum(copy.position for copy in self._copies)
        return self.cycle.position - min(self._echo.position, copied)

    def push(self, flowing: bool) -> None:
        """Send what there is room for, or just the rest of a frame that was begun."""
        room = self._window - self.unconfirmed if flowing else 0
        end = self.cycle.position + room
        end -= end % self._size
        if end < self.cycle.position:
            end += self._size
        octets = end - self.cycle.position
        # Many small sends would cost more than the messages in them.
        if octets and (2 * octets >= self._window or not flowing):
            try:
                self.cycle.position += self.peer.socket.send(self.cycle.next(octets))
            except BlockingIOError:
                return  # the server takes no more until it has answered


class Inlet:
    """What comes on one connection: from each sender, what must come next.

    Args:
        peer: Who receives.
        sources: What comes, by the sender's username.
        size: Octets of each frame.
    """

    def __init__(self, peer: Peer, sources: Mapping[bytes, Cycle], size: int) -> None:
        self.peer = peer
        self._sources = sources
        self._size = size
        self._name = slice(HEADER_SIZE, HEADER_SIZE + len(next(iter(sources))))
        self._only = next(iter(sources.values())) if len(sources) == 1 else None
        self._held = b""

    def take(self) -> None:
        """Take what is there and check it."""
        octets = self.peer.receive()
        if self._only:
            self._only.check(octets)
        else:
            self._sort(self._held + octets)

    def _sort(self, octets: bytes) -> None:
        """Check whole frames, those of each sender together, and hold the rest."""
        size, name = self._size, self._name
        end = len(octets) - len(octets) % size
        frames: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for at in range(0, end, size):
            frame = octets[at : at + size]
            frames[frame[name]].append(frame)
        for sender, sent in frames.items():
            if sender not in self._sources:
                raise Lost(told(sent[0]))
            self._sources[sender].check(b"".join(sent))
        self._held = octets[end:]


class Flow:
    """Messages on their way between those who send and those who receive.

    Args:
        outlets: Who sends.
        inlets: Who receives, the senders too where there are echoes.
        size: Octets of each frame.
    """

    def __init__(
        self, outlets: Sequence[Outlet], inlets: Sequence[Inlet], size: int
    ) -> None:
        self._outlets = outlets
        self._size = size
        self._inlets = {inlet.peer.socket.fileno(): inlet for inlet in inlets}
        self._poll = select.poll()
        for peer in {end.peer for end in outlets} | {end.peer for end in inlets}:
            peer.socket.setblocking(False)
            self._poll.register(peer.socket, select.POLLIN)

    @classmethod
    def between(cls, lines: Mapping[Peer, Sequence[Peer]], size: int) -> Self:
        """Let each sender send to each of its recipients in turn.

        Args:
            lines: Each sender, with its recipients, none of which sends.
            size: Data octets of each message.
        """
        frame = HEADER_SIZE + size
        crowd = max(Counter(chain.from_iterable(lines.values())).values())
        window = max(1, min(UNREAD, WINDOW // frame) // crowd) * frame
        outlets, inlets = [], []
        copies: defaultdict[Peer, dict[bytes, Cycle]] = defaultdict(dict)
        for sender, recipients in lines.items():
            name = sender.name.encode()
            laps = [lap(sender.name, to.name, size) for to in recipients]
            for to, frames in zip(recipients, laps, strict=True):
                copies[to][name] = Cycle(b"".join(frames))
            octets = b"".join(chain.from_iterable(zip(*laps, strict=True)))
            confirmed = Cycle(octets), [copies[to][name] for to in recipients]
            outlets.append(Outlet(sender, Cycle(octets), confirmed, window, frame))
            inlets.append(Inlet(sender, {name: confirmed[0]}, frame))
        inlets += [Inlet(to, sources, frame) for to, sources in copies.items()]
        return cls(outlets, inlets, frame)

    def run(self, seconds: float) -> int:
        """Send for so many seconds, then wait for what is on its way.

        Returns:
            The messages that were sent, each of which came back and arrived.

        Raises:
            Lost: Not each of them did, or not in order.
        """
        begin = perf_counter()
        while True:
            flowing = perf_counter() - begin < seconds
            for outlet in self._outlets:
                outlet.push(flowing)
            missing = sum(outlet.unconfirmed for outlet in self._outlets)
            if not missing:
                break
            self._take(missing)
        sent = sum(outlet.cycle.position for outlet in self._outlets)
        return sent // self._size

    def _take(self, missing: int) -> None:
        ready = self._poll.poll(TIMEOUT * 1000)
        if not ready:
            count = missing // self._size
            raise Lost(f"{count} messages not back within {TIMEOUT:g} seconds")
        for descriptor, _ in ready:
            self._inlets[descriptor].take()


def lap(sender: str, recipient: str, size: int) -> list[bytes]:
    """Return the frames that one sends to another, before they come again."""
    return [message(sender, recipient, f"{number:06}", size) for number in range(LAP)]
