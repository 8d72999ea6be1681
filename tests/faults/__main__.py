"""Run one faulty server: ``python -m tests.faults ID --port N``."""

from tests.faults import FAULTS
from tests.parts import run

run({name: fault.part for name, fault in FAULTS.items()}, "fault")
