"""One run against one server: what its cases share."""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from wirechat_conformance import frames, grace
from wirechat_conformance.bystanders import Bystanders, InconclusiveError, answer, asked
from wirechat_conformance.failure import ALIVE, Failure
from wirechat_conformance.frames import NO_NAMES
from wirechat_conformance.names import Names
from wirechat_conformance.pace import Pace
from wirechat_conformance.peer import TROUBLE, GoneError, Patience, Peer
from wirechat_conformance.plain import PLAIN, Explanations
from wirechat_conformance.rules import RULES
from wirechat_conformance.settings import Settings
from wirechat_conformance.sweep import sweep
from wirechat_conformance.target import Target

SAMPLES = 5
"""Replies of which the quickest tells a server's pace."""
SWEEPERS = 8
"""Connections on which a slow server is told to delete accounts at the same time."""
BACKLOG = 4
"""Connections that may wait to be accepted: five is what many a tutorial listens for,
and a connection that found no room is tried again after whole seconds."""
SLOW_BACKLOG = 64
"""As many on a server that is slow, until one has found no room."""
SHRINKING = 8.0
"""Seconds in which the examples that fail are made smaller, all in all."""
MANY = 10
"""Cases that break a MUST, after which a server need not be waited for that much."""
ALL = 0.02
"""Seconds in which all connections of a server end, where it has ended."""
SOON = 0.005
"""Seconds in which they nearly always do: so long each run waits, to see it."""
DOUBTS = 3
"""Failures that are tried again in vain, with more time for sessions to end."""


class Run:
    """What the cases of one run share: the server, fresh names, how long to wait.

    Args:
        target: The server.
        settings: What is asked for.

    Raises:
        InconclusiveError: The server refuses connections, or is silent.
    """

    def __init__(self, target: Target, settings: Settings) -> None:
        self.target = target
        self.settings = settings
        self.patience = Patience(settings.timeout)
        self.choices: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """Each free choice, and how often the server took which."""
        self.failed: set[str] = set()
        """The cases that have failed so far."""
        self._usual = NO_NAMES
        """What the witness was answered in the beginning, if it was."""
        self._mute = False
        self._faults = 0
        self.explanations = Explanations()
        self.suspects: tuple[str, ...] = ()
        """The rules by which a connection was last seen to end, if it is for that."""
        self.came_true: set[str] = set()
        """The transcripts that came true ahead of their turn."""
        self.shrinking = SHRINKING
        """Seconds that are left for making smaller what fails."""
        self.left = 0
        """Accounts of this run that it could not delete."""
        self.bystanders = Bystanders(self.connect, self.patience)
        self.bystanders.gather()
        self.killed: Failure | None = None
        """What the server did not outlive before the first case, if it did not."""
        if self.bystanders.witness is None:
            self._outlives("LIST without a session", "LST-4")
        self._outlives("the end of a session", "ACC-12")
        self.names = Names(self._is_free)
        self.unused = self.names.unused
        self._try_fences()
        self._outlives("LIST without a session", "LST-4")
        self.grace = grace.LEAST
        self.ending = 0.0
        """Seconds that it takes an account to be made, to leave, and to enter again."""
        self.doubts = DOUBTS
        with suppress(*TROUBLE):
            bound = self.patience.seconds / 4
            begun = time.monotonic()
            self.grace = grace.learned(self.connect, self.names.fresh, bound)
            self.ending = (time.monotonic() - begun) / grace.ROUNDS
        self._outlives("LOGIN behind the end of a session", "ACC-8", "ACC-12")
        with suppress(*TROUBLE):
            for last in (b"", frames.header(frames.LIST, 0, frames.WRONG)):
                self.bystanders.succeed(last)
        self._outlives("a frame of another version", "FRM-2")
        self.pace = self._measured()
        self.room = SLOW_BACKLOG if self.slow else BACKLOG
        """Connections that may wait to be accepted."""
        self.patience.forgiving = True
        self.patience.until = time.monotonic() + settings.longest

    def connect(self, receive_buffer: int | None = None) -> Peer:
        """Return a new connection.

        Args:
            receive_buffer: Octets that the kernel may keep for us, if not its default.

        Raises:
            GoneError: There is none to be had.
        """
        try:
            return Peer(self.target.address, self.patience, receive_buffer)
        except OSError as error:
            reason = error.strerror or str(error)
            raise GoneError(f"no connection: {reason.lower()}") from None

    @property
    def gone(self) -> bool:
        """Whether the server as a whole has ended, where one connection has.

        All that a process has open is closed at nearly the same time.
        """
        return self._goes_within(ALL)

    def _goes_within(self, seconds: float) -> bool:
        witness = self.bystanders.witness
        if witness is not None and not witness.ends(seconds):
            return False
        with suppress(GoneError), closing(self.connect()) as another:
            # What listens may be the last to be closed.
            return another.ends(grace.LONG if witness else seconds)
        return True

    @property
    def mute(self) -> bool:
        """Whether no fence is answered, without which next to nothing can be seen."""
        return self._mute and self._faults >= MANY

    @property
    def plain(self) -> bool:
        """Whether all plain cases have come true, those that were run."""
        return self.failed.isdisjoint(PLAIN)

    @contextmanager
    def in_doubt(self) -> Iterator[None]:
        """Give sessions a long time to end, to see whether that is why a case failed.

        Raises:
            Failure: It is not.
        """
        before, self.grace = self.grace, max(self.grace, grace.LONG)
        try:
            yield
        except Failure:
            self.doubts -= 1
            raise
        finally:
            self.grace = before

    def has_failed(self, case: str, failure: Failure) -> None:
        """Take note of a case that failed: once many have, there is less patience."""
        self.failed.add(case)
        self._faults += failure.is_fault
        if self._faults == MANY:
            self.patience.wear_out()

    def chose(self, choice: str, value: str) -> None:
        """Take note of what the server made of a free choice."""
        self.choices[choice][value] += 1

    def broken_fence(self, session: bool) -> tuple[str, ...]:
        """Return the rules that keep fences from working, with a session or not.

        That is tried once, when the run begins.
        """
        return self._broken_fences[session]

    @property
    def slow(self) -> bool:
        """Whether the server takes so long for each reply that a run gets long."""
        return self.pace.slow

    @property
    def replies(self) -> Pace:
        """The pace of replies alone, by which goes what waits for no session to end."""
        return Pace(self.pace.reply)

    @property
    def examples(self) -> int:
        """Examples of each property: fewer on a server that is slow."""
        return self.pace.part(self.settings.examples)

    def _outlives(self, what: str, *rules: str) -> None:
        """See that the server goes on behind what is done before the first case."""
        if not self.killed and self._goes_within(SOON):
            self.killed = Failure([*rules, "FRM-10"], ALIVE, "its end", f"at {what}")
            self.recover()

    def _measured(self) -> Pace:
        """Return the pace of the quickest of some replies, and of a session's end."""
        taken: list[float] = []
        witness = self.bystanders.witness
        while witness and len(taken) < SAMPLES:
            begun = time.monotonic()
            if asked(witness, self.unused) is None:
                return Pace()
            taken.append(time.monotonic() - begun)
        return Pace(min(taken, default=0.0), self.ending)

    def _try_fences(self) -> None:
        self._broken_fences: dict[bool, tuple[str, ...]] = {True: (), False: ()}
        said = None
        if self.bystanders.witness:
            said = asked(self.bystanders.witness, self.unused)
            self._usual = said or NO_NAMES
            if said != NO_NAMES:
                self._broken_fences[True] = ("LST-3",)
        with suppress(GoneError):
            bare = self.connect()
            got = asked(bare, self.unused)
            self._mute = said is got is None
            if got != NO_NAMES:
                self._broken_fences[False] = ("LST-4",)
            elif not self._answers_both(bare):
                self._broken_fences = dict.fromkeys([True, False], ("FRM-3", "FRM-4"))
            bare.close()

    def _answers_both(self, peer: Peer) -> bool:
        """Say whether two requests in one segment are both answered."""
        with suppress(*TROUBLE):
            peer.send([2 * frames.frame(frames.LIST, self.unused)])
            return peer.receive() == peer.receive() == NO_NAMES
        return False

    def tell_what_killed(self) -> None:
        """Tell, once, what the server did not outlive before the first case.

        Raises:
            Failure: There is something.
        """
        killed, self.killed = self.killed, None
        if killed:
            raise killed

    def check_witness(self) -> None:
        """See that what a case did has not disturbed others.

        Raises:
            Failure: The witness is not served as before (FRM-10), or only late.
        """
        witness = self.bystanders.witness
        got = None if witness is None else asked(witness, self.unused)
        if witness is None or got == self._usual:
            self.suspects = ()
            return
        told = "no answer, or its end" if got is None else "another answer"
        expected = "a bystander on another connection is served as before"
        suspects = self.suspects if got is None and self.gone else ()
        failure = Failure([*suspects, "FRM-10"], expected, told)
        failure.late = got is None and answer(witness) == self._usual
        if not failure.late:
            witness.close()
            self.bystanders.witness = None
        raise failure

    def recover(self) -> bool:
        """Bring in a new witness, and the server anew where we can.

        Returns:
            Whether the server takes connections, and answers on them.
        """
        if self._serves():
            return True
        return self.target.revive() and self._serves()

    def _serves(self) -> bool:
        try:
            self.bystanders.gather()
        except InconclusiveError:
            return False
        return True

    def profile(self) -> list[str]:
        """Tell what the server made of its free choices."""
        by_value: dict[str, list[str]] = {}
        told = []
        for choice, values in sorted(self.choices.items()):
            value = " or ".join(sorted(values))
            if choice in RULES:
                by_value.setdefault(value, []).append(choice)
            else:
                told.append(f"{choice}: {value}")
        rejections = [f"{v} ({', '.join(rules)})" for v, rules in by_value.items()]
        return [f"rejections: {', '.join(rejections)}"] * bool(rejections) + told

    def notes(self) -> list[str]:
        """Tell where the server did now this, now that, and what it had no time for."""
        return self.pace.told(self.settings.examples) + [
            f"{choice}: " + ", ".join(f"{n} times {v}" for v, n in values.most_common())
            for choice, values in sorted(self.choices.items())
            if len(values) > 1
        ]

    def sweep(self) -> int:
        """Delete this run's accounts that are left; return how many can't be."""
        bound = self.patience.bound
        return sweep(
            self.connect, self.names.prefix, bound, SWEEPERS if self.slow else 1
        )

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the server as it was found."""
        self.patience.until = math.inf
        self.bystanders.dismiss()
        self.left = self.sweep()

    def _is_free(self, pattern: bytes) -> bool:
        witness = self.bystanders.witness
        return witness is None or asked(witness, pattern) == NO_NAMES
