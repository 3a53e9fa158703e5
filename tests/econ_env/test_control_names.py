"""Controls by name: what an action sets, in which order and bounds, what the others are, and where they show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env import parallel_env
from econ_env.app.run_config import load_run_config
from econ_env.config import EnvConfig, SamplingConfig, parse_settings
from econ_env.control_names import further_of, second_of, short_names, shown_values, values_of, written
from econ_env.errors import ConfigError, EpisodeError
from econ_env.observations.controls import ControlScale
from econ_env.observations.infos import INFO_KEYS, PRICE_KEYS, ROUND_KEYS
from econ_env.observations.layout import MEMORY_FEATURES
from econ_env.records import Problem, PromptEmbedding
from econ_env.testing import ScriptedLLM, check_env
from econ_env.wrappers import DiscreteActions, JointView, NormalizedActions, ParallelVectorTeam, TupleView

ALL = ("temperature", "repetition_penalty", "top_p", "min_p", "speak", "weight")
LISTS = [
    list(ALL),
    ["speak", "weight"],
    ["min_p"],
    ["top_p", "temperature"],
    ["temperature", "repetition_penalty", "speak"],
]
PROBLEMS = [Problem(f"What is {n} + {n}?", str(2 * n), f"p{n}") for n in range(2, 12)]


def settings(*controls, **sampling):
    weighs = {"commitment": "weighted"} if "weight" in controls else {}
    return {"sampling": {"controls": list(controls), **sampling}, **weighs}


def team(*controls, script=lambda request: "The answer is 4.", sampling=None, **changes):
    llm = ScriptedLLM(script)
    config = settings(*controls, **(sampling or {})) | changes.pop("config", {})
    return parallel_env(PROBLEMS, llm=llm, embedder="hash", config=config, **changes), llm


def same(env, *values):
    return {agent: np.array(values, np.float32) for agent in env.possible_agents}


# Settings


def test_by_default_an_action_is_temperature_and_penalty():
    sampling = SamplingConfig()
    assert sampling.controls == ("temperature", "repetition_penalty")
    assert (sampling.second_action, sampling.p_bounds) == ("repetition_penalty", (1.0, 1.15))
    assert parallel_env(PROBLEMS, llm="simulated", embedder="hash").control_names == sampling.controls


def test_the_old_name_of_top_p_means_the_same():
    old, new = SamplingConfig(second_action="top_p"), SamplingConfig(controls=("temperature", "top_p"))
    assert old == new
    assert (old.controls, old.second_action, old.p_bounds) == (("temperature", "top_p"), "top_p", (0.1, 0.9))
    assert SamplingConfig(second_action="top_p", controls=("temperature", "top_p")) == old
    assert SamplingConfig(controls=("speak", "top_p")).second_action == "top_p"
    assert SamplingConfig(controls=("speak",)).second_action == "repetition_penalty"


@pytest.mark.parametrize("controls", LISTS)
def test_settings_written_out_can_be_read_again(controls):
    sampling = SamplingConfig(controls=tuple(controls))
    assert SamplingConfig(**sampling.model_dump(mode="json")) == sampling


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        ({"controls": ["temperature", "speak"], "second_action": "top_p"},
         r"sampling: second_action top_p contradicts controls \[temperature, speak\]; give controls alone"),
        ({"controls": ["temperature", "top_p"], "second_action": "repetition_penalty"}, "contradicts controls"),
        ({"controls": ["speak", "speak"]}, "names speak twice"),
        ({"controls": []}, "at least 1 item"),
        ({"controls": ["talking"]}, "'temperature', 'repetition_penalty', 'top_p', 'min_p', 'speak' or 'weight'"),
        ({"controls": "speak"}, "valid tuple"),
        ({"min_p_min": 0.2, "min_p_max": 0.1}, "min_p_min must be below min_p_max, got 0.2 and 0.1"),
        ({"top_p_min": 0.9}, "top_p_min must be below top_p_max"),
        ({"controls": ["top_p"], "top_p_max": 0.1}, "must be below"),
        ({"temperature_default": 3}, "temperature_default"),
    ],
)  # fmt: skip
def test_settings_that_can_not_be_used_are_one_line(sampling, message):
    with pytest.raises(ConfigError, match=message) as error:
        parse_settings(EnvConfig, {"sampling": sampling})
    assert "\n" not in str(error.value)


def test_weights_without_a_weighted_commitment_are_one_line():
    line = "the control weight has no effect with commitment vote: set commitment to weighted, or leave weight out"
    with pytest.raises(ConfigError, match=line):
        parse_settings(EnvConfig, {"sampling": {"controls": ["weight"]}, "commitment": "vote"})
    with pytest.raises(ConfigError, match=line) as error:
        load_run_config(None, ["sampling.controls=[weight]", "env_args.commitment=vote"])
    assert "\n" not in str(error.value)
    assert parse_settings(EnvConfig, {"commitment": "weighted"}).sampling == SamplingConfig()  # all weigh the same
    assert load_run_config(None, ["sampling.controls=[weight]", "env_args.commitment=weighted"]).env_config()


def test_each_control_has_its_bounds():
    sampling = SamplingConfig(controls=ALL, p_max=1.3, top_p_min=0.2, min_p_max=0.4)
    expected = [(0.1, 1.5), (1.0, 1.3), (0.2, 0.9), (0.0, 0.4), (0.0, 1.0), (0.0, 1.0)]
    assert [sampling.bounds(name) for name in ALL] == expected
    only = SamplingConfig(controls=("top_p",), top_p_min=0.2, p_max=0.8)  # p's bounds stay top_p's where p is top_p
    assert only.bounds("top_p") == (0.2, 0.8)


# Names and values


def test_which_control_p_is():
    assert [second_of(names) for names in LISTS] == ["repetition_penalty"] * 3 + ["top_p", "repetition_penalty"]
    assert further_of(ALL) == ALL[2:]
    assert further_of(("temperature", "top_p")) == ()
    embedding = PromptEmbedding(0.5, 1.1, 0.8, 0.1, 0.25, 0.75)
    assert values_of(embedding, ALL) == [0.5, 1.1, 0.8, 0.1, 0.25, 0.75]
    assert shown_values(embedding, ("weight",)) == {"temperature": 0.5, "p": 1.1, "weight": 0.75}
    assert written(embedding, ("temperature", "repetition_penalty")) == "T=0.50 p=1.10"
    assert written(embedding, ("weight", "min_p")) == "weight=0.75 min_p=0.10"
    assert short_names(("top_p", "temperature")) == ["p", "T"]


@given(st.permutations(ALL), st.integers(1, 6), st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_controls_survive_a_way_through_actions_and_scales(names, count, shares):
    sampling = SamplingConfig(controls=tuple(names[:count]))
    scale = ControlScale(sampling)
    low, high = zip(*(sampling.bounds(name) for name in sampling.controls), strict=True)
    action = np.array(low) + np.array(shares[:count]) * (np.array(high) - np.array(low))
    (embedding,) = scale.read({"a": action}, ["a"])
    assert scale.action(embedding) == pytest.approx(action.tolist(), abs=1e-6)
    assert values_of(embedding, sampling.controls) == pytest.approx(action.tolist(), abs=1e-6)
    assert scale.scaled([embedding])[0] == pytest.approx(2 * np.array(shares[:count]) - 1, abs=1e-5)
    fixed = sampling.asked(embedding)
    assert fixed.keys() == {"temperature", "repetition_penalty", "top_p", "min_p"}
    for name, value in {"temperature": 0.7, "repetition_penalty": 1.0, "top_p": 0.9, "min_p": 0.05}.items():
        if name not in sampling.controls:
            assert fixed[name] == value


@pytest.mark.parametrize("controls", LISTS)
def test_a_call_has_what_the_action_sets_and_fixed_values_for_the_rest(controls):
    fixed = {"temperature": 0.4, "repetition_penalty": 1.0, "top_p": 0.6, "min_p": 0.02}
    sampling = {"temperature_default": 0.4, "top_p_default": 0.6, "min_p": 0.02}
    env, llm = team(*controls, sampling=sampling)
    env.reset(seed=0)
    wanted = {
        "temperature": 1.25,
        "repetition_penalty": 1.125,
        "top_p": 0.5,
        "min_p": 0.125,
        "speak": 1.0,
        "weight": 0.5,
    }
    env.step(same(env, *(wanted[name] for name in controls)))
    for request in (request for request in llm.requests if request.role == "executor"):
        for name, value in fixed.items():
            assert getattr(request, name) == pytest.approx(wanted[name] if name in controls else value)
    for request in (request for request in llm.requests if request.role != "executor"):
        assert (request.repetition_penalty, request.top_p) == (1.0, 0.6)


def test_an_action_of_another_width_is_refused_in_words():
    env, _ = team("speak", "weight", "temperature")
    env.reset(seed=0)
    with pytest.raises(EpisodeError, match=r"must be three finite numbers \(speak, weight, T\), got \(1.0, 2.0\)"):
        env.step(dict.fromkeys(env.agents, (1.0, 2.0)))


def test_without_a_temperature_bounds_are_those_of_the_list_alone():
    env, _ = team("weight", "speak")
    space = env.action_space("executor_0")
    assert (space.shape, space.low.tolist(), space.high.tolist()) == ((2,), [0, 0], [1, 1])
    env.reset(seed=0)
    env.step(same(env, 0.25, 5.0))  # clipped
    assert env.episode.decisions[0].rounds[0].replies[0].controls == PromptEmbedding(0.7, 1.0, speak=1.0, weight=0.25)


# Where they show


@pytest.mark.parametrize("controls", LISTS)
def test_observations_infos_and_spaces_follow_the_list(controls):
    env, _ = team(*controls)
    count = len(controls)
    assert env.action_space("executor_0").shape == (count,)
    layout, (rows, features) = env.observation_layout, env.memory_shape
    assert layout["controls"].stop - layout["controls"].start == count
    assert features == len(MEMORY_FEATURES) - 2 + count
    assert layout["agent_memory"].stop - layout["agent_memory"].start == rows * features
    env.reset(seed=0)
    low, high = env.action_space("executor_0").low, env.action_space("executor_0").high
    action = 0.25 * low + 0.75 * high
    seen, infos = env.deliberate(dict.fromkeys(env.agents, action))
    assert seen["executor_1"][layout["controls"]] == pytest.approx([0.5] * count, abs=1e-5)
    memory = seen["executor_1"][layout["agent_memory"]].reshape(rows, features)
    assert memory[-1][1 : 1 + count] == pytest.approx([0.5] * count, abs=1e-5)
    assert (memory[-1][0], memory[-1][-2]) == (1, 1)
    further = tuple(name for name in controls if name not in ("temperature", second_of(controls)))
    assert tuple(infos["executor_0"]) == ROUND_KEYS[:2] + further + ROUND_KEYS[2:]
    *_, infos = env.step(dict.fromkeys(env.agents, action))
    assert tuple(infos["executor_0"]) == env.info_keys
    assert set(env.info_keys) == {*INFO_KEYS, *further, *(PRICE_KEYS if "speak" in controls else ())}
    for name in controls:
        key = {"temperature": "temperature", second_of(controls): "p"}.get(name, name)
        assert infos["executor_2"][key] == pytest.approx(action[controls.index(name)])
    assert env.episode.to_dict()["controls"] == tuple(controls)
    assert f"[{written(env.episode.decisions[0].rounds[0].replies[0].controls, controls)}]" in env.episode.render()


@pytest.mark.parametrize("controls", LISTS)
def test_teams_with_other_controls_pass_every_check(controls):
    check_env(lambda: parallel_env(PROBLEMS, llm="simulated", embedder="hash", config=settings(*controls)))


def test_the_grid_of_speak_has_two_points():
    env, _ = team("temperature", "speak", "weight")
    grid = DiscreteActions(env)
    assert len(grid.controls) == 5 * 2 * 5
    assert sorted({row[1] for row in grid.controls.tolist()}) == [0.0, 1.0]
    assert sorted({row[2] for row in grid.controls.tolist()}) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert grid.controls[5].tolist() == pytest.approx([0.1, 1.0, 0.0])
    assert DiscreteActions(env, (3, 2, 4)).action_space("executor_0").n == 24
    with pytest.raises(ConfigError, match=r"bins must be 2 for speak, which is either 0 or 1, got \(3, 3, 4\)"):
        DiscreteActions(env, (3, 3, 4))
    with pytest.raises(ConfigError, match="bins must be 3 whole numbers"):
        DiscreteActions(env, (5, 5))
    ends = DiscreteActions(NormalizedActions(env))
    assert sorted({row[1] for row in ends.controls.tolist()}) == [-1.0, 1.0]


def test_wrappers_pass_names_prices_and_prospects_on():
    env, _ = team("speak", "weight")
    for view in (NormalizedActions(env), JointView(env), TupleView(DiscreteActions(env))):
        assert view.control_names == ("speak", "weight")
        view.price = 0.125
        assert (env.price, view.price) == (0.125, 0.125)
        env.price = 0.0
        assert view.prospect == 0.0
    assert JointView(env).action_space.shape == (6,)
    wrapped = NormalizedActions(env)
    wrapped.reset(seed=0)
    wrapped.deliberate({agent: np.array([0.0, 1.0]) for agent in wrapped.agents})
    assert len(env.episode.last_round.asked) == 3  # the middle speaks
    assert wrapped.prospect == env.prospect > 0.0


def test_a_vector_needs_teams_with_equal_controls():
    def make(*controls):
        return lambda: team(*controls)[0]

    vector = ParallelVectorTeam([make("speak", "weight")] * 2)
    assert vector.control_names == ("speak", "weight")
    vector.reset(seed=0)
    actions = {agent: np.array([[1, 0.5], [1, 1]], np.float32) for agent in vector.agents}
    _, _, _, _, infos = vector.step(actions)
    assert infos["executor_0"]["weight"].tolist() == [0.5, 1.0]
    with pytest.raises(ConfigError, match="must have equal controls, got speak, weight and weight, speak"):
        ParallelVectorTeam([make("speak", "weight"), make("weight", "speak")])
