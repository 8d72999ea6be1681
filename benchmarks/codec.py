"""The codec beside a loop that does nothing but slice."""

from collections.abc import Iterator
from functools import partial

from benchmarks.ratios import LINEAR, Ratio, best
from wirechat.codec import HEADER_SIZE, Decoder, encode, encode_data

COUNT = 100_000
"""Frames that are decoded."""
FRAME = encode(2, "alice", "bob", "x" * 84)
"""A message of 100 data octets."""
CHUNK = 64 * 1024
"""Octets in a receive."""
LARGE = 64 * 1024 * 1024
"""Data octets of one large frame."""


def sliced(octets: bytes) -> list[tuple[int, bytes]]:
    """Cut frames out of octets; nothing is checked, and nothing may be cut off."""
    frames = []
    at = 0
    while at < len(octets):
        body = at + HEADER_SIZE
        end = body + int.from_bytes(octets[at + 2 : body])
        frames.append((octets[at + 1], octets[body:end]))
        at = end
    return frames


def decoded(octets: bytes, cut: int) -> int:
    """Decode octets that come in pieces of this size; return how many frames."""
    decoder = Decoder(max_data=LARGE)
    pieces = range(0, len(octets), cut)
    return sum(len(decoder.feed(octets[at : at + cut])) for at in pieces)


def ratios() -> Iterator[Ratio]:
    """Yield what was measured."""
    stream = FRAME * (CHUNK // len(FRAME))
    rounds = COUNT * len(FRAME) // len(stream)
    decoder = Decoder()
    times = [  # in turn, a little at a time: what disturbs the one disturbs the other
        (best(partial(sliced, stream), 50), best(partial(decoder.feed, stream), 50))
        for _ in range(10)
    ]
    bare, own = (rounds * min(each) for each in zip(*times, strict=True))
    rate = rounds * len(stream) / len(FRAME) / own
    remark = f"{rate:,.0f} frames/s"
    yield Ratio("decoding / bare slicing", bare / own, least=0.5, remark=remark)
    for cut, count in ((1, 1000), (64, 20_000), (CHUNK, COUNT)):
        name = f"decoding twice as much, {cut:,} octets at a time"
        yield twice(name, FRAME * count, FRAME * 2 * count, cut)
    half, whole = (
        encode_data(2, b"a|||b|||" + bytes(size - 8)) for size in (LARGE // 2, LARGE)
    )
    yield twice("decoding one frame of 64 MiB / of 32 MiB", half, whole, CHUNK)


def twice(name: str, once: bytes, again: bytes, cut: int) -> Ratio:
    """Compare the time for some octets with that for twice as many."""
    short, long = (best(partial(decoded, octets, cut)) for octets in (once, again))
    return Ratio(name, long / short, most=LINEAR, remark=f"{long * 1000:.1f} ms")
