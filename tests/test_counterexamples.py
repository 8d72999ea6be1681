"""What a property finds is saved, and found again without it."""

import re
from pathlib import Path

import pytest

from tests.faults import FAULTS
from tests.judging import judge
from wirechat.server import Server

FOUND = [
    ("matches-prefix", "filters"),
    ("echo-trimmed", "messages"),
    ("version-ignored", "malformed-frames"),
    ("login-told-before-it-holds", "messages"),
]
"""Faults, and a property that finds each."""


@pytest.mark.matrix
@pytest.mark.parametrize(("fault", "by"), FOUND, ids=[fault for fault, _ in FOUND])
def test_a_counterexample_fails_again_and_on_no_other_server(
    fault: str, by: str, tmp_path: Path
) -> None:
    part, folder = FAULTS[fault].part, tmp_path / "saved"
    options = "--save", str(folder), "--timeout", "0.5", "--seed", "1"
    found = judge(part, tmp_path, "--only", f"properties/{by}", *options)
    (saved,) = folder.iterdir()
    written = saved.read_text("utf-8")
    assert len(re.findall("^[A-Z][A-Za-z0-9]* [<>]", written, re.M)) < 20, written
    again = judge(part, tmp_path, command=("replay", str(saved)))
    assert (again.status, again.broken) == (1, found.broken), again.output
    right = judge(Server, tmp_path, command=("replay", str(saved)))
    assert right.status == 0, right.output
