"""The server beside a bare relay and, where it is installed, mosquitto."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from math import inf
from statistics import median
from typing import NamedTuple

from benchmarks import broker
from benchmarks.ratios import LINEAR, Ratio, running
from wirechat_tools.peer import Address
from wirechat_tools.scenarios import Load, kept, latency, listing, throughput

ROUNDS = 5
"""How often each is measured in turn; the best counts, since others disturb."""
SECONDS = 0.5
"""How long each is measured at a time."""
SIZE = 100
"""Data octets of a message."""
IDLE = 1000
"""Connections that do nothing."""
FEW, MANY = 1000, 10_000
"""Accounts that are listed, messages that are delivered."""
SERVER = [sys.executable, "-m", "wirechat.server", "--port", "0"]
RELAY = [sys.executable, "-m", "benchmarks.relay"]


class Speed(NamedTuple):
    """Messages a second without waiting, and seconds until one is delivered."""

    rate: float
    time: float


def chat(address: Address, idle: int = 0) -> Speed:
    """Measure a server of the protocol, while so many connections do nothing."""
    with Load(address, SECONDS, size=SIZE) as load:
        for _ in range(idle):
            load.connect().fence()
        rate = throughput(load).rate
        return Speed(rate, median(latency(load).latencies))


def publish(address: Address) -> Speed:
    """Measure a broker."""
    rate = broker.throughput(address, SECONDS, SIZE)
    return Speed(rate, median(broker.latencies(address, SECONDS, SIZE)))


def ratios() -> Iterator[Ratio]:
    """Yield what was measured."""
    with ExitStack() as stack:
        server = stack.enter_context(running(SERVER))
        relay = stack.enter_context(running(RELAY))
        contenders: dict[str, Callable[[], Speed]] = {
            "server": lambda: chat(server),
            "idle": lambda: chat(server, IDLE),
            "relay": lambda: chat(relay),
        }
        if broker.COMMAND:
            mosquitto = stack.enter_context(broker.mosquitto())
            contenders["mosquitto"] = lambda: publish(mosquitto)
        else:
            print("mosquitto is not installed: nothing is compared with it")
        yield from compared(best_of(contenders))
        yield from growth(server)


def best_of(contenders: Mapping[str, Callable[[], Speed]]) -> dict[str, Speed]:
    """Measure all in turn, and return the best rate and the best time of each."""
    found: dict[str, list[Speed]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, measure in contenders.items():
            found[name].append(measure())
    return {
        name: Speed(max(one.rate for one in all_), min(one.time for one in all_))
        for name, all_ in found.items()
    }


def compared(found: Mapping[str, Speed]) -> Iterator[Ratio]:
    """Compare the server's speed with that of the others."""
    rate, time = found["server"]
    for name, least in (("relay", 3.0), ("mosquitto", 1.0)):
        if name in found:
            other = found[name].rate
            remark = f"{rate:,.0f} / {other:,.0f} messages/s"
            yield Ratio(f"throughput / {name}", rate / other, least, remark=remark)
    other = found["relay"].time
    remark = f"{time * 1e6:.1f} / {other * 1e6:.1f} µs"
    yield Ratio("time to deliver / relay", time / other, most=1.25, remark=remark)
    other = found["idle"].rate
    remark = f"{other:,.0f} / {rate:,.0f} messages/s"
    name = f"throughput, {IDLE:,} idle connections / none"
    yield Ratio(name, other / rate, 0.9, remark=remark)


def growth(server: Address) -> Iterator[Ratio]:
    """Compare the time that one account or message takes among few and among many."""
    for scenario, what in ((listing, "LIST, an account"), (kept, "DELIVER, a message")):
        times = {FEW: inf, MANY: inf}
        for count in [FEW, MANY] * 2:  # others disturb
            with Load(server, SECONDS, accounts=count, kept=count) as load:
                time = min(scenario(load).latencies) / count
                times[count] = min(times[count], time)
        remark = f"{times[MANY] * MANY * 1000:.2f} ms"
        name = f"{what} among {MANY:,} / {FEW:,}"
        yield Ratio(name, times[MANY] / times[FEW], most=LINEAR / 2, remark=remark)
