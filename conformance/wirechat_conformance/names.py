"""Fresh usernames, that nobody else on the server has."""

import itertools
import secrets
import string
import threading
from collections.abc import Callable, Iterable, Mapping

_CHARACTERS = string.ascii_lowercase + string.digits
_PREFIX = 3
_COUNTER = 4
_DRAWS = 1000
"""Short names to try: of one character that is each, many times."""
_TRIES = 20
"""Prefixes to look for a free one among: where none is, filters do not work."""
LEAST = _PREFIX + _COUNTER
"""Characters from which on a name is fresh by its prefix. For a shorter one, and one of
digits alone, the server is asked whether it is free."""


class NoNameError(Exception):
    """No username of the kind that is asked for is free."""


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
        prefixes = [_prefix() for _ in range(_TRIES)]
        self.prefix = next((p for p in prefixes if is_free(p + b"*")), prefixes[0])
        self.unused = self.fresh()
        """A name that is never given to an account: fences ask for it."""

    def fresh(self, length: int = LEAST) -> bytes:
        """Return a new name of this many lower-case letters and digits.

        Raises:
            NoNameError: All that are so short are taken.
        """
        with self._lock:
            if length < LEAST:
                return self._free(_short(length))
            name = self.prefix + next(self._counter).encode()
            return name + b"x" * (length - LEAST)

    def like(self, example: str) -> bytes:
        """Return a new name as long as an example, of digits alone if that is.

        Raises:
            NoNameError: There is none.
        """
        if not example.isdigit():
            return self.fresh(len(example))
        with self._lock:
            return self._free(_digits(example) for _ in range(_TRIES))

    def _free(self, candidates: Iterable[str]) -> bytes:
        for candidate in candidates:
            name = candidate.encode()
            if name not in self._given and self._is_free(name):
                self._given.add(name)
                return name
        raise NoNameError("no username that is so short, or all digits, is free")

    def for_transcript(self, names: Mapping[str, str]) -> dict[str, bytes]:
        """Return a value for each username of a transcript, like its example."""
        values: dict[str, bytes] = {}
        for name, example in names.items():
            upper = example.removeprefix("upper ")
            values[name] = (
                self.like(example) if upper == example else values[upper].upper()
            )
        return values


def _prefix() -> bytes:
    # It begins with a letter, so that its upper case is another name.
    letter = secrets.choice(string.ascii_lowercase)
    rest = (secrets.choice(_CHARACTERS) for _ in range(_PREFIX - 1))
    return "".join([letter, *rest]).encode()


def _short(length: int) -> Iterable[str]:
    """Return short names in no order: another run may look for one just now."""
    for _ in range(_DRAWS):
        yield "".join(secrets.choice(_CHARACTERS) for _ in range(length))


def _digits(example: str) -> str:
    """Return random digits, with zeros where an example has them."""
    return "".join(d if d == "0" else secrets.choice("123456789") for d in example)
