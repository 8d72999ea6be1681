"""Octets come in bounded chunks, unpacked, and can be looked at first."""

import gzip
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from wirechat_tools.source import CHUNK, Source, follow, gunzip, read


def test_reading_and_following(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a")
    calls: list[str] = []

    def wait() -> None:
        calls.append("wait")
        with path.open("ab") as file:
            file.write(b"b")

    with io.FileIO(path) as file:
        assert list(read(file, lambda: calls.append("read"))) == [b"a"]
        assert calls == ["read", "read"]
        assert next(chunks := follow(file, wait=wait)) == b"b"
        assert next(chunks) == b"b"


def test_following_a_pipe_ends_with_it() -> None:
    reading, writing = os.pipe()
    with io.FileIO(writing, "w") as end:
        end.write(b"a")
    with io.FileIO(reading) as file:
        assert list(follow(file)) == [b"a"]


def test_an_error_of_reading_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with io.FileIO(path) as file:
        folder = os.open(tmp_path, os.O_RDONLY)
        os.dup2(folder, file.fileno())
        os.close(folder)
        with pytest.raises(IsADirectoryError) as error:
            next(read(file))
    assert error.value.filename == path


def cut(octets: bytes, size: int) -> Iterator[bytes]:
    return (octets[at : at + size] for at in range(0, len(octets), size))


def unpack(chunks: Iterator[bytes]) -> tuple[list[bytes], list[str]]:
    told: list[str] = []
    return list(gunzip(chunks, told.append)), told


@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_gzip_of_several_members(size: int) -> None:
    packed = gzip.compress(b"one") + gzip.compress(b"two" * 1000)
    chunks, told = unpack(cut(packed, size))
    assert b"".join(chunks) == b"one" + b"two" * 1000
    assert b"" not in chunks
    assert not told


def test_gzip_gives_chunks_of_bounded_size() -> None:
    chunks, _ = unpack(iter([gzip.compress(bytes(3 * CHUNK + 1))]))
    assert max(map(len, chunks)) == CHUNK
    assert sum(map(len, chunks)) == 3 * CHUNK + 1


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (gzip.compress(b"one")[:-1], "the gzip data ends too early"),
        (gzip.compress(b"one") + b"junk", "damaged gzip data: "),
        (b"\x1f\x8b\x08\x00" + b"\xff" * 30, "damaged gzip data: "),
    ],
    ids=["cut", "junk-behind", "no-deflate"],
)
def test_damaged_gzip(packed: bytes, reason: str) -> None:
    chunks, told = unpack(iter([packed]))
    assert b"".join(chunks) in (b"one", b"")
    assert [text[: len(reason)] for text in told] == [reason]


def test_looks_take_nothing_away() -> None:
    source = Source(iter([b"ab", b"cd", b"ef"]))
    assert list(source.looks(3)) == [b"ab", b"abc"]
    assert list(source.looks(3)) == []
    assert list(source) == [b"abcd", b"ef"]
    assert list(Source(iter([])).looks(3)) == []
    assert list(Source(iter([b"a"]))) == [b"a"]
