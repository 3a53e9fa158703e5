"""Stands in for EPyMARL in tests: the same command line, configuration through sacred, environment and printed results.

It learns with a bandit for each agent, which ignores observations: enough where one action is best for all problems.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import gymnasium
import numpy as np
import yaml
from gymnasium.wrappers import TimeLimit
from sacred import Experiment

experiment = Experiment("stand-in", save_git_info=False)


def merged(base, over):
    """The settings of `base`, with those of `over` in their place."""
    both = {**base, **over}
    inner = [key for key in base if isinstance(base[key], Mapping) and isinstance(over.get(key), Mapping)]
    return {**both, **{key: merged(base[key], over[key]) for key in inner}}


class Game:
    """The environment, made from `env_args` as EPyMARL's `gymma` does."""

    def __init__(self, config):
        arguments = dict(config["env_args"])
        own = {name: arguments.pop(name) for name in ("key", "time_limit", "pretrained_wrapper")}
        assert own["pretrained_wrapper"] is None
        self.env = TimeLimit(gymnasium.make(own["key"], **arguments), max_episode_steps=own["time_limit"])
        self.env.reset(seed=config["seed"])
        self.shape = self.env.unwrapped.n_agents, max(space.n for space in self.env.action_space)
        assert config["common_reward"]
        assert config["reward_scalarisation"] == "mean"

    def play(self, actions):
        """Mean reward of an episode; no episode may be cut off, and the info must be numbers that can be added up."""
        self.env.reset()
        over, total = False, 0.0
        while not over:
            _, rewards, over, cut, info = self.env.step([int(action) for action in actions])
            assert not cut
            assert sum(info.values()) is not None
            total += sum(rewards) / len(rewards)
        return total


@experiment.main
def main(_config):
    """Train and save, or load and test."""
    game, rng = Game(_config), np.random.default_rng(_config["seed"])
    agents = np.arange(game.shape[0])
    if _config["evaluate"]:
        folder = Path(_config["checkpoint_path"])
        steps = [int(path.name) for path in folder.iterdir() if path.is_dir() and path.name.isdigit()]
        wanted = _config["load_step"] or max(steps)
        nearest = min(steps, key=lambda step: abs(step - wanted))
        values = np.array(json.loads((folder / str(nearest) / "values.json").read_text()))
        returns = [game.play(values.argmax(-1)) for _ in range(_config["test_nepisode"])]
        print(f"Recent Stats\ntest_return_mean:    {np.mean(returns):.4f}")
        return
    values, seen = rng.normal(scale=1e-3, size=game.shape), np.zeros(game.shape)
    for step in range(1, _config["t_max"] + 1):
        epsilon = max(_config["epsilon_finish"], 1.0 - step / _config["epsilon_anneal_time"])
        explores = rng.random(len(agents)) < epsilon
        actions = np.where(explores, rng.integers(game.shape[1], size=len(agents)), values.argmax(-1))
        if _config["save_model"] and (step == 1 or step == _config["t_max"]):
            folder = Path(_config["local_results_path"]) / "models" / _config["env_args"]["key"] / str(step)
            folder.mkdir(parents=True)
            (folder / "values.json").write_text(json.dumps(values.tolist()))
        reward = game.play(actions)
        seen[agents, actions] += 1
        values[agents, actions] += (reward - values[agents, actions]) / seen[agents, actions]


def chosen(option, folder, words):
    """The file that an option names, read; the option is taken out of the command line's words."""
    (word,) = [word for word in words if word.startswith(f"{option}=")]
    words.remove(word)
    return yaml.safe_load((Path(__file__).parent / "config" / folder / f"{word.partition('=')[2]}.yaml").read_text())


if __name__ == "__main__":
    words = list(sys.argv)
    settings = yaml.safe_load((Path(__file__).parent / "config" / "default.yaml").read_text())
    settings = merged(settings, chosen("--env-config", "envs", words))
    experiment.add_config(merged(settings, chosen("--config", "algs", words)))
    experiment.run_commandline(words)
