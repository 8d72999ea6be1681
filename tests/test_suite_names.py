"""Usernames: fresh, of the length and kind that is asked for."""

import pytest

from wirechat_conformance.names import LEAST, Names, NoNameError


def everything_is_free(pattern: bytes) -> bool:
    return True


@pytest.fixture
def names() -> Names:
    return Names(everything_is_free)


@pytest.mark.parametrize("length", [1, 2, LEAST - 1, LEAST, LEAST + 1, 32, 64])
def test_names_have_their_length_and_differ(names: Names, length: int) -> None:
    made = [names.fresh(length) for _ in range(30)]
    assert len(set(made)) == 30
    assert {len(name) for name in made} == {length}
    assert all(name.isalnum() and name.islower() | name.isdigit() for name in made)


def test_names_of_all_lengths_begin_alike_but_the_short_ones(names: Names) -> None:
    assert names.prefix[:1].isalpha()
    assert names.fresh().startswith(names.prefix)
    assert names.fresh(40).startswith(names.prefix)
    assert {len(names.fresh(length)) for length in range(1, 7)} == {1, 2, 3, 4, 5, 6}


def test_unused_name_is_never_given(names: Names) -> None:
    assert names.unused not in {names.fresh() for _ in range(1000)}


def test_prefix_is_one_that_nobody_has() -> None:
    asked = []

    def third_is_free(pattern: bytes) -> bool:
        asked.append(pattern)
        return len(asked) == 3

    names = Names(third_is_free)
    assert asked[2] == names.prefix + b"*"


def test_where_nothing_is_free_there_is_a_prefix_and_no_short_name() -> None:
    names = Names(lambda pattern: False)
    assert names.fresh().startswith(names.prefix)
    with pytest.raises(NoNameError) as none:
        names.fresh(1)
    assert str(none.value) == "no username that is so short, or all digits, is free"


def test_short_name_is_one_that_nobody_has() -> None:
    free = {b"b", b"d", b"e"}
    names = Names(lambda pattern: pattern in free or len(pattern) > 1)
    assert {names.fresh(1) for _ in free} == free


def test_values_are_like_the_examples_of_a_transcript(names: Names) -> None:
    examples = {"a": "alice01", "A": "upper a", "d": "0720405", "l": "l" * 32, "s": "q"}
    values = names.for_transcript(examples)
    assert list(values) == list(examples)
    assert len(values["a"]) == 7
    assert values["A"] == values["a"].upper() != values["a"]
    assert len(values["l"]) == 32
    assert len(values["s"]) == 1
    assert values["d"].isdigit()
    zeros = [digit == ord("0") for digit in values["d"]]
    assert zeros == [True, False, False, True, False, True, False]


def test_digits_are_fresh(names: Names) -> None:
    made = {names.like("7000000") for _ in range(5)}
    assert len(made) == 5
    assert all(name.isdigit() and name.endswith(b"000000") for name in made)


def test_digits_that_are_all_taken() -> None:
    names = Names(lambda pattern: False)
    with pytest.raises(NoNameError):
        names.like("7294051")
