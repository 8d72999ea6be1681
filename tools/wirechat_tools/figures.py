"""What was measured, in figures: rates, percentiles, a picture of a distribution."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil, log

PERCENTILES = (50, 90, 99, 99.9)
SATURATED = 0.9
"""The share of a core from which on the client, one thread, may be what is slow."""
ROWS, COLUMNS = 12, 50
"""How large a picture is at most, in characters."""
BAR = "▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True)
class Measure:
    """One scenario's result.

    ``busy`` is the share of a core that the client used, ``latencies`` are in seconds,
    one for each that was counted, or none where they were under way together.
    """

    unit: str
    count: int
    seconds: float
    busy: float
    latencies: Sequence[float] = field(default=(), repr=False)

    @property
    def rate(self) -> float:
        """How many a second."""
        return self.count / self.seconds

    @property
    def limited(self) -> bool:
        """Whether the client was the bottleneck: the server may well be faster."""
        return self.busy >= SATURATED

    def as_dict(self) -> dict[str, object]:
        """Return what JSON shows; latencies in microseconds."""
        shown: dict[str, object] = {
            "count": self.count,
            "unit": self.unit,
            "seconds": round(self.seconds, 3),
            "per_second": round(self.rate, 1),
            "client_busy": round(self.busy, 3),
            "client_limited": self.limited,
        }
        if self.latencies:
            shown["latency_us"] = {
                name: round(seconds * 1e6, 1)
                for name, seconds in percentiles(self.latencies).items()
            }
        return shown

    def lines(self, name: str) -> Iterator[str]:
        """Yield what a person reads."""
        yield (
            f"{name:<12} {self.rate:>11,.0f} {self.unit}/s"
            f"   {self.count:,} in {self.seconds:.2f} s, client {self.busy:.0%} busy"
        )
        if self.limited:
            yield "  this client was the bottleneck: the server may be faster"
        if self.latencies:
            shown = percentiles(self.latencies).items()
            yield "  " + "  ".join(f"{part} {duration(took)}" for part, took in shown)
            yield from picture(self.latencies)


def percentiles(latencies: Sequence[float]) -> dict[str, float]:
    """Return the least, the percentiles by nearest rank, and the most."""
    ranked = sorted(latencies)
    ranks = {f"p{share:g}": ceil(len(ranked) * share / 100) for share in PERCENTILES}
    parts = {"min": 1, **ranks, "max": len(ranked)}
    return {name: ranked[rank - 1] for name, rank in parts.items()}


def duration(seconds: float) -> str:
    """Return a time in a unit that suits it."""
    for factor, unit in ((1, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.0f} µs"


def picture(latencies: Sequence[float]) -> Iterator[str]:
    """Yield the rows of a histogram, up to the slowest thousandth, which is one row.

    The steps grow by one factor: the same share of the time has the same height.
    """
    parts = percentiles(latencies)
    low, high = parts["min"], parts["p99.9"]
    step = log(high / low) / (ROWS - 1) or 1.0
    rows = Counter(min(int(log(took / low) / step), ROWS - 1) for took in latencies)
    longest = max(rows.values())
    for row in range(max(rows) + 1):
        begin = duration(low * (high / low) ** (row / (ROWS - 1)))
        yield f"  {begin:>8} {bar(rows[row] / longest):<{COLUMNS}} {rows[row]:,}"


def bar(share: float) -> str:
    """Return a bar of this share of the width, by eighths of a character."""
    eighths = ceil(share * COLUMNS * len(BAR))
    whole, rest = divmod(eighths, len(BAR))
    return BAR[-1] * whole + (BAR[rest - 1] if rest else "")
