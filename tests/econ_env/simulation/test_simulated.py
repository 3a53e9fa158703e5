"""The simulated model: pure, exact in its chances, and the same in process and over HTTP."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import pickle
import re
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env.answers import judge
from econ_env.config import SamplingConfig
from econ_env.errors import ConfigError, LLMReplyError, LLMRequestError
from econ_env.llm.protocol import LLM, ChatRequest, Message
from econ_env.llm.seeding import derive_seed
from econ_env.records import Problem
from econ_env.simulation.landscape import Landscape
from econ_env.simulation.model import SimulatedLLM, count_tokens, wrong_answers
from econ_env.simulation.votes import coupled_counts
from econ_env.team.prompts import DEFAULT_PROMPTS, REPLY_SCHEMA
from econ_env.team.redact import redact_answer

PEAK = (0.5, 1.1)
PROBLEM = Problem("How much is 20 plus 22?", "42", "a", kind="sum")
LATEX = Problem("Solve it.\n\nGive x exactly.", r"\frac{1}{2}", "b", kind="other")
WIDE = SamplingConfig(temperature_max=2.0, p_max=1.5)
LANDSCAPE = Landscape(peaks={"sum": PEAK, "other": (1.6, 1.4)}, sampling=WIDE)
LLM_ = SimulatedLLM([PROBLEM, LATEX], LANDSCAPE)


def ask(messages, controls=PEAK, seed=0, index=0, **changes) -> ChatRequest:
    request = ChatRequest(messages, "", controls[0], controls[1], 0.9, 256, seed, index)
    return replace(request, **changes)


def executor(problem=PROBLEM, form="text", **changes) -> ChatRequest:
    return ask(DEFAULT_PROMPTS.executor(problem.question, "Add them.", None, form), **changes)


def commitment(replies, form="text", **changes) -> ChatRequest:
    return ask(DEFAULT_PROMPTS.commitment(PROBLEM.question, replies, form), **changes)


def answer(request: ChatRequest, llm: SimulatedLLM = LLM_):
    return asyncio.run(llm.complete(request))


def texts(requests, llm: SimulatedLLM = LLM_) -> list[str]:
    async def all_of_them() -> list[str]:
        return [(await llm.complete(request)).text for request in requests]

    return asyncio.run(all_of_them())


def rights(requests, llm: SimulatedLLM = LLM_) -> np.ndarray:
    return np.array([text.endswith("The answer is 42.") for text in texts(requests, llm)])


def body_of(request: ChatRequest) -> dict:
    body = {
        "model": "any",
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "temperature": request.temperature,
        "repetition_penalty": request.repetition_penalty,
        "top_p": request.top_p,
        "max_tokens": request.max_tokens,
        "seed": (request.seed + request.sample_index) % 2**31,
    }
    if request.json_schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": {"schema": dict(request.json_schema)}}
    return json.loads(json.dumps(body))


def test_it_is_an_llm_that_writes_json():
    assert isinstance(LLM_, LLM)
    assert LLM_.info.backend == "simulated"
    assert LLM_.info.json_mode
    assert not LLM_.info.small


def test_answers_depend_on_messages_controls_and_seed_and_on_nothing_else():
    request = executor(seed=11)
    relabelled = replace(request, role="executor", agent="executor_2", problem_id="zzz", round_index=5)
    copies = (LLM_, SimulatedLLM([LATEX, PROBLEM], LANDSCAPE), pickle.loads(pickle.dumps(LLM_)))
    assert {answer(r, llm).text for r in (request, relabelled) for llm in copies} == {answer(request).text}
    assert len(set(texts(executor(seed=seed, controls=(1.6, 1.4)) for seed in range(60)))) > 3


def test_only_the_sum_of_seed_and_sample_index_counts():
    assert texts([executor(seed=100, index=5)]) == texts([executor(seed=105)])
    assert texts([executor(seed=2**31 - 1, index=3)]) == texts([executor(seed=2)])


@pytest.mark.parametrize("controls", [PEAK, (0.88, 1.1), (0.5, 1.26), (1.0, 1.3), (2.0, 1.5)])
def test_the_share_of_right_answers_is_the_chance(controls):
    n = 2000
    share = rights(executor(controls=controls, seed=seed) for seed in range(n)).mean()
    chance = float(LANDSCAPE.chance("sum", controls))
    assert abs(share - chance) < 4 * math.sqrt(chance * (1 - chance) / n)


def test_the_same_seed_is_right_at_every_control_with_a_higher_chance():
    places = [(0.5, 1.1), (0.8, 1.1), (0.8, 1.25), (1.4, 1.3)]
    runs = [rights(executor(controls=place, seed=seed) for seed in range(300)) for place in places]
    for better, worse in itertools.pairwise(runs):
        assert (better >= worse).all()
        assert better.sum() > worse.sum()


def test_wrong_answers_are_drawn_evenly():
    n = 2000
    said = [text.split()[-1].rstrip(".") for text in texts(executor(controls=(2.0, 1.5), seed=s) for s in range(n))]
    wrong = [word for word in said if word != "42"]
    options = LLM_.wrong_answers(PROBLEM.question)
    assert set(wrong) == set(options)
    assert len(options) == LANDSCAPE.wrong_answers
    for option in options:
        share = wrong.count(option) / len(wrong)
        assert abs(share - 1 / 3) < 4 * math.sqrt(2 / 9 / len(wrong))


COUPLED = SimulatedLLM([PROBLEM], LANDSCAPE.model_copy(update={"coupling": 0.8}))


def rounds(n: int, *controls) -> list[np.ndarray]:
    """Which executor was right in each of n rounds: a common seed for a round, the index for the executor."""
    seeds = [derive_seed("round", number) for number in range(n)]
    return [
        rights((executor(controls=c, seed=seed, index=i) for seed in seeds), COUPLED) for i, c in enumerate(controls)
    ]


@pytest.mark.parametrize("apart", [0.0, 0.2, 3.0])
def test_coupling_keeps_the_chances_and_correlates_close_controls_as_stated(apart):
    n = 1200
    first, second = (0.6, 1.2), (0.6 + apart * 0.38, 1.2)
    right = rounds(n, first, second)
    chances = COUPLED.landscape.chance("sum", [first, second])
    rho = float(COUPLED.landscape.correlation(first, second))
    assert rho == pytest.approx(0.8 * math.exp(-0.5 * apart**2 / 0.2**2))
    for share, chance in zip((right[0].mean(), right[1].mean()), chances, strict=True):
        assert abs(share - chance) < 4 * math.sqrt(chance * (1 - chance) / n)
    both = coupled_counts(chances, np.array([[1.0, rho], [rho, 1.0]]))[2]
    assert abs((right[0] & right[1]).mean() - both) < 4 * math.sqrt(both * (1 - both) / n)


def test_the_majority_wins_in_any_order_and_form():
    replies = ["The answer is 41.", '{"reasoning": "so", "answer": "42"}', "Thus.\n\nThe answer is 42."]
    for order in (replies, replies[::-1], replies[1:] + replies[:1]):
        for seed in range(20):
            assert answer(commitment(order, seed=seed)).text.endswith("The answer is 42.")


def test_a_tie_is_a_fair_lot_that_ignores_the_order():
    replies = [f"The answer is {number}." for number in (40, 41, 42)]
    n = 900
    forward = texts(commitment(replies, seed=seed) for seed in range(n))
    assert forward == texts(commitment(replies[::-1], seed=seed) for seed in range(n))
    for reply in replies:
        share = np.mean([text.endswith(reply) for text in forward])
        assert abs(share - 1 / 3) < 4 * math.sqrt(2 / 9 / n)
    two = texts(commitment([replies[0]] * 2 + [replies[1]] * 2 + [replies[2]], seed=seed) for seed in range(60))
    assert {text.split()[-1] for text in two} == {"40.", "41."}


def test_solutions_without_an_answer_have_no_vote_and_none_at_all_is_an_error():
    assert answer(commitment(["I can't tell.", "The answer is 42."])).text.endswith("The answer is 42.")
    with pytest.raises(LLMReplyError, match="none of the 2 solutions"):
        answer(commitment(["I can't tell.", "Nor can I."]))


def test_a_plan_is_short_and_holds_nothing_to_redact():
    for seed in range(50):
        plan = answer(ask(DEFAULT_PROMPTS.strategy(PROBLEM.question, 50), seed=seed)).text
        assert count_tokens(plan) <= 50
        assert not re.search(r"\d", plan)
        assert redact_answer(plan, PROBLEM.question, PROBLEM.answer) == (plan, False)


@pytest.mark.parametrize("form", ["text", "json"])
def test_replies_come_in_the_form_that_is_asked_for(form):
    for request in (executor(form=form, seed=3), commitment(["The answer is 42."], form)):
        text = answer(request).text
        if form == "json":
            assert set(json.loads(text)) == {"reasoning", "answer"}
        else:
            assert re.search(r"\nThe answer is \S+\.$", text)
        assert judge(text, "42").correct


def test_a_schema_alone_asks_for_json_too():
    assert json.loads(answer(executor(json_schema=REPLY_SCHEMA)).text)["answer"]


def test_questions_are_read_out_of_every_prompt():
    question = LATEX.question
    prompts = [
        DEFAULT_PROMPTS.strategy(question, 50),
        DEFAULT_PROMPTS.executor(question, None, None, "text"),
        DEFAULT_PROMPTS.executor(question, "Plan.\n\nMore.", None, "json"),
        DEFAULT_PROMPTS.executor(question, None, "7", "text"),
        DEFAULT_PROMPTS.commitment(question, ["The answer is 1.", "The answer is 2."], "json"),
    ]
    assert all(texts(ask(messages) for messages in prompts))


def test_an_unknown_question_is_an_error_that_says_what_to_do():
    with pytest.raises(LLMReplyError, match="make it from all problems"):
        answer(ask(DEFAULT_PROMPTS.executor("Who am I?", None, None, "text")))
    with pytest.raises(LLMReplyError, match="no 'Question:'"):
        answer(ask((Message("user", "Hello!"),)))


def requests_of_all_kinds() -> list[ChatRequest]:
    forms = ("text", "json")
    requests = [ask(DEFAULT_PROMPTS.strategy(PROBLEM.question, 50), seed=seed) for seed in range(5)]
    for seed in range(20):
        for form in forms:
            schema = REPLY_SCHEMA if form == "json" else None
            requests.append(executor(form=form, controls=(0.9, 1.25), seed=seed, index=2, json_schema=schema))
            replies = [f"The answer is {number}." for number in (40, 41, 42)]
            requests.append(commitment(replies, form, seed=2**31 - 1, index=seed, json_schema=schema))
    return [*requests, executor(max_tokens=7)]


@pytest.mark.parametrize("llm", [LLM_, COUPLED, SimulatedLLM([PROBLEM])])
def test_http_bodies_are_answered_like_requests(llm):
    requests = requests_of_all_kinds()
    assert [llm.serve_reply(body_of(request)) for request in requests] == texts(requests, llm)


def test_p_is_read_from_what_it_drives():
    by_top_p = SimulatedLLM(
        [PROBLEM], Landscape(peaks={"sum": (0.5, 0.3)}, sampling=SamplingConfig(second_action="top_p"))
    )
    good = [executor(controls=(0.5, 1.0), seed=seed, top_p=0.3) for seed in range(200)]
    bad = [replace(request, top_p=0.9) for request in good]
    assert rights(good, by_top_p).mean() > 0.85
    assert rights(bad, by_top_p).mean() < 0.1
    assert [by_top_p.serve_reply(body_of(request)) for request in bad] == texts(bad, by_top_p)


def test_other_spellings_of_a_body_are_understood():
    body = body_of(executor(controls=(0.9, 1.25), seed=4))
    llama = {name: value for name, value in body.items() if name not in ("repetition_penalty", "max_tokens")}
    llama |= {"repeat_penalty": 1.25, "max_completion_tokens": 256, "stream": False, "user": None, "stop": None}
    assert LLM_.serve_reply(llama) == LLM_.serve_reply(body)


@pytest.mark.parametrize("body", [{}, {"messages": []}, {"messages": "Hi"}, {"messages": [{"role": "user"}]}])
def test_a_body_that_is_no_request_is_refused(body):
    with pytest.raises(LLMRequestError, match=r"messages"):
        LLM_.serve_reply(body)


def test_tokens_are_counted_and_the_limit_cuts():
    request = executor(form="json", seed=1)
    whole = answer(request)
    assert (whole.finish_reason, whole.usage.calls, whole.usage.cached_prompt_tokens) == ("stop", 1, 0)
    assert whole.usage.prompt_tokens == sum(count_tokens(message.content) for message in request.messages)
    assert whole.usage.completion_tokens == count_tokens(whole.text)
    cut = answer(replace(request, max_tokens=9))
    assert (cut.finish_reason, cut.usage.completion_tokens) == ("length", 9)
    assert whole.text.startswith(cut.text)
    assert count_tokens("It is 3.5, so x = 7.") == 11


def test_latency_is_slept_without_blocking(monkeypatch):
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    slow = SimulatedLLM([PROBLEM], LANDSCAPE, latency=0.25)
    assert answer(executor(), slow) == answer(executor())
    assert slept == [0.25]


def test_contradictions_are_refused():
    twin = replace(PROBLEM, id="twin")
    SimulatedLLM([PROBLEM, twin])
    with pytest.raises(ConfigError, match="'twin' repeats a question"):
        SimulatedLLM([PROBLEM, replace(twin, answer="43")])
    with pytest.raises(ConfigError, match="latency"):
        SimulatedLLM([PROBLEM], latency=-1)


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "gold",
    [
        "42",
        "-3",
        "0",
        "3.5",
        "2,125",
        "1000000",
        "(C)",
        "(C) 5",
        "(B) (-5)",
        "B",
        r"\frac{1}{2}",
        r"3\sqrt{2}",
        "(1, 2)",
        "12%",
        "x=5",
    ],
)
def test_the_judge_accepts_right_replies_and_no_wrong_one(gold, form):
    llm = SimulatedLLM([Problem("What?", gold, "id")], Landscape(wrong_answers=5))
    n_correct = 0
    for text in set(
        texts((ask(DEFAULT_PROMPTS.executor("What?", None, None, form), (1.0, 1.2), s) for s in range(50)), llm)
    ):
        verdict = judge(text, gold)
        said_gold = verdict.answer is not None and verdict.answer not in llm.wrong_answers("What?")
        assert verdict.verdict == ("correct" if said_gold else "wrong"), text
        n_correct += verdict.correct
    assert n_correct


@given(st.decimals(-(10**9), 10**9, allow_nan=False, places=2), st.integers(1, 20))
def test_wrong_answers_of_numbers_differ_clearly(value, count):
    gold = f"{value:f}"
    options = [Decimal(option) for option in wrong_answers("q", gold, count)]
    assert len(set(options)) == count
    assert all(abs(option - value) >= max(Decimal("0.001"), abs(value) / 1000) for option in options)
    assert all((option < 0) == (value < 0) for option in options)


@given(
    st.one_of(st.text("ABCxyz()\\{},. ", min_size=1, max_size=8), st.sampled_from(["inf", "NaN"])), st.integers(1, 20)
)
def test_wrong_answers_of_anything_else_are_distinct(gold, count):
    options = wrong_answers("q", gold, count)
    assert len(set(options)) == count
    assert gold.strip() not in options
