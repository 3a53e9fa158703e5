"""The account: every breakdown adds up, and a budget is never overrun."""

import asyncio
import threading
from dataclasses import fields

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from econ_env.config import LLMConfig
from econ_env.errors import BudgetError
from econ_env.llm.meter import Meter, shared_meter
from econ_env.llm.protocol import ChatRequest, Message
from econ_env.records import Usage

COUNTS = st.integers(0, 1000)
USAGES = st.builds(Usage, *(COUNTS for _ in fields(Usage)))
LABELS = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["strategy", "executor", "commitment", "other"]),
        "agent": st.sampled_from(["", "executor_0", "executor_1"]),
        "problem_id": st.sampled_from(["a", "b", "c"]),
        "round_index": st.integers(0, 2),
    }
)


def request(**labels):
    return ChatRequest((Message("user", "?"),), "m", 0.5, 1.0, 0.9, 10, 0, **labels)


def total(parts):
    return sum(parts, Usage())


@given(st.lists(st.tuples(LABELS, USAGES, st.sampled_from([None, "timeout", "unusable"])), max_size=12))
def test_every_breakdown_adds_up_to_the_total(calls):
    meter = Meter(LLMConfig())
    for labels, usage, failure in calls:
        if failure is None:
            meter.add(request(**labels), usage)
        else:
            meter.fail(request(**labels), failure, usage)
    seen = meter.snapshot()
    for parts in (seen.by_role, seen.by_agent, seen.by_problem, seen.by_round, seen.by_retried):
        assert total(parts.values()) == seen.total
    assert seen.total.calls == sum(usage.calls for _, usage, failure in calls if failure is None)
    assert seen.total.tokens == sum(usage.tokens for _, usage, _ in calls)
    assert sum(seen.failed.values()) == sum(failure is not None for _, _, failure in calls)
    assert seen.by_problem.keys() == {labels["problem_id"] for labels, _, _ in calls}


def test_the_account_does_not_grow_with_the_number_of_problems(monkeypatch):
    monkeypatch.setattr("econ_env.llm.meter.PROBLEMS_KEPT", 10)
    meter = Meter(LLMConfig())
    for number in range(1000):
        meter.add(request(problem_id=f"p{number}"), Usage(calls=1, prompt_tokens=number))
        assert len(meter.snapshot().by_problem) <= 11
    seen = meter.snapshot()
    assert list(seen.by_problem)[-1] == "p999"
    assert seen.by_problem["p999"] == Usage(calls=1, prompt_tokens=999)
    assert total(seen.by_problem.values()) == seen.total == Usage(calls=1000, prompt_tokens=999 * 500)


def test_a_snapshot_stays_as_it_was_and_reset_starts_anew():
    meter = Meter(LLMConfig(price_prompt=1.0, price_completion=2.0))
    meter.add(request(problem_id="a"), Usage(calls=1))
    meter.send(Usage(prompt_tokens=1_000_000, completion_tokens=500_000), "http://one/v1")
    before = meter.snapshot()
    assert before.usd == pytest.approx(2.0)
    meter.fault("timeout", "http://one/v1")
    meter.reset()
    assert before.total == Usage(calls=1)
    assert meter.snapshot().total == Usage()
    assert meter.snapshot().usd == 0.0
    assert meter.snapshot().faults == {}


def test_without_prices_there_is_no_price():
    assert Meter(LLMConfig(price_prompt=1.0)).snapshot().usd is None


def test_threads_lose_no_count():
    meter = Meter(LLMConfig())
    threads = [
        threading.Thread(target=lambda: [meter.add(request(), Usage(1, 2, 3)) for _ in range(500)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.snapshot().total == Usage(2000, 4000, 6000)


def test_equal_settings_share_one_account():
    assert shared_meter(LLMConfig(timeout=1.5)) is shared_meter(LLMConfig(timeout=1.5))
    assert shared_meter(LLMConfig(timeout=1.5)) is not shared_meter(LLMConfig(timeout=2.5))


async def spend(meter, calls):
    """Calls that all start at once; each may take `most` and takes `real` in the end, after some time."""

    async def one(number, most, real):
        async with meter.hold(0, most):
            await asyncio.sleep(1.0 + number % 3)
            meter.send(Usage(completion_tokens=real), "http://one/v1")
        return real

    return await asyncio.gather(*(one(n, most, real) for n, (most, real) in enumerate(calls)), return_exceptions=True)


CALLS = st.lists(st.integers(1, 50).flatmap(lambda most: st.tuples(st.just(most), st.integers(0, most))), max_size=15)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(budget=st.integers(1, 300), calls=CALLS)
def test_a_budget_is_never_overrun_and_never_refuses_what_fits(run_jumping, budget, calls):
    meter = Meter(LLMConfig(budget_tokens=budget))
    came = run_jumping(spend(meter, calls))
    spent = meter.snapshot().sent.tokens
    assert spent <= budget
    assert spent == sum(real for real in came if isinstance(real, int))
    for result, (most, _) in zip(came, calls, strict=True):
        if isinstance(result, BudgetError):
            assert spent + most > budget  # nothing is given back later, so it would not fit at the end either
        else:
            assert isinstance(result, int)


def test_a_call_waits_for_room_that_cheaper_ones_leave(run_jumping):
    assert run_jumping(spend(Meter(LLMConfig(budget_tokens=100)), [(60, 10), (60, 10), (60, 10)])) == [10, 10, 10]


def test_a_waiting_call_that_is_cancelled_lets_the_next_one_through(run_jumping):
    async def cancel_one():
        meter = Meter(LLMConfig(budget_tokens=100))
        calls = [asyncio.ensure_future(spend(meter, [(60, 10)])) for _ in range(3)]
        await asyncio.sleep(0.5)
        calls[1].cancel()
        return await asyncio.gather(*calls, return_exceptions=True)

    first, second, third = run_jumping(cancel_one())
    assert (first, third) == ([10], [10])
    assert isinstance(second, asyncio.CancelledError)


def test_the_message_says_what_is_left():
    meter = Meter(LLMConfig(budget_tokens=100))

    async def hold():
        async with meter.hold(50, 60):
            pass

    with pytest.raises(
        BudgetError, match=r"the budget of 100 tokens is used up: 0 spent, and one more call may take 110"
    ):
        asyncio.run(hold())
