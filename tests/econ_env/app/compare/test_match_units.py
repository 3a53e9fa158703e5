import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env.app.compare.match_units import match_units
from econ_env.errors import ConfigError


def match(cost, target, **options):
    tried = []

    async def measure(units):
        tried.append(units)
        return cost(units)

    found = asyncio.run(match_units(measure, target, **options))
    assert list(found.probes) == tried
    return found


def test_a_cost_in_proportion_takes_two_measurements():
    found = match(lambda k: 120.0 * k, 1180.0)
    assert found.units == 10
    assert list(found.probes) == [1, 10, 9]
    assert found.ratio == pytest.approx(1200 / 1180)


def test_what_is_too_dear_at_one_unit_stays_there():
    found = match(lambda k: 500.0 * k, 90.0)
    assert (found.units, len(found.probes)) == (1, 1)


@given(
    fixed=st.floats(0, 500), each=st.floats(20, 300), square=st.floats(0, 100), target=st.floats(50, 20_000),
    growth=st.sampled_from([2.0, math.inf]),
)  # fmt: skip
def test_no_other_number_comes_nearer(fixed, each, square, target, growth):
    def cost(k):
        return fixed + each * k + square * k * k

    found = match(cost, target, most=200, growth=growth, tries=40)
    distance = {k: abs(math.log(cost(k) / target)) for k in range(1, 201)}
    assert distance[found.units] == pytest.approx(min(distance.values()))


def test_growth_bounds_how_far_a_step_goes():
    found = match(lambda r: 100.0 * r * r, 3600.0, growth=2.0)
    assert list(found.probes) == [1, 2, 4, 7, 6]
    assert found.ratio == 1.0


def test_the_largest_number_and_the_number_of_measurements_are_limits():
    assert match(lambda k: 1.0 * k, 1000.0, most=8).units == 8
    assert len(match(lambda k: float(k) ** 3, 1e6, tries=2).probes) == 2


def test_a_target_must_be_positive():
    with pytest.raises(ConfigError, match="above 0"):
        match(lambda k: 1.0, 0.0)
