"""``wirechat-bench``: measure how fast a server is, and that it loses nothing."""

import argparse
import json
import resource
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

from wirechat_tools.command import Parser, address_of, blamed, output
from wirechat_tools.figures import Measure
from wirechat_tools.peer import Lost
from wirechat_tools.render import quote
from wirechat_tools.scenarios import SCENARIOS, Load

LEAST_SIZE = 64
"""Data octets of a message that hold two usernames and a number."""
MOST_SIZE = 65536
"""Data octets that every server takes (FRM-6)."""
INTERRUPTED = 130
"""Exit status of who was ended by SIGINT, as shells have it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status: 1 where a reply was lost."""
    options = _parser().parse_args(argv)
    _raise_descriptors()
    try:
        with output() as screen:
            return _measure_all(options, screen)
    except OSError as error:
        print(f"wirechat-bench: {blamed(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0  # whoever reads has seen enough


def _measure_all(options: argparse.Namespace, screen: TextIO) -> int:
    results = {}
    for name in options.scenarios:
        try:
            measure = _measure(name, options)
        except (Lost, OSError) as error:
            print(f"wirechat-bench: {name}: {_reason(error)}", file=sys.stderr)
            return 1 if isinstance(error, Lost) else 2
        results[name] = measure.as_dict()
        if not options.json:
            print(*measure.lines(name), sep="\n", file=screen, flush=True)
    if options.json:
        print(json.dumps(results, indent=2), file=screen)
    return 0


def _measure(name: str, options: argparse.Namespace) -> Measure:
    load = Load(
        options.address,
        options.seconds,
        options.connections,
        options.size,
        options.idle,
        options.accounts,
        options.kept,
    )
    with load:
        return SCENARIOS[name](load)


def _reason(error: Lost | OSError) -> str:
    return getattr(error, "strerror", None) or str(error)


def _raise_descriptors() -> None:
    """Let this process have as many descriptors as it may: each peer takes one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{quote(text)} is not {least} to {most}")
        return int(text)

    return read


size_of = _number(LEAST_SIZE, MOST_SIZE)
"""Return what a text says of the data octets of a message."""


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{quote(text)} is not a time up to an hour")
    return seconds


def _scenario(text: str) -> str:
    if text not in SCENARIOS:
        raise argparse.ArgumentTypeError(f"there is no {quote(text)}")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="wirechat-bench",
        description="Measure how fast a server is. Every reply is checked.",
        epilog="exit status: 0 done, 1 a reply was lost or wrong, 2 usage, no server",
    )
    add = parser.add_argument
    add("address", type=address_of, metavar="HOST:PORT")
    add(
        "scenarios",
        nargs="*",
        metavar="SCENARIO",
        type=_scenario,
        default=list(SCENARIOS),
        help=f"what to measure: {', '.join(SCENARIOS)} (default: all)",
    )
    add("--json", action="store_true", help="one object, when all is measured")
    add("--seconds", type=_seconds, default=3.0, help="of each (default 3)")
    for name, least, most, default, meaning in (
        ("connections", 1, 10_000, 10, "senders of many to one, and the like"),
        ("size", LEAST_SIZE, MOST_SIZE, 100, "data octets of a message"),
        ("idle", 1, 100_000, 1000, "connections that are idle"),
        ("accounts", 1, 100_000, 1000, "accounts to list"),
        ("kept", 1, 100_000, 1000, "messages to keep"),
    ):
        add(
            f"--{name}",
            type=_number(least, most),
            default=default,
            metavar="N",
            help=f"{meaning} (default {default})",
        )
    return parser
