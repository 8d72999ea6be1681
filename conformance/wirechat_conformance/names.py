"""Fresh usernames, that nobody else on the server has."""

import itertools
import secrets
import string
import threading
from collections.abc import Callable, Mapping

_CHARACTERS = string.ascii_lowercase + string.digits
_PREFIX = 3
_COUNTER = 4
LEAST = _PREFIX + _COUNTER
"""Characters from which on a name is fresh by its prefix. A shorter one is looked for
on the server, among the few that there are."""


class Names:
    """The usernames of one run: all begin alike, so that a filter finds what is left.

    Args:
        is_free: Asks the server whether a filter names no account.
    """

    def __init__(self, is_free: Callable[[bytes], bool]) -> None:
        self._is_free = is_free
        self._lock = threading.Lock()
        self._given: set[bytes] = set()
        self._counter = map("".join, itertools.product(_CHARACTERS, repeat=_COUNTER))
        self.prefix = next(p for p in iter(_prefix, b"") if is_free(p + b"*"))
        self.unused = self.fresh()
        """A name that is never given to an account: fences ask for it."""

    def fresh(self, length: int = LEAST) -> bytes:
        """Return a new name of this many lower-case letters and digits."""
        with self._lock:
            return self._fresh(length)

    def _fresh(self, length: int) -> bytes:
        if length >= LEAST:
            name = self.prefix + next(self._counter).encode()
            return name + b"x" * (length - LEAST)
        short = (
            "".join(c).encode() for c in itertools.product(_CHARACTERS, repeat=length)
        )
        name = next(n for n in short if n not in self._given and self._is_free(n))
        self._given.add(name)
        return name

    def for_transcript(self, names: Mapping[str, str]) -> dict[str, bytes]:
        """Return a value for each username of a transcript, as long as its example."""
        values: dict[str, bytes] = {}
        for name, example in names.items():
            upper = example.removeprefix("upper ")
            values[name] = (
                self.fresh(len(example)) if upper == example else values[upper].upper()
            )
        return values


def _prefix() -> bytes:
    # It begins with a letter, so that its upper case is another name.
    letter = secrets.choice(string.ascii_lowercase)
    rest = (secrets.choice(_CHARACTERS) for _ in range(_PREFIX - 1))
    return "".join([letter, *rest]).encode()
