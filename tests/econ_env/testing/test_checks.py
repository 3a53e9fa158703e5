"""`check_env` lets a sound environment pass, and names what a trainer would trip over in each unsound one."""

import os
import threading
from functools import partial

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv
from pettingzoo.utils import BaseParallelWrapper

from econ_env.testing import CheckError, check_env


class Sound(ParallelEnv):
    """Two agents, two steps; the observation is noise of the episode and the step."""

    metadata = {"render_modes": [], "name": "sound_v0", "is_parallelizable": True}  # noqa: RUF012 - PettingZoo's way
    render_mode = None
    steps = 2

    def __init__(self):
        self.possible_agents = ["agent_0", "agent_1"]
        self.agents = []
        self.observation_spaces = dict.fromkeys(self.possible_agents, Box(-1.0, 1.0, (3,), np.float32))
        self.action_spaces = dict.fromkeys(self.possible_agents, Box(0.0, 1.0, (2,), np.float32))
        self.state_space = Box(-1.0, 1.0, (3,), np.float32)
        self.random = None
        self.time = 0

    def observation_space(self, agent):
        return self.observation_spaces[agent]

    def action_space(self, agent):
        return self.action_spaces[agent]

    def see(self):
        rows = self.random.uniform(-1.0, 1.0, (len(self.possible_agents), 3)).astype(np.float32)
        return {agent: row.copy() for agent, row in zip(self.possible_agents, rows, strict=True)}

    def reset(self, seed=None, options=None):
        if seed is not None or self.random is None:
            self.random = np.random.default_rng(seed)
        self.agents = list(self.possible_agents)
        self.time = 0
        return self.see(), {agent: {} for agent in self.agents}

    def step(self, actions):
        self.time += 1
        names, over = self.possible_agents, self.time == self.steps
        asked = {agent: float(np.clip(np.asarray(actions[agent], np.float32), 0.0, 1.0)[0]) for agent in names}
        if over:
            self.agents = []
        infos = {agent: {"asked": asked[agent]} for agent in names}
        return self.see(), asked, dict.fromkeys(names, over), dict.fromkeys(names, False), infos

    def state(self):
        return np.zeros(3, np.float32)

    def render(self):
        pass

    def close(self):
        pass


RESULTS = {
    "a float64 observation": (0, lambda row: row.astype(np.float64)),
    "an observation outside": (0, lambda row: row + 9.0),
    "an observation of NaN": (0, lambda row: row * np.nan),
    "a numpy reward": (1, np.float32),
    "no reward": (1, lambda reward: None),
    "a reward of NaN": (1, lambda reward: float("nan")),
    "a numpy termination": (2, np.bool_),
    "an int for a truncation": (3, int),
    "an info of numpy": (4, lambda info: {"asked": np.float32(1.0)}),
    "an info of None": (4, lambda info: {"asked": None}),
    "an info of NaN": (4, lambda info: {"asked": float("nan")}),
    "an info named episode": (4, lambda info: {"episode": 1.0}),
    "an info with an underscore": (4, lambda info: {"_asked": 1.0}),
}
"""Which result of `step` is changed, and how."""


class Gives(Sound):
    """A sound environment of whose step one result is changed."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def step(self, actions):
        results = list(super().step(actions))
        index, change = RESULTS[self.what]
        results[index] = {agent: change(value) for agent, value in results[index].items()}
        return tuple(results)


def with_attribute(name, value):
    class Changed(Sound):
        def __init__(self):
            super().__init__()
            setattr(self, name, value)

    return Changed


class NoState(Sound):
    def state(self):
        return np.full(3, 2.0, np.float32) if not self.agents else np.zeros(3, np.float32)


class NewSpaces(Sound):
    def observation_space(self, agent):
        return Box(-1.0, 1.0, (3,), np.float32)


class StaysAtReset(Sound):
    def reset(self, seed=None, options=None):
        return super().reset(seed=0)


class UnseededStep(Sound):
    def step(self, actions):
        self.random = np.random.default_rng()
        return super().step(actions)


class ForgetsOrder(Sound):
    """The second reset after a seed differs from run to run."""

    def reset(self, seed=None, options=None):
        return super().reset(seed=np.random.SeedSequence().entropy % 2**32 if seed is None else seed)


class LosesAgents(Sound):
    def step(self, actions):
        results = super().step(actions)
        return tuple({name: value for name, value in result.items() if name != "agent_1"} for result in results)


class KeepsAgents(Sound):
    def step(self, actions):
        results = super().step(actions)
        self.agents = list(self.possible_agents) if self.time < 5 else []
        return results


class SharesAgents(Sound):
    def reset(self, seed=None, options=None):
        results = super().reset(seed)
        self.agents = self.possible_agents
        return results


class TellsAtReset(Sound):
    def reset(self, seed=None, options=None):
        return super().reset(seed)[0], {agent: {"text": "hello"} for agent in self.possible_agents}


class OneInfo(Sound):
    def step(self, actions):
        *results, _ = super().step(actions)
        info = {"asked": 0.0}
        return (*results, {agent: info for agent in self.possible_agents})  # noqa: C420 - one dict for all is the fault


class ChangingKeys(Sound):
    def step(self, actions):
        *results, infos = super().step(actions)
        return (*results, {agent: {**info, f"at_{self.time}": 1.0} for agent, info in infos.items()})


class OneArray(Sound):
    def see(self):
        return dict.fromkeys(self.possible_agents, np.zeros(3, np.float32))


class Unpicklable(Sound):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class KeepsDicts(Sound):
    def __init__(self):
        super().__init__()
        self.ends = {}

    def step(self, actions):
        obs, rewards, ends, cuts, infos = super().step(actions)
        self.ends.update(ends)
        return obs, rewards, self.ends, cuts, infos


class Loud(Sound):
    def render(self):
        return "a picture"


class SeededAtBirth(Sound):
    def __init__(self):
        super().__init__()
        self.random = np.random.default_rng()


class OneProcess(Sound):
    """Has something that only the process has in which it was used first."""

    def __init__(self):
        super().__init__()
        self.process = None

    def reset(self, seed=None, options=None):
        self.process = self.process or os.getpid()
        return super().reset(seed)

    def step(self, actions):
        if os.getpid() != self.process:
            os._exit(1)
        return super().step(actions)


class HiddenSpaces(BaseParallelWrapper):
    """Has other actions, but its `unwrapped` is the environment within."""

    def __init__(self):
        super().__init__(Sound())
        self.action_spaces = dict.fromkeys(self.possible_agents, Discrete(2))

    def action_space(self, agent):
        return self.action_spaces[agent]


class OnlyArrays(Sound):
    def step(self, actions):
        for action in actions.values():
            action.dtype  # noqa: B018 - a list has none
        return super().step(actions)


def test_a_sound_environment_passes():
    check_env(Sound)


@pytest.mark.parametrize(
    ("make", "repair"),
    [
        (with_attribute("possible_agents", ("agent_0", "agent_1")), "must be a list"),
        (with_attribute("possible_agents", ["red_0", "blue_1"]), "name agents"),
        (with_attribute("metadata", {"render_modes": [], "name": "x"}), "metadata needs 'is_parallelizable'"),
        (with_attribute("state_space", lambda: None), "state_space must be a Space"),
        (with_attribute("observation_spaces", None), "observation_spaces must be a dict"),
        (NewSpaces, "the same object each time"),
        (SharesAgents, "a list of its own, not possible_agents"),
        (TellsAtReset, "reset infos must be an empty dict"),
        (OneArray, "must not share observation memory"),
        (partial(Gives, "a float64 observation"), "float32 arrays"),
        (partial(Gives, "an observation outside"), "lies outside its space"),
        (partial(Gives, "an observation of NaN"), "lies outside its space"),
        (partial(Gives, "a numpy reward"), "rewards must be Python floats"),
        (partial(Gives, "no reward"), "rewards must be Python floats"),
        (partial(Gives, "a reward of NaN"), "rewards must be finite"),
        (partial(Gives, "a numpy termination"), "Python bools"),
        (partial(Gives, "an int for a truncation"), "Python bools"),
        (partial(Gives, "an info of numpy"), "plain floats, ints, bools or strings"),
        (partial(Gives, "an info of None"), "plain floats, ints, bools or strings"),
        (partial(Gives, "an info of NaN"), "info values must be finite"),
        (partial(Gives, "an info named episode"), "trainers give these keys a special meaning"),
        (partial(Gives, "an info with an underscore"), "trainers give these keys a special meaning"),
        (with_attribute("num_envs", 4), "rename the attribute num_envs"),
        (with_attribute("state_space", Box(-1.0, 1.0, (3,), np.float64)), "state_space must be of float32"),
        (HiddenSpaces, "must be its own unwrapped"),
        (KeepsDicts, "must hold every agent"),
        (Loud, "render() must do nothing"),
        (SeededAtBirth, "unseeded copies must play different episodes"),
        (OneProcess, "it must work in a forked process"),
        (LosesAgents, "must hold every agent"),
        (KeepsAgents, "agents must be empty after the joint end"),
        (OneInfo, "an info dict of its own"),
        (ChangingKeys, "the same keys"),
        (Unpicklable, "must survive pickling"),
        (NoState, "state() must lie in state_space, also after the end"),
        (UnseededStep, "every step and later reset included"),
        (ForgetsOrder, "every step and later reset included"),
        (StaysAtReset, "a reset without seed must move on"),
    ],
)
def test_unsound_environments_are_found_out(make, repair):
    with pytest.raises(CheckError) as caught:
        check_env(make)
    assert repair in str(caught.value)


def test_what_fails_by_itself_is_passed_on():
    with pytest.raises(AttributeError, match="dtype"):
        check_env(OnlyArrays)
