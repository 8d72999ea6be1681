"""What a variant is: a part of the server that does things in another right way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tests.parts import Part, dashed

P = TypeVar("P", bound=Part)


@dataclass(frozen=True)
class Variant:
    """One change to the reference server that the protocol permits.

    Args:
        id: Its name.
        summary: What it does.
        part: The class that does it.
        without: The rules at the level of SHOULD that it does without.
    """

    id: str
    summary: str
    part: Part
    without: frozenset[str]


VARIANTS: dict[str, Variant] = {}


def permitted(*without: str) -> Callable[[P], P]:
    """Register a class as a variant; its docstring says what it does."""

    def register(part: P) -> P:
        name = dashed(part.__name__)
        if name in VARIANTS:
            raise ValueError(f"two variants are called {name}")
        VARIANTS[name] = Variant(name, part.__doc__ or "", part, frozenset(without))
        return part

    return register
