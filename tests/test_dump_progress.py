"""The bar for large files: when it is shown, and that it leaves nothing behind."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from wirechat_tools.progress import AFTER, EVERY, progress


class Screen(io.StringIO):
    terminal = True

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture
def file(tmp_path: Path) -> Iterator[io.FileIO]:
    path = tmp_path / "large"
    path.write_bytes(bytes(4_000_000))
    with io.FileIO(path) as file:
        yield file


def taken(file: io.FileIO, screen: Screen, times: list[float]) -> None:
    chunks = [bytes(1_000_000)] * 4
    clock = iter(times).__next__
    assert list(progress(iter(chunks), file, screen, clock)) == chunks


def test_it_is_shown_after_a_second_and_taken_away(file: io.FileIO) -> None:
    screen, late = Screen(), AFTER + EVERY
    taken(file, screen, [0, 0.5, AFTER, AFTER, AFTER + EVERY / 2, late, late])
    assert screen.getvalue() == (
        f"\r{'#' * 15:<30}  50% of 4 MB\r{'#' * 30} 100% of 4 MB\r\x1b[K"
    )


def test_it_is_not_shown_for_what_is_read_by_then(file: io.FileIO) -> None:
    screen = Screen()
    taken(file, screen, [0, 0.1, 0.2, 0.3, 0.4])
    assert screen.getvalue() == ""


def test_it_is_shown_on_a_terminal_alone(file: io.FileIO) -> None:
    screen = Screen()
    screen.terminal = False
    taken(file, screen, [])
    assert screen.getvalue() == ""


def test_it_goes_away_when_the_reader_does(file: io.FileIO) -> None:
    screen = Screen()
    chunks = progress(iter([b"a", b"b"]), file, screen, iter([0.0, 2.0, 2.0]).__next__)
    assert [next(chunks), next(chunks)] == [b"a", b"b"]
    chunks.close()  # type: ignore[attr-defined]
    assert screen.getvalue().endswith("\r\x1b[K")
