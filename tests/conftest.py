"""What holds for all tests, and what several of them need."""

import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from wirechat.server import Server
from wirechat_conformance.plugin import MARKERS

# How long an example takes is a matter of the machine: it may be busy with others.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")
# What a test starts has an output that is buffered, as it is for who uses it.
os.environ.pop("PYTHONUNBUFFERED", None)
# Nor does it ignore an interrupt, as what a script puts into the background does.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Let the suite's cases be imported."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.fixture
def server() -> Iterator[Server]:
    """Serve on a port of its own."""
    with Server() as server:
        yield server


@pytest.fixture
def two_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have localhost stand for ``::1``, and for 127.0.0.1 behind it."""
    found = socket.getaddrinfo

    def both(host: str, port: int, *more: int, **named: int) -> list[Any]:
        hosts = ("::1", "127.0.0.1") if host == "localhost" else (host,)
        return [each for one in hosts for each in found(one, port, *more, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", both)
