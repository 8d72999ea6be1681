"""The capture that the recorder writes holds what passed."""

import io
from pathlib import Path

import pytest

from tests.dissected import TSHARK, tshark
from tests.relayed import Seen, chat, relaying
from wirechat.codec import encode
from wirechat.server import Server
from wirechat_tools.pcap import Packet, packets
from wirechat_tools.pcapng import Capture
from wirechat_tools.reading import read_traffic
from wirechat_tools.tcpip import ACK, FIN, RST, segment
from wirechat_tools.traffic import Fault, Octets, Stream


def test_capture(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "chat.pcapng"
    with path.open("wb", buffering=0) as file:
        seen = Seen()
        with relaying(server.address, Capture(file), seen) as relay:
            chat(relay.address)
    traffic = list(read_traffic([path.read_bytes()]))
    assert [type(event) for event in traffic].count(Fault) == 0
    for side in "<>":
        expected, got = seen.octets(side), Seen()
        for event in traffic:
            if isinstance(event, Octets) and event.time:
                got.passed(event.stream, event.time, event.octets)
        assert got.octets(side) == expected
    assert {e.stream.name for e in traffic if e.stream} == seen.names


@pytest.mark.parametrize(
    ("client", "server"),
    [("127.0.0.1", "::1"), ("::1", "127.0.0.1"), ("::1", "::1"), ("fe80::1%lo", "::1")],
)
def test_capture_of_other_addresses(client: str, server: str) -> None:
    file = io.BytesIO()
    capture = Capture(file)
    capture.opened(1, 10**18, (client, 40000), (server, 9000))
    capture.passed(Stream(1, side=">"), 10**18, encode(1))
    capture.ended(Stream(1, side=">"), 10**18)
    capture.reset(Stream(1, side="<"), 10**18)
    octets = [e for e in read_traffic([file.getvalue()]) if isinstance(e, Octets)]
    assert [(e.octets, e.time, e.stream.side) for e in octets] == [
        (encode(1), 10**18, ">")
    ]


def test_how_a_connection_ends() -> None:
    file = io.BytesIO()
    capture = Capture(file)
    for number, end in (1, capture.ended), (2, capture.reset):
        capture.opened(number, 10**18, ("127.0.0.1", number), ("127.0.0.1", 9000))
        end(Stream(number, side="<"), 10**18)
    ends = [p for p in packets([file.getvalue()]) if isinstance(p, Packet)][3::4]
    assert [found.flags for p in ends if (found := segment(p))] == [
        ACK | FIN,
        ACK | RST,
    ]


@pytest.mark.whole
@pytest.mark.skipif(not TSHARK, reason="NOT TESTED: the capture in tshark, without it")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_wireshark_has_nothing_to_say_against_it(host: str, tmp_path: Path) -> None:
    path = tmp_path / "chat.pcapng"
    with path.open("wb", buffering=0) as file:
        capture = Capture(file)
        capture.opened(1, 10**18, (host, 40000), (host, 9000))
        for side in "><><":
            capture.passed(Stream(1, side=side), 10**18, encode(1, "odd"))
        capture.ended(Stream(1, side=">"), 10**18)
        capture.ended(Stream(1, side="<"), 10**18)
    checks = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
    sums = 'tcp.checksum.status == "Bad" or ip.checksum.status == "Bad"'
    wrong = f"tcp.analysis.flags or _ws.malformed or {sums}"
    assert tshark(path, *checks, "-Y", wrong) == ""
    assert tshark(path, "-Y", "tcp.flags.fin == 1").count("\n") == 2
