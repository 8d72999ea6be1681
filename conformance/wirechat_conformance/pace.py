"""How quickly a server answers, and how much of a run that leaves time for."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TypeVar

SLOW = 0.005
"""Seconds for a reply from which on a run takes less of what takes many replies."""
REPLIES = 4
"""Replies to one end of a session in a run."""
FEW = 6
"""Examples of each property that are tried at least."""
ENOUGH = 5.0
"""Seconds after which there were long messages enough: octets may leave one by one."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace of a server.

    Args:
        reply: Seconds from a request to its reply, at best.
        end: Seconds that it takes a session to end, and another to begin.
    """

    reply: float = 0.0
    end: float = 0.0

    @property
    def seconds(self) -> float:
        """Seconds for each reply, where there are ends of sessions among them."""
        return max(self.reply, self.end / REPLIES)

    @property
    def slow(self) -> bool:
        """Whether the server takes so long for each reply that a run gets long."""
        return self.seconds > SLOW

    def part(self, count: int) -> int:
        """Return how many of so many examples there is time for."""
        if not self.slow:
            return count
        return min(count, max(FEW, int(count * SLOW / self.seconds)))

    def portion(self, every: Sequence[T], turn: int) -> list[T]:
        """Return as many of these as there is time for: others at each turn."""
        count = self.part(len(every))
        return [
            every[at % len(every)] for at in range(turn * count, (turn + 1) * count)
        ]

    def told(self, examples: int) -> list[str]:
        """Tell what a run of so many examples has left out."""
        tried = self.part(examples)
        if tried == examples:
            return []
        what, seconds = "a reply", self.reply
        if self.seconds > self.reply:
            what, seconds = "the end of a session", self.end
        return [
            f"{what} takes {seconds * 1000:.0f} ms: no more than {tried} of "
            f"{examples} examples were tried, and as small a part of all cuts"
        ]


def in_time(numbers: Iterable[int]) -> Iterator[int]:
    """Give these until they have taken long enough."""
    until = time.monotonic() + ENOUGH
    return takewhile(lambda _: time.monotonic() < until, numbers)
