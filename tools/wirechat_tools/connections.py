"""The TCP connections of a capture, each direction a stream of its own."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator

from wirechat_tools.pcap import Packet, packets
from wirechat_tools.reassembly import WRAP, Flow
from wirechat_tools.tcpip import (
    ACK,
    FIN,
    RST,
    SYN,
    Refused,
    Segment,
    addresses,
    reverse,
    segment,
)
from wirechat_tools.traffic import Fault, Stream, Traffic

MOST_OPEN = 65_536
"""Connections followed at the same time: as many as a pair of hosts has ports."""
MOST_ENDED = 256
"""Ended connections remembered, so that late copies of segments open no new ones."""
EPHEMERAL = 32_768
"""The port from which on systems give ports to clients."""


def captured(chunks: Iterable[bytes]) -> Iterator[Traffic]:
    """Read a capture file, pcap or pcapng."""
    connections = Connections()
    refused: Counter[str] = Counter()
    for packet in packets(chunks):
        if isinstance(packet, Packet):
            try:
                found = segment(packet)
            except Refused as error:
                refused[str(error)] += 1
                if refused[str(error)] == 1:
                    yield Fault(None, packet.time, str(error))
            else:
                if found:
                    yield from connections.take(found)
        else:
            yield packet
    for reason, count in refused.items():
        if count > 1:
            yield Fault(None, None, f"{reason} ({count} times in all)")
    yield from connections.give_up()


class Connections:
    """Every connection that is open, or ended a short while ago.

    Args:
        most_open: The connections to follow at the same time.
        most_ended: The ended ones to remember.
    """

    def __init__(
        self, most_open: int = MOST_OPEN, most_ended: int = MOST_ENDED
    ) -> None:
        self._most_open = most_open
        self._most_ended = most_ended
        self._flows: dict[bytes, Flow] = {}
        self._ended: deque[Flow] = deque()
        self._count = 0

    def take(self, segment: Segment) -> Iterable[Traffic]:
        """Return what is to be seen of its stream once this segment has come."""
        flow = self._flows.get(segment.ends)
        if flow and flow.first is not None and not segment.flags & (SYN | FIN | RST):
            if segment.flags & ACK:
                flow.peer.acked = segment.acknowledged
            if not segment.payload:
                return ()
            return flow.take(segment.time, segment.sequence, segment.payload)
        return self._change(flow, segment)

    def give_up(self) -> Iterator[Traffic]:
        """Return what is left at the end of the capture."""
        for flow in self._flows.values():
            if not flow.ended:
                yield from flow.give_up(None)

    def _change(self, flow: Flow | None, segment: Segment) -> Iterator[Traffic]:
        """Take a segment that begins or ends something."""
        time, flags = segment.time, segment.flags
        first = (segment.sequence + bool(flags & SYN)) % WRAP
        if flow and flags & SYN and flow.first not in (None, first):
            yield from self._end(flow, time)  # and its ports are used once more
            flow = None
        elif flow and flow.ended and flow.peer.ended:
            return
        if flow is None:
            if not (flags & SYN or segment.payload):
                return
            flow = self._open(segment)
            yield from self._make_room(time)
        if flow.first is None:
            seen = first if flow.acked is None else flow.acked
            flow.first = first if flags & SYN else seen
            flow.stream.joined = not flags & SYN
        if flags & ACK:
            flow.peer.acked = segment.acknowledged
        if segment.payload:
            yield from flow.take(time, first, segment.payload)
        if flags & FIN and not flow.ended:
            yield from flow.close(time, first + segment.size)
        if flags & RST:
            yield from self._end(flow, time)
        if flow.ended and flow.peer.ended:
            self._retire(flow)

    def _open(self, segment: Segment) -> Flow:
        self._count += 1
        side = _side(segment)
        sender, recipient = addresses(segment.ends)
        flow = Flow(Stream(self._count, f"{sender} > {recipient}", side), segment.ends)
        other = {">": "<", "<": ">", "": ""}[side]
        peer = Flow(
            Stream(self._count, f"{recipient} > {sender}", other), reverse(segment.ends)
        )
        flow.peer, peer.peer = peer, flow
        self._flows[flow.ends], self._flows[peer.ends] = flow, peer
        return flow

    def _make_room(self, time: int | None) -> Iterator[Traffic]:
        if len(self._flows) > 2 * self._most_open:
            flow = next(iter(self._flows.values()))
            yield Fault(flow.stream, time, "given up: too many connections are open")
            yield from self._end(flow, time)
            self._forget(flow)

    def _end(self, flow: Flow, time: int | None) -> Iterator[Traffic]:
        for one in (flow, flow.peer):
            if not one.ended:
                yield from one.give_up(time)

    def _retire(self, flow: Flow) -> None:
        self._ended.append(flow)
        if len(self._ended) > self._most_ended:
            self._forget(self._ended.popleft())

    def _forget(self, flow: Flow) -> None:
        for one in (flow, flow.peer):
            if self._flows.get(one.ends) is one:
                del self._flows[one.ends]


def _side(segment: Segment) -> str:
    """Tell whether a client or a server sends, by the handshake or else the ports."""
    if segment.flags & SYN:
        return "<" if segment.flags & ACK else ">"
    sender, recipient = segment.ends[-4:-2], segment.ends[-2:]
    if min(sender, recipient) >= EPHEMERAL.to_bytes(2, "big"):
        return ""
    return "<" if sender < recipient else ">"
