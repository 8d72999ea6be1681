"""Print every ratio with its target: the exit status is 1 where one is not met."""

import sys
from itertools import chain

from benchmarks import codec, server


def main() -> int:
    """Measure all."""
    met = True
    for ratio in chain(codec.ratios(), server.ratios()):
        print(ratio, flush=True)
        met = met and ratio.met
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
