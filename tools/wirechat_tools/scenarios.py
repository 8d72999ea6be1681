"""What is measured of a server: each scenario makes its clients, and counts replies.

What a scenario asks for is within what every server must stand: no more than 1,000
messages are unread or kept for an account, as many requests are sent ahead (FRM-4,
LIM-3, SND-14), and each account that was made is deleted.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from time import perf_counter, process_time
from typing import Self

from wirechat.codec import Command, encode
from wirechat_tools.figures import Measure
from wirechat_tools.flow import Flow
from wirechat_tools.peer import FENCE, Address, Lost, Pair, Peer, fresh_names, message

AHEAD = 200
"""Requests that are sent without waiting for replies."""
MOST = 1_000_000
"""How often anything is repeated at most: each time is remembered."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a scenario does, and to whom; inside of ``with``, whose end cleans up."""

    address: Address
    seconds: float = 3.0
    """How long to measure."""
    connections: int = 10
    """Senders of many to one, recipients of one to many."""
    size: int = 100
    """Data octets of a message."""
    idle: int = 1000
    """Connections that do nothing."""
    accounts: int = 1000
    """Accounts that a LIST names."""
    kept: int = 1000
    """Messages kept for an account."""
    _names: Iterator[str] = field(default_factory=fresh_names, repr=False)
    _made: list[str] = field(default_factory=list, repr=False)
    _peers: list[Peer] = field(default_factory=list, repr=False)

    def connect(self) -> Peer:
        """Return a connection without an account."""
        self._peers.append(Peer(self.address))
        return self._peers[-1]

    def account(self) -> Peer:
        """Return a connection with an account of its own."""
        peer = self.connect()
        peer.name = next(self._names)
        self._made.append(peer.name)
        return peer.create()

    def login(self, name: str) -> Peer:
        """Return a connection with an account that was made before."""
        peer = self.connect()
        peer.name = name
        return peer.login()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Close all connections and delete all accounts, where the server still is."""
        for peer in self._peers:
            peer.close()
        with suppress(OSError, Lost):
            self._delete()

    def _delete(self) -> None:
        names = iter(self._made)
        with Peer(self.address) as peer:
            while some := list(islice(names, AHEAD)):
                pairs = [
                    encode(Command.LOGIN, name) + encode(Command.DELETE)
                    for name in some
                ]
                peer.socket.sendall(b"".join(pairs) + FENCE)
                while peer.frame().command != Command.LISTRESPONSE:
                    pass


class Clock:
    """Times what is repeated, and the share of a core that it costs the client."""

    def __init__(self) -> None:
        self.begin = perf_counter()
        self._cpu = process_time()

    def measure(self, unit: str, count: int, latencies: list[float]) -> Measure:
        """Return the result of what was done since the beginning."""
        seconds = perf_counter() - self.begin
        busy = (process_time() - self._cpu) / seconds
        return Measure(unit, count, seconds, busy, latencies)


def repeated(load: Load, unit: str, once: Callable[[], float]) -> Measure:
    """Do something over and over, which returns the seconds that count of it."""
    clock = Clock()
    latencies = [once()]
    while perf_counter() - clock.begin < load.seconds and len(latencies) < MOST:
        latencies.append(once())
    return clock.measure(unit, len(latencies), latencies)


def flowing(load: Load, flow: Flow) -> Measure:
    """Let messages flow, and count them."""
    clock = Clock()
    return clock.measure("messages", flow.run(load.seconds), [])


def pair(load: Load) -> Pair:
    """Return two who can chat."""
    return Pair(load.account(), load.account(), load.size)


def latency(load: Load) -> Measure:
    """Relay one message at a time between two."""
    return repeated(load, "messages", pair(load).relay)


def throughput(load: Load) -> Measure:
    """Let one send to another without waiting."""
    return flowing(load, Flow.between({load.account(): [load.account()]}, load.size))


def pairs(load: Load) -> Measure:
    """Let several send to one of their own each."""
    count = range(load.connections)
    lines = {load.account(): [load.account()] for _ in count}
    return flowing(load, Flow.between(lines, load.size))


def many_to_one(load: Load) -> Measure:
    """Let several send to one."""
    to = load.account()
    lines = {load.account(): [to] for _ in range(load.connections)}
    return flowing(load, Flow.between(lines, load.size))


def one_to_many(load: Load) -> Measure:
    """Let one send to several in turn."""
    to = [load.account() for _ in range(load.connections)]
    return flowing(load, Flow.between({load.account(): to}, load.size))


def connect(load: Load) -> Measure:
    """Open a connection, have one request answered, close it."""

    def once() -> float:
        begin = perf_counter()
        with Peer(load.address) as peer:
            peer.fence()
            return perf_counter() - begin

    return repeated(load, "connections", once)


def idle(load: Load) -> Measure:
    """Relay as for latency while others are connected, and see that these still are."""
    others = [load.connect() for _ in range(load.idle)]
    for peer in others:
        peer.fence()
    measure = latency(load)
    for peer in others:
        peer.fence()
    return measure


def listing(load: Load) -> Measure:
    """List all accounts: there are many, and each of them must be named."""
    names = set()
    for _ in range(load.accounts):
        with load.account() as peer:
            names.add(peer.name)
    asking = load.connect()

    def once() -> float:
        begin = perf_counter()
        reply = asking.ask(encode(Command.LIST), Command.LISTRESPONSE)
        seconds = perf_counter() - begin
        if missing := names.difference(reply.fields):
            raise Lost(f"{len(missing)} of {len(names)} accounts were not named")
        return seconds

    return repeated(load, "lists", once)


def kept(load: Load) -> Measure:
    """Have messages delivered that were kept, again and again."""
    sender, to = load.account(), load.account()
    frames = [
        message(sender.name, to.name, f"{number:06}", load.size)
        for number in range(load.kept)
    ]
    batches = [b"".join(frames[at : at + AHEAD]) for at in range(0, len(frames), AHEAD)]
    to.close()

    def once() -> float:
        for batch in batches:
            sender.socket.sendall(batch)
            sender.exactly(batch)
        with load.login(to.name) as peer:
            begin = perf_counter()
            peer.socket.sendall(encode(Command.DELIVER))
            peer.exactly(b"".join(frames))
            return perf_counter() - begin

    measure = repeated(load, "messages", once)
    delivered, seconds = load.kept * measure.count, sum(measure.latencies)
    return replace(measure, count=delivered, seconds=seconds)


SCENARIOS: Mapping[str, Callable[[Load], Measure]] = {
    "latency": latency,
    "throughput": throughput,
    "pairs": pairs,
    "many-to-one": many_to_one,
    "one-to-many": one_to_many,
    "connect": connect,
    "idle": idle,
    "list": listing,
    "kept": kept,
}
