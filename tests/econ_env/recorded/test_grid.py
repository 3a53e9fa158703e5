"""Cells around controls: chances by hand, and what holds for any grid."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env.recorded.grid import Grid
from tests.econ_env.recorded.made_banks import grid_bank, refused

TP = ("temperature", "repetition_penalty")
SQUARE = [(0.2, 1.0), (0.2, 1.2), (1.0, 1.0), (1.0, 1.2)]


def grid(points=SQUARE, controls=TP, draw="linear"):
    return Grid(grid_bank(points, controls), 0, draw)


def at(found):
    return dict(zip(found.cells, found.chances, strict=True))


@pytest.mark.parametrize(
    ("temperature", "penalty", "chances"),
    [
        (0.2, 1.0, {0: 1.0}),
        (1.0, 1.2, {3: 1.0}),
        (0.4, 1.0, {0: 0.75, 2: 0.25}),
        (1.0, 1.05, {2: 0.75, 3: 0.25}),
        (0.4, 1.15, {0: 0.1875, 1: 0.5625, 2: 0.0625, 3: 0.1875}),
        (0.2 + 1e-7, 1.2 - 1e-7, {1: 1.0}),
    ],
)
def test_chances_by_hand(temperature, penalty, chances):
    found = grid().around({"temperature": temperature, "repetition_penalty": penalty})
    assert at(found) == pytest.approx(chances)
    assert found.outside == ()


def test_outside_the_nearest_recorded_value_is_played_and_named():
    found = grid().around({"temperature": 0.0, "repetition_penalty": 1.5})
    assert (at(found), found.outside) == ({1: 1.0}, TP)
    found = grid().around({"temperature": 1.7, "repetition_penalty": 1.05})
    assert at(found) == pytest.approx({2: 0.75, 3: 0.25})
    assert found.outside == ("temperature",)


def test_a_control_that_is_missing_is_in_the_middle_and_one_that_is_unknown_has_no_effect():
    three = grid([(0.1,), (0.5,), (0.9,)], ("temperature",))
    assert at(three.around({})) == {1: 1.0}
    assert three.around({"temperature": 0.1, "repetition_penalty": 9.0}) == three.around({"temperature": 0.1})
    nothing = grid([()], ())
    assert nothing.around({"temperature": 0.3}) == ((0,), (1.0,), ())


def test_the_nearest_cell_alone():
    nearest = grid(draw="nearest")
    assert at(nearest.around({"temperature": 0.5, "repetition_penalty": 1.15})) == {1: 1.0}
    assert at(nearest.around({"temperature": 0.7, "repetition_penalty": 1.05})) == {2: 1.0}


def test_without_every_combination_only_the_nearest_can_be_played():
    with refused(
        "grid has not every combination of the controls temperature, repetition_penalty of m that it would take to "
        "draw between them; set recorded.draw=nearest"
    ):
        grid(SQUARE[:3])
    corner = grid(SQUARE[:3], draw="nearest")
    # each control counts in units of its range: (0.9, 1.15) is 0.125 and 0.75 away from (1.0, 1.0)
    assert at(corner.around({"temperature": 0.9, "repetition_penalty": 1.11})) == {2: 1.0}
    assert at(corner.around({"temperature": 0.3, "repetition_penalty": 1.19})) == {1: 1.0}
    assert corner.around({"temperature": 0.3, "repetition_penalty": 1.3}).outside == ("repetition_penalty",)


AXIS = st.lists(st.integers(0, 200), min_size=1, max_size=4, unique=True).map(lambda tenths: [n / 100 for n in tenths])
NAMES = ("temperature", "repetition_penalty", "top_p")


@given(st.lists(AXIS, min_size=1, max_size=3), st.data())
def test_chances_are_linear_whatever_the_grid(axes, data):
    """Their mean of the controls is the point itself, so that of anything linear between cells is linear."""
    points = list(product(*axes))
    data.draw(st.randoms(use_true_random=False)).shuffle(points)
    names = NAMES[: len(axes)]
    point = [data.draw(st.floats(-0.5, 2.5)) for _ in axes]
    found = grid(points, names).around(dict(zip(names, point, strict=True)))
    assert sum(found.chances) == pytest.approx(1.0)
    assert all(chance >= 0 for chance in found.chances)
    assert len(set(found.cells)) == len(found.cells) <= 2 ** len(axes)
    mean = np.array(found.chances) @ np.array([points[cell] for cell in found.cells])
    inside = [float(np.clip(value, min(axis), max(axis))) for value, axis in zip(point, axes, strict=True)]
    assert mean == pytest.approx(inside, abs=1e-5)
    assert found.outside == tuple(
        name for name, value, near in zip(names, point, inside, strict=True) if abs(value - near) > 1e-6
    )
    for place, (axis, value) in enumerate(zip(axes, inside, strict=True)):  # no recorded value lies between
        used = {points[cell][place] for cell in found.cells}
        assert not [other for other in axis if min(used) < other < max(used)]
        assert min(used) - 1e-5 <= value <= max(used) + 1e-5


@given(st.lists(AXIS, min_size=1, max_size=2), st.data())
def test_the_nearest_cell_is_one_of_the_likeliest(axes, data):
    points, names = list(product(*axes)), NAMES[: len(axes)]
    asked = {name: data.draw(st.floats(0.0, 2.0)) for name in names}
    linear = at(grid(points, names).around(asked))
    ((cell, chance),) = at(grid(points, names, "nearest").around(asked)).items()
    assert chance == 1.0
    assert linear[cell] == pytest.approx(max(linear.values()))
