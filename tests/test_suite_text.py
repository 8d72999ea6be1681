"""Octets as people read them: one written form for each text, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirechat_conformance.text import (
    Part,
    Text,
    escape,
    read,
    read_items,
    render,
    write,
)

RUNS = [1, 2, 30, 31, 32, 33, 300]
"""Lengths of a run of one octet, on both sides of that at which it is shortened."""

octets = st.binary(min_size=1, max_size=40)
runs = st.builds(
    lambda octet, length: octet * length,
    st.binary(min_size=1, max_size=1),
    st.sampled_from(RUNS),
)
names = st.sampled_from(["a", "b", "other_name"])
parts: st.SearchStrategy[list[Part]] = st.lists(
    st.one_of(octets, runs, names), max_size=6
)
VALUES = {"a": b"alice01", "b": b"bobby02", "other_name": b"x"}


@given(parts)
def test_text_reads_back_as_the_same_octets(parts: list[Part]) -> None:
    text = tuple(parts)
    assert render(read(write(text)), VALUES) == render(text, VALUES)


@given(parts)
def test_text_that_was_read_has_one_written_form(parts: list[Part]) -> None:
    text = read(write(tuple(parts)))
    written = write(text)
    assert read(written) == text
    assert write(read(written)) == written
    assert written.isprintable()
    assert written.isascii()


@given(st.one_of(octets, runs))
def test_octets_have_one_written_form_however_they_are_cut(octets: bytes) -> None:
    pairs = " ".join(f"{octet:02x}" for octet in octets)
    singles = " ".join(write((octets[at : at + 1],)) for at in range(len(octets)))
    assert read(pairs) == read(singles) == read(write((octets,))) == (octets,)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ((), ""),
        ((b"hi",), '"hi"'),
        ((b'"\\',), r'"\"\\"'),
        ((b"\0\x1f\x7f\x80\xff\n",), r'"\x00\x1f\x7f\x80\xff\x0a"'),
        (("a", b"|||", "b"), r'"\{a}|||\{b}"'),
        ((b"x" * 31,), f'"{"x" * 31}"'),
        ((b"x" * 32,), '"x"*32'),
        ((b"a" + b"x" * 40 + b"b",), '"a" "x"*40 "b"'),
        ((b"\n" * 99, "a"), r'"\x0a"*99 "\{a}"'),
        (("a", b"x" * 32), r'"\{a}" "x"*32'),
    ],
)
def test_written_form(text: Text, written: str) -> None:
    assert write(text) == written
    assert read(written) == text


@pytest.mark.parametrize(
    ("written", "items"),
    [
        ("", []),
        ('  "a"  62  ', [(b"a",), (b"b",)]),
        ("00*41", [(b"\0" * 41,)]),
        ('"ab"*2 "c"', [(b"abab",), (b"c",)]),
        (r'"\{a}x"*2', [("a", b"x", "a", b"x")]),
        ('""', [()]),
        ('"a"*0', [()]),
    ],
)
def test_items(written: str, items: list[Text]) -> None:
    assert read_items(written) == items


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("hello", "not octets: 'hello'"),
        ('"a" zz', "not octets: 'zz'"),
        ('"a"b', "not octets: '\"a\"b'"),
        ("0", "not octets: '0'"),
        ("AA", "not octets: 'AA'"),
        ('"open', "not octets: '\"open'"),
        ('"a"*', "not octets: '\"a\"*'"),
        (r'"\n"', r"no escape or printable character: '\\n'"),
        (r'"\xZZ"', r"no escape or printable character: '\\xZZ'"),
        (r'"\{}"', r"no escape or printable character: '\\{}'"),
        ('"caf\xe9"', "no escape or printable character: '\xe9'"),
        ('"\t"', r"no escape or printable character: '\t'"),
    ],
)
def test_what_is_no_text_is_refused(written: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"octets|escape") as refused:
        read(written)
    assert str(refused.value) == reason


@given(st.binary())
def test_escaped_octets_are_safe_to_show(octets: bytes) -> None:
    escaped = escape(octets)
    assert escaped.isascii()
    assert escaped.isprintable()
    assert read(f'"{escaped}"') == ((octets,) if octets else ())
