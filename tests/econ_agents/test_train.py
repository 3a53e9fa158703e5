"""Training: repeatable, exactly resumable, leaves the caller's generators alone, tells what it does."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from teams import LOSSES, small
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tianshou.utils import TensorboardLogger
from torch.utils.tensorboard import SummaryWriter

from econ_agents.config import AgentConfig
from econ_agents.equilibrium import EquilibriumConfig
from econ_agents.errors import CheckpointError, ConfigError
from econ_agents.joint_env import JointEnv
from econ_agents.policy import EconPolicy
from econ_agents.testing import AsyncQuadraticEnv, CoordinationEnv, QuadraticEnv
from econ_agents.train import TrainResult, TrainUpdate, train
from econ_agents.training.watch import EpisodeOutcome


def make_env() -> QuadraticEnv:
    return QuadraticEnv(low=0.5, high=2.5)


def observations(rows: int = 8) -> torch.Tensor:
    env = JointEnv(make_env())
    return torch.as_tensor(np.stack([env.reset(options={"problem": n})[0] for n in range(rows)]))


def assert_same(one: TrainResult, other: TrainResult) -> None:
    ours, theirs = one.policy.state_dict(), other.policy.state_dict()
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name
    with torch.no_grad():
        assert torch.equal(one.policy.propose(observations()), other.policy.propose(observations()))


def differ(one: TrainResult, other: TrainResult) -> bool:
    with torch.no_grad():
        return not torch.allclose(one.policy.propose(observations()), other.policy.propose(observations()))


# Repeatability ----------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_policy_and_another_seed_another() -> None:
    first, again, other = (train(make_env, small(), episodes=12, seed=seed) for seed in (1, 1, 2))
    assert_same(first, again)
    assert differ(first, other)
    assert first.episodes == 12
    assert first.stop_reason == "episodes"
    assert not first.policy.training


def test_waiting_changes_nothing() -> None:
    class Slow(AsyncQuadraticEnv):
        delays = iter([0.004, 0.0, 0.002] * 100)

        async def astep(self, actions: Any) -> Any:
            self.delay = next(self.delays)
            return await super().astep(actions)

    blocking = train(QuadraticEnv, small(), episodes=8)
    assert_same(blocking, train(Slow, small(), episodes=8))


def test_global_generators_are_left_alone() -> None:
    np.random.seed(5)
    random.seed(5)
    torch.manual_seed(5)
    before = (np.random.get_state()[1].copy(), random.getstate(), torch.get_rng_state())  # type: ignore[index]
    train(make_env, small(replay={"prioritized": True}), episodes=8)
    assert np.array_equal(before[0], np.random.get_state()[1])  # type: ignore[index]
    assert before[1] == random.getstate()
    assert torch.equal(before[2], torch.get_rng_state())


def test_global_generators_decide_nothing() -> None:
    first = train(make_env, small(), episodes=8)
    np.random.seed(77)
    random.seed(77)
    torch.manual_seed(77)
    assert_same(first, train(make_env, small(), episodes=8))


def test_generators_are_given_back_after_an_error() -> None:
    def fail(update: TrainUpdate) -> None:
        raise RuntimeError("enough")

    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="enough"):
        train(make_env, small(), episodes=8, on_update=fail)
    assert torch.equal(before, torch.get_rng_state())


# Going on ---------------------------------------------------------------------------------------------------------


def stop_after(episodes: int, error: type[BaseException]) -> Callable[[TrainUpdate], None]:
    def stop(update: TrainUpdate) -> None:
        if update.episodes >= episodes:
            raise error

    return stop


GOING_ON: dict[str, dict[str, Any]] = {
    "one round": {},
    "three rounds, replay wrapped": {"replay": {"capacity": 7}, "bne": {"max_iterations_train": 3}},
    "prioritised": {"replay": {"capacity": 9, "prioritized": True}},
    "no average, own parameters, noise, dropout, rare target updates": {
        "averaging": None,
        "network": {"shared": False, "input_noise": 1.0, "dropout": 0.3},
        "target_update_interval": 3,
    },
}


@pytest.mark.parametrize("kind", GOING_ON)
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(tmp_path: Path, kind: str) -> None:
    error = KeyboardInterrupt if kind == "one round" else RuntimeError
    config = small(checkpoint_interval=4, alpha={"learn": True}, **GOING_ON[kind])
    whole = train(make_env, config, episodes=18, seed=3)
    with pytest.raises(error):
        train(make_env, config, episodes=18, seed=3, model_dir=tmp_path, on_update=stop_after(12, error))
    started: list[int] = []
    resumed = train(make_env, config, episodes=18, seed=3, model_dir=tmp_path, resume=True, on_start=started.append)
    assert started == [8]
    assert resumed.episodes == 18
    assert_same(whole, resumed)
    assert_same(whole, TrainResult(EconPolicy.from_pretrained(tmp_path / "final"), 18, "episodes"))


@pytest.mark.slow
def test_a_run_with_several_decisions_and_learned_weights_goes_on_too(tmp_path: Path) -> None:
    config = small(checkpoint_interval=4, alpha={"learn": True, "learning_rate": 0.1}, replay={"capacity": 11})

    def make() -> WeighedEnv:
        return WeighedEnv(horizon=3)

    whole = train(make, config, episodes=16)
    with pytest.raises(RuntimeError):
        train(make, config, episodes=16, model_dir=tmp_path, on_update=stop_after(12, RuntimeError))
    resumed = train(make, config, episodes=16, model_dir=tmp_path, resume=True)
    for name, tensor in whole.policy.state_dict().items():
        assert torch.equal(tensor, resumed.policy.state_dict()[name]), name
    assert whole.policy.alpha.values() != pytest.approx((0.4, 0.4, 0.2), abs=1e-3)


def test_a_finished_run_can_be_made_longer(tmp_path: Path) -> None:
    whole = train(make_env, small(), episodes=16)
    train(make_env, small(), episodes=8, model_dir=tmp_path)
    assert_same(whole, train(make_env, small(), episodes=16, model_dir=tmp_path, resume=True))


def test_a_run_shorter_than_its_environments_can_be_made_longer(tmp_path: Path) -> None:
    config = small(num_envs=4)
    train(make_env, config, episodes=2, model_dir=tmp_path)
    longer = train(make_env, config, episodes=10, model_dir=tmp_path, resume=True)
    assert longer.episodes == 10


def test_a_finished_run_has_nothing_to_go_on_with(tmp_path: Path) -> None:
    first = train(make_env, small(), episodes=8, model_dir=tmp_path)
    played: list[EpisodeOutcome] = []
    again = train(make_env, small(), episodes=8, model_dir=tmp_path, resume=True, on_episode=played.append)
    assert played == []
    assert again.episodes == 8
    assert_same(first, again)


def test_without_a_state_a_resumed_run_starts_from_nothing(tmp_path: Path) -> None:
    fresh = train(make_env, small(), episodes=4)
    assert_same(fresh, train(make_env, small(), episodes=4, model_dir=tmp_path, resume=True))


@pytest.mark.parametrize(
    ("changes", "seed", "told"),
    [({"gamma": 0.5}, 0, "gamma"), ({"losses": {"policy": 0.5}}, 0, "losses"), ({}, 1, "seed")],
)
def test_going_on_with_other_settings_is_refused(tmp_path: Path, changes: dict[str, Any], seed: int, told: str) -> None:
    train(make_env, small(), episodes=4, model_dir=tmp_path)
    with pytest.raises(CheckpointError, match=rf"other settings \({told}\)"):
        train(make_env, small(**changes), episodes=8, seed=seed, model_dir=tmp_path, resume=True)


def test_going_on_with_another_team_is_refused(tmp_path: Path) -> None:
    config = small(network={"shared": False})
    train(make_env, config, episodes=4, model_dir=tmp_path)
    with pytest.raises(CheckpointError, match="no state that this run can resume from") as told:
        train(lambda: QuadraticEnv(n_agents=4), config, episodes=8, model_dir=tmp_path, resume=True)
    assert "\n" not in str(told.value)


def test_going_on_from_something_else_is_refused(tmp_path: Path) -> None:
    policy = train(make_env, small(), episodes=0).policy
    policy.save_pretrained(tmp_path / "state")
    with pytest.raises(CheckpointError, match="no state that this run can resume from"):
        train(make_env, small(), episodes=8, model_dir=tmp_path, resume=True)


def test_going_on_needs_a_folder() -> None:
    with pytest.raises(ConfigError, match="model_dir"):
        train(make_env, small(), episodes=4, resume=True)


# What is kept and told --------------------------------------------------------------------------------------------


def test_checkpoints_on_the_way_are_the_policy_as_it_was(tmp_path: Path) -> None:
    seen: dict[int, torch.Tensor] = {}

    def note(update: TrainUpdate) -> None:
        with torch.no_grad():
            seen[update.episodes] = update.policy.propose(observations())

    train(make_env, small(checkpoint_interval=4), episodes=12, model_dir=tmp_path, on_update=note)
    folders = sorted(path.name for path in tmp_path.iterdir())
    assert folders == ["episode-000004", "episode-000008", "final", "state"]
    for folder, episodes in (("episode-000004", 4), ("episode-000008", 8), ("final", 12)):
        with torch.no_grad():
            proposed = EconPolicy.from_pretrained(tmp_path / folder).propose(observations())
        assert torch.equal(proposed, seen[episodes])
    assert len(list((tmp_path / "state").glob("*.safetensors"))) == 1
    assert json.loads((tmp_path / "state" / "config.json").read_text())["episodes"] == 12


@pytest.mark.parametrize("averaging", [None, 3.0])
def test_a_policy_that_is_looked_at_on_the_way_acts_without_noise(averaging: float | None) -> None:
    config = small(network={"input_noise": 1.0}, averaging=averaging)
    plain = train(make_env, config, episodes=12)

    def look(update: TrainUpdate) -> None:
        with torch.no_grad():
            assert torch.equal(update.policy.propose(observations()), update.policy.propose(observations()))

    assert_same(plain, train(make_env, config, episodes=12, on_update=look))


@pytest.mark.filterwarnings("error::UserWarning")
def test_every_episode_is_played_once_and_told(caplog: pytest.LogCaptureFixture) -> None:
    told: list[EpisodeOutcome] = []
    asked: list[int] = []

    def problem_of(number: int) -> int:
        asked.append(number)
        return number

    class Prepared(QuadraticEnv):
        prepared = 0

        def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            assert options is not None
            Prepared.prepared += options.get("plan", True)
            return super().reset(seed, options)

    config = small(num_envs=4, update_interval=8)
    train(Prepared, config, episodes=22, problem_of=problem_of, on_episode=told.append)
    assert sorted(outcome.episode for outcome in told) == list(range(22))
    assert Prepared.prepared == 22
    assert [record for record in caplog.records if record.name.startswith("tianshou")] == []
    assert all(outcome.reward == pytest.approx(outcome.numbers["team_reward"]) for outcome in told)


def test_updates_tell_mean_rewards_and_losses() -> None:
    told: list[EpisodeOutcome] = []
    updates: list[TrainUpdate] = []
    train(make_env, small(), episodes=12, on_episode=told.append, on_update=updates.append)
    assert [update.episodes for update in updates] == [4, 8, 12]
    for n, update in enumerate(updates):
        assert update.reward == pytest.approx(np.mean([o.reward for o in told[4 * n : 4 * n + 4]]))
        assert update.stats.td_total is not None


def test_losses_are_in_tensorboard_by_name_and_curves_go_on(tmp_path: Path) -> None:
    config = small(checkpoint_interval=4, bne={"max_iterations_train": 2}, alpha={"learn": True})

    def run(folder: str, **kwargs: Any) -> None:
        writer = SummaryWriter(str(tmp_path / folder))
        logger = TensorboardLogger(writer, training_interval=1, update_interval=1)
        train(WeighedEnv, config, episodes=12, logger=logger, model_dir=tmp_path / "model", **kwargs)
        writer.close()

    with pytest.raises(RuntimeError):
        run("first", on_update=stop_after(8, RuntimeError))
    run("second", resume=True)
    steps = []
    for folder in ("first", "second"):
        events = EventAccumulator(str(tmp_path / folder))
        events.Reload()
        tags = {tag.rsplit("/", 1)[-1]: tag for tag in events.Tags()["scalars"] if tag.startswith("update/")}
        assert {*LOSSES, "alpha", "weight_ts"} <= tags.keys()
        points = events.Scalars(tags["td_total"])
        assert all(np.isfinite(point.value) for point in points)
        steps.append([point.step for point in points])
    # The state was written after the first update, so the second run repeats the second one.
    assert steps[0] == [1, 2]
    assert steps[1] == [2, 3]


# Learned reward weights -------------------------------------------------------------------------------------------


class WeighedEnv(QuadraticEnv):
    """Pays three terms, weighted; notes the weights under which each decision was paid."""

    def __init__(self, horizon: int = 1) -> None:
        super().__init__(horizon=horizon, low=0.5, high=2.5)
        self.reward_weights: tuple[float, ...] = (0.4, 0.4, 0.2)
        self.seen: list[tuple[float, ...]] = []

    def _info(self, rewards: list[float]) -> dict[str, Any]:
        self.seen.append(self.reward_weights)
        terms = {"al": 0.5, "ts": float(rewards[0] > -0.5), "cc": 0.2}
        own = {f"reward_{name}": value for name, value in terms.items()}
        team = {f"team_{name}": value for name, value in terms.items()}
        return {**super()._info(rewards), **own, **team}


def test_learned_weights_are_live_in_the_environment_and_kept(tmp_path: Path) -> None:
    envs: list[WeighedEnv] = []

    def make() -> WeighedEnv:
        envs.append(WeighedEnv())
        return envs[-1]

    live: list[tuple[float, ...]] = []
    config = small(alpha={"learn": True, "learning_rate": 0.1})

    def note(update: TrainUpdate) -> None:
        live.append(update.policy.alpha.values())
        assert all(env.reward_weights == live[-1] for env in envs)

    result = train(make, config, episodes=12, model_dir=tmp_path, on_update=note)
    assert live[0] != pytest.approx((0.4, 0.4, 0.2), abs=1e-4)
    assert len(set(live)) == 3
    # Each update's weights hold until the next; the first are those that the environment came with.
    for env in envs:
        first, *later = dict.fromkeys(env.seen)
        assert first == pytest.approx((0.4, 0.4, 0.2))
        assert later == live[:2]
    assert all(weights[1] >= config.alpha.ts_floor for weights in live)
    assert EconPolicy.from_pretrained(tmp_path / "final").alpha.values() == result.policy.alpha.values()


def test_fixed_weights_stay_as_the_environment_has_them() -> None:
    def make() -> WeighedEnv:
        env = WeighedEnv()
        env.reward_weights = (0.1, 0.7, 0.2)
        return env

    result = train(make, small(), episodes=8)
    assert result.policy.alpha.values() == pytest.approx((0.1, 0.7, 0.2), abs=1e-5)


# Early stopping ---------------------------------------------------------------------------------------------------


def stopping(**changes: Any) -> AgentConfig:
    return small(checkpoint_interval=4, **changes)


def test_training_ends_early_when_the_reward_stands_still() -> None:
    class Flat(CoordinationEnv):
        def _pay(self, profile_NA: Any) -> list[float]:
            super()._pay(profile_NA)
            return [0.5] * len(profile_NA)

    result = train(Flat, small(early_stopping={"enabled": True, "patience": 2, "warmup": 12}), episodes=100)
    assert result.stop_reason == "reward_mean"
    assert result.episodes == 16


THREE = {"commitment_threshold": 10.0, "reward_threshold": -100.0, "loss_threshold": 0.02, "patience": 2}


@pytest.mark.slow
def test_three_criteria_see_commitments_rewards_and_losses_and_go_on_exactly(tmp_path: Path) -> None:
    config = stopping(bne={"max_iterations_train": 2}, early_stopping={"enabled": True, **THREE})
    whole = train(make_env, config, episodes=400)
    assert whole.stop_reason == "three_criteria"
    assert 12 < whole.episodes < 400
    with pytest.raises(RuntimeError):
        train(
            make_env,
            config,
            episodes=400,
            model_dir=tmp_path,
            on_update=stop_after(whole.episodes - 8, RuntimeError),
        )
    resumed = train(make_env, config, episodes=400, model_dir=tmp_path, resume=True)
    assert (resumed.episodes, resumed.stop_reason) == (whole.episodes, whole.stop_reason)
    assert_same(whole, resumed)


def test_commitments_that_keep_moving_keep_training_going() -> None:
    three = {**THREE, "commitment_threshold": 1e-9, "loss_threshold": 100.0}
    config = stopping(bne={"max_iterations_train": 2}, early_stopping={"enabled": True, **three})
    assert train(make_env, config, episodes=24).stop_reason == "episodes"


# Arguments --------------------------------------------------------------------------------------------------------


def test_no_episodes_give_an_untrained_policy() -> None:
    result = train(make_env, small(), episodes=0)
    assert result.episodes == 0
    with torch.no_grad():
        assert result.policy.propose(observations()).abs().max() < 0.2


def test_rounds_are_those_of_the_settings_and_responses_those_asked_for() -> None:
    played: list[float] = []
    config = small(bne={"max_iterations_train": 3, "convergence_threshold": 0.0})
    responses = EquilibriumConfig(stop_when_repeated=False, oscillation_window=0)
    train(make_env, config, episodes=8, equilibrium=responses, on_episode=lambda o: played.append(o.numbers["rounds"]))
    assert max(played) == 3.0
    once: list[float] = []
    train(make_env, small(), episodes=8, on_episode=lambda o: once.append(o.numbers["rounds"]))
    assert once == [1.0] * 8


@pytest.mark.parametrize("n_agents", [1, 2, 5])
def test_teams_of_other_sizes_train(n_agents: int) -> None:
    result = train(lambda: CoordinationEnv(n_agents), small(), episodes=8)
    assert result.policy.spec.n_agents == n_agents
    assert all(torch.isfinite(p).all() for p in result.policy.parameters())


def test_environments_are_closed_also_after_an_error() -> None:
    closed: list[bool] = []

    class Noted(CoordinationEnv):
        def close(self) -> None:
            closed.append(True)

    train(Noted, small(), episodes=4)
    assert len(closed) == 2
    with pytest.raises(RuntimeError):
        train(Noted, small(), episodes=8, on_update=stop_after(4, RuntimeError))
    assert len(closed) == 4
