"""Trains a team's policy on parallel environments with Tianshou's collector and off-policy trainer."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from pettingzoo import ParallelEnv
from tianshou.algorithm.algorithm_base import TrainingStats
from tianshou.data import CollectStatsBase
from tianshou.trainer import OffPolicyTrainer, OffPolicyTrainerParams
from tianshou.utils import BaseLogger, LazyLogger

from econ_agents.algorithm import EconAlgorithm, EconTrainingStats
from econ_agents.concurrency import torch_threads
from econ_agents.config import AgentConfig
from econ_agents.device import find_device
from econ_agents.equilibrium import EquilibriumConfig
from econ_agents.errors import ConfigError
from econ_agents.joint_env import JointEnv
from econ_agents.networks.alpha import DEFAULT_WEIGHTS
from econ_agents.networks.averaging import AveragedNetwork
from econ_agents.policy import EconPolicy
from econ_agents.training.collector import RefiningCollector
from econ_agents.training.early_stopping import EarlyStopping
from econ_agents.training.isolation import last_episodes, private_generators
from econ_agents.training.replay import UniformReplayBuffer, make_buffer
from econ_agents.training.state import Learner, TrainingState, restore_state, save_state
from econ_agents.training.training_envs import TrainingEnvs, episode_seed
from econ_agents.training.watch import EpisodeOutcome, Watch

FINAL = "final"
"""Folder of the last policy, inside the checkpoint folder."""
STATE = "state"
"""Folder of the state that resuming needs, inside the checkpoint folder."""
SECONDS_BETWEEN_STATES = 30.0
WATCHED_LOSS = "td_total"
"""The loss that early stopping watches, smoothed over gradient steps."""


class TrainUpdate(NamedTuple):
    """Report after an update."""

    episodes: int
    """Episodes done so far."""
    reward: float
    """Mean team reward of the episodes since the last update."""
    stats: EconTrainingStats
    """Losses of the last gradient step."""
    policy: EconPolicy
    """The policy if training ended now; later updates change it in place."""


class TrainResult(NamedTuple):
    """Result of training."""

    policy: EconPolicy
    """The trained policy, in eval mode, on the device where it was trained."""
    episodes: int
    """Episodes done, including those of resumed runs."""
    stop_reason: str
    """`episodes`, `reward_mean` or `three_criteria`."""


def train(
    make_env: Callable[[], ParallelEnv[str, Any, Any] | JointEnv],
    config: AgentConfig,
    *,
    episodes: int,
    seed: int = 0,
    problem_of: Callable[[int], int | str] | None = None,
    equilibrium: EquilibriumConfig | None = None,
    model_dir: Path | None = None,
    logger: BaseLogger | None = None,
    resume: bool = False,
    on_start: Callable[[int], None] | None = None,
    on_episode: Callable[[EpisodeOutcome], None] | None = None,
    on_update: Callable[[TrainUpdate], None] | None = None,
    on_save: Callable[[], None] | None = None,
) -> TrainResult:
    """Train a policy for a team.

    The result depends only on the arguments and the environment's answers, not on timing. A run that is stopped and
    resumed gives the same result.

    Args:
        make_env: Makes a parallel environment (or a joint one); called `config.num_envs` times, or `episodes` if fewer.
        config: The learner's settings.
        episodes: Episodes to play; 0 gives an untrained policy.
        seed: Decides weights, exploration, replay, and the episodes' seeds.
        problem_of: Maps an episode number to a problem; see `TrainingEnvs`.
        equilibrium: Responses and stop rules if `bne.max_iterations_train` is above 1; by default those of
            `config.bne`. The number of rounds is always `bne.max_iterations_train`.
        model_dir: Where checkpoints go: `episode-N/` every `checkpoint_interval` episodes, `final/` at the end, and
            `state/`, from which training can be resumed. None saves nothing.
        logger: Tianshou logger, for curves.
        resume: Continue from the state in `model_dir`, if there is one.
        on_start: Called with the number of episodes that an earlier run has done.
        on_episode: Called for each episode as it ends.
        on_update: Called after each update.
        on_save: Called each time after the state was saved: a resumed run does not repeat what came before.

    Raises:
        TeamError: The environment's spaces do not fit a team.
        CheckpointError: A checkpoint can't be written or read, or belongs to a run with other settings.
        ConfigError: `resume` without `model_dir`, or the settings' device is not there.
    """
    if resume and model_dir is None:
        raise ConfigError("resume needs model_dir: give the folder of the run to continue")
    with private_generators(), torch_threads(config.threads):
        run = _Run(make_env, config, episodes, seed, problem_of, equilibrium, on_episode)
        try:
            if resume and model_dir is not None:
                run.resume(model_dir / STATE)
            if on_start is not None:
                on_start(run.done)
            reason = run.loop(model_dir, logger or LazyLogger(), on_update, on_save)
        finally:
            run.envs.close()
    policy = run.result.eval()
    if model_dir is not None:
        policy.save_pretrained(model_dir / FINAL)
    return TrainResult(policy, run.done, reason)


class _Trainer(OffPolicyTrainer):
    """Tianshou's trainer without its progress bar, which ignores `show_progress` if there are many steps."""

    def _update_step(self, collect_stats: CollectStatsBase) -> TrainingStats:
        steps = max(1, round(self.params.update_step_num_gradient_steps_per_sample * collect_stats.n_collected_steps))
        for _ in range(steps):
            stats = self._sample_and_update(self.params.training_collector.buffer)
            self._policy_update_time += stats.train_time
        return stats

    def go_on(self, state: TrainingState, decisions: int) -> None:
        """Continue the counters of an earlier run, for curves and for the moving average of the team's loss."""
        self._current_update_step, self._env_step = state.updates, decisions
        self._epoch = state.updates  # an epoch has one update
        self._stat[WATCHED_LOSS].add(state.losses)

    @property
    def updates(self) -> int:
        """Updates so far, including those of earlier runs."""
        return self._current_update_step

    @property
    def recent_losses(self) -> list[float]:
        """The values in the moving average of the team's loss."""
        return [float(loss) for loss in self._stat[WATCHED_LOSS].cache]


class _Run:
    """A training run: environments, policy, buffer and progress."""

    def __init__(
        self,
        make_env: Callable[[], ParallelEnv[str, Any, Any] | JointEnv],
        config: AgentConfig,
        episodes: int,
        seed: int,
        problem_of: Callable[[int], int | str] | None,
        equilibrium: EquilibriumConfig | None,
        on_episode: Callable[[EpisodeOutcome], None] | None,
    ) -> None:
        self.config, self.episodes, self.seed = config, episodes, seed
        self.num_envs = max(1, min(config.num_envs, episodes))
        self.envs = TrainingEnvs([make_env] * self.num_envs, seed=seed, episodes=episodes, problem_of=problem_of)
        first = self.envs.envs[0]
        torch.manual_seed(seed)
        weights = first.reward_weights if first.weighs_rewards else DEFAULT_WEIGHTS
        # Made on the CPU, so that training starts from the same weights on every device.
        self.policy = EconPolicy(first.team, config, weights, seed).to(find_device(config.device))
        self.algorithm = EconAlgorithm(self.policy)
        self.average = None if config.averaging is None else AveragedNetwork(self.policy.network, config.averaging)
        self.result = self.policy if self.average is None else self._averaged_policy(self.average)
        self.buffer = make_buffer(config.replay, config.num_envs)  # the same shape for any number of episodes
        self.stopping = EarlyStopping(config.early_stopping)
        self.collector = RefiningCollector(
            self.policy,
            self.envs,
            self.buffer,
            rounds=config.bne.max_iterations_train,
            config=equilibrium or config.bne,
            exploration_noise=True,
        )
        self.watch = Watch(self.policy.spec, self.envs.numbers, on_episode)
        self.collector.set_on_step_hook(self.watch)
        self.done = 0
        self.earlier: TrainingState | None = None

    def resume(self, folder: Path) -> None:
        """Restore the state in a folder, if there is one."""
        state = restore_state(folder, self._kept())
        if state is not None:
            self.done = state.episodes
            self.stopping.restore(state.stopping)
            self.envs.go_on(state.numbers)
            self.earlier = state

    def loop(
        self,
        model_dir: Path | None,
        logger: BaseLogger,
        on_update: Callable[[TrainUpdate], None] | None,
        on_save: Callable[[], None] | None,
    ) -> str:
        """Collect and learn until the end; return why it ended."""
        if self.done >= self.episodes:
            return "episodes"
        per_update = -(-self.config.update_interval // self.num_envs) * self.num_envs
        params = OffPolicyTrainerParams(
            training_collector=self.collector,
            max_epochs=self.episodes,
            epoch_num_steps=1,  # an epoch is one collection and its update
            collection_step_num_env_steps=None,
            collection_step_num_episodes=per_update,
            update_step_num_gradient_steps_per_sample=self.config.gradient_steps,
            batch_size=self.config.batch_size,
            logger=logger,
            verbose=False,
            show_progress=False,
        )
        trainer = _Trainer(self.algorithm, params)
        self.envs.set_reward_weights(self.policy.alpha.values())
        trainer.reset()
        if self.earlier is not None:
            trainer.go_on(self.earlier, self.policy.decisions)
        saved, reason = time.monotonic(), None
        while self.done < self.episodes and reason is None:
            self._reseed()
            count = params.collection_step_num_episodes = self._next_count(per_update)
            with last_episodes() if count < self.num_envs else nullcontext():
                stats = trainer.execute_epoch().training_stat
            assert isinstance(stats, EconTrainingStats)
            before, self.done = self.done, self.done + count
            if self.average is not None:
                self.average.update()
            self.envs.set_reward_weights(self.policy.alpha.values())
            seen = self.watch.take()
            reason = self.stopping.observe(
                episodes=self.done,
                reward=seen.reward,
                loss=stats.smoothed_loss.get(WATCHED_LOSS),
                commitment_move=seen.commitment_move,
            )
            if on_update is not None:
                on_update(TrainUpdate(self.done, seen.reward, stats, self.result.eval()))
            if model_dir is None:
                continue
            every = self.config.checkpoint_interval
            due = self.done // every > before // every
            over = reason is not None or self.done >= self.episodes
            if due and not over:
                self.result.save_pretrained(model_dir / f"episode-{self.done:06d}")
            if due or over or time.monotonic() - saved > SECONDS_BETWEEN_STATES:
                self._save(model_dir / STATE, trainer)
                saved = time.monotonic()
                if on_save is not None:
                    on_save()
        return reason or "episodes"

    def _next_count(self, per_update: int) -> int:
        """Episodes to collect now; the last partial batch is collected separately, with its own episode numbers."""
        count = min(per_update, self.episodes - self.done)
        return count if count < self.num_envs else count - count % self.num_envs

    def _reseed(self) -> None:
        """Seed all generators so that draws until the next update depend only on seed and episodes done."""
        seed = episode_seed(self.seed, 2**32 + self.done)
        torch.manual_seed(seed)
        np.random.seed(seed)  # Tianshou's prioritised buffer draws from numpy's global generator
        self.policy.noise = np.random.default_rng(seed)
        if isinstance(self.buffer, UniformReplayBuffer):
            self.buffer.reseed(seed)

    def _save(self, folder: Path, trainer: _Trainer) -> None:
        numbers = list(self.envs.numbers)
        state = TrainingState(self.done, numbers, self.stopping.state(), trainer.updates, trainer.recent_losses)
        save_state(folder, state, self._kept())

    def _kept(self) -> Learner:
        return Learner(self.algorithm, self.average, self.buffer, self.config, self.seed)

    def _averaged_policy(self, average: AveragedNetwork) -> EconPolicy:
        """A policy that uses the averaged network and shares everything else with the trained policy."""
        policy = copy.copy(self.policy)
        policy._modules = {**self.policy._modules, "network": average.network}
        return policy


if __name__ == "__main__":
    from econ_agents.commands import run_command

    run_command("train")
