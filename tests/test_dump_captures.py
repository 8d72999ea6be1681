"""Captures of every kind give the streams that were sent, and tell what is wrong."""

import struct
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.captures import (
    ACK,
    CLIENT,
    CLIENT6,
    RST,
    SERVER,
    SERVER6,
    TIME,
    Seg,
    block,
    conversation,
    cuts,
    enhanced,
    ethernet,
    heard,
    interface,
    ip,
    pcap,
    pcapng,
    section,
)
from wirechat.codec import encode
from wirechat_tools.connections import Connections, captured
from wirechat_tools.pcap import Packet, packets
from wirechat_tools.reassembly import PATIENCE, PATIENCE_ACKED
from wirechat_tools.tcpip import Refused, Segment, segment
from wirechat_tools.traffic import End, Fault, Gap, Traffic

TURNS = [(">", encode(0, "ann")), ("<", encode(6)), (">", bytes(range(256)) * 8)]
SAID = {">": TURNS[0][1] + TURNS[2][1], "<": TURNS[1][1]}
TALK = conversation(TURNS)


def faults(traffic: Iterable[Traffic]) -> list[str]:
    return [event.reason for event in traffic if isinstance(event, Fault)]


def read(segments: Iterable[Seg]) -> list[Traffic]:
    return list(captured([pcap(map(ip, segments), link=101)]))


def stream_of(side: str, segments: list[Seg]) -> list[Seg]:
    port = CLIENT[1] if side == ">" else SERVER[1]
    return [one for one in segments if one.source[1] == port]


# Files


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D])
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_pcap_of_every_kind(order: str, magic: int, size: int) -> None:
    file = pcap(map(ip, TALK), 101, magic, order)
    found = list(packets(cuts(file, size)))
    assert [p.octets for p in found if isinstance(p, Packet)] == [*map(ip, TALK)]
    assert found[0].time == TIME
    assert found[1].time == TIME + (1 if magic == 0xA1B23C4D else 1000)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_pcapng_of_either_byte_order(order: str, size: int) -> None:
    found = list(packets(cuts(pcapng(map(ip, TALK), 101, order), size)))
    assert [p.octets for p in found if isinstance(p, Packet)] == [*map(ip, TALK)]
    assert found[0].time == TIME


@pytest.mark.parametrize(
    ("options", "units", "time"),
    [
        (b"", 5, 5000),
        (struct.pack("<HHI", 2, 4, 0) + struct.pack("<HHB3x", 9, 1, 9), 5, 5),
        (struct.pack("<HHB3x", 9, 1, 3), 5, 5 * 10**6),
        (struct.pack("<HHB3x", 9, 1, 0x80 | 1), 5, 25 * 10**8),
        (struct.pack("<HHB3x", 9, 1, 0x80 | 30), 2**60 + 1, 2**30 * 10**9),
        (struct.pack("<HHq", 14, 8, 100), 5, 100 * 10**9 + 5000),
        (b"", 2**64 - 1, None),
        (struct.pack("<HHq", 14, 8, -(2**63)), 5, None),
    ],
)
def test_pcapng_times_are_whole_nanoseconds(
    options: bytes, units: int, time: int | None
) -> None:
    file = section() + interface(101, options) + enhanced(b"x", units)
    assert list(packets([file])) == [Packet(time, 101, b"x", 1)]


def test_pcapng_of_several_sections_interfaces_and_kinds_of_block() -> None:
    body = struct.pack("<HHIIII", 1, 0, 0, 7, 2, 9) + b"ab"
    file = section() + interface(1) + interface(101) + block(99, b"what?")
    file += enhanced(b"one", 1, number=1) + block(2, body)
    file += section(">") + interface(12, order=">")
    file += block(3, struct.pack(">I", 3) + b"two", ">")
    assert list(packets([file])) == [
        Packet(1000, 101, b"one", 3),
        Packet(7000, 101, b"ab", 9),
        Packet(None, 12, b"two", 3),
    ]


@pytest.mark.parametrize("file", [pcap(map(ip, TALK), 101), pcapng(map(ip, TALK), 101)])
def test_every_cut_off_file_gives_what_is_there(file: bytes) -> None:
    whole = [p for p in packets([file]) if isinstance(p, Packet)]
    for end in range(4, len(file), 13):
        *found, fault = packets([file[:end]]) or [None]
        if isinstance(fault, Packet) or fault is None:
            continue  # cut between two records
        assert found == whole[: len(found)]
        assert "the capture file ends within" in str(fault)


@pytest.mark.parametrize("file", [pcap(map(ip, TALK), 101), pcapng(map(ip, TALK), 101)])
def test_a_damaged_file_is_read_on_behind_the_damage(file: bytes) -> None:
    at = file.index(ip(TALK[3])) - (8 if file[0] == 0xD4 else 24)
    damaged = file[:at] + b"\xff" * 4 + file[at + 4 :]
    found = list(packets([damaged]))
    octets = [p.octets for p in found if isinstance(p, Packet)]
    assert octets == [ip(one) for one in TALK if one != TALK[3]]
    assert [str(p) for p in found if isinstance(p, Fault)]
    assert found == list(packets(cuts(damaged, 5)))


@pytest.mark.parametrize(
    "junk",
    [
        block(6, b"short"),
        enhanced(b"x", number=7),
        section()[:8] + b"what" + section()[12:],
        block(3, b"abcd")[:-1] + b"\xff",
    ],
)
def test_a_block_without_sense_is_told(junk: bytes) -> None:
    file = section() + interface(101) + junk + enhanced(b"one") + enhanced(b"two")
    found = list(packets([file]))
    assert isinstance(found[0], Fault)
    assert [p.octets for p in found if isinstance(p, Packet)] == [b"one", b"two"]


@pytest.mark.parametrize("write", [pcap, pcapng])
@pytest.mark.parametrize("change", [0xFF, 0x04])
def test_no_damage_ends_the_reading(
    write: Callable[[Iterable[bytes], int], bytes], change: int
) -> None:
    file = write(map(ip, conversation([(">", b"a"), ("<", b"b")])), 101)
    for at in range(4, len(file)):
        damaged = file[:at] + bytes([file[at] ^ change]) + file[at + 1 :]
        list(captured([damaged]))


# Layers


def sll(packet: bytes) -> bytes:
    return bytes(14) + b"\x08\0" + packet


LINKS: dict[int, Callable[[bytes], bytes]] = {
    0: lambda p: b"\2\0\0\0" + p,
    1: ethernet,
    12: lambda p: p,
    101: lambda p: p,
    108: lambda p: b"\0\0\0\2" + p,
    113: sll,
    228: lambda p: p,
    229: lambda p: p,
    276: lambda p: b"\x08\0" + bytes(18) + p,
}


@pytest.mark.parametrize("link", LINKS)
def test_every_link_layer(link: int) -> None:
    file = pcap((LINKS[link](ip(one)) for one in TALK), link | 1 << 28)
    assert heard(captured([file])) == SAID


@pytest.mark.parametrize("vlans", [[0x8100], [0x88A8, 0x8100], [0x9100]])
def test_vlans(vlans: list[int]) -> None:
    file = pcap(ethernet(ip(one), vlans) for one in TALK)
    assert heard(captured([file])) == SAID


def test_ipv6() -> None:
    talk = conversation(TURNS, client=CLIENT6, server=SERVER6)
    traffic = list(captured([pcap(ethernet(ip(one)) for one in talk)]))
    assert heard(traffic) == SAID
    names = {event.stream.name for event in traffic if event.stream}
    assert names == {
        "[2001:db8::1]:51234 > [2001:db8::2]:9000",
        "[2001:db8::2]:9000 > [2001:db8::1]:51234",
    }


def test_ipv6_extensions_and_ip_options() -> None:
    extensions = b"\0" + b"\x2b\0" + bytes(6) + b"\6\1" + bytes(14)
    talk = conversation(TURNS, client=CLIENT6, server=SERVER6)
    assert heard(captured([pcap((ip(one, extensions) for one in talk), 101)])) == SAID
    assert heard(captured([pcap((ip(one, options=3) for one in TALK), 101)])) == SAID


def test_a_packet_without_a_length_has_what_was_captured() -> None:
    four = [ip(one) for one in TALK]
    four = [p[:2] + b"\0\0" + p[4:] for p in four]
    assert heard(captured([pcap(four, 101)])) == SAID
    six = [ip(one) for one in conversation(TURNS, client=CLIENT6, server=SERVER6)]
    six = [p[:4] + b"\0\0" + p[6:] for p in six]
    assert heard(captured([pcap(six, 101)])) == SAID


@pytest.mark.parametrize(
    ("packet", "link"),
    [
        (ethernet(b"\x45")[:12] + b"\x08\x06" + bytes(30), 1),
        (ip(TALK[0])[:9] + b"\x11" + ip(TALK[0])[10:], 101),
        (b"\x50" + bytes(60), 101),
        (ip(conversation([], client=CLIENT6, server=SERVER6)[0], b"\x3a"), 101),
    ],
)
def test_what_is_not_tcp_is_passed_over(packet: bytes, link: int) -> None:
    assert segment(Packet(0, link, packet, len(packet))) is None


@pytest.mark.parametrize(
    ("packet", "link", "reason"),
    [
        (ip(TALK[0]), 147, "link layer of type 147 is unknown"),
        (ip(TALK[0], fragment=0x2000), 101, "IP fragments are not put together"),
        (ip(TALK[0], fragment=5), 101, "IP fragments are not put together"),
        (
            ip(conversation([], client=CLIENT6, server=SERVER6)[0], b"\x2c"),
            101,
            "IP fragments are not put together",
        ),
        (ip(TALK[0])[:30], 101, "packet is cut off within its headers"),
        (b"", 101, "packet is cut off within its headers"),
    ],
)
def test_what_can_not_be_used_is_told(packet: bytes, link: int, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        segment(Packet(0, link, packet, len(packet)))
    told = faults(captured([pcap([packet] * 3, link)]))
    assert told == [reason, f"{reason} (3 times in all)"]
    assert faults(captured([pcap([packet], link)])) == [reason]


# Connections


def test_a_conversation_with_its_names_sides_and_ends() -> None:
    traffic = read(TALK)
    assert heard(traffic) == SAID
    streams = {event.stream for event in traffic if event.stream}
    assert {(s.connection, s.name, s.side, s.joined) for s in streams} == {
        (1, "127.0.0.1:51234 > 127.0.0.1:9000", ">", False),
        (1, "127.0.0.1:9000 > 127.0.0.1:51234", "<", False),
    }
    assert sum(isinstance(event, End) for event in traffic) == 2
    assert not faults(traffic)


@pytest.mark.parametrize("first", [2**32 - 1, 2**32 - 1500, 2**31])
def test_sequence_numbers_wrap(first: int) -> None:
    assert heard(read(conversation(TURNS, first=first))) == SAID


@settings(deadline=None)
@given(st.permutations(TALK[3:-3]))
def test_any_order_gives_the_same_octets(middle: list[Seg]) -> None:
    traffic = read(TALK[:3] + middle + TALK[-3:])
    assert heard(traffic) == SAID
    assert not faults(traffic)


def test_the_end_may_come_first() -> None:
    traffic = read(TALK[:3] + TALK[-3:] + TALK[3:-3])
    assert heard(traffic) == SAID


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2047), st.integers(1, 2048)), max_size=30))
def test_overlaps_of_any_kind_give_the_same_octets(
    parts: list[tuple[int, int]],
) -> None:
    said = TURNS[2][1]
    talk = conversation([(">", said)], size=500)
    start = talk[3].sequence
    more = [
        talk[3]._replace(sequence=start + at, payload=said[at : at + size])
        for at, size in parts
    ]
    traffic = read(talk[:3] + more + talk[3:] + more)
    assert heard(traffic) == {">": said}
    assert not faults(traffic)


@pytest.mark.parametrize("held", [False, True])
def test_the_first_of_two_that_differ_counts(held: bool) -> None:
    talk = conversation([(">", b"a" * 30)], size=10)
    other = talk[4]._replace(payload=b"b" * 10)
    order = [talk[4], other, talk[3]] if held else [talk[3], talk[4], other]
    traffic = read([*talk[:3], *order, *talk[5:]])
    assert heard(traffic) == {">": b"a" * 30}
    assert faults(traffic) == ["segment contradicts an earlier one (offset 10)"]


def test_keep_alives_are_nothing() -> None:
    talk = conversation([(">", b"a" * 30)], size=10)
    alive = talk[4]._replace(sequence=talk[4].sequence - 1, payload=b"\0")
    traffic = read([*talk[:4], alive, alive._replace(payload=b""), *talk[4:]])
    assert heard(traffic) == {">": b"a" * 30}
    assert not faults(traffic)


def test_what_is_lost_is_a_gap() -> None:
    talk = conversation([(">", b"a" * 10 + b"b" * 10 + b"c" * 10)], size=10)
    assert heard(read(talk[:4] + talk[5:])) == {">": b"a" * 10 + b"?" * 10 + b"c" * 10}
    assert heard(read(talk[:3] + talk[5:])) == {">": b"?" * 20 + b"c" * 10}
    assert heard(read(talk[:5] + talk[6:])) == {">": b"a" * 10 + b"b" * 10 + b"?" * 10}


def test_what_the_capture_cut_off_is_a_gap() -> None:
    talk = conversation([(">", b"a" * 30)], size=10)
    found = [ip(one) for one in talk]
    found[4] = found[4][:-3]
    file = bytearray(pcap(found, 101))
    at = bytes(file).index(found[4]) - 4
    file[at : at + 4] = struct.pack("<I", len(found[4]) + 3)
    assert heard(captured([bytes(file)])) == {">": b"a" * 17 + b"???" + b"a" * 10}


def test_a_loss_that_was_acknowledged_does_not_hold_up_the_rest() -> None:
    many = PATIENCE_ACKED + 5
    talk = conversation([(">", b"a" * many)], size=1, close=False)
    seen = Seg(SERVER, CLIENT, talk[1].sequence + 1, talk[-1].acknowledged, ACK)
    traffic = read([*talk[:3], seen, *talk[4:-1]])
    gap = next(n for n, event in enumerate(traffic) if isinstance(event, Gap))
    assert gap < len(traffic) - 5
    assert heard(traffic) == {">": b"?" + b"a" * (many - 1)}


def test_a_loss_does_not_hold_up_more_than_is_held() -> None:
    talk = conversation([(">", b"a" * (PATIENCE + 200_000))], size=60_000, close=False)
    traffic = read(talk[:3] + talk[4:-1])
    assert isinstance(traffic[0], Gap)
    assert len(traffic) > 3


def test_what_was_acknowledged_at_the_end_is_missing() -> None:
    talk = conversation([(">", b"a" * 30)], size=10, close=False)
    # The last number that was acknowledged may be that of the FIN.
    assert heard(read(talk[:5] + talk[6:])) == {">": b"a" * 20 + b"?" * 9}


def test_a_capture_that_joins_late() -> None:
    traffic = read(TALK[3:])
    assert heard(traffic) == SAID
    assert {e.stream.joined for e in traffic if e.stream} == {True}
    assert {e.stream.side for e in traffic if e.stream} == {">", "<"}


def test_sides_unknown_where_both_ports_are_of_clients() -> None:
    talk = conversation(TURNS, server=("127.0.0.1", 40000))[3:]
    assert {e.stream.side for e in read(talk) if e.stream} == {""}


def test_a_capture_without_the_first_segment_of_each_side() -> None:
    assert heard(read(TALK[1:])) == SAID
    assert heard(read([TALK[0], *TALK[2:]])) == SAID


def test_ports_that_are_used_again() -> None:
    talks = [conversation(TURNS, first=first) for first in (1000, 900_000)]
    for first in (talks[0], talks[0][:-3], talks[0][:1]):
        traffic = read(first + talks[1])
        ours = [e for e in traffic if e.stream and e.stream.connection == 2]
        assert heard(ours) == SAID
        assert not faults(traffic)


def test_copies_after_the_end_open_nothing() -> None:
    traffic = read(TALK * 2)
    assert heard(traffic) == SAID
    assert {e.stream.connection for e in traffic if e.stream} == {1}


def test_a_reset_ends_both_directions() -> None:
    reset = Seg(SERVER, CLIENT, TALK[4].sequence, 0, RST)
    traffic = read([*TALK[:5], reset])
    assert [type(event) for event in traffic[-2:]] == [End, End]


def test_nothing_is_opened_without_octets() -> None:
    assert read([TALK[2], TALK[-1], Seg(CLIENT, SERVER, 5, 0, RST)]) == []


def feed(connections: Connections, segments: Iterable[Seg]) -> list[Traffic]:
    found: list[Traffic] = []
    for one in segments:
        octets = ip(one)
        taken = segment(Packet(0, 101, octets, len(octets)))
        assert isinstance(taken, Segment)
        found += connections.take(taken)
    return [*found, *connections.give_up()]


def test_no_more_than_so_many_connections_are_followed() -> None:
    opened = [
        conversation([(">", b"a")], client=("10.0.0.1", port), close=False)
        for port in (1, 2, 3)
    ]
    traffic = feed(Connections(most_open=2), [one for talk in opened for one in talk])
    assert faults(traffic) == ["given up: too many connections are open"]
    assert heard(traffic) == {">": b"aaa"}


def test_ended_connections_are_forgotten() -> None:
    ended = [
        conversation([(">", b"a")], client=("10.0.0.1", port)) for port in (1, 2, 1, 2)
    ]
    connections = Connections(most_open=2, most_ended=1)
    traffic = feed(connections, [one for talk in ended for one in talk])
    assert {e.stream.connection for e in traffic if e.stream} == {1, 2, 3, 4}
    assert not faults(traffic)


def test_forgetting_spares_who_has_the_same_ports() -> None:
    talks = [conversation([(">", b"a")], first=first) for first in (1000, 9000)]
    later = conversation([(">", b"b")], first=90_000, close=False)
    connections = Connections(most_ended=1)
    assert heard(feed(connections, [*talks[0], *talks[1], *later])) == {">": b"aab"}


def test_a_segment_that_acknowledges_nothing() -> None:
    talk = conversation([(">", b"a" * 30)], size=10)
    bare = [one._replace(flags=0, acknowledged=5) for one in talk[3:6]]
    assert heard(read([*talk[:3], *bare, *talk[6:]])) == {">": b"a" * 30}
