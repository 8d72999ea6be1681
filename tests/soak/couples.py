"""Couples of friends, of whom one does what the server has to make up for."""

from threading import Event

from tests.soak.friends import AWAY, DELIVER, Friend
from tests.soak.line import Address

FLOOD = 80
"""Bursts for somebody who does not read: more than the server and the kernel hold,
and less than the server keeps."""


class Sleeper:
    """Somebody who is sent much and does not read, and one who sends it."""

    def __init__(self, name: str, address: Address) -> None:
        self.sender = Friend(f"{name}.s", address, [60_000])
        self.reader = Friend(f"{name}.r", address, [0], receive_buffer=4096)
        self.cut_off = 0  # times

    def live(self, stop: Event) -> None:
        """Sleep, wake up and catch up, until it is time to stop."""
        while not stop.is_set():
            self.sleep()
            self.reader.visit()

    def sleep(self) -> None:
        """Do not read what comes until the sender is through."""
        with self.reader.enter() as line:
            with self.sender.enter() as sending:
                for _ in range(FLOOD):
                    self.sender.send(sending, self.reader.name, 3)
                self.sender.leave(sending)
            if self.reader.leave(line).cut:
                self.cut_off += 1
                self._miss()

    def _miss(self) -> None:
        """Take for received what was cut off: it was on its way (SND-12)."""
        sessions = self.reader.came[self.sender.name]
        sessions.append([max(number for came in sessions for number in came) + 1])


class Mortal:
    """Somebody who deletes their account and makes it again, and one who writes to it.

    What is kept for an account goes with it; what it has sent remains.
    """

    def __init__(self, name: str, address: Address) -> None:
        self.writer = Friend(f"{name}.w", address)
        self.mortal = Friend(f"{name}.m", address)
        self.lives = 0

    def live(self, stop: Event) -> None:
        """Live and die, again and again, until it is time to stop."""
        self.rise()
        while not stop.is_set():
            self.die()
            self.rise()
            stop.wait(AWAY)

    def die(self) -> None:
        """Leave for good, with messages that were not asked for."""
        self.writer.visit([self.mortal.name], 2)
        with self.mortal.enter() as line:
            self.mortal.send(line, self.writer.name, 5)
            self.mortal.delete(line)
            self.mortal.leave(line)
        self._write_off()

    def rise(self) -> None:
        """Live, find nothing of what was before, and chat."""
        self.lives += 1
        with self.mortal.enter() as line:
            self.mortal.take(line.ask(DELIVER))
            self.writer.visit([self.mortal.name], 2)
            self.mortal.leave(line)

    def _write_off(self) -> None:
        """Take for received what went with the account: each that comes is too much."""
        sessions = self.mortal.came[self.writer.name]
        last = max((number for came in sessions for number in came), default=0)
        sessions.append([*range(last + 1, self.writer.accepted[self.mortal.name] + 1)])
