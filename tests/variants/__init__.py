"""Permitted variants: servers that are right in another way than the reference."""

from tests.variants import answers, limits, times
from tests.variants.registry import VARIANTS, Variant

__all__ = ["VARIANTS", "Variant", "answers", "limits", "times"]
