"""Runs of the suite in the process of the test, against a server in it too."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from wirechat.server import Server
from wirechat_conformance.run import Run
from wirechat_conformance.settings import Settings
from wirechat_conformance.target import Target


@contextmanager
def judging(server: Server | None = None, **asked: Any) -> Iterator[Run]:
    """Judge a server, the reference where there is none."""
    with server or Server() as judged:
        settings = Settings(server=judged.address, **{"timeout": 5.0, **asked})
        with Run(Target(judged.address), settings) as run:
            yield run
