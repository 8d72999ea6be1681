"""Run one permitted variant: ``python -m tests.variants ID --port N``."""

from tests.parts import run
from tests.variants import VARIANTS

run({name: variant.part for name, variant in VARIANTS.items()}, "permitted variant")
