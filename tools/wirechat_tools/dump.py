"""``wirechat-dump``: show the frames of captured octets."""

import argparse
import errno
import io
import os
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from itertools import count

from wirechat.codec import REPLIES, REQUESTS, Command
from wirechat_tools.command import Parser, blamed, output
from wirechat_tools.frames import EITHER, Piece, Scanner
from wirechat_tools.progress import progress
from wirechat_tools.reading import read_traffic
from wirechat_tools.render import COLOURED, PLAIN, Hex, Json, Lines, Renderer
from wirechat_tools.source import follow, read
from wirechat_tools.traffic import End, Fault, Gap, Octets, Stream, Traffic

TAKES = {"": EITHER, ">": REQUESTS, "<": REPLIES}
"""The commands that each side of a connection may send."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status: 1 where anything is wrong."""
    options = _parser().parse_args(argv)
    try:
        with output() as screen, suppress(KeyboardInterrupt):
            dump = Dump(
                renderer(options), screen.write, options.only, options.connection
            )
            for path in options.files:
                _show(dump, path, options.follow)
    except OSError as error:
        print(f"wirechat-dump: {blamed(error)}", file=sys.stderr)
        return 2
    return int(dump.faulty)


def _show(dump: "Dump", path: str, growing: bool) -> None:
    with _open(path) as file:
        octets = (follow if growing else read)(file, sys.stdout.flush)
        # Where the frames go to the same terminal, they show how far it is.
        if not (growing or sys.stdout.isatty()):
            octets = progress(octets, file, sys.stderr)
        dump.show(read_traffic(octets))


class Dump:
    """Traffic goes in, what is to be shown of its frames comes out.

    Args:
        renderer: How frames are shown.
        write: Where to.
        only: The commands to show, or none for all.
        connection: The connection to show, or None for all.
    """

    def __init__(
        self,
        renderer: Renderer,
        write: Callable[[str], object],
        only: Collection[int] = (),
        connection: int | None = None,
    ) -> None:
        self.faulty = False
        self._renderer = renderer
        self._write = write
        self._only = only
        self._connection = connection
        self._numbers = count(1)
        self._scanners: dict[Stream, Scanner] = {}

    def show(self, traffic: Iterable[Traffic]) -> None:
        """Show the frames, each once it is whole."""
        for event in traffic:
            stream = event.stream
            if isinstance(event, Fault):
                self._fault(event)
            elif stream and self._connection in (None, stream.connection):
                for piece in self._pieces(stream, event):
                    self._piece(stream, event.time, piece)

    def _pieces(self, stream: Stream, event: Octets | Gap | End) -> list[Piece]:
        scanner = self._scanners.get(stream)
        if scanner is None:
            scanner = Scanner(TAKES[stream.side], self._numbers, stream.joined)
            self._scanners[stream] = scanner
        if isinstance(event, Octets):
            return scanner.feed(event.octets)
        if isinstance(event, Gap):
            return scanner.gap(event.size)
        del self._scanners[stream]
        return scanner.end()

    def _piece(self, stream: Stream, time: int | None, piece: Piece) -> None:
        self.faulty = self.faulty or piece.faults != ()
        if not self._only or piece.command in self._only:
            self._write(self._renderer.piece(stream, time, piece))

    def _fault(self, fault: Fault) -> None:
        self.faulty = True
        self._write(self._renderer.fault(fault))


def _open(path: str) -> io.FileIO:
    if path != "-":
        return io.FileIO(path)
    if not sys.stdin:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF), path)
    file = io.FileIO(sys.stdin.fileno(), closefd=False)
    file.name = path
    return file


def renderer(options: argparse.Namespace) -> Renderer:
    """Return what shows frames as these options ask for."""
    if options.json:
        return Json()
    paint = COLOURED if _coloured(options.color) else PLAIN
    return (Lines if options.fields else Hex)(options.full, paint)


def _coloured(when: str) -> bool:
    if when == "auto":
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return when == "always"


def _commands(names: str) -> set[int]:
    try:
        return {Command[name.strip().upper()] for name in names.split(",")}
    except KeyError as error:
        raise argparse.ArgumentTypeError(f"unknown command {error}") from None


def add_form(parser: argparse.ArgumentParser) -> None:
    """Add the options that tell what is shown of frames, and how."""
    add = parser.add_argument
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--fields", action="store_true", help="one line a frame, no hex")
    form.add_argument("--json", action="store_true", help="one object a line")
    add("--full", action="store_true", help="show long data whole")
    add(
        "--only",
        type=_commands,
        default=set(),
        metavar="COMMAND,...",
        help="show these",
    )
    add("--connection", type=int, metavar="N", help="show this connection alone")
    add(
        "--color",
        choices=("always", "never", "auto"),
        default="auto",
        help="default auto",
    )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="wirechat-dump",
        description="Show the frames of captured octets, and what is wrong with them.",
        epilog="exit status: 0 all is well, 1 something is wrong, 2 usage",
    )
    add = parser.add_argument
    add("files", nargs="*", default=["-"], metavar="FILE", help="- is standard input")
    add("--follow", action="store_true", help="wait for what is added to the file")
    add_form(parser)
    return parser
