"""The command ``wirechat-conformance``: a verdict on a server."""

import argparse
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from argparse import SUPPRESS
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import NoReturn

from wirechat_conformance import settings, transcript
from wirechat_conformance.report import INCONCLUSIVE, USAGE
from wirechat_conformance.settings import Settings
from wirechat_conformance.target import REFERENCE

PACKAGE = Path(__file__).parent
CASES = ["transcripts", "cases"]
"""Where the cases are, in the package."""
STATUSES = {0: 0, 1: 1, 2: INCONCLUSIVE, 3: INCONCLUSIVE, 4: USAGE, 5: USAGE}
"""pytest's exit statuses in ours: the plugin sets 0, 1 and 3, 2 is an interrupt."""


class Parser(argparse.ArgumentParser):
    """Tells what is wrong with a command in one line."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(USAGE, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: pytest, in a process of its own.

    Returns:
        The exit status: 0 conformant, 1 not, 2 wrong usage, 3 inconclusive.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    # -P: no file of the folder we are in passes for a module.
    command = [sys.executable, "-P", "-m", "pytest", *pytest_arguments(words)]
    # What users have set up for tests of their own has no say here.
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    with (
        tempfile.TemporaryDirectory() as scratch,
        # What Hypothesis keeps would be left in the folder we are in.
        subprocess.Popen(
            command, env=environ | {"HYPOTHESIS_STORAGE_DIRECTORY": scratch}
        ) as process,
    ):
        # Told to end, it ends what it has launched: so we never go before it.
        before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            status = process.wait()
        except KeyboardInterrupt:  # which pytest has got too: it ends in good order
            status = process.wait()
        finally:
            signal.signal(signal.SIGTERM, before)
    return STATUSES.get(status, INCONCLUSIVE)


def pytest_arguments(words: Sequence[str]) -> list[str]:
    """Return the command line of pytest for one of ours; exit where that is wrong."""
    end = words.index("--") if "--" in words else len(words)
    parser = _parser()
    arguments = parser.parse_args(words[:end])
    cases = [str(PACKAGE / folder) for folder in CASES]
    if arguments.command == "replay":
        try:
            transcript.load(arguments.file)
        except OSError as error:
            parser.error(f"{str(arguments.file)!r}: {_reason(error)}")
        except transcript.TranscriptError as error:
            parser.error(str(error))
        cases = [str(arguments.file.absolute())]
    known = {field.name for field in fields(Settings)}
    given = {name: value for name, value in vars(arguments).items() if name in known}
    junit = [f"--junitxml={arguments.junit}"] if "junit" in arguments else []
    return [
        *cases,
        *junit,
        *words[end + 1 :],
        f"--rootdir={PACKAGE}",
        f"--config-file={PACKAGE / 'pytest.ini'}",
        # Cases have no assertions for pytest to rewrite, which takes a while.
        "--assert=plain",
        "-p",
        "wirechat_conformance.plugin",
        f"--wirechat={Settings(**given).dump()}",
    ]


def _parser() -> Parser:
    parser = Parser(
        prog="wirechat-conformance",
        description="Judge a server of the chat wire protocol, version 0.",
        epilog="exit status: 0 conformant, 1 not conformant, 2 wrong usage, "
        "3 inconclusive; what follows -- goes to pytest",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="judge a server", epilog=parser.epilog)
    replay = commands.add_parser("replay", help="replay one transcript on a server")
    listing = commands.add_parser("list", help="list the rules, and the cases of each")
    listing.set_defaults(list=True)
    replay.add_argument("file", type=Path, metavar="FILE")
    for command in (run, replay):
        _add_common(command)
    run.add_argument(
        "--only",
        nargs="+",
        action="extend",
        default=[],
        metavar="ID",
        help="run these rules, sections or cases alone",
    )
    run.add_argument(
        "--examples",
        type=_natural,
        default=settings.DEFAULT_EXAMPLES,
        metavar="N",
        help="examples of each property; 0: transcripts and quick cases (%(default)s)",
    )
    run.add_argument(
        "--idle",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="hold idle connections at least so long; LIM-5 promises 60",
    )
    run.add_argument(
        "--thorough",
        dest="idle",
        action="store_const",
        default=SUPPRESS,
        const=settings.MINUTE,
        help=f"short for --idle {settings.MINUTE:g}",
    )
    run.add_argument(
        "--save",
        default=SUPPRESS,
        type=_folder,
        metavar="DIR",
        help="write counterexamples there",
    )
    return parser


def _add_common(command: argparse.ArgumentParser) -> None:
    server = command.add_mutually_exclusive_group(required=True)
    server.add_argument("server", nargs="?", type=_address, metavar="HOST:PORT")
    server.add_argument(
        "--launch",
        default=SUPPRESS,
        type=_command,
        metavar="'COMMAND with {port}'",
        help="start the server so, anew whenever it has died",
    )
    server.add_argument(
        "--reference",
        dest="launch",
        action="store_const",
        default=SUPPRESS,
        const=REFERENCE,
        help="launch the reference server",
    )
    command.add_argument(
        "--strict", action="store_true", help="a broken SHOULD counts as a failure"
    )
    command.add_argument(
        "--timeout",
        type=_seconds,
        default=settings.DEFAULT_TIMEOUT,
        metavar="SECONDS",
        help="within which a reply must come (%(default)g)",
    )
    command.add_argument(
        "--limit",
        type=_seconds,
        default=settings.DEFAULT_LIMIT,
        metavar="SECONDS",
        help="give up a run that takes longer (%(default)g)",
    )
    command.add_argument(
        "--json",
        default=SUPPRESS,
        type=_file,
        metavar="FILE",
        help="write the report there",
    )
    command.add_argument(
        "--junit",
        default=SUPPRESS,
        type=_file,
        metavar="FILE",
        help="write JUnit's XML there",
    )
    command.add_argument(
        "--seed",
        type=_natural,
        default=secrets.randbelow(1 << 32),
        metavar="N",
        help="repeat what a run with this seed did",
    )


def _address(written: str) -> tuple[str, int]:
    host, _, port = written.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise argparse.ArgumentTypeError(f"{written!r} is not HOST:PORT")
    try:
        socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise argparse.ArgumentTypeError(f"no host {host!r}") from None
    return host, int(port)


def _command(written: str) -> str:
    try:
        words = shlex.split(written)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{written!r}: {error}".lower()) from None
    if not any("{port}" in word for word in words):
        raise argparse.ArgumentTypeError(f"{written!r} does not tell a {{port}}")
    return written


def _file(written: str) -> str:
    try:
        open(written, "ab").close()
    except OSError as error:
        told = f"{written!r}: {_reason(error)}"
        raise argparse.ArgumentTypeError(told) from None
    return written


def _folder(written: str) -> str:
    try:
        Path(written).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        told = f"{written!r}: {_reason(error)}"
        raise argparse.ArgumentTypeError(told) from None
    return written


def _reason(error: OSError) -> str:
    return str(error.strerror).lower()


def _natural(written: str) -> int:
    if not (written.isascii() and written.isdigit()):
        raise argparse.ArgumentTypeError(f"{written!r} is not a whole number")
    return int(written)


def _seconds(written: str) -> float:
    try:
        seconds = float(written)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 86400:
        raise argparse.ArgumentTypeError(f"{written!r} is not a number of seconds")
    return seconds
