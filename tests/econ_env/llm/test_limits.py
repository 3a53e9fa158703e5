"""Requests and tokens per minute, on a clock that jumps."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from econ_env.llm.limits import RateLimits, shared_rates


async def passages(limits, amounts):
    """When each of the requests passes that all come at once."""
    clock = asyncio.get_running_loop().time
    times = []

    async def one(amount):
        await limits.acquire(amount)
        times.append(clock())

    await asyncio.gather(*(one(amount) for amount in amounts))
    return times


def most_in_a_minute(times, amounts):
    """The largest amount that passed within any 60 seconds."""
    return max(
        sum(a for t, a in zip(times, amounts, strict=True) if start <= t < start + 60.0 - 1e-6) for start in times
    )


@pytest.mark.parametrize("rpm", [1, 7, 60, 90, 600])
def test_no_minute_sees_more_requests_than_allowed_not_even_the_first(run_jumping, rpm):
    count = 3 * rpm + 2
    times = run_jumping(passages(RateLimits(rpm, None), [1] * count))
    assert len(times) == count
    assert most_in_a_minute(times, [1] * count) <= rpm
    assert times[-1] <= 60.0 * count / rpm * 1.1 + 60.0  # and hardly fewer


def test_no_minute_sees_more_tokens_than_allowed_and_the_last_request(run_jumping):
    amounts = [100, 900, 40, 2500, 1, 700] * 6
    times = run_jumping(passages(RateLimits(None, 3000), amounts))
    assert most_in_a_minute(times, amounts) <= 3000 + max(amounts)
    even = run_jumping(passages(RateLimits(None, 3000), [50] * 200))
    assert most_in_a_minute(even, [50] * 200) <= 3000
    assert times[-1] <= 60.0 * sum(amounts) / 3000 * 1.05


@pytest.mark.slow
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(tpm=st.integers(60, 5000), amounts=st.lists(st.integers(1, 800), min_size=1, max_size=20))
def test_callers_pass_in_order_and_as_fast_as_the_rate_allows(run_jumping, tpm, amounts):
    times = run_jumping(passages(RateLimits(None, tpm), amounts))
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert times[-1] >= 60.0 * (sum(amounts) - tpm / 60 - 1) / tpm - 1e-6


def test_without_limits_nobody_waits(run_jumping):
    assert run_jumping(passages(RateLimits(None, None), [10**9] * 5)) == pytest.approx([0.0] * 5, abs=1e-6)


def test_both_limits_hold(run_jumping):
    times = run_jumping(passages(RateLimits(60, 6000), [1000] * 10))
    assert times[-1] >= 9 * 10.0 - 10.0


def test_a_call_that_is_cancelled_holds_nobody_back(run_jumping):
    async def cancel_the_first():
        limits = RateLimits(None, 60)
        first = asyncio.ensure_future(limits.acquire(10**6))
        await asyncio.sleep(1.0)
        first.cancel()
        start = asyncio.get_running_loop().time()
        await limits.acquire(5)
        return asyncio.get_running_loop().time() - start

    assert run_jumping(cancel_the_first()) < 10.0


def test_one_server_has_one_limit_and_another_server_its_own():
    assert shared_rates("http://a", 60, None) is shared_rates("http://a", 60, None)
    assert shared_rates("http://a", 60, None) is not shared_rates("http://b", 60, None)
    assert shared_rates("http://a", 60, None) is not shared_rates("http://a", 61, None)
