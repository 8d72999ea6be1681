"""What holds for all tests, and what several of them need."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from wirechat.server import Server
from wirechat_conformance.plugin import MARKERS

# How long an example takes is a matter of the machine: it may be busy with others.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")
# What a test starts has an output that is buffered, as it is for who uses it.
os.environ.pop("PYTHONUNBUFFERED", None)


def pytest_configure(config: pytest.Config) -> None:
    """Let the suite's cases be imported."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.fixture
def server() -> Iterator[Server]:
    """Serve on a port of its own."""
    with Server() as server:
        yield server
