"""The frame dump beside hexdump and tshark: the exit status is 1 where it is too slow.

Both sides of a ratio read the same messages, write into a pipe whose octets are thrown
away, and are measured in processor seconds, their start included.
"""

import os
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.ratios import LINEAR, Ratio
from wirechat.codec import encode, encode_data

MESSAGES = 48_000
"""SEND frames of a capture that is over 50 MB."""
TEXT = "".join(chr(0x61 + at * at % 26) for at in range(1000))
"""No two rows in turn are the same: hexdump shows equal ones but once."""
LONG = 100_000_000
"""Data octets of the long frame."""
MEMORY = 64
"""MiB that the dump may take, however long a frame is."""

DUMP = [sys.executable, "-c", "from wirechat_tools.dump import main; exit(main())"]
SCRIPT = Path(__file__).parent.parent / "tools" / "wirechat.lua"
SHOWN = """frame.time_epoch tcp.stream tcp.srcport wirechat.command wirechat.length
wirechat.sender wirechat.recipient wirechat.message"""
TSHARK = ["tshark", "-n", "-X", f"lua_script:{SCRIPT}", "-Y", "wirechat", "-T"]
TSHARK += ["fields", *(part for name in SHOWN.split() for part in ("-e", name)), "-r"]


class Run(NamedTuple):
    """What a command took: processor seconds, MiB of memory, octets written."""

    seconds: float
    memory: float
    written: int

    @property
    def rate(self) -> float:
        """Output octets per second."""
        return self.written / self.seconds


def measure(*command: str | Path) -> Run:
    """Run a command, and throw away what it writes."""
    process = Popen(command, stdout=PIPE)
    assert process.stdout
    with process.stdout as output:
        written = sum(map(len, iter(lambda: output.read(1 << 20), b"")))
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ChildProcessError(f"{command[0]} ended with {process.returncode}")
    return Run(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, written)


def messages(count: int) -> Iterator[bytes]:
    """Give the frames of messages that differ."""
    return (encode(2, "alicia", "bobert", f"{at} {TEXT}") for at in range(count))


def capture(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Give a pcap file of one connection over IPv4, a frame in a segment."""
    yield struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    hosts, sequence = bytes([127, 0, 0, 1] * 2), 1
    for at, frame in enumerate(frames):
        size = 40 + len(frame)
        yield struct.pack("<IIII", 1_795_000_000 + at, 0, size, size)
        yield struct.pack(">BBHIBBH", 0x45, 0, size, 0, 64, 6, 0) + hosts
        ports = struct.pack(">HHII", 51234, 9000, sequence, 1)
        yield ports + struct.pack(">BBHI", 0x50, 0x18, 65535, 0) + frame
        sequence = (sequence + len(frame)) % 2**32


def write(path: Path, parts: Iterable[bytes]) -> Path:
    """Write a file."""
    with path.open("wb") as file:
        file.writelines(parts)
    return path


def ratios(folder: Path) -> Iterator[Ratio]:
    """Yield what was measured."""
    raw = write(folder / "raw", messages(MESSAGES))
    dump, other = measure(*DUMP, "--full", raw), measure("hexdump", "-C", raw)
    yield Ratio("dump: output octets/s beside hexdump -C", dump.rate / other.rate, 0.5)
    half = write(folder / "half.pcap", capture(messages(MESSAGES // 2)))
    whole = write(folder / "whole.pcap", capture(messages(MESSAGES)))
    fields, small = (measure(*DUMP, "--fields", path) for path in (whole, half))
    shark = measure(*TSHARK, whole)
    size = f"{whole.stat().st_size / 1e6:.0f} MB, {MESSAGES} frames"
    ratio = shark.seconds / fields.seconds
    yield Ratio("dump --fields: times as fast as tshark", ratio, 5, remark=size)
    ratio = fields.seconds / small.seconds
    yield Ratio("dump --fields: twice the capture", ratio, most=LINEAR)
    # In parts: a process counts as its own the most memory of the one that began it.
    header = encode_data(6, b"")[:-8] + LONG.to_bytes(8, "big")
    long = write(folder / "long", [header, *[b"m" * 1000] * (LONG // 1000)])
    memory = measure(*DUMP, "--full", long).memory
    yield Ratio("dump: MiB of memory, frame of 100 MB", memory, most=MEMORY)


def main() -> int:
    """Print every ratio with its target."""
    with TemporaryDirectory() as folder:
        found = []
        for ratio in ratios(Path(folder)):
            print(ratio, flush=True)
            found.append(ratio.met)
    return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
