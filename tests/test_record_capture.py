"""The capture that the recorder writes holds what passed."""

import io
from pathlib import Path

import pytest

from tests.relayed import Seen, chat, relaying
from wirechat.codec import encode
from wirechat.server import Server
from wirechat_tools.pcapng import Capture
from wirechat_tools.reading import read_traffic
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
