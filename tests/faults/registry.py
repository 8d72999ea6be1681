"""What a fault is: a part of the server, the rule that it breaks, a word on how."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tests.parts import Part, dashed

P = TypeVar("P", bound=Part)


@dataclass(frozen=True)
class Fault:
    """One small change to the reference server.

    Args:
        id: Its name.
        rule: The rule that it breaks.
        summary: What it does.
        part: The class that does it.
        options: What to ask of the suite besides, where only its rule is checked.
    """

    id: str
    rule: str
    summary: str
    part: Part
    options: tuple[str, ...]


FAULTS: dict[str, Fault] = {}


def breaks(rule: str, *options: str) -> Callable[[P], P]:
    """Register a class as a fault; its docstring says what it does."""

    def register(part: P) -> P:
        name = dashed(part.__name__)
        if name in FAULTS:
            raise ValueError(f"two faults are called {name}")
        FAULTS[name] = Fault(name, rule, part.__doc__ or "", part, options)
        return part

    return register
