"""Decks: each reply once, in an order that depends on episode, problem and cell alone."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env.recorded.deck import Deck, mixed, shuffled, unit
from econ_env.recorded.grid import Around

SEEDS = st.integers(0, 2**31 - 1)


def test_the_mix_is_that_of_splitmix64():
    # the first outputs of SplitMix64 from the states 0 and 1234567 (https://prng.di.unimi.it/splitmix64.c)
    assert mixed(0) == 0xE220A8397B1DCDAF
    assert mixed(1234567) == 6457827717110365317


@given(st.integers(1, 40), SEEDS)
def test_a_shuffle_has_each_number_once(count, seed):
    assert sorted(shuffled(count, seed)) == list(range(count))
    assert shuffled(count, seed) == shuffled(count, seed)


def test_shuffles_are_even():
    """Each of the six orders of three, 3000 draws: chi-square with 5 degrees of freedom, 20.5 at one in a thousand."""
    seen = Counter(tuple(shuffled(3, seed)) for seed in range(3000))
    assert len(seen) == 6
    assert sum((count - 500) ** 2 / 500 for count in seen.values()) < 20.5


def test_units_are_even():
    """Tenths of the interval, 5000 draws: chi-square with 9 degrees of freedom, 27.9 at one in a thousand."""
    seen = Counter(int(10 * unit(seed, 7)) for seed in range(5000))
    assert set(seen) == set(range(10))
    assert sum((count - 500) ** 2 / 500 for count in seen.values()) < 27.9


@given(SEEDS, st.integers(0, 99), st.integers(1, 12))
def test_replies_come_once_then_round_again_in_the_same_order(seed, cell, count):
    deck = Deck(seed, 3)
    dealt = [deck.next(cell, count) for _ in range(2 * count)]
    assert sorted(place for place, _ in dealt[:count]) == list(range(count))
    assert [again for _, again in dealt] == [False] * count + [True] * count
    assert [place for place, _ in dealt[count:]] == [place for place, _ in dealt[:count]]


@given(SEEDS, st.lists(st.integers(0, 3), max_size=20))
def test_what_a_cell_deals_does_not_depend_on_the_others(seed, order):
    mixed_up, alone = Deck(seed, 0), {cell: Deck(seed, 0) for cell in range(4)}
    for cell in order:
        assert mixed_up.next(cell, 6) == alone[cell].next(cell, 6)


def test_problems_cells_and_episodes_are_shuffled_apart():
    orders = {
        tuple(Deck(seed, problem).next(cell, 1000) for _ in range(1))
        for seed in range(3) for problem in range(3) for cell in range(3)
    }  # fmt: skip
    assert len(orders) > 20


def test_cells_are_drawn_with_their_chances():
    around = Around((4, 9), (0.3, 0.7), ())
    seen = Counter(Deck(seed, 0).cell(around) for seed in range(4000))
    assert set(seen) == {4, 9}
    assert seen[4] / 4000 == pytest.approx(0.3, abs=0.025)  # 3.4 standard errors


def test_the_same_call_of_an_episode_draws_alike_at_close_controls():
    """Common random numbers: the likelier a cell, the more episodes play it, and none changes the other way."""
    for seed in range(200):
        low, high = (Deck(seed, 0).cell(Around((1, 2), (1 - share, share), ())) for share in (0.3, 0.6))
        assert (low, high) in ((1, 1), (1, 2), (2, 2))
