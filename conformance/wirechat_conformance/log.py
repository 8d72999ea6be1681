"""What was said in a conversation: a line for each step and each frame."""

from collections.abc import Mapping

from wirechat_conformance import judge, steps
from wirechat_conformance.frames import Received
from wirechat_conformance.transcript import write_step

SHOWN = 14
"""Lines of a conversation that a failure shows, the last ones."""
WIDTH = 200
"""Characters of a step that a failure shows."""
Entry = steps.Step | Received | str
"""What was done, what came, or how it ended."""


class Log:
    """What was done on connections, and what came.

    Args:
        names: The values of the usernames.
    """

    def __init__(self, names: Mapping[str, bytes]) -> None:
        self._names = names
        self._entries: list[tuple[str, Entry]] = []

    def note(self, connection: str, entry: Entry) -> None:
        """Take note of something."""
        self._entries.append((connection, entry))

    def withdraw(self) -> None:
        """Forget the last entry: it is still to come."""
        self._entries.pop()

    def last_frame(self, connection: str) -> Received:
        """Return the frame that came last on a connection."""
        came = (entry for name, entry in reversed(self._entries) if name == connection)
        return next(entry for entry in came if isinstance(entry, Received))

    def shown(self) -> list[str]:
        """Return what was said so far, a line each, the last lines only."""
        lines = [self._line(name, entry) for name, entry in self._entries[-SHOWN:]]
        earlier = len(self._entries) - len(lines)
        return [f"… {earlier} earlier", *lines] if earlier else lines

    def told(self, step: steps.Step) -> str:
        """Return a step as transcripts write it, with this run's usernames."""
        line = write_step(step, self._names)
        for variable, value in self._names.items():
            line = line.replace(f"\\{{{variable}}}", value.decode())
        return line

    def _line(self, name: str, entry: Entry) -> str:
        if isinstance(entry, Received):
            return f"{name} < {judge.describe(entry)}"
        if isinstance(entry, str):
            return f"{name} {entry}"
        line = self.told(entry)
        return line if len(line) <= WIDTH else f"{line[:WIDTH]}…"
