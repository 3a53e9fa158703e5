"""Reward terms and observation parts by others, given as objects: what they are given, and where they show."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import econ_env
from econ_env.answers import Extracted
from econ_env.config import TERMS, check_weights, parse_settings
from econ_env.errors import ConfigError, ExtensionError
from econ_env.llm.protocol import ChatRequest
from econ_env.observations import Known
from econ_env.observations.infos import INFO_KEYS
from econ_env.records import Problem
from econ_env.rewards.added import RESERVED, Submission
from econ_env.team.prompts import PROMPT_VERSION, EconPrompts
from econ_env.testing import ScriptedLLM, check_env

PROBLEMS = [Problem(f"What is {n} + {n}?", str(2 * n), f"p{n}") for n in range(2, 9)]


class Right:
    """Whether the reply is right, times the executor's number."""

    name = "right"

    def value(self, submission: Submission, agent: int) -> float:
        judged = submission.judgements[agent]
        assert judged is not None
        return judged.correct * agent / 2.0


class Rounds:
    """Rounds so far and the executor's number."""

    name = "rounds"
    dim = 2

    def values(self, known: Known) -> list[float]:
        return [len(known.replies) / 8.0, known.agent / known.n_agents]


class Says:
    """One text for every observation."""

    name = "says"
    dim = 1

    def __init__(self, *values) -> None:
        self.given = values

    def values(self, known):
        return self.given

    def value(self, submission, agent):
        return self.given[0]


def make(**changes):
    return econ_env.parallel_env(
        PROBLEMS,
        **{
            "llm": "simulated",
            "embedder": "hash",
            "reward_terms": [Right()],
            "reward_weights": (0.1, 0.5, 0.1, 0.3),
            "observation_parts": [Rounds()],
            **changes,
        },
    )


def actions(env, temperature=0.5):
    return {agent: np.array([temperature, 1.1], np.float32) for agent in env.agents}


def test_an_environment_with_both_is_sound():
    check_env(make)


def test_a_term_is_paid_and_told():
    env = make()
    assert env.reward_terms == ("al", "ts", "cc", "right")
    assert env.info_keys == (*INFO_KEYS, "reward_right", "team_right")
    seen = set()
    for number in range(6):
        env.reset(seed=number)
        _, rewards, _, _, infos = env.step(actions(env))
        own = [infos[agent]["reward_right"] for agent in env.possible_agents]
        for agent, info in infos.items():
            assert tuple(info) == env.info_keys
            parts = [info[f"reward_{term}"] for term in env.reward_terms]
            assert rewards[agent] == pytest.approx(float(np.dot(parts, env.reward_weights)), abs=1e-9)
            assert info["reward_right"] == info["reward_ts"] * int(agent[-1]) / 2.0
            assert info["team_right"] == pytest.approx(np.mean(own))
        parts = [infos["executor_0"][f"team_{term}"] for term in env.reward_terms]
        assert infos["executor_0"]["team_reward"] == pytest.approx(float(np.dot(parts, env.reward_weights)), abs=1e-9)
        seen |= set(own)
    assert len(seen) == 3  # 0, 1/2 and 1, so that both agents and verdicts reached the term


def test_live_weights_have_one_for_each_term():
    env = make()
    env.reward_weights = (0.0, 0.0, 0.0, 1.0)
    env.reset(seed=0)
    _, rewards, _, _, infos = env.step(actions(env))
    assert rewards == {agent: info["reward_right"] for agent, info in infos.items()}
    with pytest.raises(ConfigError, match=r"4 numbers in \[0, 1\] \(AL, TS, CC, right\) that sum to 1"):
        env.reward_weights = (0.1, 0.8, 0.1)
    with pytest.raises(ConfigError, match=r"must be 4 numbers"):
        make(reward_weights=(0.1, 0.8, 0.1))
    with pytest.raises(ConfigError, match=r"must be 3 numbers"):
        make(reward_terms=None)


def test_invalid_replies_and_failed_rounds_are_paid_nothing_in_further_terms():
    def fails_for_one(request: ChatRequest) -> str:
        if request.agent == "executor_1":
            raise econ_env.errors.LLMReplyError("no")
        return "The answer is 4."

    env = make(llm=ScriptedLLM(fails_for_one), reward_terms=[Says(1.0)])
    env.reset(seed=0, options={"problem": "p2"})
    _, _, _, _, infos = env.step(actions(env))
    assert [infos[agent]["reward_says"] for agent in env.possible_agents] == [1.0, 0.0, 1.0]
    assert infos["executor_0"]["team_says"] == pytest.approx(2.0 / 3.0)

    def fails(request: ChatRequest) -> str:
        raise econ_env.errors.LLMReplyError("no")

    env = make(llm=ScriptedLLM(fails), reward_terms=[Says(1.0)])
    env.reset(seed=0)
    _, rewards, _, _, infos = env.step(actions(env))
    assert set(rewards.values()) == {0.0}
    assert tuple(infos["executor_0"]) == env.info_keys
    assert infos["executor_0"]["team_says"] == 0.0


def test_parts_come_last_and_are_of_what_the_agent_knows():
    env, plain = make(max_rounds=2), make(max_rounds=2, observation_parts=None)
    layout = env.observation_layout
    assert list(layout)[-1] == "rounds"
    assert {name: layout[name] for name in plain.observation_layout} == plain.observation_layout
    (obs, _), (without, _) = env.reset(seed=3), plain.reset(seed=3)
    width = plain.observation_space("executor_0").shape[0]
    for agent in env.possible_agents:
        assert np.array_equal(obs[agent][:width], without[agent])
        assert obs[agent][layout["rounds"]] == pytest.approx([0.0, int(agent[-1]) / 3.0])
    env.deliberate(actions(env))
    obs, *_ = env.step(actions(env, 0.9))
    assert obs["executor_2"][layout["rounds"]] == pytest.approx([2.0 / 8.0, 2.0 / 3.0])
    assert env.state_space.contains(env.state())
    assert env.state_space.shape[0] == plain.state_space.shape[0] + 3 * 2
    assert env.state()[-2:] == pytest.approx([2.0 / 8.0, 2.0 / 3.0])


def test_what_a_part_is_given_holds_no_gold_and_nothing_of_others():
    seen: list[Known] = []

    class Spy(Says):
        def values(self, known):
            seen.append(known)
            return [0.0]

    env = make(observation_parts=[Spy()])
    env.reset(seed=1, options={"problem": "p3"})
    env.step(actions(env))
    before, after = seen[:3], seen[3:]
    assert [known.replies for known in before] == [()] * 3
    round_ = env.episode.decisions[0].rounds[0]
    assert [known.replies for known in after] == [(reply,) for reply in round_.replies]
    assert [known.commitments for known in after] == [(round_.commitment,)] * 3
    assert {known.question for known in seen} == {"What is 3 + 3?"}
    assert {known.strategy for known in seen} == {env.episode.strategy.text}
    assert {known.decision for known in after} == {1}
    assert not any(isinstance(value, Problem) for known in seen for value in vars(known).values())


@pytest.mark.parametrize("value", [1.5, -0.1, float("nan"), None, "much"])
def test_a_term_out_of_range_is_an_error_and_not_clipped(value):
    env = make(reward_terms=[Says(value)])
    env.reset(seed=0)
    with pytest.raises(ExtensionError, match=r"reward term 'says' must be a number in \[0, 1\], got"):
        env.step(actions(env))


@pytest.mark.parametrize("values", [(1.5,), (float("nan"),), (0.0, 0.0), (), ("much",), (None,)])
def test_a_part_out_of_range_is_an_error_and_not_clipped(values):
    with pytest.raises(ExtensionError, match=r"observation part 'says' must give 1 numbers in \[-1, 1\], got"):
        make(observation_parts=[Says(*values)]).reset(seed=0)


@pytest.mark.parametrize("name", [*RESERVED, "Upper", "two words", "", None])
def test_names_of_terms_that_can_not_be_used_are_refused(name):
    term = Says(0.5)
    term.name = name
    with pytest.raises(ConfigError, match="name"):
        make(reward_terms=[term])


def test_reserved_names_are_those_that_the_infos_have():
    stems = {key.partition("_")[2] for key in INFO_KEYS if key.startswith(("reward_", "team_"))}
    assert stems == set(RESERVED)
    assert RESERVED[: len(TERMS)] == TERMS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "question"}, "taken"),
        ({"name": "no name"}, "identifier"),
        ({"dim": 0}, "dim of at least 1"),
        ({"dim": 1.0}, "dim of at least 1"),
    ],
)
def test_parts_that_can_not_be_used_are_refused(changes, message):
    part = Says(0.0)
    vars(part).update(changes)
    with pytest.raises(ConfigError, match=message):
        make(observation_parts=[part])


def test_two_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="taken"):
        make(reward_terms=[Says(0.1), Says(0.2)], reward_weights=(0.1, 0.5, 0.1, 0.2, 0.1))
    with pytest.raises(ConfigError, match="taken"):
        make(observation_parts=[Says(0.1), Says(0.2)])


def test_what_was_added_is_pickled_and_copied_along():
    env = make()
    env.reset(seed=0)
    for other in (pickle.loads(pickle.dumps(env)), copy.deepcopy(env)):
        assert other.reward_terms == env.reward_terms
        other.reset(seed=5)
        env.reset(seed=5)
        one, two = env.step(actions(env)), other.step(actions(other))
        assert one[4] == two[4]
        assert all(np.array_equal(one[0][agent], two[0][agent]) for agent in one[0])


def test_without_anything_added_nothing_changes():
    plain = econ_env.parallel_env(PROBLEMS, llm="simulated", embedder="hash")
    assert plain.reward_terms == TERMS
    assert plain.info_keys == INFO_KEYS
    plain.reset(seed=0)
    *_, infos = plain.step(actions(plain))
    assert tuple(infos["executor_0"]) == INFO_KEYS
    assert plain.episode.decisions[0].rewards[0].further == {}


def test_weights_are_checked_against_the_terms():
    assert check_weights([1, 0, 0]) == (1.0, 0.0, 0.0)
    assert check_weights((0.1, 0.2, 0.3, 0.4), (*TERMS, "more")) == (0.1, 0.2, 0.3, 0.4)
    with pytest.raises(ConfigError, match=r"4 numbers in \[0, 1\] \(AL, TS, CC, json:loads\)"):
        parse_settings(econ_env.EnvConfig, {"reward": {"terms": ["json:loads"]}})


# Answer rules and prompts --------------------------------------------------------------------------------------------


class FirstLetter:
    """An answer is the first letter of what is said; `y` and `j` mean the same."""

    name = "first-letter-v1"

    def extract(self, reply: str) -> Extracted:
        return Extracted(reply[:1] or None, None, parsed_json=False)

    def same(self, answer: str, gold: str) -> bool:
        return {answer, gold} <= {"y", "j"} or answer == gold


class Shouting(EconPrompts):
    """The usual prompts with another request for a reply."""

    __slots__ = ()

    def executor(self, question, strategy, last_answer, form):
        *rest, last = EconPrompts.executor(self, question, strategy, last_answer, form)
        return (*rest, type(last)("user", last.content.upper()))


def test_a_rule_reads_judges_and_counts_votes():
    said = {"executor_0": "no", "executor_1": "yes", "executor_2": "ja", "": "nothing"}

    def speak(request: ChatRequest) -> str:
        if request.role == "commitment":
            raise econ_env.errors.LLMReplyError("no")
        return said[request.agent]

    env = make(llm=ScriptedLLM(speak), answer_rule=FirstLetter(), reward_terms=None, reward_weights=None)
    env.problems = type(env.problems)((Problem("Is it so?", "j", "so"),))
    env.reset(seed=0)
    *_, infos = env.step(actions(env))
    decision = env.episode.decisions[0]
    assert [reply.answer for reply in decision.rounds[0].replies] == ["n", "y", "j"]
    assert (decision.rounds[0].commitment.source, decision.rounds[0].commitment.answer) == ("majority", "y")
    assert [judged.verdict for judged in decision.replies_judged] == ["wrong", "correct", "correct"]
    assert {judged.rule for judged in decision.replies_judged} == {"first-letter-v1"}
    assert infos["executor_0"]["agreement"] == pytest.approx(2.0 / 3.0)
    assert [infos[agent]["agrees"] for agent in env.possible_agents] == [0.0, 1.0, 1.0]


def test_prompts_are_what_models_are_asked():
    llm = ScriptedLLM(lambda request: "The answer is 4.")
    env = make(llm=llm, prompts=Shouting())
    env.reset(seed=0, options={"problem": "p2"})
    env.step(actions(env))
    asked = [request.messages[-1].content for request in llm.requests if request.role == "executor"]
    assert len(asked) == 3
    assert all("QUESTION: WHAT IS 2 + 2?" in text for text in asked)


def test_prompts_that_begin_alike_are_not_for_the_simulated_model():
    class Alike(EconPrompts):
        __slots__ = ()

        def strategy(self, question, tokens):
            return self.executor(question, None, None, "text")

    env = make(prompts=Alike())
    with pytest.raises(ConfigError, match=f"simulated model can't read the prompts {PROMPT_VERSION}: .* begin alike"):
        env.reset(seed=0)
