"""Episodes are stored as Minari's data sets, and can be read again as they were played."""

import sys

import minari
import numpy as np
import pytest

from econ_env import load_bank, parallel_env
from econ_env.errors import ConfigError
from econ_env.problems.load import load_problems
from econ_env.wrappers import DiscreteActions, JointView, NormalizedActions, store_episodes

PROBLEMS = load_problems("bundled:1", limit=20)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "sets"))
    return tmp_path / "sets"


def joint(**changes):
    return JointView(NormalizedActions(parallel_env(PROBLEMS, llm="simulated", embedder="hash", **changes)))


def grid():
    return JointView(DiscreteActions(parallel_env(PROBLEMS, llm="simulated", embedder="hash")))


@pytest.mark.parametrize("max_rounds", [1, 2])
def test_what_is_read_is_what_was_played(max_rounds):
    played = np.array([0.5, -0.5, 0.25, 2.0, 0.0, -1.0], np.float32)
    store_episodes(
        "econ/one-v0", lambda: joint(max_rounds=max_rounds), 3, act=lambda state: played, teams=1, seed=5,
        infos=("reward_ts", "calls"),
    )  # fmt: skip
    env = joint(max_rounds=max_rounds)
    for number, episode in enumerate(minari.load_dataset("econ/one-v0")):
        state, _ = env.reset(seed=5 if number == 0 else None)
        assert len(episode.rewards) == max_rounds
        assert np.array_equal(episode.observations[0], state)
        assert not any(values[0].any() for values in episode.infos.values())
        for step in range(max_rounds):
            state, reward, terminated, truncated, info = env.step(played)
            assert np.array_equal(episode.actions[step], played.clip(-1.0, 1.0))
            assert np.array_equal(episode.observations[step + 1], state)
            assert episode.rewards[step] == reward
            assert (episode.terminations[step], episode.truncations[step]) == (terminated, truncated)
            assert episode.infos["rewards"][step + 1].tolist() == list(info["rewards"].values())
            for name in ("reward_ts", "calls"):
                assert episode.infos[name][step + 1].tolist() == [info[f"executor_{i}"][name] for i in range(3)]
        assert terminated


def test_teams_share_the_episodes_and_a_seed_repeats_them(monkeypatch):
    monkeypatch.setattr("econ_env.wrappers.offline._AT_ONCE", 5)
    sets = [store_episodes(f"econ/many-v{number}", grid, 13, teams=4, seed=1) for number in range(2)]
    assert [len(stored) for stored in sets] == [13, 13]
    first, second = (list(stored) for stored in sets)
    assert all(np.array_equal(a.actions, b.actions) for a, b in zip(first, second, strict=True))
    assert all(np.array_equal(a.observations, b.observations) for a, b in zip(first, second, strict=True))
    assert len({tuple(episode.actions[0]) for episode in first}) > 10
    assert sets[0].action_space == grid().action_space
    assert minari.load_dataset("econ/many-v0").total_steps == 13


def test_a_recorded_team_makes_data():
    bank = load_bank("gsm8k-small7")
    stored = store_episodes("econ/recorded-v0", lambda: JointView(parallel_env(llm=bank)), 20, seed=0)
    rewards = np.concatenate([episode.rewards for episode in stored])
    assert rewards.shape == (20,)
    assert 0.0 < rewards.mean() < 1.0


def test_wrong_use_is_refused_in_one_line():
    with pytest.raises(ConfigError, match="must make a JointView, got NormalizedActions"):
        store_episodes("econ/a-v0", lambda: joint().parallel_env, 1)
    with pytest.raises(ConfigError, match="at least 1, got 0 and 8"):
        store_episodes("econ/a-v0", joint, 0)
    with pytest.raises(ConfigError, match="'econ/a' is no id"):
        store_episodes("econ/a", joint, 1)
    with pytest.raises(ConfigError, match=r"shape \(6,\), got \(2,\)"):
        store_episodes("econ/a-v0", joint, 1, act=lambda _: [0.0, 0.0])
    with pytest.raises(ConfigError, match="no info colour that is a number; choose from temperature, p"):
        store_episodes("econ/a-v0", joint, 1, infos=["colour"])
    store_episodes("econ/a-v0", joint, 1)
    with pytest.raises(ConfigError, match="econ/a-v0 exists; give another version"):
        store_episodes("econ/a-v0", joint, 1)


def test_without_minari_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(ConfigError, match=r"needs minari: pip install 'econ-bne\[offline\]'"):
        store_episodes("econ/a-v0", joint, 1)
