"""Say which interpreters have run the tests in this run of tox; fail with none."""

import sys
from pathlib import Path

DATA = Path(__file__).parent.parent.glob(".coverage.py3*")
versions = sorted(
    {path.name.split(".")[2].removeprefix("py3") for path in DATA}, key=int
)
if not versions:
    sys.exit("no CPython of 3.11 or newer was found: nothing was tested")
print("tested on CPython", ", ".join(f"3.{version}" for version in versions))
