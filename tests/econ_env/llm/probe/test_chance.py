"""Permutation tests: known probabilities, and how often chance alone is taken for an effect."""

import random
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env.llm.probe.chance import alike, differ, likeness, narrower

SENTENCES = st.lists(st.sampled_from(["a b c", "a b d", "a e f", "g h i", ""]), min_size=3, max_size=5)


def words(draw: random.Random, many: int) -> str:
    return " ".join(str(draw.randrange(many)) for _ in range(6))


def test_likeness_counts_places():
    assert likeness("a b c d", "a b x d") == 0.75
    assert likeness("a b", "a b c d") == 0.5
    assert likeness("", "") == 1.0
    assert likeness("", "a") == 0.0


@given(st.text(max_size=30), st.text(max_size=30))
def test_likeness_is_symmetric_and_a_share(one, two):
    assert likeness(one, two) == likeness(two, one)
    assert 0.0 <= likeness(one, two) <= 1.0
    assert likeness(one, one) == 1.0


def test_the_most_extreme_split_has_the_least_probability():
    same, other = ["a b c"] * 6, [f"{n} {n} {n}" for n in range(6)]
    assert narrower(same, other) == 1 / comb(12, 6)
    assert narrower(other, same) == 1.0
    assert differ(same, ["d e f"] * 6) == 2 / comb(12, 6)  # the mirrored split differs as much


def test_without_any_difference_everything_is_chance():
    assert narrower(["a"] * 6, ["a"] * 6) == 1.0
    assert differ(["a"] * 6, ["a"] * 6) == 1.0


def test_a_split_that_equals_many_others_is_no_evidence():
    assert differ(["a", "b"] * 3, ["a", "b"] * 3) == 1.0


@given(SENTENCES, SENTENCES)
def test_a_probability_is_never_below_that_of_one_split(one, two):
    least = 1 / comb(len(one) + len(two), len(one))
    for test in (narrower, differ):
        assert least - 1e-12 <= test(one, two) <= 1.0
    assert differ(one, two) == pytest.approx(differ(two, one))


@pytest.mark.parametrize("test", [narrower, differ])
def test_an_effect_is_seen_by_chance_as_rarely_as_stated(test):
    draw = random.Random(3)
    found = [test([words(draw, 4) for _ in range(6)], [words(draw, 4) for _ in range(6)]) for _ in range(400)]
    assert sum(chance <= 0.1 for chance in found) < 0.1 * 400 + 3 * (0.1 * 0.9 * 400) ** 0.5
    assert sum(chance <= 0.01 for chance in found) < 0.01 * 400 + 4 * (0.01 * 0.99 * 400) ** 0.5


def test_more_alike_replies_are_seen():
    draw = random.Random(4)
    low, high = [words(draw, 2) for _ in range(6)], [words(draw, 50) for _ in range(6)]
    assert alike(low) > alike(high)
    assert narrower(low, high) < 0.01
    assert differ(low, high) < 0.01


def test_too_many_replies_are_refused():
    with pytest.raises(ValueError, match="more than can be counted"):
        differ(["a"] * 12, ["b"] * 12)
