"""The parts `discussion`, `answer_numbers` and `working`: by hand, in bounds, only what an executor may know."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from econ_env import parallel_env
from econ_env.answers import DEFAULT_RULE, labels_of
from econ_env.llm.protocol import Completion, LLMInfo
from econ_env.observations import Known
from econ_env.observations.added import part_values
from econ_env.observations.discussion import AnswerNumbers, Discussion, WorkingNumbers
from econ_env.observations.tally import Tally, length_of, tallies
from econ_env.records import Confidence, Problem, PromptEmbedding, Reply, Usage, Working
from econ_env.testing import ScriptedLLM, check_observation_part

PROBLEMS = [Problem("What is 2 + 2?", "4", "four")]
AGENTS = [f"executor_{n}" for n in range(5)]


def reply(answer, chars=100, status="valid", number=0):
    text = None if status != "valid" else f"I say {answer}."
    return Reply(f"executor_{number}", PromptEmbedding(0.7, 1.0), text, answer, status, chars=chars)


def counted(*replies):
    return tallies(replies, labels_of([one.answer for one in replies], DEFAULT_RULE))


def knows(answer, **changes):
    given = {"rounds": 1, "tally": counted(reply(answer))[0]} | changes
    return Known(0, 1, "?", None, (reply(answer),), (), 0, 1, **given)


def length(chars):
    return math.log(1 + chars) / 10


# Tallies


def test_a_tally_worked_by_hand():
    found = counted(
        reply("4", 99), reply("4.0", 9), reply("5", 999), reply(None, 49), reply(None, None, "invalid"),
        reply(None, None, "silent"),
    )  # fmt: skip
    team = {"team_spoken": 5 / 6, "largest": 2 / 3, "second": 1 / 3}
    mean = (length(99) + length(9) + length(999) + length(49)) / 4
    assert found[0] == Tally(True, 2 / 3, True, *team.values(), length(99), (length(99) + length(9)) / 2, mean, 1 / 6)
    assert found[1] == Tally(True, 2 / 3, True, *team.values(), length(9), (length(99) + length(9)) / 2, mean, 1 / 6)
    assert found[2] == Tally(True, 1 / 3, False, *team.values(), length(999), length(999), mean, 2 / 6)
    assert found[3] == Tally(True, 0.0, False, *team.values(), length(49), 0.0, mean, 0.0)
    assert found[4] == Tally(True, 0.0, False, *team.values(), 0.0, 0.0, mean, 0.0)
    assert found[5] == Tally(False, 0.0, False, *team.values(), 0.0, 0.0, mean, 0.0)


def test_of_equally_frequent_answers_each_leads():
    found = counted(reply("4"), reply("5"))
    assert [(one.leads, one.largest, one.second) for one in found] == [(True, 0.5, 0.5)] * 2


def test_lengths_are_cut_and_unknown_ones_are_nothing():
    assert length_of(reply("4", 10**6)) == 1.0
    assert length_of(reply("4", None)) == length_of(reply("4", 0)) == 0.0


@given(
    st.lists(
        st.tuples(st.sampled_from(["4", "4.0", "5", "(A)", None]), st.sampled_from(["valid", "invalid", "silent"]),
                  st.one_of(st.none(), st.integers(0, 10**6))), min_size=1, max_size=9),
    st.floats(0, 100), st.integers(1, 50),
)  # fmt: skip
@settings(deadline=None)
def test_every_discussion_lies_in_its_space(said, price, rounds):
    replies = [reply(answer if status == "valid" else None, chars, status) for answer, status, chars in said]
    for own, tally in zip(replies, counted(*replies), strict=True):
        known = Known(0, len(replies), "?", None, (own,), (), 0, 1, rounds=rounds, tally=tally, price=price)
        values = part_values(Discussion(), known)
        assert values.min() >= 0.0
        assert tally.share <= tally.largest + 1e-12
        assert tally.second <= tally.largest
        assert tally.leads == (tally.share == tally.largest and own.answer is not None)
        part_values(AnswerNumbers(), known)


def works(text, answer, working=None):
    own = Reply("executor_0", PromptEmbedding(0.7, 1.0), text, answer, "valid", working=working)
    return WorkingNumbers().values(Known(0, 1, "?", None, (own,), (), 0, 1))


def test_the_five_numbers_of_a_working():
    log = math.log
    assert works("2 * 3 = 6 and 6 + 1 = 8. The answer is 8.", "8") == pytest.approx(
        [log(3) / 4, 1.0, 1.0, 1.0, log(7) / 5]
    )
    assert works("2 * 3 = 6, of 9. The answer is 6.", "6") == pytest.approx([log(2) / 4, 0.0, 0.0, 1.0, log(5) / 5])
    known = Working(10**3, 0, 10**3, False, True)
    assert works("The answer is 8.", "8", known) == [1.0, 0.0, 0.0, 1.0, 1.0]
    for text, answer in (("2 * 3 = 7", None), (None, "8"), ("The answer is 8.", "8")):
        assert works(text, answer) == [0.0] * 5
    assert WorkingNumbers().values(Known(0, 1, "?", None, (), (), 0, 1)) == [0.0] * 5
    check_observation_part(WorkingNumbers())


# The part


class Sure:
    """Scripted replies with a confidence."""

    info = LLMInfo("scripted", "scripted", "", json_mode=False, small=True)

    def __init__(self, script):
        self.script = script

    async def complete(self, request):
        confidence = Confidence(math.log(0.75), math.log(0.5), 5)
        return Completion(self.script(request), "stop", "scripted", Usage(calls=1), confidence=confidence)

    async def aclose(self):
        """Nothing to release."""


def team(answers, llm=ScriptedLLM, **config):
    def script(request):
        return f"The answer is {answers[request.agent]}." + "!" * request.round_index

    config = {"sampling": {"controls": ["speak", "weight"]}, "commitment": "weighted", "strategy": "off"} | config
    return parallel_env(PROBLEMS, llm=llm(script), embedder="hash", n_agents=len(answers), config=config)


def speaking(*numbers):
    return {agent: np.array([float(n in numbers), 1.0], np.float32) for n, agent in enumerate(AGENTS)}


def seen(env, observations):
    part = env.observation_layout["discussion"]
    return {agent: values[part].astype(float).tolist() for agent, values in observations.items()}


def test_the_part_is_there_by_itself_where_executors_choose():
    assert "discussion" in team(dict.fromkeys(AGENTS, 4)).observation_layout
    plain = parallel_env(PROBLEMS, llm="simulated", embedder="hash")
    assert "discussion" not in plain.observation_layout
    named = {"observation": {"parts": ["discussion", "answer_numbers"]}}
    layout = list(team(dict.fromkeys(AGENTS, 4), **named).observation_layout)
    assert layout[-2:] == ["discussion", "answer_numbers"]
    assert list(team(dict.fromkeys(AGENTS, 4), observation={"parts": ["answer_numbers"]}).observation_layout)[-2:] == [
        "answer_numbers", "discussion",
    ]  # fmt: skip


def test_the_fourteen_numbers_of_an_episode():
    answers = dict(zip(AGENTS, ("4", "4", "5", "6", "6"), strict=True))
    env = team(answers, Sure, reward={"price": 0.025})
    first, _ = env.reset(seed=0)
    assert seen(env, first)["executor_0"] == pytest.approx([0.0] * 12 + [0.2, 0.0])
    chars = len("The answer is 4.")
    now = seen(env, env.deliberate(speaking(0, 2))[0])
    own = length(chars)
    assert now["executor_0"] == pytest.approx(
        [1, 1, 0.5, 1, 0.4, 0.5, 0.5, own, own, own, 0.75, 0.125, 0.2, 0.2], abs=1e-6
    )
    assert now["executor_1"] == pytest.approx([0, 0, 0, 0, 0.4, 0.5, 0.5, 0, 0, own, 0, 0.125, 0.2, 0], abs=1e-6)
    now = seen(env, env.deliberate(speaking(1))[0])
    other, mean = length(chars + 1), (2 * length(chars) + length(chars + 1)) / 3
    assert now["executor_0"] == pytest.approx(
        [1, 1, 2 / 3, 1, 0.6, 2 / 3, 1 / 3, own, (own + other) / 2, mean, 0.75, 0.25, 0.2, 0.2], abs=1e-6
    )
    assert now["executor_2"] == pytest.approx(
        [1, 1, 1 / 3, 0, 0.6, 2 / 3, 1 / 3, own, own, mean, 0.75, 0.25, 0.2, 0.4], abs=1e-6
    )
    env.price = 7.0
    now = seen(env, env.deliberate(speaking())[0])
    assert now["executor_0"][:5] == pytest.approx([1, 1, 2 / 3, 1, 0.6], abs=1e-6)
    assert now["executor_0"][-3:] == pytest.approx([0.375, 7 / 7.1, 0.2])
    assert env.state_space.contains(env.state())


def test_a_new_decision_begins_with_nothing():
    env = team(dict.fromkeys(AGENTS, 4), max_rounds=2)
    env.reset(seed=0)
    observations, *_ = env.step(speaking(0))
    assert seen(env, observations)["executor_0"] == [0.0] * 14
    observations, *_ = env.step(speaking(0))
    assert seen(env, observations)["executor_0"] == [0.0] * 14


def test_nobody_learns_what_another_said_or_what_is_right():
    shown = []
    for gold, answers in (("4", ("4", "4", "5", "6", "6")), ("6", ("4", "4", "7", "9", "9"))):
        env = team(dict(zip(AGENTS, answers, strict=True)))
        env.problems = [Problem("What is 2 + 2?", gold, "four")]
        env.reset(seed=0)
        shown.append(seen(env, env.deliberate(speaking(0, 1, 2, 3, 4))[0]))
    assert shown[0]["executor_0"] == shown[1]["executor_0"]


def test_the_answer_rule_says_what_is_the_same():
    class Whole:
        name = "whole-v1"

        def extract(self, reply):
            return DEFAULT_RULE.extract(reply)

        def same(self, answer, gold):
            return int(float(answer)) == int(float(gold))

    answers = dict(zip(AGENTS, ("4.2", "4.7", "5", "6", "7"), strict=True))
    shares = []
    for rule in ("econ", Whole()):
        env = parallel_env(
            PROBLEMS, llm=ScriptedLLM(lambda request: f"The answer is {answers[request.agent]}."), embedder="hash",
            n_agents=5, answer_rule=rule,
            config={"sampling": {"controls": ["speak"]}, "commitment": "vote", "strategy": "off"},
        )  # fmt: skip
        env.reset(seed=0)
        ones = dict.fromkeys(AGENTS, np.ones(1, np.float32))
        shares.append(seen(env, env.deliberate(ones)[0])["executor_1"][2])
    assert shares == pytest.approx([0.2, 0.4])


@pytest.mark.parametrize("part", [Discussion(), AnswerNumbers()])
def test_the_parts_pass_the_checks_and_have_a_name(part):
    check_observation_part(part)
    env = parallel_env(PROBLEMS, llm="simulated", embedder="hash", observation_parts=[part.name])
    assert env.observation_layout[part.name].stop - env.observation_layout[part.name].start == part.dim


# What the answer is


@pytest.mark.parametrize(
    ("answer", "values"),
    [
        ("4", [1, 1, 0, math.log10(5) / 6, 0, 1 / 20]),
        ("-120", [1, 1, 1, math.log10(121) / 6, 1, 4 / 20]),
        ("2.5", [1, 0, 0, math.log10(3.5) / 6, 0, 3 / 20]),
        (r"\frac{1}{2}", [1, 0, 0, math.log10(1.5) / 6, 0, 11 / 20]),
        ("0", [1, 1, 0, 0, 1, 1 / 20]),
        ("9999999", [1, 1, 0, 1, 0, 7 / 20]),
        ("2 million", [1, 1, 0, 1, 1, 9 / 20]),
        ("1" + "0" * 290, [1, 1, 0, 1, 1, 1]),
        ("C", [0, 0, 0, 0, 0, 1 / 20]),
        ("a long answer in many words", [0, 0, 0, 0, 0, 1]),
    ],
)
def test_six_numbers_about_an_answer(answer, values):
    assert part_values(AnswerNumbers(), knows(answer)) == pytest.approx(values, abs=1e-6)


def test_without_an_answer_there_are_no_numbers():
    assert AnswerNumbers().values(knows(None)) == [0.0] * 6
    assert AnswerNumbers().values(Known(0, 1, "?", None, (), (), 0, 1)) == [0.0] * 6
