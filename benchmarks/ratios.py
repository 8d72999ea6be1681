"""What a benchmark comes to: a ratio, and whether it is as it should be."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import PIPE, Popen
from time import process_time

from wirechat_tools.peer import Address

LINEAR = 2.6
"""How much longer twice as much may take: what is over 2 is left to the machine."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """One figure beside another, the least or the most that it may be, and both."""

    name: str
    value: float
    least: float = 0.0
    most: float = float("inf")
    remark: str = ""

    @property
    def met(self) -> bool:
        """Whether it is as it should be."""
        return self.least <= self.value <= self.most

    def __str__(self) -> str:
        """Say it in one line."""
        bound = f">= {self.least:g}" if self.least else f"<= {self.most:g}"
        mark = "met" if self.met else "NOT MET"
        return f"{self.name:<46} {self.value:6.2f}  {bound:<8} {mark:<8} {self.remark}"


def best(call: Callable[[], object], times: int = 3) -> float:
    """Return the least processor seconds that a call took: others may be at work."""

    def once() -> float:
        begin = process_time()
        call()
        return process_time() - begin

    return min(once() for _ in range(times))


@contextmanager
def running(command: list[str]) -> Iterator[Address]:
    """Run a server that tells where it listens, in a process of its own."""
    with Popen(command, stdout=PIPE, text=True) as process:
        try:
            assert process.stdout
            host, port = process.stdout.readline().split()[-1].split(":")
            yield host, int(port)
        finally:
            process.kill()
