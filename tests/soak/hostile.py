"""Foes: each does to a server one thing that it has to stand.

``python -m tests.soak.hostile HOST:PORT --seconds N`` is the hostile half alone.
"""

import argparse
import socket
import struct
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from random import Random

from tests.soak.line import Address, connect
from wirechat.codec import Command, encode, encode_data

ENDLESS = b"\xff" * 40
"""The length of a frame of 2^320 - 1 octets."""
SMALL = 4096
"""Octets of the receive buffer of somebody who does not read."""
CROWD = 400
"""Connections that one foe holds at a time."""
GREEDY = "*" + "a*" * 2000 + "b"
"""A filter for which a matcher that goes back would need for ever."""
BUSY = 1.0
"""Seconds for which somebody tries to send who is not taken from."""


class Foe:
    """Somebody with an address to annoy, until it is time to stop."""

    def __init__(self, name: str, address: Address, stop: threading.Event) -> None:
        self.name = name
        self.chance = Random(name)
        self.rounds = 0
        self._address = address
        self._stop = stop

    def connect(self, receive_buffer: int = 0) -> socket.socket:
        """Return a new connection."""
        return connect(self._address, receive_buffer)

    def pause(self, seconds: float) -> None:
        """Do nothing for so long at most."""
        self._stop.wait(self.chance.uniform(0, seconds))

    def live(self, attack: "Attack") -> None:
        """Do it again and again."""
        while not self._stop.is_set():
            with suppress(OSError):  # it may defend itself
                attack(self)
            self.rounds += 1
            self.pause(0.05)


Attack = Callable[[Foe], None]


def send_garbage(foe: Foe) -> None:
    """Send what is no frame."""
    with foe.connect() as sock:
        sock.sendall(foe.chance.randbytes(foe.chance.choice((1, 41, 42, 4096, 70_000))))
        foe.pause(0.1)


def send_malformed(foe: Foe) -> None:
    """Send frames that each break a rule."""
    commands, fields = range(256), (b"", b"\xff", b"a|||b", b"|||" * 9, b"\0" * 9000)
    with foe.connect() as sock:
        for _ in range(20):
            octets = foe.chance.choice(fields)
            sock.sendall(encode_data(foe.chance.choice(commands), octets))
        foe.pause(0.1)


def reset(foe: Foe) -> None:
    """Ask for much, and reset in the middle of a frame."""
    with foe.connect() as sock:
        sock.sendall(encode(Command.LIST) * 20 + encode(Command.LIST)[:20])
        foe.pause(0.01)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def half_close(foe: Foe) -> None:
    """Ask for much, close one side in the middle of a frame, and read nothing."""
    with foe.connect(SMALL) as sock:
        sock.sendall(encode(Command.LIST) * 20 + encode(Command.LIST)[:20])
        sock.shutdown(socket.SHUT_WR)
        foe.pause(0.5)


def stall(foe: Foe) -> None:
    """Send some of a frame, and then nothing."""
    with foe.connect() as sock:
        frame = encode(Command.SEND, "a", "b", "c" * 900_000)
        sock.sendall(frame[: foe.chance.choice((1, 41, 42, 43, 800_000))])
        foe.pause(3)


def drip(foe: Foe) -> None:
    """Send a header octet by octet."""
    with foe.connect() as sock:
        for octet in encode(Command.LIST):
            sock.sendall(bytes([octet]))
            foe.pause(0.1)


def open_and_drop(foe: Foe) -> None:
    """Come and go."""
    for _ in range(50):
        foe.connect().close()


def announce(foe: Foe) -> None:
    """Announce more octets than there are, and go on sending."""
    with foe.connect() as sock:
        sock.sendall(b"\0" + foe.chance.randbytes(1) + ENDLESS)
        sock.sendall(bytes(50_000))
        foe.pause(0.1)


def flood(foe: Foe) -> None:
    """Flood somebody who does not read, and do not read either."""
    with foe.connect(SMALL) as sender, foe.connect(SMALL) as reader:
        for sock, name in ((sender, f"{foe.name}.s"), (reader, f"{foe.name}.r")):
            old = encode(Command.LOGIN, name) + encode(Command.DELETE)
            sock.sendall(old + encode(Command.CREATE, name))
        message = encode(Command.SEND, f"{foe.name}.s", f"{foe.name}.r", "x" * 60_000)
        sender.settimeout(BUSY)
        with suppress(TimeoutError):
            sender.sendall(message * 300)


def list_greedily(foe: Foe) -> None:
    """List with filters that invite to go back, and do not read all."""
    with foe.connect(SMALL) as sock:
        sock.sendall(encode(Command.LIST, GREEDY) * 10 + encode(Command.LIST) * 50)
        foe.pause(0.5)


def use_up_descriptors(foe: Foe) -> None:
    """Open as many connections as can be had, and hold them for a while."""
    with ExitStack() as stack, suppress(OSError):
        for _ in range(CROWD):
            stack.enter_context(foe.connect())
        foe.pause(1)
    foe.pause(3)


def make_and_delete(foe: Foe) -> None:
    """Have an account that comes and goes."""
    name = f"{foe.name}.m"
    with foe.connect() as sock:
        sock.sendall((encode(Command.CREATE, name) + encode(Command.DELETE)) * 50)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1 << 16):
            pass


ATTACKS: tuple[Attack, ...] = (
    send_garbage,
    send_malformed,
    reset,
    half_close,
    stall,
    drip,
    open_and_drop,
    announce,
    flood,
    list_greedily,
    use_up_descriptors,
    make_and_delete,
)


def assail(address: Address, seconds: float, each: int) -> dict[str, int]:
    """Do all this for so long, with so many foes for each attack, and count it."""
    stop = threading.Event()
    rounds = dict.fromkeys((attack.__name__ for attack in ATTACKS), 0)
    with ThreadPoolExecutor(len(ATTACKS) * each) as pool:
        timer = threading.Timer(seconds, stop.set)
        timer.start()
        foes = [
            (Foe(f"foe.{attack.__name__}.{at}", address, stop), attack)
            for attack in ATTACKS
            for at in range(each)
        ]
        for future in [pool.submit(foe.live, attack) for foe, attack in foes]:
            future.result()
    for foe, attack in foes:
        rounds[attack.__name__] += foe.rounds
    return rounds


def main() -> int:
    """Be hostile, and say how often."""
    parser = argparse.ArgumentParser("hostile", description="Annoy a server.")
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--each", type=int, default=2, help="foes for each attack")
    options = parser.parse_args()
    host, _, port = options.address.rpartition(":")
    rounds = assail((host, int(port)), options.seconds, options.each)
    for name, count in rounds.items():
        print(f"{name:<20}{count:>8} rounds")
    return 0 if all(rounds.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
