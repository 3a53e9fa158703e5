"""The landscape: chances by hand, places of kinds, and the field that coupled executors share."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env.config import SamplingConfig
from econ_env.simulation.landscape import SEED_BLOCK, Landscape

PEAK = (0.5, 1.1)
WIDE = SamplingConfig(temperature_max=2.0, p_max=1.5)
"""Bounds in which the widths are 0.38 and 0.16."""


def test_chance_by_hand():
    landscape = Landscape(peaks={"k": (1.0, 1.2)}, sampling=WIDE)
    assert landscape.chance("k", (1.0, 1.2)) == pytest.approx(0.93)
    assert landscape.chance("k", (1.38, 1.2)) == pytest.approx(0.02 + 0.91 * math.exp(-0.5))
    assert landscape.chance("k", (1.0, 1.2 - 2 * 0.16)) == pytest.approx(0.02 + 0.91 * math.exp(-2))
    assert landscape.chance("k", np.zeros((4, 3, 2))).shape == (4, 3)


@given(st.floats(0, 1), st.floats(0, 1))
def test_in_units_of_the_bounds_all_bounds_give_one_landscape(t, p):
    def chance(sampling):
        low, high = Landscape(sampling=sampling).bounds
        return float(Landscape(sampling=sampling).chance("k", low + (high - low) * np.array([t, p])))

    assert chance(SamplingConfig()) == pytest.approx(chance(WIDE), abs=1e-9)


@given(st.text(max_size=10).filter(lambda kind: kind != "other"))
def test_a_kind_that_is_not_named_has_one_place_inside_the_bounds(kind):
    low, high = Landscape().bounds
    place = Landscape().peak_of(kind)
    assert (low < place).all()
    assert (place < high).all()
    assert (place == Landscape(peaks={"other": (1.0, 1.1)}).peak_of(kind)).all()


def test_unnamed_kinds_differ():
    places = np.array([Landscape().peak_of(kind) for kind in ("", "level1", "level2", "level3")])
    assert len(np.unique(places, axis=0)) == 4


def test_the_shared_field_changes_with_question_and_seed_block():
    landscape = Landscape(coupling=0.95)
    fields = [landscape._shared(question, block, PEAK) for question, block in (("q", 0), ("q", 1), ("r", 0), ("q", 0))]
    assert fields[0] == fields[3]
    assert len(set(fields)) == 3
    inside, outside = SEED_BLOCK - 2, SEED_BLOCK
    pairs = [(inside, inside + 1), (inside, outside)]
    agree = [
        np.mean(
            [landscape.is_right(str(q), "k", PEAK, a) == landscape.is_right(str(q), "k", PEAK, b) for q in range(400)]
        )
        for a, b in pairs
    ]
    chance = float(landscape.chance("k", PEAK))
    assert agree[1] == pytest.approx(chance**2 + (1 - chance) ** 2, abs=0.1)
    assert agree[0] > agree[1]


def test_the_field_has_unit_variance_and_the_stated_correlation_at_the_bounds_too():
    landscape = Landscape(coupling=0.5, sampling=WIDE)
    near, far = (0.1, 1.0), (0.1 + 0.2 * 0.38, 1.0)
    values = np.array([[landscape._shared("q", block, place) for place in (near, far)] for block in range(2000)])
    assert values.mean(axis=0) == pytest.approx([0, 0], abs=4 / math.sqrt(2000))
    assert values.var(axis=0) == pytest.approx([1, 1], abs=4 * math.sqrt(2 / 2000))
    assert np.corrcoef(values.T)[0, 1] == pytest.approx(math.exp(-0.5), abs=0.06)


def test_contradictions_are_refused():
    with pytest.raises(ValueError, match="floor must be below peak"):
        Landscape(peak=0.3, floor=0.4)
    with pytest.raises(ValueError, match="outside the bounds"):
        Landscape(peaks={"k": (0.5, 2.5)})
