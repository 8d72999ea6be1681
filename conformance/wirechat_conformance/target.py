"""The server under test: where it is, and how to start it where that is our part."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

from wirechat_conformance.peer import Address
from wirechat_conformance.settings import Settings

REFERENCE = f"{shlex.quote(sys.executable)} -m wirechat.server --port {{port}}"
START_SECONDS = 10.0
"""How long a launched server may take until it accepts connections."""
STOP_SECONDS = 2.0
"""How long a launched server may take to end when it is told to."""
PACE = 0.002
"""Seconds between two looks at whether it listens, or has ended."""


class StartError(Exception):
    """A server that can't be launched or found, and why."""


class Target:
    """A server that somebody else runs.

    Args:
        address: Its host and port.
    """

    def __init__(self, address: Address) -> None:
        self.address = address

    def revive(self) -> bool:
        """Start the server anew if we can; say whether it was started."""
        return False

    def stop(self) -> None:
        """End the server, if it was we who started it."""

    def __enter__(self) -> "Target":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Launched(Target):
    """A server that is started by a command, each time on a free port.

    Args:
        command: What starts it; ``{port}`` stands for the port to listen on.

    Raises:
        StartError: It doesn't accept connections.
    """

    def __init__(self, command: str) -> None:
        self._command = command
        self._start()

    def _start(self) -> None:
        port = free_port()
        super().__init__(("127.0.0.1", port))
        words = shlex.split(self._command.replace("{port}", str(port)))
        try:
            # A process group of its own: what the command starts ends with it.
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            reason = str(error.strerror).lower()
            raise StartError(f"can't run {words[0]!r}: {reason}") from None
        try:
            self._wait()
        except BaseException:  # an interrupt, too
            self.stop()
            raise

    def _wait(self) -> None:
        until = time.monotonic() + START_SECONDS
        while not accepts(self.address):
            if self._has_ended():
                self.stop()
                status = self._process.returncode
                raise StartError(f"the server ended at once, exit status {status}")
            if time.monotonic() > until:
                raise StartError(f"the server took over {START_SECONDS:g} s to start")
            time.sleep(PACE)  # a connection that is refused can only be tried again

    def revive(self) -> bool:
        """Start the server anew, whatever state it is in."""
        self.stop()
        with suppress(StartError):
            self._start()
            return True
        return False

    def stop(self) -> None:
        """End the server, by force if it takes its time."""
        if self._process.returncode is not None:
            return  # its id may be somebody else's by now
        self._signal(signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        while not self._has_ended() and time.monotonic() < until:
            time.sleep(PACE)  # there is no bounded wait that leaves it its id
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _has_ended(self) -> bool:
        """Say whether the process has ended; its id stays its own all the same."""
        how = os.WEXITED | os.WNOWAIT | os.WNOHANG
        return os.waitid(os.P_PID, self._process.pid, how) is not None

    def _signal(self, number: int) -> None:
        # macOS forbids to signal a group of which only the ended process is left.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def free_port() -> int:
    """Return a TCP port on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def accepts(address: Address) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return False
    return True


def located(address: Address) -> Address:
    """Return the numeric address of a name: of several, one that accepts connections.

    A name like localhost stands for an address of IPv6 and one of IPv4; many a server
    listens on one of them alone.

    Raises:
        StartError: There is no such host, though there was one a moment ago.
    """
    numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    host, port = address
    try:
        found = [
            (socket.getnameinfo(each[-1], numeric)[0], port)
            for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        ]
    except OSError:
        raise StartError(f"no host {host!r}") from None
    if len(found) == 1:
        return found[0]
    return next(filter(accepts, found), found[0])


def chosen(settings: Settings) -> Target:
    """Return the server that is asked for."""
    if settings.server:
        return Target(located(settings.server))
    return Launched(settings.launch)
