"""The environment: PettingZoo's own tests, ours where those are blind, and what each call costs and shows."""

import asyncio
import pickle
import threading

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

from econ_env import parallel_env
from econ_env.answers import Extracted
from econ_env.answers import algebra_process as process
from econ_env.embedding import HashEmbedder
from econ_env.errors import (
    ConfigError,
    EmbeddingError,
    EpisodeError,
    LLMRequestError,
    LLMUnavailableError,
    ProblemError,
)
from econ_env.llm import background
from econ_env.observations.infos import INFO_KEYS, ROUND_KEYS, TEXT_KEYS
from econ_env.problems.load import load_problems
from econ_env.records import Problem
from econ_env.simulation.optimum import known_optimum_problems
from econ_env.testing.env_checks import check_env
from econ_env.testing.scripted import ScriptedLLM

PROBLEMS = [Problem("What is 2 + 2?", "4", "four"), Problem("What is 3 + 3?", "6", "six")]


def simulated(**changes):
    return parallel_env(load_problems("bundled:1", limit=20), llm="simulated", embedder="hash", **changes)


def scripted(script=lambda request: "The answer is 4.", **changes):
    llm = ScriptedLLM(script)
    return parallel_env(PROBLEMS, llm=llm, embedder="hash", **changes), llm


def think(request):
    return "Think."


def at(env, temperature=0.5, p=1.1):
    return {agent: np.array([temperature, p], np.float32) for agent in env.possible_agents}


@pytest.mark.parametrize(
    "changes", [{}, {"max_rounds": 3}, {"n_agents": 1}, {"n_agents": 8}, {"strategy": "lazy"}, {"strategy": "off"}]
)
def test_it_passes_every_check(changes):
    check_env(lambda: simulated(**changes))
    parallel_api_test(simulated(**changes), num_cycles=20)
    parallel_seed_test(lambda: simulated(**changes), num_cycles=5)


def test_text_infos_have_fixed_keys_too():
    check_env(lambda: simulated(text_infos=True))
    env = simulated(text_infos=True)
    env.reset(seed=0)
    infos = env.step(at(env))[-1]
    assert tuple(infos["executor_0"]) == INFO_KEYS + TEXT_KEYS
    assert infos["executor_0"]["question"] == env.episode.problem.question


def test_a_default_episode_is_one_decision_and_the_end():
    env, llm = scripted()
    env.reset(seed=0)
    assert [request.role for request in llm.requests] == ["strategy"]
    _, rewards, terminations, truncations, infos = env.step(at(env))
    assert sorted(request.role for request in llm.requests[1:]) == ["commitment"] + ["executor"] * 3
    assert all(terminations.values())
    assert not any(truncations.values())
    assert env.agents == []
    assert all(0 <= reward <= 1 for reward in rewards.values())
    assert tuple(infos["executor_0"]) == INFO_KEYS
    with pytest.raises(EpisodeError, match="reset"):
        env.step(at(env))


def test_submitting_the_deliberated_controls_costs_nothing():
    env, llm = scripted()
    env.reset(seed=0)
    before, infos = env.deliberate(at(env))
    assert tuple(infos["executor_0"]) == ROUND_KEYS
    asked = len(llm.requests)
    assert env.last_outcome.answer == "4"
    after, *_ = env.step(at(env))
    assert len(llm.requests) == asked
    assert env.episode.decisions[0].submitted
    counters = env.observation_layout["counters"]
    for agent in env.possible_agents:  # only time has passed
        assert np.array_equal(np.delete(before[agent], range(counters.start, counters.stop)),
                              np.delete(after[agent], range(counters.start, counters.stop)))  # fmt: skip


def test_submitting_other_controls_asks_once_more():
    env, llm = scripted()
    env.reset(seed=0)
    env.deliberate(at(env, 0.5))
    asked = len(llm.requests)
    env.step(at(env, 0.6))
    assert len(llm.requests) == asked + 4
    assert len(env.episode.decisions[0].rounds) == 2


def test_later_rounds_are_asked_with_the_last_answer():
    env, llm = scripted()
    env.reset(seed=0)
    env.deliberate(at(env, 0.5))
    env.deliberate(at(env, 0.6))
    prompts = [request.messages[-1].content for request in llm.requests if request.role == "executor"]
    assert ["last answer: 4" in prompt for prompt in prompts] == [False] * 3 + [True] * 3


def test_max_rounds_is_a_number_of_decisions_each_paid():
    env, _ = scripted(max_rounds=2)
    env.reset(seed=0)
    _, first, terminations, _, _ = env.step(at(env))
    assert not any(terminations.values())
    assert env.agents == env.possible_agents
    assert env.last_outcome is None
    _, second, terminations, _, _ = env.step(at(env, 0.7))
    assert all(terminations.values())
    assert all(reward > 0 for reward in [*first.values(), *second.values()])
    assert [decision.submitted for decision in env.episode.decisions] == [True, True]


def test_a_question_is_embedded_while_the_call_for_its_plan_waits():
    asked = threading.Event()

    class Embedder(HashEmbedder):
        def encode(self, texts):
            assert asked.wait(10)  # a model may take seconds to load, so the call is sent first
            return super().encode(texts)

    def reply(request):
        asked.set()
        return "Add the numbers."

    env = parallel_env(PROBLEMS, llm=ScriptedLLM(reply), embedder=Embedder())
    observations, _ = env.reset(seed=0)
    rows = env.encoder.encode([env.episode.problem.question, "Add the numbers."])
    for part, row in zip(("question", "strategy"), rows, strict=True):
        assert observations["executor_0"][env.observation_layout[part]] == pytest.approx(row)


def test_an_embedder_that_fails_ends_the_call_for_the_plan():
    class Broken(HashEmbedder):
        def encode(self, texts):
            raise EmbeddingError("no model")

    ended = []

    class Slow(ScriptedLLM):
        async def complete(self, request):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                ended.append(request)
                raise

    env = parallel_env(PROBLEMS, llm=Slow(think), embedder=Broken())
    with pytest.raises(EmbeddingError, match="no model"):
        env.reset(seed=0)
    assert len(ended) == 1


def test_an_executor_sees_its_own_reply_and_nobody_elses():
    words = {"executor_0": "apple", "executor_1": "banana", "executor_2": "cherry"}
    env, _ = scripted(lambda request: f"{words.get(request.agent, 'plan')} The answer is 4.")
    env.reset(seed=0)
    observations, _ = env.deliberate(at(env))
    part = env.observation_layout["reply"]
    for agent, word in words.items():
        (own,) = env.encoder.encode([f"{word} The answer is 4."])
        assert np.allclose(observations[agent][part], own, atol=1e-6)
    changed, _ = scripted(
        lambda request: (
            ("melon" if request.agent == "executor_2" else words.get(request.agent, "plan")) + " The answer is 4."
        )
    )
    changed.reset(seed=0)
    other, _ = changed.deliberate(at(changed))
    assert np.array_equal(observations["executor_0"], other["executor_0"])
    assert not np.array_equal(env.state(), changed.state())


def test_the_gold_changes_rewards_and_nothing_that_is_seen():
    def play(gold):
        problem = Problem("What is 2 + 2?", gold, "p")
        env = parallel_env([problem], llm=ScriptedLLM(lambda request: "The answer is 4."), embedder="hash")
        start, _ = env.reset(seed=0)
        middle, _ = env.deliberate(at(env))
        end, rewards, *_ = env.step(at(env))
        return [start, middle, end], rewards

    seen, rewards = play("4")
    seen_wrong, rewards_wrong = play("5")
    for one, other in zip(seen, seen_wrong, strict=True):
        assert all(np.array_equal(one[agent], other[agent]) for agent in one)
    assert all(rewards[agent] > rewards_wrong[agent] for agent in rewards)


def test_memory_holds_own_past_rounds_oldest_first():
    env, _ = scripted()
    env.reset(seed=0)
    part, shape = env.observation_layout["agent_memory"], env.memory_shape
    for number, temperature in enumerate((0.1, 2.0)):
        observations, _ = env.deliberate(at(env, temperature))
        memory = observations["executor_0"][part].reshape(shape)
        assert memory[:, 0].tolist() == [0.0] * (shape[0] - 1 - number) + [1.0] * (number + 1)
    assert memory[-2:, 1].tolist() == pytest.approx([-1.0, 1.0])
    assert memory[-1, 3:].tolist() == pytest.approx([1.0, 1.0, 1.0])  # reply is the commitment, valid, agrees


def test_live_weights_pay_the_next_step():
    env, _ = scripted()
    env.reset(options={"problem": "four"})
    env.reward_weights = (0.0, 1.0, 0.0)
    rewards = env.step(at(env))[1]
    assert list(rewards.values()) == [1.0, 1.0, 1.0]
    with pytest.raises(ConfigError, match="sum to 1"):
        env.reward_weights = (0.5, 0.6, 0.0)


def test_a_failed_problem_is_recorded_as_failed_and_pays_zero():
    def script(request):
        if request.role == "executor":
            raise LLMUnavailableError("down")
        return "Add."

    env, _ = scripted(script)
    env.reset(seed=0)
    _, rewards, terminations, _, infos = env.step(at(env))
    assert list(rewards.values()) == [0.0, 0.0, 0.0]
    assert all(terminations.values())
    assert infos["executor_0"]["failed"] == 1.0
    assert infos["executor_0"]["valid"] == 0.0
    assert env.episode.decisions[0].failed
    assert env.episode.decisions[0].judgement is None


def test_an_error_that_dooms_the_run_reaches_the_caller():
    def script(request):
        if request.role == "executor":
            raise LLMRequestError("the key is wrong")
        return "Add."

    env, _ = scripted(script)
    env.reset(seed=0)
    with pytest.raises(LLMRequestError, match="key is wrong"):
        env.step(at(env))


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ({"executor_0": [0.5, 1.1]}, "no action for executor_1"),
        ({f"executor_{i}": [np.nan, 1.1] for i in range(3)}, "finite"),
        ({f"executor_{i}": [0.5] for i in range(3)}, "two finite numbers"),
    ],
)
def test_actions_that_are_none_are_refused(actions, message):
    env, _ = scripted()
    env.reset(seed=0)
    with pytest.raises(EpisodeError, match=message):
        env.step(actions)


def test_a_problem_can_be_chosen_by_index_or_id():
    env, _ = scripted()
    env.reset(options={"problem": "six"})
    assert env.episode.problem.id == "six"
    env.reset(options={"problem": 0})
    assert env.episode.problem.id == "four"
    with pytest.raises(ProblemError, match="there are 2"):
        env.reset(options={"problem": 7})
    with pytest.raises(ProblemError, match="no problem has the id"):
        env.reset(options={"problem": "seven"})


def test_a_pass_visits_every_problem_once_and_the_next_pass_in_another_order():
    env = parallel_env(known_optimum_problems(12), llm=ScriptedLLM(think), embedder="hash")
    order = []
    env.reset(seed=3)
    for _ in range(24):
        order.append(env.episode.problem.id)
        env.reset()
    assert len(set(order[:12])) == len(set(order[12:])) == 12
    assert order[:12] != order[12:]


def test_unseeded_copies_go_different_ways():
    env = parallel_env(known_optimum_problems(50), llm=ScriptedLLM(think), embedder="hash")
    one, other = pickle.loads(pickle.dumps(env)), pickle.loads(pickle.dumps(env))
    orders = []
    for copied in (one, other):
        copied.reset()
        seen = []
        for _ in range(10):
            seen.append(copied.episode.problem.id)
            copied.reset()
        orders.append(seen)
    assert orders[0] != orders[1]


def test_a_pickle_made_in_mid_pass_goes_on_where_it_was():
    env = simulated()
    env.reset(seed=1)
    copied = pickle.loads(pickle.dumps(env))
    for one in (env, copied):
        one.reset()
    assert env.episode.problem == copied.episode.problem
    assert env.episode.seed == copied.episode.seed


def test_a_stream_is_read_on_and_starts_again():
    stream = load_problems(PROBLEMS, streaming=True)
    env = parallel_env(stream, llm=ScriptedLLM(think), embedder="hash")
    env.reset(seed=0)
    seen = [env.episode.problem.id]
    for _ in range(3):
        env = pickle.loads(pickle.dumps(env))
        env.reset()
        seen.append(env.episode.problem.id)
    assert set(seen[:2]) == set(seen[2:]) == {"four", "six"}
    with pytest.raises(ProblemError, match="stream"):
        env.reset(options={"problem": 0})


def test_a_strategy_is_asked_once_per_question():
    env, llm = scripted()
    for _ in range(3):
        env.reset(options={"problem": 0})
    assert [request.role for request in llm.requests] == ["strategy"]


def test_lazy_strategy_waits_for_the_first_round_and_off_never_asks():
    for mode, roles in (("lazy", {"strategy", "executor", "commitment"}), ("off", {"executor", "commitment"})):
        env, llm = scripted(strategy=mode)
        env.reset(seed=0)
        assert llm.requests == []
        env.step(at(env))
        assert {request.role for request in llm.requests} == roles


def test_async_twins_do_the_same_and_run_together():
    async def both():
        envs = [simulated() for _ in range(4)]
        await asyncio.gather(*(env.areset(seed=i) for i, env in enumerate(envs)))
        await asyncio.gather(*(env.adeliberate(at(env)) for env in envs))
        return [await env.astep(at(env)) for env in envs]

    results = asyncio.run(both())
    for seed, result in enumerate(results):
        env = simulated()
        env.reset(seed=seed)
        env.deliberate(at(env))
        assert env.step(at(env))[1] == result[1]


def test_formulas_are_never_compared_on_the_loop_of_the_calls(monkeypatch):
    on_the_loop = []

    class Pool:
        def ask(self, request):
            on_the_loop.append(background.inside())

    monkeypatch.setattr(process, "_pool", Pool())
    said = {"executor": r"The answer is $\sqrt{7919}+x$.", "commitment": r"The answer is $y+\sqrt{7907}$."}
    env, _ = scripted(lambda request: said.get(request.role, "Think."))
    env.reset(seed=0)
    infos = env.deliberate(at(env))[-1]
    assert infos["executor_0"]["agreement"] == 0.0
    assert on_the_loop
    assert not any(on_the_loop)


def test_an_answer_rule_of_ones_own_never_compares_on_the_loop_of_the_calls():
    class Slow:
        name = "slow-v1"

        def __init__(self):
            self.on_the_loop = []

        def extract(self, reply):
            return Extracted(reply, None, parsed_json=False)

        def same(self, answer, gold):
            self.on_the_loop.append(background.inside())
            return answer == gold

    rule = Slow()
    env, _ = scripted(answer_rule=rule)
    env.reset(seed=0)
    infos = env.step(at(env))[-1]
    assert infos["executor_0"]["agreement"] == 1.0
    assert rule.on_the_loop
    assert not any(rule.on_the_loop)


def test_sync_calls_work_inside_a_running_loop():
    async def inside():
        env = simulated()
        env.reset(seed=0)
        return env.step(at(env))[1]

    assert asyncio.run(inside())


def test_render_modes():
    env, _ = scripted(render_mode="ansi")
    env.reset(options={"problem": "four"})
    env.step(at(env))
    text = env.render()
    assert "What is 2 + 2?" in text
    assert "executor_2 [T=0.50 p=1.10]" in text
    assert "correct; gold 4" in text
    quiet, _ = scripted()
    assert quiet.render() is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"config": {"n_agent": 2}}, "did you mean 'n_agents'"),
        ({"n_agents": 0}, "n_agents"),
        ({"reward_weights": (1, 1, 1)}, "sum to 1"),
        ({"render_mode": "video"}, "render_mode"),
        ({"executors": ["a", "b"]}, "2 executor models for 3"),
        ({"config": {"sampling": {"p_min": 0.5}}}, "rewards repeating"),
    ],
)
def test_bad_settings_are_one_clear_error(arguments, message):
    with pytest.raises(ConfigError, match=message):
        scripted(**arguments)


def test_arguments_win_over_the_config():
    env, _ = scripted(config={"n_agents": 5, "memory_length": 2}, n_agents=2)
    assert len(env.possible_agents) == 2
    assert env.memory_shape[0] == 2
