"""A server in a process of its own, and what it takes of the machine (Linux alone)."""

import os
import resource
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple, Self

from tests.soak.line import Address
from wirechat.server import IDLE

BOUND = 30.0
"""Seconds that the server may take for what it does in one."""
GIVES_BACK = {"MALLOC_MMAP_THRESHOLD_": "32768", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""Has the C library give back what the program does: it would keep 100 MiB for later,
among which no leak could be seen."""


class Figures(NamedTuple):
    """What a process takes: resident memory in MiB, threads, and open descriptors."""

    memory: float
    threads: int
    descriptors: int

    def most(self, other: Self) -> Self:
        """Return the greater of each."""
        return type(self)(
            max(self.memory, other.memory),
            max(self.threads, other.threads),
            max(self.descriptors, other.descriptors),
        )

    def left_over(self, start: Self) -> bool:
        """Say whether there is more than at the start that nobody needs any more.

        Some threads wait for the next connection.
        """
        threads = self.threads > start.threads + IDLE
        return threads or self.descriptors > start.descriptors


class Ended(NamedTuple):
    """How a process ended: its exit status, and after how many seconds."""

    status: int
    seconds: float


class Watched:
    """A server, started by a command that says on stdout where it listens.

    Args:
        command: The command and its arguments.
        descriptors: How many it may have open.
        log: Where its stderr goes.
    """

    def __init__(self, command: list[str], descriptors: int, log: Path) -> None:
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | GIVES_BACK,
            )
        pid, kind = self._process.pid, resource.RLIMIT_NOFILE
        resource.prlimit(pid, kind, (descriptors, descriptors))
        assert self._process.stdout
        host, port = self._process.stdout.readline().split()[-1].rsplit(":", 1)
        self.address: Address = (host, int(port))
        self._proc = Path(f"/proc/{pid}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()

    def figures(self) -> Figures:
        """Return what it takes now: a server that has died takes no memory."""
        lines = (self._proc / "status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        memory = int(status.get("VmRSS", "0").split()[0]) / 1024
        descriptors = len(list((self._proc / "fd").iterdir()))
        return Figures(memory, int(status["Threads"]), descriptors)

    def settled(self, start: Figures) -> Figures:
        """Return its figures once threads and descriptors are as few, or late."""
        end = time.monotonic() + BOUND
        while (now := self.figures()).left_over(start) and time.monotonic() < end:
            time.sleep(0.01)  # a thread of another process ends without telling
        return now

    def end(self) -> Ended:
        """End it as a service manager would."""
        begin = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(BOUND)
        return Ended(self._process.returncode, time.monotonic() - begin)
