"""``wirechat-record``: pass connections on to a server, show and keep what passes."""

import argparse
import contextlib
import io
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from wirechat_tools.command import Parser, address_of, blamed, output
from wirechat_tools.dump import Dump, add_form, renderer
from wirechat_tools.pcapng import Capture
from wirechat_tools.relay import Address, Relay, shown
from wirechat_tools.scribe import Scribe
from wirechat_tools.traffic import End, Octets, Stream, Traffic

LOOPBACK = "127.0.0.1"
SOON = 1.0
"""Seconds in which a server that is there takes a connection."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command until SIGINT or SIGTERM, and return its exit status."""
    options = _parser().parse_args(argv)
    scribe = Scribe(options.loose)
    try:
        with contextlib.ExitStack() as stack:
            relay = stack.enter_context(_relay(options))
            relay.watchers.append(scribe)
            if options.pcap:
                file = stack.enter_context(_File(options.pcap, "w"))
                relay.watchers.append(Capture(file))
            if options.output:
                out = stack.enter_context(io.BufferedWriter(_File(options.output, "w")))
                stack.callback(lambda: out.write(scribe.text().encode("ascii")))
            stack.enter_context(output())
            printer = Printer(options)
            relay.watchers.append(printer)
            stack.enter_context(stopping(relay))
            _tell(f"listening on {shown(relay.address)}")
            relay.run()
            printer.finish()
    except OSError as error:
        _tell(blamed(error))
        return 2
    return 0


def _relay(options: argparse.Namespace) -> Relay:
    try:
        return Relay(options.listen, options.to, _tell)
    except OSError as error:
        error.filename = shown(options.listen)
        raise


class _File(io.FileIO):
    """A file whose name is in each of its errors."""

    def write(self, octets: Any, /) -> int:
        try:
            return super().write(octets)
        except OSError as error:
            error.filename = self.name
            raise


def _tell(what: str) -> None:
    print(f"wirechat-record: {what}", file=sys.stderr, flush=True)


class Printer:
    """Watches a relay, and shows the frames as ``wirechat-dump`` does.

    Args:
        options: How they are shown.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._dump = Dump(
            renderer(options), sys.stdout.write, options.only, options.connection
        )
        self._open: dict[Stream, None] = {}

    def opened(
        self, connection: int, time: int, client: Address, server: Address
    ) -> None:
        """A client has connected."""

    def passed(self, stream: Stream, time: int, octets: bytes) -> None:
        """These octets are about to be passed on."""
        self._open[stream] = None
        self._show(Octets(stream, time, octets))

    def ended(self, stream: Stream, time: int | None) -> None:
        """Whose stream this is has closed its sending side."""
        if stream in self._open:
            del self._open[stream]
            self._show(End(stream, time))

    reset = ended

    def finish(self) -> None:
        """Show what is left."""
        for stream in list(self._open):
            self.ended(stream, None)

    def _show(self, event: Traffic) -> None:
        self._dump.show([event])
        sys.stdout.flush()


@contextlib.contextmanager
def stopping(relay: Relay) -> Iterator[None]:
    """Have signals stop the relay, whatever it is doing."""
    signals = (signal.SIGINT, signal.SIGTERM)
    # A handler would run only after a wait that begins just behind its signal. It is
    # there after what wakes the wait, and gone before it: no signal comes between.
    woken = signal.set_wakeup_fd(relay.wake)
    before = [signal.signal(one, lambda *_: None) for one in signals]
    try:
        yield
    finally:
        for one, handler in zip(signals, before, strict=True):
            signal.signal(one, handler)
        signal.set_wakeup_fd(woken)


def _listen(written: str) -> Address:
    return _numeric(address_of(written, LOOPBACK, 0))[0]


def _to(written: str) -> Address:
    found = _numeric(address_of(written))
    # localhost is an address of IPv6, too: many a server listens on IPv4 alone.
    return next(filter(_accepts, found), found[0]) if found[1:] else found[0]


def _numeric(address: Address) -> list[Address]:
    found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    return [(str(each[4][0]), address[1]) for each in found]


def _accepts(address: Address) -> bool:
    try:
        socket.create_connection(address, SOON).close()
    except OSError:
        return False
    return True


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="wirechat-record",
        description="Pass connections on to a server, show and keep what passes.",
        epilog="SIGINT ends it, with everything written.",
    )
    add = parser.add_argument
    add("--listen", type=_listen, required=True, metavar="[HOST:]PORT")
    add("--to", type=_to, required=True, metavar="HOST:PORT", help="the server")
    add("-o", "--output", metavar="FILE", help="write a transcript there")
    add("--loose", action="store_true", help="any text will do in its error replies")
    add("--pcap", metavar="FILE", help="write a pcapng capture there")
    add_form(parser)
    return parser
