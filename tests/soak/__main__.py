"""Run the soak test, and say what came of it."""

import argparse
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from tests.soak.couples import Mortal, Sleeper
from tests.soak.friends import Friend, problem
from tests.soak.hostile import CROWD
from tests.soak.line import PATIENCE, Address, Fault, Line
from tests.soak.watched import Ended, Figures, Watched
from wirechat.codec import Command, encode

SERVER = f"{sys.executable} -m wirechat.server --port 0"
SLEEPERS = MORTALS = 4
ROOM = 100
"""Descriptors that are left for foes when all friends are there: too few."""
MEMORY = 32.0
"""MiB more than at the start that the server may have in the end."""
STOP = 1.0 + 1.5
"""Seconds in which a server ends: one of its own, the others for a busy machine."""
FULL = "a connection refused: out of file descriptors"


@dataclass
class Soak:
    """A run, with all that take part in it, and what was seen of the server."""

    address: Address
    friends: list[Friend]
    sleepers: list[Sleeper]
    mortals: list[Mortal]
    peak: Figures
    problems: list[str] = field(default_factory=list)
    stop: Event = field(default_factory=Event)

    @property
    def all(self) -> Iterator[Friend]:
        """Everybody who has an account to be checked."""
        yield from self.friends
        for sleeper in self.sleepers:
            yield from (sleeper.sender, sleeper.reader)
        for mortal in self.mortals:
            yield from (mortal.writer, mortal.mortal)


def party(address: Address, count: int, start: Figures) -> Soak:
    """Return a run with so many friends."""
    friends = [Friend(f"friend.{at}", address) for at in range(count)]
    sleepers = [Sleeper(f"sleeper.{at}", address) for at in range(SLEEPERS)]
    mortals = [Mortal(f"mortal.{at}", address) for at in range(MORTALS)]
    return Soak(address, friends, sleepers, mortals, start)


def chat(soak: Soak, server: Watched, seconds: float) -> None:
    """Have all chat for so long, while foes do what they can."""
    where = "{}:{}".format(*soak.address)
    hostile = [sys.executable, "-m", "tests.soak.hostile", where]
    everybody = [*soak.friends, *soak.sleepers, *soak.mortals]
    with (
        subprocess.Popen([*hostile, "--seconds", str(seconds)]) as foes,
        ThreadPoolExecutor(len(everybody)) as pool,
    ):
        try:
            lives = list(started(soak, pool))
            watch(soak, server, lives, time.monotonic() + seconds)
            if foes.wait(seconds + PATIENCE):
                soak.problems.append(f"the foes ended with {foes.returncode}")
        finally:
            soak.stop.set()
            foes.terminate()
    soak.problems += [repr(fault) for life in lives if (fault := life.exception())]


def started(soak: Soak, pool: ThreadPoolExecutor) -> Iterator[Future[None]]:
    """Start the lives of all, for whom somebody must be there to write to."""
    for friend in soak.friends:
        friend.visit()
    names = [friend.name for friend in soak.friends]
    for friend in soak.friends:
        yield pool.submit(friend.live, names, soak.stop)
    for sleeper in soak.sleepers:
        yield pool.submit(sleeper.live, soak.stop)
    for mortal in soak.mortals:
        yield pool.submit(mortal.live, soak.stop)


def watch(
    soak: Soak, server: Watched, lives: Sequence[Future[None]], end: float
) -> None:
    """Note the most that the server takes, until time is up or somebody has failed."""
    while time.monotonic() < end and not any(life.done() for life in lives):
        wait(lives, 0.5, FIRST_COMPLETED)
        soak.peak = soak.peak.most(server.figures())


def check(soak: Soak) -> None:
    """Fetch what is still kept, and compare all that came with all that was sent."""
    for friend in soak.all:
        friend.visit()
    for sender in soak.all:
        for recipient in soak.all:
            count, came = sender.accepted[recipient.name], recipient.came[sender.name]
            if wrong := problem(count, came):
                told = f"{sender.name} to {recipient.name}: {wrong}"
                soak.problems.append(told)


def clean_up(soak: Soak) -> None:
    """Delete all accounts, those of the foes too."""
    with Line(soak.address) as line:
        (listed,) = line.ask(encode(Command.LIST))
        for name in listed.fields:
            if line.ask(encode(Command.LOGIN, name), encode(Command.DELETE))[0].data:
                soak.problems.append(f"{name} is still online")
        if line.ask(encode(Command.LIST))[1:]:
            soak.problems.append("accounts are left")


def judge(soak: Soak, start: Figures, end: Figures, ended: Ended, log: str) -> None:
    """Say what else is wrong: with the server, or with a run that shows nothing."""
    lines = [line for line in log.splitlines() if not line.endswith("connections")]
    wrong = {
        "threads or descriptors are left": end.left_over(start),
        "memory is left": end.memory > start.memory + MEMORY,
        f"it ended with status {ended.status}": ended.status != 0,
        "it took too long to end": ended.seconds > STOP,
        f"logged: {log[-2000:]}": set(lines) - {FULL},
        "descriptors were never used up": FULL not in lines,
        "no sleeper was cut off": not any(one.cut_off for one in soak.sleepers),
        "a friend did not come again": any(one.visits < 3 for one in soak.friends),
        "no account was made again": not any(one.lives > 1 for one in soak.mortals),
        "nobody wrote to themselves": not any(
            one.accepted[one.name] for one in soak.friends
        ),
    }
    soak.problems += [told for told, is_so in wrong.items() if is_so]


def report(soak: Soak, start: Figures, end: Figures, ended: Ended) -> None:
    """Print the counts, and all that is wrong."""
    friends = list(soak.all)
    print(
        f"friends {len(friends)}, sessions {sum(one.visits for one in friends)}, "
        f"messages {sum(sum(one.accepted.values()) for one in friends)}, "
        f"refused connections {sum(one.refused for one in friends)}, "
        f"cut off {sum(one.cut_off for one in soak.sleepers)}, "
        f"made again {sum(one.lives - 1 for one in soak.mortals)}"
    )
    for when, figures in ("start", start), ("peak", soak.peak), ("end", end):
        print(
            f"{when:<6}{figures.memory:7.1f} MiB, {figures.threads} threads, ", end=""
        )
        print(f"{figures.descriptors} descriptors")
    print(f"ended with status {ended.status} after {ended.seconds:.2f} s")
    print(f"{len(soak.problems)} problems", *soak.problems[:20], sep="\n")


def run(command: str, seconds: float, count: int, log: Path) -> Soak:
    """Run the soak test against the server that a command starts."""
    descriptors = count + 2 * (SLEEPERS + MORTALS) + ROOM
    assert descriptors < count + CROWD
    with Watched(shlex.split(command), descriptors, log) as server:
        start = server.figures()
        soak = party(server.address, count, start)
        try:
            chat(soak, server, seconds)
            check(soak)
            clean_up(soak)
        except (OSError, Fault) as fault:
            soak.problems.append(repr(fault))
        end = server.settled(start)
        ended = server.end()
    judge(soak, start, end, ended, log.read_text())
    report(soak, start, end, ended)
    return soak


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, and return the exit status: 1 where anything is wrong."""
    parser = argparse.ArgumentParser("soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--friends", type=int, default=200)
    parser.add_argument("--server", default=SERVER, help="the command to start it")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        soak = run(options.server, options.seconds, options.friends, log)
    return 1 if soak.problems else 0


if __name__ == "__main__":
    sys.exit(main())
