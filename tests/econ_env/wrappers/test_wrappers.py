"""Other people's views: each passes its interface's own tests, and shows what the environment shows."""

import asyncio
import copy
import pickle

import gymnasium
import numpy as np
import pettingzoo
import pytest
from gymnasium.spaces import Discrete, MultiDiscrete, Tuple
from gymnasium.utils.env_checker import check_env as check_gymnasium
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given
from hypothesis import strategies as st
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test, state_test
from pettingzoo.utils import parallel_to_aec

from econ_env import EconParallelEnv, econ_v0, parallel_env
from econ_env.errors import ConfigError, EpisodeError, LLMRequestError
from econ_env.observations.infos import INFO_KEYS, ROUND_KEYS
from econ_env.problems.load import load_problems
from econ_env.testing.env_checks import check_env
from econ_env.testing.scripted import ScriptedLLM
from econ_env.wrappers import (
    DiscreteActions,
    JointView,
    NormalizedActions,
    ParallelVectorTeam,
    TupleView,
    VectorTeam,
)

PROBLEMS = load_problems("bundled:1", limit=20)
MODES = list(AutoresetMode)


def plain(**changes):
    return parallel_env(PROBLEMS, llm="simulated", embedder="hash", **changes)


def normalized(**changes):
    return NormalizedActions(plain(**changes))


def discrete(**changes):
    return DiscreteActions(plain(**changes))


def joint(**changes):
    return JointView(normalized(**changes))


VIEWS = [
    normalized,
    discrete,
    joint,
    lambda: JointView(discrete()),
    lambda: TupleView(discrete()),
    lambda: VectorTeam([joint, joint]),
    lambda: ParallelVectorTeam([normalized, normalized]),
]


def act(view, seed=0):
    """A seeded action for any of the views."""
    if hasattr(view, "possible_agents"):
        spaces = {agent: copy.deepcopy(view.action_space(agent)) for agent in view.possible_agents}
        for number, space in enumerate(spaces.values()):
            space.seed(seed + number)
        return {agent: space.sample() for agent, space in spaces.items()}
    space = copy.deepcopy(view.action_space)
    space.seed(seed)
    return space.sample()


def equal(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, np.ndarray) and one.dtype == object:
        return equal(one.tolist(), other.tolist())
    return np.array_equal(one, other)


# Other actions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [normalized, discrete])
@pytest.mark.parametrize("changes", [{}, {"max_rounds": 3}, {"n_agents": 1}])
def test_wrapped_actions_pass_every_check(make, changes):
    check_env(lambda: make(**changes))
    parallel_api_test(make(**changes), num_cycles=20)
    parallel_seed_test(lambda: make(**changes), num_cycles=5)


@given(st.floats(0, 1), st.floats(0, 1))
def test_normalized_actions_are_linear_between_the_bounds(t, p):
    env = normalized(n_agents=1)
    controls = env.to_inner("executor_0", [2 * t - 1, 2 * p - 1])
    assert controls == pytest.approx([0.1 + 1.4 * t, 1.0 + 0.15 * p], abs=1e-6)


def test_normalized_actions_outside_are_clipped_and_nan_is_refused():
    env = normalized(n_agents=1)
    assert env.to_inner("executor_0", [-7, 7]) == pytest.approx([0.1, 1.15])
    env.reset(seed=0)
    with pytest.raises(EpisodeError, match="finite"):
        env.step({"executor_0": [np.nan, 0]})


def test_the_grid_runs_over_both_bounds_with_p_fastest():
    env = DiscreteActions(plain(), bins=(3, 2))
    assert env.action_space("executor_0") == Discrete(6)
    expected = [(0.1, 1.0), (0.1, 1.15), (0.8, 1.0), (0.8, 1.15), (1.5, 1.0), (1.5, 1.15)]
    assert env.controls == pytest.approx(np.array(expected))
    env.reset(seed=0)
    infos = env.step({"executor_0": 3, "executor_1": np.int64(4), "executor_2": np.array([5.0])})[-1]
    told = [(info["temperature"], info["p"]) for info in infos.values()]
    assert np.array(told) == pytest.approx(np.array(expected[3:]))


@pytest.mark.parametrize("wrong", [25, -1, 0.5, "3", [1, 2], np.nan, None])
def test_a_discrete_action_off_the_grid_is_refused(wrong):
    env = discrete()
    env.reset(seed=0)
    with pytest.raises(EpisodeError, match=r"whole number in 0\.\.24"):
        env.step(dict.fromkeys(env.possible_agents, wrong))


@pytest.mark.parametrize("bins", [(5,), (5, 5, 5), (1, 5)])
def test_bins_that_do_not_fit_are_refused(bins):
    with pytest.raises(ConfigError, match="bins must be 2"):
        DiscreteActions(plain(), bins)


def test_a_grid_cannot_be_normalized():
    with pytest.raises(ConfigError, match="bounded Box"):
        NormalizedActions(discrete())


def test_a_grid_lies_within_normalized_actions_too():
    env = DiscreteActions(normalized())
    env.reset(seed=0)
    infos = env.step(dict.fromkeys(env.possible_agents, 0))[-1]
    assert (infos["executor_0"]["temperature"], infos["executor_0"]["p"]) == pytest.approx((0.1, 1.0))


@pytest.mark.parametrize("make", [normalized, discrete])
def test_it_is_its_own_unwrapped_and_passes_weights_on(make):
    env = make()
    assert env.unwrapped is env
    env.unwrapped.reward_weights = (0.0, 1.0, 0.0)
    assert env.env.reward_weights == env.reward_weights == (0.0, 1.0, 0.0)
    with pytest.raises(ConfigError, match="sum to 1"):
        env.reward_weights = (1, 1, 1)
    env.reset(seed=0)
    _, rewards, *_, infos = env.step(act(env))
    assert rewards == {agent: info["reward_ts"] for agent, info in infos.items()}


def test_wrapped_rounds_are_the_environments():
    env, inner = normalized(), plain()
    middle = dict.fromkeys(env.possible_agents, np.zeros(2))
    controls = {agent: env.to_inner(agent, action) for agent, action in middle.items()}
    assert equal(env.reset(seed=4), inner.reset(seed=4))
    assert equal(env.deliberate(middle), inner.deliberate(controls))
    assert env.last_outcome == inner.last_outcome
    assert equal(env.step(middle), inner.step(controls))
    assert len(env.episode.decisions[0].rounds) == 1


# AEC --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [plain, normalized, discrete])
def test_pettingzoos_conversion_to_aec_works(make):
    api_test(parallel_to_aec(make(max_rounds=2)), num_cycles=30)
    seed_test(lambda: parallel_to_aec(make()), num_cycles=5)
    state_test(parallel_to_aec(make()), make())


@pytest.mark.parametrize("make", [econ_v0.env, econ_v0.raw_env])
def test_the_aec_environment_has_pettingzoos_names(make):
    api_test(make(PROBLEMS, llm="simulated", embedder="hash"), num_cycles=30)
    env = make(PROBLEMS, llm="simulated", embedder="hash")
    env.reset(seed=0)
    parallel = plain()
    parallel.reset(seed=0)
    actions = act(parallel)
    for agent in env.agents:
        env.step(actions[agent])
    _, rewards, *_, infos = parallel.step(actions)
    assert env.rewards == rewards
    assert env.infos == infos


def test_steps_before_reset_are_told():
    with pytest.raises((AttributeError, AssertionError), match="reset"):
        econ_v0.env(PROBLEMS, llm="simulated", embedder="hash").step([0.5, 1.1])


@pytest.mark.parametrize("make", [econ_v0.env, econ_v0.raw_env, econ_v0.joint_env, econ_v0.tuple_env])
def test_factories_can_be_sent_to_other_processes(make):
    assert pickle.loads(pickle.dumps(make)) is make


# Gymnasium --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [plain, normalized, discrete])
@pytest.mark.filterwarnings("ignore:.*symmetric and normalized")
def test_the_joint_view_passes_gymnasiums_check(make):
    for changes in ({}, {"max_rounds": 2}, {"n_agents": 1}, {"text_infos": True}):
        check_gymnasium(JointView(make(**changes)), skip_render_check=True)


def test_the_joint_view_is_the_state_the_joint_action_and_the_mean():
    env, parallel = JointView(plain()), plain()
    assert env.observation_space == parallel.state_space
    assert env.action_space.shape == (6,)
    state, info = env.reset(seed=2)
    parallel.reset(seed=2)
    assert info == {}
    assert np.array_equal(state, parallel.state())
    actions = act(parallel)
    _, rewards, _, _, infos = parallel.step(actions)
    state, reward, terminated, truncated, info = env.step(np.concatenate(list(actions.values())))
    assert np.array_equal(state, parallel.state())
    assert reward == pytest.approx(np.mean(list(rewards.values())))
    assert (terminated, truncated) == (True, False)
    assert info == {**infos, "rewards": rewards}
    assert tuple(info["executor_2"]) == INFO_KEYS


def test_the_joint_view_of_a_grid_is_multi_discrete():
    env = JointView(discrete())
    assert env.action_space == MultiDiscrete([25, 25, 25])
    env.reset(seed=0)
    _, info = env.deliberate([0, 12, 24])
    assert tuple(info["executor_0"]) == ROUND_KEYS
    assert [info[f"executor_{i}"]["temperature"] for i in range(3)] == pytest.approx([0.1, 0.8, 1.5])


def test_a_joint_action_of_another_size_is_refused():
    env = joint()
    env.reset(seed=0)
    with pytest.raises(EpisodeError, match=r"shape \(6,\)"):
        env.step(np.zeros(4))


def test_the_tuple_view_is_what_epymarl_asks_for():
    env = TupleView(discrete(text_infos=True))
    assert isinstance(env.action_space, Tuple)
    assert {space.n for space in env.action_space} == {25}
    assert env.unwrapped.n_agents == 3
    observations, info = env.reset(seed=0)
    assert info == {}
    assert env.observation_space.contains(observations)
    observations, rewards, terminated, truncated, info = env.step([0, 1, 2])
    assert env.observation_space.contains(observations)
    assert [type(reward) for reward in rewards] == [float] * 3
    assert (terminated, truncated) == (True, False)
    assert all(type(value) is float for value in info.values())
    assert set(info) == {f"{agent}_{key}" for agent in env.parallel_env.possible_agents for key in INFO_KEYS}
    with pytest.raises(EpisodeError, match="3 agents"):
        env.step([0])


def test_gymnasium_knows_the_views_by_id():
    arguments = {"problems": PROBLEMS, "llm": "simulated", "embedder": "hash"}
    env = gymnasium.make("econ_env:econ_env/Joint-v0", **arguments)
    env.set_wrapper_attr("reward_weights", (0.0, 1.0, 0.0))
    assert env.unwrapped.parallel_env.reward_weights == (0.0, 1.0, 0.0)
    env.reset(seed=0)
    assert env.step(env.action_space.sample())[2] is True
    tuples = gymnasium.make("econ_env:econ_env/Tuple-v0", max_episode_steps=2, **arguments)
    tuples.reset(seed=0)
    assert tuples.step([0, 1, 2])[2:4] == (True, False)
    vector = gymnasium.make_vec("econ_env:econ_env/Joint-v0", num_envs=3, autoreset_mode="NextStep", **arguments)
    assert isinstance(vector, VectorTeam)
    assert vector.reset(seed=0)[0].shape == (3, *vector.single_observation_space.shape)
    assert vector.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


def test_pettingzoo_knows_it_by_id():
    arguments = {"problems": PROBLEMS, "llm": "simulated", "embedder": "hash"}
    if not hasattr(pettingzoo, "make"):
        pytest.skip("PettingZoo has ids since 1.27")
    assert isinstance(pettingzoo.make("parallel", "econ_env/Econ-v0", **arguments), EconParallelEnv)
    api_test(pettingzoo.make("aec", "econ_env/Econ-v0", **arguments), num_cycles=10)


# Many problems at once --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("max_rounds", [1, 2])
def test_a_vector_of_teams_gives_what_gymnasiums_own_gives(mode, max_rounds):
    makes = [lambda: joint(max_rounds=max_rounds)] * 3
    ours, theirs = VectorTeam(makes, mode), SyncVectorEnv(makes, autoreset_mode=mode)
    assert ours.observation_space == theirs.observation_space
    assert equal(ours.reset(seed=7), theirs.reset(seed=7))
    for number in range(5):
        steps = ours.step(act(ours, number)), theirs.step(act(theirs, number))
        assert equal(*steps)
        if mode is AutoresetMode.DISABLED and steps[0][2].any():
            assert equal(*(env.reset(options={"reset_mask": steps[0][2]}) for env in (ours, theirs)))
    ours.close()
    theirs.close()


def test_some_teams_of_a_vector_can_be_reset():
    ours, theirs = (make([joint] * 3, autoreset_mode=MODES[0]) for make in (VectorTeam, SyncVectorEnv))
    for env in (ours, theirs):
        env.reset(seed=[1, 2, 3])
    some = np.array([True, False, True])
    assert equal(*(env.reset(seed=[4, 5, None], options={"reset_mask": some}) for env in (ours, theirs)))
    assert equal(*(env.step(act(env)) for env in (ours, theirs)))


def test_a_vector_of_teams_deliberates_and_takes_weights():
    env = VectorTeam([joint] * 2)
    env.set_attr("reward_weights", [(0.0, 1.0, 0.0)] * 2)
    env.reset(seed=0)
    states, infos = env.deliberate(act(env))
    assert states.shape == (2, *env.single_observation_space.shape)
    assert infos["executor_1"]["rounds"].tolist() == [1.0, 1.0]
    _, rewards, *_, infos = env.step(act(env))
    infos = infos["final_info"]
    assert infos["executor_1"]["rounds"].tolist() == [1.0, 1.0]  # nobody was asked again
    assert rewards == pytest.approx(np.mean([infos[f"executor_{i}"]["reward_ts"] for i in range(3)], axis=0))


def asked(make, steps=6, **arguments):
    """Questions answered and rewards paid in some steps of a vector of two teams."""
    llm = ScriptedLLM(lambda request: "The answer is 4.")
    vector = make(problems=PROBLEMS, llm=llm, embedder="hash", config={"llm": {"cache": False}}, **arguments)
    vector.reset(seed=0)
    rewards = [vector.step(act(vector, number))[1] for number in range(steps)]
    executors = [request for request in llm.requests if request.role == "executor"]
    return len(executors) // 3, int(np.count_nonzero(rewards))


def own(**arguments):
    return gymnasium.make_vec("econ_env:econ_env/Joint-v0", num_envs=2, **arguments)


def gymnasiums(**arguments):
    return gymnasium.make_vec("econ_env:econ_env/Joint-v0", num_envs=2, vectorization_mode="sync", **arguments)


def test_every_action_of_a_vector_is_played():
    assert asked(own) == (12, 12)
    assert asked(own, autoreset_mode="NextStep") == (6, 6)
    assert asked(gymnasiums) == (6, 6)  # every second action is thrown away, as our pages warn
    assert asked(gymnasiums, vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP}) == (12, 12)


@pytest.mark.parametrize("max_rounds", [1, 2])
def test_a_parallel_vector_has_a_row_for_each_team(max_rounds):
    env = ParallelVectorTeam([lambda: normalized(max_rounds=max_rounds)] * 3)
    singles = [normalized(max_rounds=max_rounds) for _ in range(3)]
    observations, infos = env.reset(seed=5)
    starts = [single.reset(seed=5 + number)[0] for number, single in enumerate(singles)]
    assert infos == {agent: {} for agent in env.agents}
    for number in range(4):
        for agent in env.agents:
            assert env.observation_space(agent).contains(observations[agent])
            assert np.array_equal(observations[agent], np.stack([start[agent] for start in starts]))
        actions = act(env, number)
        observations, rewards, terminations, truncations, infos = env.step(actions)
        for row, single in enumerate(singles):
            steps = single.step({agent: actions[agent][row] for agent in env.agents})
            starts[row] = steps[0] if single.agents else single.reset()[0]
            assert {agent: float(rewards[agent][row]) for agent in env.agents} == steps[1]
            assert {agent: bool(terminations[agent][row]) for agent in env.agents} == steps[2]
            assert not any(truncations[agent][row] for agent in env.agents)
            told = {agent: {key: float(info[key][row]) for key in info} for agent, info in infos.items()}
            assert told == steps[4]
    assert np.array_equal(env.state(), np.stack([single.state() for single in singles]))


def test_a_parallel_vector_deliberates():
    env = ParallelVectorTeam([discrete] * 2)
    env.reset(seed=[3, None])
    observations, infos = env.deliberate({agent: [0, 24] for agent in env.agents})
    assert observations["executor_0"].shape == (2, *env.single_observation_space("executor_0").shape)
    assert infos["executor_2"]["temperature"] == pytest.approx([0.1, 1.5])


def test_teams_that_differ_make_no_vector():
    with pytest.raises(ConfigError, match="equal agents and spaces"):
        ParallelVectorTeam([plain, normalized])
    with pytest.raises(ConfigError, match="at least one"):
        ParallelVectorTeam([])


class Together(ScriptedLLM):
    """Answers executors only when this many of them wait at once."""

    def __init__(self, waiting):
        super().__init__(lambda request: "The answer is 4.")
        self.waiting, self.seen, self.open = waiting, 0, None

    async def complete(self, request):
        if request.role == "executor":
            if self.open is None or self.open.is_set():
                self.seen, self.open = 0, asyncio.Event()
            self.seen += 1
            if self.seen == self.waiting:
                self.open.set()
            await asyncio.wait_for(self.open.wait(), 20)
        return await super().complete(request)


def test_all_calls_of_all_teams_are_in_flight_at_once():
    llm = Together(waiting=4 * 3)

    def team():
        return parallel_env(PROBLEMS, llm=llm, embedder="hash", config={"llm": {"concurrency": 64, "cache": False}})

    for env in (VectorTeam([lambda: JointView(team())] * 4, AutoresetMode.SAME_STEP), ParallelVectorTeam([team] * 4)):
        env.reset(seed=0)
        env.deliberate(act(env))
        env.step(act(env, 1))  # other controls: asks again
    assert len([request for request in llm.requests if request.role == "executor"]) == 4 * 12


@pytest.mark.parametrize("vector", [VectorTeam, ParallelVectorTeam])
def test_the_error_of_one_team_reaches_the_caller_and_a_reset_heals(vector):
    broken = []

    def script(request):
        if broken and request.problem_id == broken[0]:
            raise LLMRequestError("the key is wrong")
        return "The answer is 4."

    llm = ScriptedLLM(script)

    def team():
        env = parallel_env(PROBLEMS, llm=llm, embedder="hash")
        return JointView(env) if vector is VectorTeam else env

    env = vector([team] * 3)
    env.reset(seed=0)
    teams = [one.unwrapped.parallel_env if vector is VectorTeam else one for one in env.envs]
    broken.append(teams[1].episode.problem.id)
    with pytest.raises(LLMRequestError, match="key is wrong"):
        env.step(act(env))
    broken.clear()
    env.reset(seed=0)
    ends = env.step(act(env))[2]
    assert np.all(list(ends.values()) if isinstance(ends, dict) else ends)


# All --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", VIEWS)
def test_views_can_be_copied_at_any_time(make):
    view = make()
    for copied in (pickle.loads(pickle.dumps(view)), copy.deepcopy(view)):
        copied.reset(seed=0)
    view.reset(seed=1)
    view.deliberate(act(view))
    copies = [pickle.loads(pickle.dumps(view)), copy.deepcopy(view)]
    expected = view.step(act(view)), view.reset()
    for copied in copies:
        assert equal((copied.step(act(copied)), copied.reset()), expected)


@pytest.mark.parametrize("make", VIEWS)
def test_views_render_and_close(make):
    view = make()
    view.close()
    view = make()
    view.reset(seed=0)
    assert view.render_mode is None
    assert view.render() in (None, (None, None))
    view.close()
    view.close()


def test_async_twins_of_views_do_the_same():
    async def play(env):
        await env.areset(seed=3)
        await env.adeliberate(act(env))
        return await env.astep(act(env))

    for make in (normalized, discrete, joint):
        env = make()
        env.reset(seed=3)
        env.deliberate(act(env))
        assert equal(asyncio.run(play(make())), env.step(act(env)))
