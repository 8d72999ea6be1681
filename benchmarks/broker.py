"""mosquitto, where it is installed: the same messages, at QoS 0 and without an echo."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter

from wirechat_tools.flow import LAP, UNREAD, WINDOW, Cycle, Flow, Inlet, Outlet
from wirechat_tools.peer import Address, Peer

COMMAND = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
STARTED = 10.0
"""Seconds in which it must listen."""
CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01"
"""A packet that opens a session; one more octet, the client's name, follows."""
CONNACK = b"\x20\x02\x00\x00"
SUBSCRIBE = b"\x82\x06\x00\x01\x00\x01t\x00"
SUBACK = b"\x90\x03\x00\x01\x00"


@contextmanager
def mosquitto() -> Iterator[Address]:
    """Run the broker on loopback, in its own default configuration but for that."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = ("127.0.0.1", free.getsockname()[1])
    with TemporaryDirectory() as folder:
        config = Path(folder) / "conf"
        config.write_text(f"listener {address[1]} 127.0.0.1\nallow_anonymous true\n")
        config.write_text(config.read_text() + "set_tcp_nodelay true\n")
        with Popen([str(COMMAND), "-c", config], stderr=DEVNULL) as process:
            try:
                wait_for(address)
                yield address
            finally:
                process.kill()


def wait_for(address: Address) -> None:
    """Wait until somebody listens."""
    end = monotonic() + STARTED
    while True:
        try:
            return socket.create_connection(address).close()
        except ConnectionRefusedError:
            if monotonic() > end:
                raise


def clients(address: Address) -> tuple[Peer, Peer]:
    """Return who publishes, and who has subscribed."""
    sender, recipient = Peer(address), Peer(address)
    for peer, name in ((sender, b"s"), (recipient, b"r")):
        peer.socket.sendall(CONNECT + name)
        peer.exactly(CONNACK)
    recipient.socket.sendall(SUBSCRIBE)
    recipient.exactly(SUBACK)
    return sender, recipient


def publish(number: int, size: int) -> bytes:
    """Return a PUBLISH packet with so many octets of payload, up to 124."""
    head = bytes([0x30, 3 + size])
    return head + b"\x00\x01t" + f"{number:06}".ljust(size, ".").encode()


def throughput(address: Address, seconds: float, size: int) -> float:
    """Return the messages a second that are relayed without waiting."""
    sender, recipient = clients(address)
    packets = [publish(number, size) for number in range(LAP)]
    octets, each = b"".join(packets), len(packets[0])
    window = min(UNREAD, WINDOW // each) * each
    copy = Cycle(octets)
    outlet = Outlet(sender, Cycle(octets), (copy, [copy]), window, each)
    with sender, recipient:
        flow = Flow([outlet], [Inlet(recipient, {b"": copy}, each)], each)
        begin = perf_counter()
        return flow.run(seconds) / (perf_counter() - begin)


def latencies(address: Address, seconds: float, size: int) -> Iterator[float]:
    """Yield the seconds that each message took, one at a time, for so long."""
    sender, recipient = clients(address)
    packet = publish(0, size)
    with sender, recipient:
        end = perf_counter() + seconds
        while (begin := perf_counter()) < end:
            sender.socket.sendall(packet)
            recipient.exactly(packet)
            yield perf_counter() - begin
