"""The octets of one direction of a TCP connection, as its recipient would have them.

Segments may come out of order, twice, in overlaps, cut off, or not at all. What is
missing is told and never glued over; of two that contradict each other the first one
counts, and that is told.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence

from wirechat_tools.traffic import End, Fault, Gap, Octets, Stream, Traffic

PATIENCE = 4 * 1024 * 1024
"""Octets held behind a gap before it counts as a loss: a window of 100 Mbit/s over a
third of a second, in which a segment could still be sent again."""
PATIENCE_ACKED = 16
"""Segments held behind a gap that the recipient has acknowledged: what is missing was
lost by the capture and won't come, unless it is a little out of order."""
REMEMBERED = 16
"""Segments of a stream that are remembered, to see what contradicts them."""
WRAP = 1 << 32
"""Where sequence numbers begin again."""


class Held:
    """Segments that came too early: apart from each other, in order."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.size = 0
        self._parts: list[bytes] = []

    def put(self, start: int, octets: bytes) -> bool:
        """Keep what is new; return whether it contradicts what was there."""
        conflict = False
        index = bisect_left(self.starts, start)
        if index and self.starts[index - 1] + len(self._parts[index - 1]) > start:
            index -= 1
        while octets:
            if index < len(self.starts) and self.starts[index] <= start:
                known = self._parts[index][start - self.starts[index] :]
                conflict |= not known.startswith(octets[: len(known)])
                taken = len(known)
            else:
                ahead = self.starts[index : index + 1]
                taken = ahead[0] - start if ahead else len(octets)
                self.starts.insert(index, start)
                self._parts.insert(index, octets[:taken])
                self.size += len(octets[:taken])
            start, octets, index = start + taken, octets[taken:], index + 1
        return conflict

    def take(self, start: int) -> bytes:
        """Take out everything that follows on one another from here."""
        count, end = 0, start
        while count < len(self.starts) and self.starts[count] == end:
            end += len(self._parts[count])
            count += 1
        octets = b"".join(self._parts[:count])
        del self.starts[:count], self._parts[:count]
        self.size -= len(octets)
        return octets


class Flow:
    """One direction of a connection: segments go in, octets and gaps come out.

    ``first`` is the sequence number of its first octet, ``acked`` the last one that
    the other side has acknowledged, and ``fin`` the offset at which it ends.
    """

    def __init__(self, stream: Stream, ends: bytes) -> None:
        self.stream = stream
        self.ends = ends
        self.first: int | None = None
        self.acked: int | None = None
        self.fin: int | None = None
        self.ended = False
        self.peer = self
        self._at = 0  # offset of the next octet
        self._held = Held()
        self._past: deque[bytes] = deque(maxlen=REMEMBERED)

    def offset(self, sequence: int) -> int:
        """Return the offset that a sequence number means: the nearest one."""
        ahead = sequence - (self.first or 0) - self._at
        return self._at + (ahead + WRAP // 2) % WRAP - WRAP // 2

    def take(self, time: int | None, sequence: int, octets: bytes) -> Sequence[Traffic]:
        """Return what is to be seen of the stream once these octets have come."""
        start = self.offset(sequence)
        # Nearly every segment is the next one, and needs no more than this.
        if start == self._at and not self._held.size and self.fin is None:
            self._at += len(octets)
            self._past.append(octets)
            return (Octets(self.stream, time, octets),)
        return [] if self.ended else self._place(time, start, octets)

    def close(self, time: int | None, sequence: int) -> list[Traffic]:
        """Note that the stream ends at this sequence number."""
        self.fin = self.offset(sequence)
        return self._go_on(time)

    def give_up(self, time: int | None) -> list[Traffic]:
        """Return what is left of a stream of which no more will come."""
        found: list[Traffic] = []
        while self._held.size:
            found += self._skip(time)
        # What was acknowledged may count the FIN that was not captured.
        end = self.fin
        if end is None and self.acked is not None and self.first is not None:
            end = self.offset(self.acked) - 1
        if end is not None and end > self._at:
            found.append(Gap(self.stream, time, end - self._at))
        self.ended = True
        return [*found, End(self.stream, time)]

    def _place(self, time: int | None, start: int, octets: bytes) -> list[Traffic]:
        old = octets[: max(self._at - start, 0)]
        # A keep-alive has one octet, of any value, that has been acknowledged.
        differs = len(octets) > 1 and not self._agrees(start, old)
        new = octets[len(old) :]
        differs |= self._held.put(start + len(old), new)
        found: list[Traffic] = []
        if differs:
            reason = f"segment contradicts an earlier one (offset {start})"
            found.append(Fault(self.stream, time, reason))
        return found + self._go_on(time)

    def _agrees(self, start: int, old: bytes) -> bool:
        """Tell whether octets that came before are the same, as far as is known."""
        past = b"".join(self._past)
        begin = self._at - len(past)
        known = past[max(start - begin, 0) :]
        return known.startswith(old[max(begin - start, 0) :])

    def _go_on(self, time: int | None) -> list[Traffic]:
        found = self._next(time)
        while self._held.size and self._is_hopeless():
            found += self._skip(time)
        if self.fin is not None and self._at >= self.fin and not self.ended:
            found += self.give_up(time)
        return found

    def _is_hopeless(self) -> bool:
        acked = self.acked is not None and self.offset(self.acked) > self._at
        count = len(self._held.starts)
        return self._held.size > PATIENCE or (acked and count > PATIENCE_ACKED)

    def _skip(self, time: int | None) -> list[Traffic]:
        size = self._held.starts[0] - self._at
        self._at += size
        self._past.clear()
        return [Gap(self.stream, time, size), *self._next(time)]

    def _next(self, time: int | None) -> list[Traffic]:
        octets = self._held.take(self._at)
        if not octets:
            return []
        self._at += len(octets)
        self._past.append(octets)
        return [Octets(self.stream, time, octets)]
